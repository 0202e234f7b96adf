"""The handle of a system: who may end it, and what it survives in the service."""

from __future__ import annotations

import logging
import os
import warnings

import pytest

import slither_actors as slither
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
        fork_and(system.stop)
        assert [item.payload for item in system.dispatch([1, 2], "builtins:list")] == [1, 2]


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
            eventually(lambda: "first" in seen, 5.0, "the second record arrives")
        finally:
            logger.removeHandler(note)


def test_a_stopped_system_says_so_wherever_it_is_asked():
    with a_system() as system:
        pass
    for ask in (lambda: system.actor_system, lambda: system.dispatch([1], "builtins:list"), system.topology):
        with pytest.raises(slither.SystemDown, match="stopped"):
            ask()
