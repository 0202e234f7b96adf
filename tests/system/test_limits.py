"""Starts that hang, and ends that must not take longer than they were given."""

from __future__ import annotations

import logging
import threading
import time

import pytest

import slither_actors as slither
from slither_actors.otp import ChildSpec, Server, Supervisor, SupervisorOptions
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.leaves import FailingInit
from tests.system.running import a_system, kill, pid_of, restarted
from tests.system.waiting import eventually, living

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy_each")]


class Stubborn(Server):
    """Does not end when it is asked to."""

    def terminate(self, reason):
        time.sleep(60)


class Hanging(slither.Stage):
    def setup(self, ctx):
        time.sleep(60)

    def handle_item(self, item, ctx):
        return item


def test_a_start_that_hangs_names_the_process_however_deep_it_is():
    inner = (SupervisorOptions(), (ChildSpec("a", FailingInit, ("hang",), start_timeout_s=0.5),))
    children = [ChildSpec("inner", Supervisor, inner, type="supervisor")]

    before = time.monotonic()
    with pytest.raises(slither.StartError) as caught:
        slither.start(name="hangs", pools={"default": 1}, children=children)

    assert str(caught.value) == (
        "system hangs did not start: children/inner/a: not up after 0.5 s (its start_timeout_s)"
    )
    assert time.monotonic() - before < AT_ONCE_S


def test_a_stage_whose_setup_hangs_is_named_after_its_own_limit():
    class Stuck(slither.Pipe):
        first = slither.local(lambda item: item)
        second = slither.stage(Hanging, start_timeout_s=0.5)

    with a_system(pools={"default": 1}) as system:
        with pytest.raises(slither.StartError, match=r"pipes/Stuck-1/second: not up after 0\.5 s"):
            system.start_pipe(Stuck)
        with pytest.raises(slither.StartError, match=r"pipes/Stuck-2/second: not up after 0\.5 s"):
            system.run_pipe(Stuck, [1])
        assert not next(node for node in system.topology()["children"] if node["name"] == "pipes")["children"]


def test_a_stop_takes_its_limit_and_a_second_of_killing_at_most():
    with a_system(pools={"default": 1}, children=[ChildSpec("a", Stubborn, shutdown_s=None)]) as system:
        pid = pid_of(system, "children/a")
        before = time.monotonic()
        system.stop(0.5)
        assert time.monotonic() - before < AT_ONCE_S
        eventually(lambda: not living({pid}), "it is killed")


def test_a_log_handler_that_hangs_does_not_hold_up_a_stop():
    stuck, go_on = threading.Event(), threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record):
            stuck.set()
            go_on.wait(PATIENCE_S)

    def log(items):
        logging.getLogger("worker.blocks").warning("now")
        return items

    logger, handler = logging.getLogger("worker.blocks"), Blocking()
    logger.addHandler(handler)
    try:
        with a_system(pools={"default": 1}) as system:
            system.call_batch([1], log)
            assert stuck.wait(PATIENCE_S)
            before = time.monotonic()
            system.stop(0.5)
            assert time.monotonic() - before < AT_ONCE_S
    finally:
        logger.removeHandler(handler)
        go_on.set()


def test_whoever_stops_a_system_returns_when_it_is_stopped():
    with a_system(pools={"default": 1}, children=[ChildSpec("a", Stubborn, shutdown_s=0.5)]) as system:
        pids = {pid_of(system, "children/a"), system._client._host.pid}
        left = []

        def stop():
            system.stop(10.0)
            left.append(living(pids))

        threads = [threading.Thread(target=stop) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert left == [set(), set(), set()]


def test_a_stop_within_a_stop_does_not_wait_for_itself(monkeypatch):
    with a_system(pools={"default": 1}) as system:
        end = system._client._host.end

        def interrupted(timeout_s):
            system.stop()  # as a signal handler would
            end(timeout_s)

        monkeypatch.setattr(type(system._client._host), "end", lambda host, timeout_s: interrupted(timeout_s))
        system.stop()


def test_a_stop_that_is_interrupted_leaves_nothing(monkeypatch):
    with a_system(pools={"default": 1}) as system:

        def interrupt(timeout_s):
            raise KeyboardInterrupt

        monkeypatch.setattr(system._client._gateway.root_exited, "wait", interrupt)
        host = system._client._host.pid
        with pytest.raises(KeyboardInterrupt):
            system.stop()
        assert not living({host})


def test_a_run_that_ends_with_a_spent_budget_below_the_root_says_what_spent_it():
    with a_system(pools={"default": 1}) as system:
        dispatcher = pid_of(system, "pools/default/dispatcher")

        def source():
            yield 1
            while living({dispatcher}):  # workers that are idle count, and busy ones do not
                worker = kill(system, "workers/worker-1")
                restarted(system, "workers/worker-1", worker)
            yield 2

        with pytest.raises(slither.DispatchError) as caught:
            system.dispatch(source(), jobs.same, batch_size=1, on_error="skip")

        assert "an orderly stop (pools/default/workers: shutdown: pools/default/workers/worker-1: killed: " in str(
            caught.value
        )
        assert [item.payload for item in system.dispatch([1], jobs.same)] == [1]
