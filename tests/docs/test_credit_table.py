"""The worked numbers of credit in docs/dispatch.md, computed from the plan of such a run and the library's edges."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slither_actors import Context, DispatchConfig, DispatchOptions
from slither_actors._code import Code
from slither_actors.context import SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._edges import InEdge, OutEdge
from slither_actors.otp.ref import Ref
from slither_actors.system._runs import dispatch_plan
from tests.helpers.tables import table_below

DOCUMENT = (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text("utf-8")
HEAD, *ROWS = [
    tuple(cell.strip() for cell in line[1:-1].split(" | "))
    for line in DOCUMENT.partition("\n## How far ahead\n")[2].splitlines()
    if line.startswith("| ")
][:6]


def edges_of(batch_size: int, max_in_flight: int) -> tuple[OutEdge, InEdge]:
    """What the service has of a run: where its batches leave, and where the results arrive."""
    given = {"batch_size": batch_size, "max_in_flight": max_in_flight}
    options = DispatchOptions.of(given, DispatchConfig(), "dispatch")
    dispatcher = Ref("pools/default/dispatcher", 1, "/run/dispatcher", 7)
    sealed = SealedContext.of(Context())
    plan = dispatch_plan("r", dispatcher, "/run/service", options, Code.of("builtins:list"), sealed, Deadline())
    return OutEdge("r", plan.source), InEdge(plan.sinks[0])


@pytest.mark.parametrize("column", [1, 2])
def test_the_numbers_are_those_of_the_code(column: int) -> None:
    batch_size, max_in_flight = map(int, re.findall(r"=(\d+)", HEAD[column]))
    out, back = edges_of(batch_size, max_in_flight)
    found = []
    for number in range(len(ROWS)):
        if number:
            back.receive(number)
            back.held -= 1  # the loop is through with it
            if back.ask("r") is not None:
                out.settle(back.settled)
        found.append(f"batch {out.credit}, {out.credit * batch_size} items")

    assert found == [row[column] for row in ROWS]


def test_each_row_is_one_batch_further() -> None:
    assert [row[0] for row in ROWS] == ["nothing", *(f"batch {number}" for number in range(1, len(ROWS)))]
    assert table_below("## How far ahead", DOCUMENT) == ROWS
