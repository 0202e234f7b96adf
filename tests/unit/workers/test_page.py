"""The word of shared memory that says which batch a dead worker was running."""

import os
import signal
import subprocess
import sys

import pytest

from slither_actors.incident import ITEMS
from slither_actors.item import take_ids
from slither_actors.otp._inquest import Work
from slither_actors.workers._page import Figures, Page, read, resident_bytes, running, take_last, work_of
from tests.helpers.patience import PATIENCE_S

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
    assert child.wait(PATIENCE_S) == -signal.SIGKILL
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


def test_the_page_counts_batches_and_sessions(tmp_path):
    page = Page(str(tmp_path))
    assert read(str(tmp_path), os.getpid()) == Figures(0, 0, 0)
    for number in (7, 0, 8, 0, 9):
        page.running(number)
    page.sessions(3)
    assert read(str(tmp_path), os.getpid()) == Figures(number=9, batches=3, sessions=3)
    assert running(str(tmp_path), os.getpid()) == 9


def test_a_process_without_a_page_has_done_nothing(tmp_path):
    assert read(str(tmp_path), 12) == Figures()


def test_the_memory_of_a_process_is_known_and_that_of_a_dead_one_is_not():
    assert resident_bytes(os.getpid()) > 1_000_000
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert resident_bytes(child.pid) == 0


@pytest.mark.parametrize("ids", [take_ids(1), take_ids(100), [5, 3, 9], [*range(100, 0, -1)], []])
def test_the_page_says_which_items_the_batch_has(tmp_path, ids):
    page = Page(str(tmp_path))
    page.running(1 << 32)
    page.items(ids)
    expected = Work("RunBatch", 1 << 32, tuple(ids[:ITEMS]), len(ids))
    assert work_of(str(tmp_path), os.getpid()) == expected


def test_items_of_an_earlier_batch_are_not_those_of_the_next(tmp_path):
    page = Page(str(tmp_path))
    page.running(1 << 32)
    page.items([1, 2, 3])
    page.running(0)
    assert work_of(str(tmp_path), os.getpid()) == Work()
    page.running(7)
    assert work_of(str(tmp_path), os.getpid()) == Work("RunOnce", 7)


@pytest.mark.parametrize("ids", [[-1], [1 << 64], ["a"], range(5, 0, -1)])
def test_ids_that_somebody_made_up_are_not_told_but_harm_nothing(tmp_path, ids):
    page = Page(str(tmp_path))
    page.running(1 << 32)
    page.items(ids)
    assert work_of(str(tmp_path), os.getpid()).items == ()


def test_a_process_without_a_page_was_at_nothing(tmp_path):
    assert work_of(str(tmp_path), 1) == Work()
