"""The word of shared memory that says which batch a dead worker was running."""

import os
import signal
import subprocess
import sys

from slither_actors.workers._page import Page, take_last

DIES_AT_WORK = """
import os, signal, sys
from slither_actors.workers._page import Page
page = Page(sys.argv[1])
page.running(41)
page.running(2**40 + 7)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_number_survives_a_process_that_was_killed(tmp_path):
    child = subprocess.Popen([sys.executable, "-P", "-c", DIES_AT_WORK, str(tmp_path)])
    assert child.wait(10) == -signal.SIGKILL
    assert take_last(str(tmp_path), child.pid) == 2**40 + 7
    assert not list(tmp_path.iterdir()), "the page is taken once"
    assert take_last(str(tmp_path), child.pid) == 0


def test_a_worker_that_idles_runs_nothing(tmp_path):
    page = Page(str(tmp_path))
    page.running(5)
    page.running(0)
    assert take_last(str(tmp_path), os.getpid()) == 0


def test_a_page_of_an_earlier_process_with_this_pid_does_not_count(tmp_path):
    Page(str(tmp_path)).running(9)
    Page(str(tmp_path))
    assert take_last(str(tmp_path), os.getpid()) == 0


def test_nobody_else_can_read_the_page(tmp_path):
    Page(str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert take_last(str(tmp_path / "missing"), 1) == 0


def test_a_torn_page_counts_as_idle(tmp_path):
    (tmp_path / "12.running").write_bytes(b"abc")
    assert take_last(str(tmp_path), 12) == 0
