"""Why a process ended that had announced nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from slither_actors.otp._children import Process, reason_of, why_no_process
from slither_actors.otp.child import ChildSpec, ExitReason
from slither_actors.otp.server import Server
from slither_actors.transport._standstill import leave_word
from tests.helpers.descriptors import open_descriptors


@pytest.mark.parametrize(
    ("code", "word", "reason"),
    [
        (0, "", ExitReason("crash", "exit code 0")),
        (-11, "", ExitReason("killed", "SIGSEGV")),
        (-9, "it stood still", ExitReason("killed", "it stood still")),
    ],
)
def test_whoever_killed_it_may_have_left_word(tmp_path: Path, code: int, word: str, reason: ExitReason) -> None:
    process = Process(ChildSpec("a", Server), 1, SimpleNamespace(pid=42, exitcode=code), -1)
    if word:
        leave_word(tmp_path, 42, word)

    assert reason_of(process, str(tmp_path)) == reason
    assert process.stood_still is bool(word)


def test_a_limit_that_is_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_descriptors()
    assert why_no_process() == "no process could be made; is a limit reached (ulimit -u)?"
    real_pipe, left = os.pipe, iter([True])

    def pipe() -> tuple[int, int]:
        if next(left, False):
            return real_pipe()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", pipe)
        assert why_no_process() == "no process could be made: Too many open files; is a limit reached (ulimit -n)?"
    assert open_descriptors() == before
