"""Batches go to workers that have nothing to do before any of them waits behind another."""

from __future__ import annotations

import functools
import os
import threading
import time
from pathlib import Path

import pytest

from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system, nothing_left_behind

pytestmark = pytest.mark.system

WORKERS = 4
LIMIT_S = PATIENCE_S


@pytest.fixture(scope="module")
def system(base):
    with nothing_left_behind(base), a_system(pools={"default": WORKERS}) as running:
        yield running


def meet(items, place, together):
    """Return when `together` batches are at work at the same time; the result is whether they met."""
    (Path(place) / f"{os.getpid()}").touch()
    deadline = time.monotonic() + LIMIT_S
    while len(list(Path(place).iterdir())) < together:
        if time.monotonic() > deadline:
            return [False for _ in items]
        time.sleep(0.005)
    return [True for _ in items]


@pytest.mark.parametrize("batches", [2, 3, 4])
def test_as_many_batches_as_workers_all_run_at_once(system, tmp_path, batches):
    met = system.dispatch(range(batches), functools.partial(meet, place=str(tmp_path), together=batches), batch_size=1)
    assert [item.payload for item in met] == [True] * batches


def test_two_calls_at_once_share_the_workers(system, tmp_path):
    """The second call finds workers that the first has leased and does not use."""
    meeting = functools.partial(meet, place=str(tmp_path), together=2)
    with system.stream(iter([1]), meeting, batch_size=1) as first, system.stream(iter([2]), meeting) as second:
        # both are fed by asking for a result; the first one waits for the second to be at work
        results = []
        other = threading.Thread(target=lambda: results.extend(item.payload for item in first))
        other.start()
        results.extend(item.payload for item in second)
        other.join(LIMIT_S)
    assert results == [True, True]
