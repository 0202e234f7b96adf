"""What is stopped and continued goes on, and nobody is taken for dead meanwhile."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import MARK
from tests.system.running import nothing_left_behind
from tests.system.waiting import marked

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

STOPPED_LIMIT_S = 0.4
# For so long nothing happens at all, which is what is tested.
PAUSE_S = 4 * STOPPED_LIMIT_S

PROGRAM = f"""
import json, sys
from tests.system.test_fault_matrix import pids
from tests.system.under_load import a_busy_system

def tell(**words):
    print(json.dumps(words), flush=True)

with a_busy_system(config={{"stopped_limit_s": {STOPPED_LIMIT_S}}}) as (system, load):
    before = pids(system)
    tell(pids=before)
    sys.stdin.readline()
    load.goes_on(30.0, 5)
    tell(errors=load.errors(), restarted=[name for name, pid in pids(system).items() if before[name] != pid])
    load.end(10.0)
"""


@pytest.fixture
def service(base: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    mark = uuid.uuid4().hex
    with nothing_left_behind(base):
        command = [sys.executable, "-P", "-c", PROGRAM]
        environment = {**os.environ, MARK: mark}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            yield process, mark
            for pid in marked(mark):
                os.kill(pid, signal.SIGKILL)


def read(process: subprocess.Popen[bytes]) -> dict[str, object]:
    assert process.stdout is not None
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


def let_time_pass(process: subprocess.Popen[bytes]) -> None:
    """Unless the service says something, or dies."""
    assert process.stdout is not None
    assert not select.select([process.stdout], [], [], PAUSE_S)[0]


def send_all(pids: set[int], signum: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, signum)


def ask_how_it_went(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go on\n")
    process.stdin.flush()
    assert read(process) == {"errors": {}, "restarted": []}
    process.stdin.close()
    assert process.wait(30.0) == 0


def test_a_service_that_is_stopped_and_continued_goes_on(service: tuple[subprocess.Popen[bytes], str]) -> None:
    process, _ = service
    read(process)
    process.send_signal(signal.SIGSTOP)
    let_time_pass(process)
    process.send_signal(signal.SIGCONT)
    ask_how_it_went(process)


@pytest.mark.thorough
def test_a_tree_that_is_frozen_as_a_whole_goes_on(service: tuple[subprocess.Popen[bytes], str]) -> None:
    process, mark = service
    read(process)
    everybody = marked(mark)
    assert len(everybody) > 15
    send_all(everybody, signal.SIGSTOP)
    let_time_pass(process)
    send_all(everybody, signal.SIGCONT)
    ask_how_it_went(process)
