"""Records that say what they are about."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from slither_actors.logs import NAMES, JsonLines, about, ids_of
from slither_actors.otp.logs import replay
from slither_actors.otp.messages import LogLine


def record(text: str = "it is %s", *args: Any, extra: dict[str, Any] | None = None, error: Any = None) -> Any:
    return logging.getLogger("shop").makeRecord("shop", logging.WARNING, "f", 1, text, args, error, extra=extra)


def test_ids_are_one_attribute_without_those_that_are_not_known() -> None:
    assert about(run="r", stage=None, batch=0) == {"slither": {"run": "r", "batch": 0}}
    assert ids_of(record(extra=about(run="r", batch=7))) == {"run": "r", "batch": 7}
    assert ids_of(record()) == {}


@pytest.mark.parametrize("found", ["text", 3, None, {"payload": "x"}, {"run": ["x"]}, {5: "x"}])
def test_what_somebody_else_put_there_is_no_id(found: object) -> None:
    assert ids_of(record(extra={"slither": found})) == {}


def test_a_line_of_json_has_the_text_and_the_ids() -> None:
    made = record("it is %s\n", "late", extra=about(run="r", stage="predict"))
    made.created, made.msecs = 1_700_000_000.25, 250.0
    line = JsonLines().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "WARNING",
        "logger": "shop",
        "message": "it is late\n",
        "run": "r",
        "stage": "predict",
    }


def test_a_line_of_json_has_the_traceback_too() -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        line = json.loads(JsonLines().format(record("late", error=sys.exc_info())))
    assert line["exception"].endswith("ValueError: boom")


def test_a_forwarded_record_keeps_its_ids_and_gets_the_system(caplog: pytest.LogCaptureFixture) -> None:
    replay(LogLine("shop", logging.WARNING, "late", 5.25, "worker-1", 42, (("run", "r"), ("process", "w"))), "sys")
    (found,) = caplog.records
    assert ids_of(found) == {"system": "sys", "run": "r", "process": "w"}
    assert set(ids_of(found)) < set(NAMES)
    assert (found.process, found.processName, found.msecs) == (42, "worker-1", 250.0)
