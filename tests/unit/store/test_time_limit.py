"""How code that takes too long is stopped, with nothing else disturbed."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from slither_actors.store import _time_limit
from slither_actors.store._time_limit import interrupted_after


@pytest.fixture(autouse=True)
def timer():
    """Another timer runs meanwhile, as that of this test does; it is back afterwards, with the time that is left."""
    rang, before = [], signal.signal(signal.SIGALRM, lambda number, frame: rang.append(True))
    left, _ = signal.setitimer(signal.ITIMER_REAL, 50.0)
    handler = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getsignal(signal.SIGALRM) is handler
    assert 10.0 < signal.setitimer(signal.ITIMER_REAL, left)[0] < 50.0
    signal.signal(signal.SIGALRM, before)
    assert not rang


def sleep_for_ever():
    time.sleep(60)


def test_code_that_takes_too_long_is_interrupted_and_what_was_before_is_back():
    assert interrupted_after(0.02, sleep_for_ever) == (None, True)


def test_code_that_swallows_every_exception_cannot_swallow_this_one():
    def stubborn():
        while True:
            try:
                time.sleep(60)
            except Exception:
                continue

    assert interrupted_after(0.02, stubborn) == (None, True)


def test_code_in_time_is_left_alone_and_what_it_raises_comes_through():
    assert interrupted_after(60.0, divmod, 7, 2) == ((3, 1), False)
    with pytest.raises(ZeroDivisionError):
        interrupted_after(60.0, divmod, 7, 0)


def test_the_time_of_a_call_goes_on_within_those_inside_and_it_is_the_one_that_ends():
    ended = []

    def around():
        ended.append(interrupted_after(60.0, sleep_for_ever))

    assert interrupted_after(0.05, around) == (None, True)
    assert ended == []


def test_the_end_of_a_call_inside_ends_that_one_alone():
    def around():
        assert interrupted_after(0.02, sleep_for_ever) == (None, True)
        return 10 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50

    assert interrupted_after(60.0, around) == (True, False)


@pytest.mark.parametrize("interval_s", [0.0, 40.0])
def test_a_timer_of_somebody_else_rings_in_its_time(interval_s):
    rang = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0.02, interval_s)

    def wait():
        while not rang:
            time.sleep(0.005)
        return signal.getitimer(signal.ITIMER_REAL)[0] > 10

    assert interrupted_after(30.0, wait) == (True, False), "and this one goes on"
    assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(interval_s, abs=10.0)
    assert rang == [signal.SIGALRM]
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, left)


def test_other_threads_are_not_interrupted():
    found = []
    thread = threading.Thread(target=lambda: found.append(interrupted_after(0.001, time.sleep, 0.05)))
    thread.start()
    thread.join()
    assert found == [(None, False)]


@pytest.mark.parametrize("outer", [False, True])
def test_a_signal_at_any_moment_ends_the_call_or_comes_too_late(outer):
    """It comes at each line of what sets the timer and takes it back, in turn."""
    wanted, seen, results = 0, 1, []

    def tell(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename != _time_limit.__file__ or frame.f_code.co_name == "_ring":
            return None
        if event == "line":
            seen += 1
            if seen == wanted and hasattr(signal.getsignal(signal.SIGALRM), "__self__"):  # else it is the fixture's
                signal.raise_signal(signal.SIGALRM)
        return tell

    def call():
        sys.settrace(tell)
        try:
            return interrupted_after(45.0 if outer else 30.0, abs, -1)
        finally:
            sys.settrace(None)

    while wanted <= seen:
        wanted, seen = wanted + 1, 0
        results.append(interrupted_after(40.0, call) if outer else call())
    allowed = [((1, False), False), (None, True)] if outer else [(1, False), (None, True)]
    assert all(result in allowed for result in results), results
    assert len(results) > 15
    assert {result[1] for result in results} == {False, True}
