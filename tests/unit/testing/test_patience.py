"""What the tests try again with a longer limit, and what fails them at once."""

import pytest

import slither_actors as slither
from tests.helpers.patience import TooLate, all_were_finished, in_ample_time, none_is_late

LATE = slither.BatchTimeout("default", 1.0)
OTHER = slither.InvalidOutcome("a stage", "nothing")


def limits_of(failures):
    """The limits that a check gets that fails with these, one after the other."""
    limits = []

    def check(limit_s):
        limits.append(limit_s)
        if len(limits) <= len(failures):
            raise failures[len(limits) - 1]

    in_ample_time(check)
    return limits


def test_what_was_too_late_is_tried_again_with_a_longer_limit():
    halted = slither.DispatchError(slither.DeadlineExceeded(1.0), 0, [])
    assert limits_of([]) == [1.0]
    assert limits_of([TooLate("slow")]) == [1.0, 5.0]
    assert limits_of([LATE, halted]) == [1.0, 5.0, 25.0]
    with pytest.raises(TooLate):
        limits_of([TooLate("slow")] * 3)


@pytest.mark.parametrize("failure", [AssertionError("wrong"), OTHER, slither.DispatchError(OTHER, 1, [])])
def test_what_is_wrong_fails_at_once(failure):
    with pytest.raises(type(failure)):
        limits_of([failure])


def test_a_limit_is_met_by_innocent_items_alone():
    late, wrong = slither.Item.wrap(1).with_meta(error=LATE), slither.Item.wrap(2).with_meta(error=OTHER)
    none_is_late([late, wrong], but=[1])
    with pytest.raises(TooLate, match=r"\[1\]"):
        none_is_late([wrong, late])


def test_a_deadline_that_came_too_early_lacks_something_and_has_nothing_else():
    items = slither.Item.wrap_many([1, 2])
    all_were_finished([1, 2], items)
    all_were_finished([1, 3], items)
    with pytest.raises(TooLate):
        all_were_finished([1, 2, 3], items)
