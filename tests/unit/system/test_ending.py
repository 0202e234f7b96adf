"""What the log says of a stop that was not complete; of any other one it says nothing."""

import pytest

from slither_actors.dispatch.drain import DrainReport, IdTally, RunReport
from slither_actors.system._ending import told

FINISHED = RunReport("1", "pipe", "Orders", "drained", 4, 4)
CUT = RunReport("2", "pipe", "Orders", "cut", 5, 3, abandoned=IdTally(2, (8, 9)))
FAILED = RunReport("3", "pipe", "Orders", "failed", 1, 0, failed=IdTally(1, (7,)))


@pytest.mark.parametrize(
    ("pipe", "runs", "killed", "causes", "text"),
    [
        (
            "Orders",
            (FINISHED, CUT, FAILED),
            (),
            (),
            "the stop of pipe 'Orders' was cut: 2 of 10 items were abandoned, 1 of 10 items failed with their run; "
            "stop_pipe() returns the report",
        ),
        (
            None,
            (FINISHED, FAILED),
            ("host", "stores/A"),
            (),
            "the stop of system 'shop' was not complete: 1 of 5 items failed with their run, killed since they did not "
            "end: host, stores/A; stop() returns the report",
        ),
        (
            None,
            (),
            ("root",),
            ("no memory", "no hope"),
            "system 'shop' died and could not be drained (no memory; no hope): what was under way is lost, how many "
            "items is unknown; stop() returns the report",
        ),
    ],
)
def test_a_stop_that_was_not_complete_is_told_once(caplog, pipe, runs, killed, causes, text):
    report = DrainReport(pipe, 0, 0, 0.0, runs, killed, None if pipe else "shop")
    assert told(report, causes) is report
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [("WARNING", text)]


@pytest.mark.parametrize(("runs", "causes", "warnings"), [((), (), 0), ((CUT,), (), 1), ((), ("no memory",), 1)])
def test_one_in_haste_is_told_only_if_items_are_lost(caplog, runs, causes, warnings):
    told(DrainReport(None, 0, 0, 0.0, runs, ("registry",), "shop"), causes, in_haste=True)
    assert len(caplog.records) == warnings


def test_one_that_was_is_not(caplog):
    told(DrainReport("Orders", 1, 0, 0.0, (FINISHED,)))
    assert caplog.records == []
