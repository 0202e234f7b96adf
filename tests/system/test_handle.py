"""The handle of a system: who may end it, and what it survives in the service."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
import time
import warnings

import pytest

import slither_actors as slither
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.running import a_system
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy_each")]


def fork_and(action):
    """Run `action` in a forked child of this process, which leaves without its parent's clean-up."""
    with warnings.catch_warnings():
        # newer Pythons warn of a fork beside threads; that a service does it all the same is the point
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_a_forked_child_that_stops_its_copy_leaves_the_system_alone():
    with a_system() as system:
        fork_and(lambda: said_by(system.stop))
        assert [item.payload for item in system.dispatch([1, 2], "builtins:list")] == [1, 2]


USES = {
    "dispatch": lambda system: system.dispatch([1], "builtins:list"),
    "stream": lambda system: system.stream([1], "builtins:list"),
    "call_batch": lambda system: system.call_batch([1], "builtins:list"),
    "call_each": lambda system: system.call_each("os:getpid"),
    "run_pipe": lambda system: system.run_pipe(Line, [1]),
    "stream_pipe": lambda system: system.stream_pipe(Line, [1]),
    "start_pipe": lambda system: system.start_pipe(Line),
    "stop_pipe": lambda system: system.stop_pipe(Line),
    "session": lambda system: system.session(),
    "set_rate": lambda system: system.set_rate(Line, "step", 1),
    "resize_pool": lambda system: system.resize_pool("default", 1),
    "call": lambda system: system.call("registry", 1),
    "cast": lambda system: system.cast("registry", 1),
    "whereis": lambda system: system.whereis("registry"),
    "supervisor": lambda system: system.supervisor("children").which_children(),
    "store": lambda system: system.store("any"),
    "actor_system": lambda system: system.actor_system,
    "topology": lambda system: system.topology(),
    "incidents": lambda system: system.incidents(),
    "statistics": lambda system: system.statistics(),
    "stop": lambda system: system.stop(),
}


class Line(slither.Pipe):
    @slither.local
    def step(item, ctx):
        return item


def test_every_use_of_the_handle_in_a_forked_child_is_an_error_at_once(tmp_path):
    public = {name for name in dir(slither.System) if not name.startswith("_")}
    assert set(USES) == public, "each has its place here"
    found = tmp_path / "found"
    with a_system() as system:
        stream, piped = system.stream(itertools.count(), "builtins:list"), system.stream_pipe(Line, itertools.count())
        session = system.session()
        session.submit(1, "builtins:list").result(PATIENCE_S)
        running = system.start_pipe(Line)
        assert running.submit(1).result(PATIENCE_S).payload == 1
        assert next(stream).payload == next(piped).payload == 0
        uses = {name: functools.partial(use, system) for name, use in USES.items()}
        uses |= {
            "next": lambda: [next(stream) for _ in range(1000)],
            "next of a pipe": lambda: list(piped),
            "submit": lambda: session.submit(1, "builtins:list"),
            "submit to a pipe": lambda: running.submit(1),
            "stop of a pipe": lambda: running.stop(),
        }

        def use_all():
            answers = {name: said_by(use) for name, use in uses.items()}
            running.__exit__(None, None, None)
            for end in (stream.close, piped.close, session.close, lambda: system.__exit__(None, None, None)):
                end()
            found.write_text(json.dumps(answers))

        began = time.monotonic()
        fork_and(use_all)
        answers = json.loads(found.read_text())
        assert answers == dict.fromkeys(uses, f"ForkedSystem {os.getpid()}")
        assert time.monotonic() - began < AT_ONCE_S
        assert [next(stream).payload for _ in range(200)] == list(range(1, 201))
        assert next(piped).payload == 1
        assert session.submit(2, "builtins:list").result(PATIENCE_S) == 2
        assert running.submit(2).result(PATIENCE_S).payload == 2
        session.close()


def said_by(use):
    try:
        use()
    except slither.ForkedSystem as error:
        return f"ForkedSystem {error.owner}"
    except BaseException as error:
        return repr(error)
    return "nothing"


def test_a_filter_of_the_service_that_raises_does_not_end_the_listening():
    class Broken(logging.Filter):
        def filter(self, record):
            raise ValueError("broken")

    def log(items):
        logging.getLogger("worker.talk").warning("first")
        return items

    seen = []

    class Note(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    logger, broken, note = logging.getLogger("worker.talk"), Broken(), Note()
    with a_system() as system:
        logger.addFilter(broken)
        try:
            system.call_batch([1], log)
        finally:
            logger.removeFilter(broken)
        logger.addHandler(note)
        try:
            system.call_batch([1], log)
            eventually(lambda: "first" in seen, "the second record arrives")
        finally:
            logger.removeHandler(note)


def test_a_stopped_system_says_so_wherever_it_is_asked():
    with a_system() as system:
        pass
    for ask in (lambda: system.actor_system, lambda: system.dispatch([1], "builtins:list"), system.topology):
        with pytest.raises(slither.SystemDown, match="stopped"):
            ask()
