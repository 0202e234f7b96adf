"""What is shown: results on standard output, progress and notes on standard error."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from slither_actors._codec import to_json

from ._gauges import Gauge, LineGauge, LogGauge, NoGauge
from ._meters import BarMeter, Meter, PlainMeter

# What terminals understand since the VT100: the other screen without a cursor, and back; to its first place; clear.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class OutputClosed(Exception):
    """Nobody reads standard output any more, as in `slither ... | head`."""


class OutputFailed(Exception):
    """Standard output cannot be written; the disk is full, for example."""


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
            OutputClosed: nobody reads it. OutputFailed: it cannot be written.
        """
        with _translated():
            self._out.write(f"{text}\n")

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

    @contextmanager
    def gauge(self, wanted: bool | None) -> Iterator[Gauge]:
        """Show how something goes for as long as the context is open; `None` wants it on a terminal alone."""
        gauge: Gauge = NoGauge()
        if wanted or (wanted is None and self._err.isatty()):
            gauge = self._gauge()
        try:
            yield gauge
        finally:
            gauge.close()

    @contextmanager
    def screen(self, *, live: bool) -> Iterator[Callable[[Iterable[str]], None]]:
        """Show results of several lines, one after the other; on a terminal, if wanted, one in the place of the other.

        What is yielded shows one. Afterwards the terminal is as it was, with the last one on it.
        """
        if not live or not self._out.isatty() or self._environ.get("TERM") == "dumb":
            yield self._page
            return
        last: list[str] = []

        def draw(lines: Iterable[str]) -> None:
            last[:] = lines
            columns, rows = shutil.get_terminal_size()
            shown = [line[:columns] for line in last[:rows]]
            self._send(_HOME + "\n".join(f"{line}{_REST_OF_LINE}" for line in shown) + _REST_OF_SCREEN)

        self._send(_ENTER)
        try:
            yield draw
        finally:
            self._send(_LEAVE)
            self._page(last)

    def _page(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)
        self.flush()

    def _send(self, text: str) -> None:
        with _translated():
            self._out.write(text)
            self._out.flush()

    def flush(self) -> None:
        """Send off what is printed.

        Raises:
            OutputClosed: nobody reads it. OutputFailed: it cannot be written.
        """
        with _translated():
            self._out.flush()

    def abandon(self) -> None:
        """Let the rest of the output go nowhere, so that the interpreter's last flush does not complain."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)
        except OSError:
            pass  # not a real file, so nothing will be flushed behind our back

    @property
    def _is_plain(self) -> bool:
        return not self._err.isatty() or self._environ.get("TERM") == "dumb"

    def _gauge(self) -> Gauge:
        if self._is_plain:
            return LogGauge(self.note)
        try:
            from ._rich import RichGauge
        except ModuleNotFoundError:
            return LineGauge(self._err)
        return RichGauge(self._err, colour=not self._environ.get("NO_COLOR"))

    def _meter(self, label: str, total: int) -> Meter:
        if self._is_plain:
            return PlainMeter(label, total, self.note)
        try:
            from ._rich import RichMeter
        except ModuleNotFoundError:  # rich comes with the extra `cli`
            return BarMeter(label, total, self._err, self._clock)
        colour = not self._environ.get("NO_COLOR")
        return RichMeter(label, total, self._err, colour=colour, clock=self._clock)


def standard_console() -> Console:
    """The console on the process's own streams. What belongs on one that is closed goes nowhere."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the one of the stream: the next file that is opened must not get it, or what
            # is printed would land in there.
            os.open(os.devnull, os.O_RDWR)
    return Console(sys.stdout or _nowhere(), sys.stderr or _nowhere())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what writing raises into this module's own errors."""
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise OutputFailed(error.strerror or str(error)) from None
