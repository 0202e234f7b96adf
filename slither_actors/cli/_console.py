"""What is shown: results on standard output, progress and notes on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from slither_actors._codec import to_json

from ._meters import BarMeter, Meter, PlainMeter


class OutputClosed(Exception):
    """Nobody reads standard output any more, as in `slither ... | head`."""


class Console:
    """Both streams of the program.

    Args:
        out: for results.
        err: for progress and notes.
        environ: where `NO_COLOR` and `TERM` are looked up.
        clock: for the pace at which a live bar is redrawn.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._err = err
        self._environ = environ
        self._clock = clock

    def write(self, text: str = "") -> None:
        """Print one line of the result.

        Raises:
            OutputClosed: nobody reads it.
        """
        try:
            self._out.write(f"{text}\n")
        except BrokenPipeError:
            raise OutputClosed from None

    def write_json(self, value: object) -> None:
        """Print the result as one JSON object, laid out for people if it goes to a terminal."""
        self.write(to_json(value, pretty=self._out.isatty()).decode())

    def note(self, text: str) -> None:
        """Print one line that is not part of the result."""
        try:
            self._err.write(f"{text}\n")
            self._err.flush()
        except OSError:
            pass  # where nobody reads the notes, there is nobody to tell

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Meter]:
        """Show progress towards `total` for as long as the context is open."""
        meter = self._meter(label, max(total, 1))
        try:
            yield meter
        finally:
            meter.close()

    def flush(self) -> None:
        """Send off what is printed.

        Raises:
            OutputClosed: nobody reads it.
        """
        try:
            self._out.flush()
        except BrokenPipeError:
            raise OutputClosed from None

    def abandon(self) -> None:
        """Let the rest of the output go nowhere, so that the interpreter's last flush does not complain."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)
        except OSError:
            pass  # not a real file, so nothing will be flushed behind our back

    def _meter(self, label: str, total: int) -> Meter:
        if not self._err.isatty() or self._environ.get("TERM") == "dumb":
            return PlainMeter(label, total, self.note)
        try:
            from ._rich import RichMeter
        except ModuleNotFoundError:  # rich comes with the extra `cli`
            return BarMeter(label, total, self._err, self._clock)
        colour = not self._environ.get("NO_COLOR")
        return RichMeter(label, total, self._err, colour=colour, clock=self._clock)


def standard_console() -> Console:
    """The console on the process's own streams."""
    return Console(sys.stdout, sys.stderr)
