"""A service whose output leads nowhere, or to somebody who has gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.system

PROGRAM = """
import os, sys
if sys.argv[1] == "closed":
    os.close(1)
    os.close(2)
from slither_actors.otp import ChildSpec
import slither_actors as slither
from tests.helpers import faulty

def tell(word):
    os.write(int(sys.argv[2]), f"{word}\\n".encode())

def ends(items):
    return [repr(item.payload) for item in items] + [str(item.meta["error"]) for item in getattr(items, "skipped", [])]

with slither.start(pools={"default": 1}, children=[ChildSpec("own", faulty.Hapless)]) as system:
    tell(ends(system.dispatch(["print"], faulty.printed, on_error="skip")))
    tell(ends(system.dispatch(["well"], faulty.printed, on_error="skip")))
    outputs = system.run_pipe(faulty.Printing, ["print", "well"])
    tell(ends(outputs.default) + [str(item.meta["error"]) for item in outputs.skipped])
    tell(system.call("children/own", "well"))
tell("over")
"""


def told_by_a_service(how: str, **outputs: int) -> list[str]:
    reader, writer = os.pipe()
    command = [sys.executable, "-P", "-c", PROGRAM, how, str(writer)]
    with subprocess.Popen(command, pass_fds=[writer], **outputs) as service:
        os.close(writer)
        with open(reader) as told:
            lines = told.read().splitlines()
    assert service.returncode == 0
    return lines


def nobody_reads() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.thorough
@pytest.mark.usefixtures("tidy_each")
def test_a_service_without_output_works() -> None:
    assert told_by_a_service("closed") == ["[\"'print'\"]", "[\"'well'\"]", "[\"'print'\", \"'well'\"]", "well", "over"]


@pytest.mark.usefixtures("tidy_each")
@pytest.mark.parametrize("place", ["gone", pytest.param("full", marks=pytest.mark.thorough)])
def test_only_who_prints_notices_that_nobody_reads(place: str) -> None:
    error = (
        "BrokenPipeError: [Errno 32] Broken pipe" if place == "gone" else "OSError: [Errno 28] No space left on device"
    )
    output = nobody_reads() if place == "gone" else os.open("/dev/full", os.O_WRONLY)
    try:
        told = told_by_a_service("open", stdout=output, stderr=output)
    finally:
        os.close(output)
    assert told == [f"['{error}']", "[\"'well'\"]", f"[\"'well'\", '{error}']", "well", "over"]
