"""A dispatch, a stream and a pipe are three forms of one thing: the same input and policy give the same results."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import slither_actors as slither
from slither_actors.testing import InlineSystem
from tests.helpers.forms import MISHAPS, POLICIES, in_each_form, without_names

pytestmark = [pytest.mark.system, pytest.mark.thorough]


@pytest.fixture
def inline() -> Iterator[InlineSystem]:
    with InlineSystem() as made:
        yield made


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("policy", POLICIES)
def test_every_form_gives_the_same_in_processes_and_inline(
    system: slither.System, inline: InlineSystem, policy: str, mishap: str
) -> None:
    given = [1, 2, 3, 4, mishap, 6, 7, 8]
    outcomes = in_each_form(system, given, POLICIES[policy]) + in_each_form(inline, given, POLICIES[policy])
    first, *others = without_names(mishap, outcomes)

    got, ends, halt = first
    if halt:  # what overtakes a batch that is tried again is finished or not
        assert {halt for _, _, halt in others} == {halt}
        assert {tuple(got) for got, _, _ in (first, *others)} <= {(1, 2, 3), (1, 2, 3, 7, 8)}
        assert policy == "retry, halt" or got == [1, 2, 3]
    else:
        assert others == [first] * 7
        assert len(got) + sum(map(len, ends.values())) == len(given)
        assert got[:3] == [1, 2, 3]
        assert got[-2:] == [7, 8]
