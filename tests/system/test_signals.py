"""What SIGTERM and Ctrl-C do to a program with a system: exit codes, what was finished, and no soup."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.system.test_programs import await_line, finish, program  # noqa: F401
from tests.system.waiting import eventually, marked

pytestmark = [pytest.mark.system, pytest.mark.failure]

BEGIN = """
import itertools, logging, os, queue, signal, sys, threading, time
import slither_actors as slither

def same(payloads):
    return payloads

def sleepy(payloads):
    time.sleep(60)

def source():
    global read
    for read in itertools.count(1):
        yield read
        if read == 200:
            print("streaming", flush=True)
"""
TAKEN = (
    BEGIN
    + """
taken = []
try:
    with slither.start(pools={"default": 1}) as system:
        for item in system.stream(source(), same, batch_size=4):
            taken.append(item.payload)
finally:
    print(taken == list(range(1, read + 1)))
"""
)
IDLE = (
    BEGIN
    + """
with slither.start(pools={"default": 1}) as system:
    def work():
        try:
            system.dispatch(source(), same, batch_size=4)
        except slither.DispatchError as error:
            print(type(error.reason).__name__, len(error.partial_results) == error.reason.pulled, flush=True)
    worker = threading.Thread(target=work)
    worker.start()
    threading.Event().wait()
"""
)
STUCK = (
    BEGIN
    + """
with slither.start(pools={"default": 1}, stop_timeout_s=60) as system:
    def tell():
        while "stopping" not in repr(system):
            time.sleep(0.01)
        print("draining", flush=True)
    threading.Thread(target=tell, daemon=True).start()
    def begun():
        print("streaming", flush=True)
        yield 1
    system.dispatch(begun(), sleepy)
"""
)
OWN = (
    BEGIN
    + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
with slither.start(pools={"default": 1}) as system:
    print("streaming", flush=True)
    threading.Event().wait()
"""
)
OFF = (
    BEGIN
    + """
with slither.start(pools={"default": 1}, handle_signals=False) as system:
    print("streaming", flush=True)
    threading.Event().wait()
"""
)
BLOCKED = (
    BEGIN
    + """
with slither.start(pools={"default": 1}, stop_timeout_s=0.5) as system:
    threading.Timer(0.1, print, ["streaming"], {"flush": True}).start()
    for item in system.stream(iter(queue.Queue().get, None), same):
        pass
"""
)
LEFT_ALONE = (
    BEGIN
    + """
with slither.start(pools={"default": 1}, stop_timeout_s=0.5) as system:
    stream = system.stream(itertools.count(), same, batch_size=4)
    next(stream)
    print("streaming", flush=True)
    threading.Event().wait()
"""
)
TWO = (
    BEGIN
    + """
def slow(payloads):
    time.sleep(0.5)
    return payloads

with slither.start(pools={"default": 1}) as outer, slither.start(pools={"default": 1}) as inner:
    def numbers():
        for number in itertools.count(1):
            yield number
            if number == 4:
                print("streaming", flush=True)
    def work():
        try:
            outer.dispatch(numbers(), slow, batch_size=1)
        except slither.DispatchError as error:
            print(type(error.reason).__name__, len(error.partial_results) == error.reason.pulled, flush=True)
    threading.Thread(target=work).start()
    for item in inner.stream(itertools.count(), same, batch_size=4):
        pass
"""
)

CUT = (
    BEGIN
    + """
logging.basicConfig(format="%(levelname)s %(message)s")
system = slither.start(name="orders", pools={"default": 1}, stop_timeout_s=0.3)
try:
    with system:
        def begun():
            yield from range(3)
            print("streaming", flush=True)
        system.dispatch(begun(), sleepy, batch_size=1)
finally:
    report = system.stop()
    print(report.complete, report.abandoned.count, report.pulled)
"""
)
LEAVING = (
    BEGIN
    + """
from slither_actors.system._open_runs import OpenRuns

def told(self, runs, limit, wait=OpenRuns._wait):
    print("streaming", flush=True)
    wait(self, runs, limit)

OpenRuns._wait = told
logging.basicConfig(format="%(levelname)s %(message)s")
system = slither.start(name="orders", pools={"default": 1}, stop_timeout_s=60)
begun = threading.Event()

def three():
    yield from range(3)
    begun.set()

def work():
    try:
        system.dispatch(three(), sleepy, batch_size=1)
    except slither.SlitherError:
        pass

worker = threading.Thread(target=work)
worker.start()
begun.wait()
try:
    with system:
        pass
finally:
    worker.join()
    report = system.stop()
    print(report.complete, report.abandoned.count, report.pulled)
"""
)
DEAD = CUT.replace("stop_timeout_s=0.3", "stop_timeout_s=60").replace(
    '"streaming",', '"streaming", system._client._host.pid,'
)


def ended(process):
    await_line(process, "streaming")
    process.send_signal(signal.SIGTERM)
    return finish(process)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (TAKEN, 143, "True\n"),
        (IDLE, 143, "Drained True\n"),
        (OWN, 9, ""),
        (OFF, -signal.SIGTERM, ""),
        (BLOCKED, 143, ""),
        (LEFT_ALONE, 143, ""),
        (TWO, 143, "Drained True\n"),
    ],
    ids=[
        "a loop ends",
        "a wait is interrupted",
        "a handler of its own",
        "switched off",
        "a source that blocks",
        "a stream that nobody asks",
        "two systems",
    ],
)
def test_sigterm_drains_and_the_code_is_143(program, base, body, code, said):  # noqa: F811
    assert ended(program(body)) == (code, said, "")
    eventually(lambda: not marked(str(base)), "processes are left")


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_cuts_the_drain_short(program, base, second, code):  # noqa: F811
    process = program(STUCK)
    await_line(process, "streaming")
    process.send_signal(signal.SIGTERM)
    await_line(process, "draining")
    process.send_signal(second)
    found, out, err = finish(process)
    assert found in (code, -second)
    assert second == signal.SIGINT or (out, err.count("\n")) == ("", 1)
    assert second == signal.SIGINT or " was cut: 1 of 1 items were abandoned" in err
    eventually(lambda: not marked(str(base)), "processes are left")


def test_a_drain_that_is_cut_is_no_silent_loss(program):  # noqa: F811
    code, out, err = ended(program(CUT))
    assert (code, out) == (143, "False 3 3\n")
    last = "WARNING the stop of system 'orders' was cut: 3 of 3 items were abandoned; stop() returns the report"
    assert err.splitlines()[-1] == last
    assert err.count("the stop of") == 1


def test_ctrl_c_in_a_drain_cuts_it_and_is_no_silent_loss(program):  # noqa: F811
    process = program(LEAVING)
    await_line(process, "streaming")
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, err.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    assert out.splitlines()[-1] == "False 3 3"
    assert "WARNING the stop of system 'orders' was cut: 3 of 3 items were abandoned" in err


def test_a_signal_that_finds_the_tree_dead_is_no_silent_loss(program):  # noqa: F811
    """Its tree died just before, so that the drain finds nothing."""
    process = program(DEAD)
    host = int(process.stdout.readline().split()[1])
    process.send_signal(signal.SIGSTOP)  # else it may have left its block before the signal is there
    os.kill(host, signal.SIGKILL)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    code, out, err = finish(process)
    assert (code, out.split()[0]) == (143, "False")
    (told,) = re.findall("^WARNING system 'orders' died and could not be drained .*$", err, re.M)
    assert re.search("items is unknown|3 of 3 items (failed|were abandoned)", told)
