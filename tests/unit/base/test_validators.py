"""Validators: one wording, and nothing that only looks like a number."""

import math
import sys

import attrs
import pytest

from slither_actors import _validators as check
from slither_actors.errors import InvalidOption


def refusal(validator: check.Validator, value: object) -> str | None:
    """What a class with this one option says about a value; None if it takes it."""

    @attrs.frozen
    class Options:
        option: object = attrs.field(validator=validator)

    try:
        Options(value)
    except InvalidOption as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("validator", "good", "bad"),
    [
        (check.positive_int, [1, 64, sys.maxsize], [sys.maxsize + 1, 0, -1, True, False, "1", 1.0, None]),
        (check.non_negative_int, [0, 1], [-1, True, False, "0", 0.0, None]),
        (check.positive_seconds, [1, 0.001, 30.5], [0, 0.0, -1, True, "1", math.inf, math.nan, None]),
        (check.non_negative_seconds, [0, 0.0, 2.5], [-0.1, True, "1", math.inf, -math.inf, math.nan, None]),
        (
            check.name,
            ["a", "_x", "gpu-pool_2", "a" * 64],
            ["", "2a", "-a", "a b", "a.b", "ä", "a\n", "a" * 65, None, 5],
        ),
        (check.one_of("a", 1), ["a", 1], ["b", True, 1.0, None, [], {}]),
        (check.optional(check.positive_int), [None, 1], [0, "1", True]),
    ],
    ids=["positive_int", "non_negative_int", "positive_seconds", "non_negative_seconds", "name", "one_of", "optional"],
)
def test_validators_take_what_they_say_and_nothing_else(validator, good, bad):
    assert [value for value in good if refusal(validator, value)] == []
    assert [value for value in bad if not refusal(validator, value)] == []


@pytest.mark.parametrize(
    ("validator", "value", "text"),
    [
        (check.positive_int, 0, "Options: option is 0; allowed: a whole number of at least 1"),
        (check.positive_seconds, "5", "Options: option is '5'; allowed: a finite number of seconds above 0"),
        (check.one_of("halt", "skip"), "stop", "Options: option is 'stop'; allowed: 'halt', 'skip'"),
        (
            check.optional(check.positive_int),
            -1,
            "Options: option is -1; allowed: None, or a whole number of at least 1",
        ),
    ],
)
def test_refusals_have_one_wording(validator, value, text):
    assert refusal(validator, value) == text


def test_a_huge_value_is_cut_in_the_message():
    assert len(refusal(check.positive_int, "x" * 10_000) or "") < 200


def test_an_unknown_option_is_refused_with_the_nearest_known_one():
    with pytest.raises(InvalidOption) as caught:
        check.check_known("worker()", ["pool", "bach_size"], ["batch_size", "pool", "max_in_flight"])
    assert str(caught.value) == (
        "worker(): bach_size is not an option; allowed: batch_size, max_in_flight, pool; did you mean 'batch_size'?"
    )


def test_an_option_like_no_other_is_refused_with_the_list():
    with pytest.raises(InvalidOption, match=r"zzz is not an option; allowed: pool$"):
        check.check_known("f()", ["zzz"], ["pool"])
    with pytest.raises(InvalidOption, match=r"allowed: none$"):
        check.check_known("f()", ["zzz"], [])


@pytest.mark.parametrize("given", [[], ["a"], ["b", "a"], {"a": 1}.keys()])
def test_known_options_pass(given):
    assert check.check_known("f()", given, iter(["a", "b"])) is None  # type: ignore[func-returns-value]
