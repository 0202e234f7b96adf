"""A system of which every kind of actor has work, and the proof that no call hangs whatever befalls one of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

import slither_actors as slither
from slither_actors.otp import ChildSpec
from tests.helpers.faulty import Everything, Hapless, Ledger, steady
from tests.system.running import a_system
from tests.system.waiting import eventually

# Between two calls, so that the load leaves room for what it is there to meet.
_PAUSE_S = 0.01


@attrs.define(eq=False)
class Job:
    """A call that a thread makes again and again."""

    name: str
    call: Callable[[slither.System, int], None]
    done: int = 0
    errors: list[slither.SlitherError] = attrs.field(factory=list)
    surprise: BaseException | None = None

    def run(self, system: slither.System, over: threading.Event) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            try:
                self.call(system, number)
                self.done += 1
            except slither.SystemDown as error:
                self.errors.append(error)
                return
            except slither.SlitherError as error:
                self.errors.append(error)
            except BaseException as error:
                self.surprise = error
                return
            over.wait(_PAUSE_S)


def _dispatch(system: slither.System, number: int) -> None:
    assert len(system.dispatch(range(16), steady, batch_size=4)) == 16


def _pipe(system: slither.System, number: int) -> None:
    outputs = system.run_pipe(Everything, range(16))
    assert len(outputs.even) == len(outputs.default) == 8


def _session(system: slither.System, number: int) -> None:
    with system.session() as session:
        assert len(session.dispatch(range(4), steady, batch_size=4)) == 4


def _write(system: slither.System, number: int) -> None:
    ledger = system.store(Ledger)
    ledger.rows.put("number", number)
    assert ledger.rows.get("number") == number


def _view(system: slither.System, number: int) -> None:
    system.dispatch(range(2), "tests.helpers.faulty:seen", batch_size=1)


def _child(system: slither.System, number: int) -> None:
    assert system.call("children/own", number) == number


JOBS = {"dispatch": _dispatch, "pipe": _pipe, "session": _session, "write": _write, "view": _view, "child": _child}


class Load:
    """All jobs at work on one system, each in a thread of its own."""

    def __init__(self, system: slither.System) -> None:
        self.system = system
        self.jobs = [Job(name, call) for name, call in JOBS.items()]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=job.run, args=(system, self._over), name=job.name, daemon=True) for job in self.jobs
        ]
        for thread in self._threads:
            thread.start()

    def goes_on(self, limit_s: float, times: int = 2) -> None:
        """Each job has come through so many times more from now on."""
        wanted = {job.name: job.done + times for job in self.jobs}
        try:
            eventually(lambda: not self._behind(wanted), "all calls come through again")
        except AssertionError as error:
            error.add_note(f"those that do not: {self._behind(wanted)}; what was raised: {self.errors()}")
            raise

    def goes_on_or_is_over(self, limit_s: float) -> bool:
        """Either each job comes through again, or each has ended with the system, which is false."""
        wanted = {job.name: job.done + 2 for job in self.jobs}
        eventually(lambda: self._all_ended() or not self._behind(wanted), "all calls come through, or end")
        return not self._all_ended()

    def _all_ended(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _behind(self, wanted: dict[str, int]) -> list[str]:
        self.expected()
        return [job.name for job in self.jobs if job.done < wanted[job.name]]

    def expected(self) -> None:
        assert not [(job.name, job.surprise) for job in self.jobs if job.surprise is not None]

    def is_over(self, limit_s: float) -> None:
        """Each job has ended with the error of a system that is gone."""
        for thread in self._threads:
            thread.join(limit_s)
        assert not [thread.name for thread in self._threads if thread.is_alive()]
        self.expected()

    def forget(self) -> None:
        """What was raised so far does not count."""
        for job in self.jobs:
            job.errors.clear()

    def errors(self) -> dict[str, list[str]]:
        return {job.name: [f"{type(e).__name__}: {e}" for e in job.errors] for job in self.jobs if job.errors}

    def raised(self) -> set[str]:
        """The classes of what was raised, or of the reasons of failed runs."""
        return {type(getattr(error, "reason", error)).__name__ for job in self.jobs for error in job.errors}

    def end(self, limit_s: float) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(limit_s)
        assert not [thread.name for thread in self._threads if thread.is_alive()], "calls that hang"


@contextmanager
def a_busy_system(**options: Any) -> Iterator[tuple[slither.System, Load]]:
    with a_system(stores=[Ledger], children=[ChildSpec("own", Hapless)], **options) as system:
        system.start_pipe(Everything)
        load = Load(system)
        load.goes_on(40.0)
        yield system, load
