"""The pieces of the pipe that need no system."""

from __future__ import annotations

import pytest

import slither_actors as slither
from slither_actors.examples.text_analysis.pipe import is_negative, is_positive, normalise


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" two\u00a0 words\n", "two words"),
        ("everyone\u2019s \u2018own\u2019", "everyone's 'own'"),
        ("\ufb01ne", "fine"),
        ("", ""),
    ],
)
def test_text_is_brought_into_one_form(text: str, clean: str) -> None:
    assert normalise(text) == clean


@pytest.mark.parametrize(
    ("label", "routes"), [("positive", (True, False)), ("negative", (False, True)), ("neutral", (False, False))]
)
def test_the_router_goes_by_the_label(label: str, routes: tuple[bool, bool]) -> None:
    item = slither.Item.wrap({"label": label})

    assert (is_positive(item), is_negative(item)) == routes
