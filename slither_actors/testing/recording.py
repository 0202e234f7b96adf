"""A double that remembers: a function for workers that notes what it was given."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors._codec import by_value
from slither_actors._signature import accepts
from slither_actors.errors import InvalidOption, shorten


@attrs.frozen
class RecordedBatch:
    """One call of a `RecordingExecutor`.

    Attributes:
        payloads: what it was called with.
        session_id: what its context said.
        stage: likewise.
        pid: the process.
    """

    payloads: tuple[Any, ...]
    session_id: str | None
    stage: str | None
    pid: int


class RecordingExecutor:
    """A function for workers that notes every batch it gets, also in workers that are other processes: copies of it
    write to one temporary file, which goes when the first of them is collected.

    Args:
        function: makes the results, a list in and a list out; by default they are the payloads.
        fails: an exception to raise instead, or a function of the payloads that returns one, or `None`.

    Raises:
        InvalidOption: one of them is none of these.
    """

    def __init__(
        self,
        function: Callable[[list[Any]], Sequence[Any]] | None = None,
        *,
        fails: BaseException | Callable[[list[Any]], BaseException | None] | None = None,
    ) -> None:
        _check_function("function", function, "None, or a function of a list")
        if not isinstance(fails, BaseException):
            _check_function("fails", fails, "None, an exception, or a function of a list that returns one or None")
        self._function = function
        self._fails = fails
        descriptor, self._path = tempfile.mkstemp(prefix="slither-recording-")
        os.close(descriptor)
        weakref.finalize(self, _remove, self._path)

    def __call__(self, payloads: list[Any], ctx: Any) -> Sequence[Any]:
        self._note(RecordedBatch(tuple(payloads), ctx.session_id, ctx.stage, os.getpid()))
        error = self._fails(payloads) if callable(self._fails) else self._fails
        if error is not None:
            raise error
        return payloads if self._function is None else self._function(payloads)

    def __repr__(self) -> str:
        return f"<RecordingExecutor {len(self.batches)} batches>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _copy, (self._function, self._fails, self._path)

    @property
    def batches(self) -> list[RecordedBatch]:
        """What it was called with, in the order in which it was."""
        found = []
        with open(self._path, "rb") as file, contextlib.suppress(EOFError):
            while True:
                found.append(pickle.load(file))
        return found

    @property
    def payloads(self) -> list[Any]:
        """All payloads, in the order in which they came."""
        return [payload for batch in self.batches for payload in batch.payloads]

    def _note(self, batch: RecordedBatch) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, by_value(batch))  # at once: others append too
        finally:
            os.close(descriptor)


def _check_function(option: str, given: Any, allowed: str) -> None:
    if given is not None and not (callable(given) and accepts(given, 1)):
        raise InvalidOption("RecordingExecutor", option, shorten(given), allowed)


def _copy(function: Any, fails: Any, path: str) -> RecordingExecutor:
    """What writes to the same file, and leaves it there."""
    made = RecordingExecutor.__new__(RecordingExecutor)
    made._function, made._fails, made._path = function, fails, path
    return made


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
