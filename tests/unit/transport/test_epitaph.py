"""What a host leaves behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slither_actors.transport._epitaph import Epitaph, told_by, victim
from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.launch import Host


class Asked:
    """A process whose exit code another thread is just getting: `poll` does not wait for that."""

    pid = 1
    returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        self.returncode = Epitaph.ROOT_ENDED
        return self.returncode


@pytest.mark.parametrize(
    ("code", "stood_still", "said"),
    [
        (Epitaph.ORDERLY, False, "the host process died"),
        (None, False, "the host process died"),
        (Epitaph.ROOT_ENDED, False, "the root supervisor died"),
        (Epitaph.ADMIN_ENDED, False, "Thespian's admin process died"),
        (12, False, "the root supervisor was killed, since a signal (SIGSTOP) had stopped it for too long"),
        (13, False, "Thespian's admin process was killed, since a signal (SIGSTOP) had stopped it for too long"),
        (-9, False, "the host process died (SIGKILL)"),
        (1, False, "the host process died (exit code 1)"),
        (-9, True, "the host process was killed, since a signal (SIGSTOP) had stopped it for too long"),
    ],
)
def test_it_says_who_died_and_of_what(code: int | None, stood_still: bool, said: str) -> None:
    assert told_by(code, stood_still) == said


def test_it_is_known_also_while_another_thread_asks_for_the_exit_code() -> None:
    host: Any = Host("unix", {}, "", 1, 0, "", None, Asked(), 0, None)  # type: ignore[arg-type]
    assert host.epitaph() == "the root supervisor died"


@pytest.mark.parametrize(
    ("code", "stood_still", "name"),
    [
        (None, False, "root"),
        (Epitaph.ORDERLY, False, "root"),
        (Epitaph.ROOT_ENDED, False, "root"),
        (Epitaph.ROOT_STOOD_STILL, False, "root"),
        (Epitaph.ADMIN_ENDED, False, "admin"),
        (Epitaph.ADMIN_STOOD_STILL, False, "admin"),
        (-9, False, "host"),
        (-9, True, "host"),
        (1, False, "host"),
    ],
)
def test_who_took_the_tree_along(code: int | None, stood_still: bool, name: str) -> None:
    assert victim(code, stood_still) == name


def test_a_host_is_ended_once_whoever_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that listens and the one that stops the system may find it dead in the same moment."""
    watch, (reader, lifeline) = os.pidfd_open(os.getpid()), os.pipe()
    joining = {RUN_DIRECTORY: str(tmp_path / "gone")}
    host: Any = Host("unix", joining, "", 1, watch, "", None, Asked(), lifeline, None)  # type: ignore[arg-type]
    pid, others = os.getpid, [host.end]

    def getpid() -> int:
        while others:
            others.pop()(1.0)
        return pid()

    monkeypatch.setattr(os, "getpid", getpid)
    assert host.end(1.0)  # nothing is closed twice
    with open(reader, "rb") as told:
        assert told.read() == b"x"
