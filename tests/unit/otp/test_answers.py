"""What a server returns where it has no answer."""

import pickle

import cloudpickle
import pytest

from slither_actors.otp import IGNORE, LATER


@pytest.mark.parametrize("answer", [IGNORE, LATER])
@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_it_is_the_same_in_another_process_also_in_a_class_that_travels_by_value(answer, pickler):
    assert pickle.loads(pickler.dumps(answer)) is answer
