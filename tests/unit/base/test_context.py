"""Context: travels light, and leaves its state behind."""

import pickle

import attrs
import pytest

from slither_actors.context import Context

FULL = Context("Score", "predict", "s-1", "r-1", {"tenant": "a"})


def test_everything_is_optional():
    context = Context()
    assert attrs.astuple(context, filter=lambda field, _: field.init) == (None, None, None, None, {})
    assert context.state == {}


@pytest.mark.parametrize("context", [Context(), FULL])
def test_a_context_survives_pickling(context):
    assert pickle.loads(pickle.dumps(context)) == context


def test_state_stays_in_its_process():
    received = pickle.loads(pickle.dumps(FULL.bind({"model": "heavy"})))
    assert received.state == {}


def test_a_bound_context_shows_the_very_dict_and_the_original_does_not():
    state: dict[str, object] = {}
    bound = FULL.bind(state)
    bound.state["seen"] = 1
    assert state == {"seen": 1}
    assert bound.state is state
    assert bound == FULL
    assert FULL.state == {}


def test_an_unbound_context_keeps_what_is_put_into_its_state():
    context = Context()
    context.state["n"] = 1
    assert context.state == {"n": 1}
    assert Context().state == {}


def test_another_stage_has_the_same_run_and_its_own_state():
    other = FULL.bind({"n": 1}).with_stage("route")
    assert other == Context("Score", "route", "s-1", "r-1", {"tenant": "a"})
    assert other.state == {}


def test_a_context_is_frozen_hashable_and_prints_no_state():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FULL.stage = "x"  # type: ignore[misc]
    assert hash(FULL) == hash(pickle.loads(pickle.dumps(FULL)))
    assert "heavy" not in repr(FULL.bind({"model": "heavy"}))


def test_a_context_pickles_small():
    assert len(pickle.dumps(Context(), 5)) < 70
