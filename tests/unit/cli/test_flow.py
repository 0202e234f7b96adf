"""What `slither run` remembers of items that left the flow, where there are no files for them."""

from __future__ import annotations

import io

import pytest

from slither_actors.cli._console import Console
from slither_actors.cli._flow import Sinks
from slither_actors.errors import RemoteError
from slither_actors.item import Item


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no price"), "line 7, in price: ValueError: no price"),
        (RemoteError("KeyError", "no name", "", ()), "line 7, in price: KeyError: no name"),
    ],
)
def test_why_the_first_item_failed_is_kept_with_its_place(error: Exception, told: str) -> None:
    sinks = Sinks(Console(io.StringIO(), io.StringIO()), "Orders", None)

    sinks.end(Item.wrap(1).with_meta(line=6, error=ValueError("dropped"), stage="price"), "dropped")
    sinks.end(Item.wrap(2).with_meta(line=7, error=error, stage="price"), "dead")
    sinks.end(Item.wrap(3).with_meta(line=8, error=ValueError("later"), stage="price"), "skipped")

    assert sinks.first_failure == told
    assert sinks.ends == {"dropped": 1, "dead": 1, "skipped": 1}
