"""One run of a pipe over the lines of a file: what is read, where results and ends go, and how it stands."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import slither_actors as slither
from slither_actors.errors import (
    DispatchError,
    InvalidOption,
    NotPicklable,
    PipeError,
    RemoteError,
    SystemDown,
    UnknownPool,
)
from slither_actors.item import Item, take_ids
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.pipe import PipeType
from slither_actors.system.results import Stream
from slither_actors.workers.adapter import CommandCode

from ._console import Console
from ._draining import draining
from ._gauges import Gauge, NoGauge
from ._line_files import LineFile, end_line, result_line
from ._lines import Line, Lines, Stop
from ._pace import Pace, Standing, words
from ._records import Broken, Parse
from ._words import one_line

_NO_ADAPTER = "no command of an adapter, since slither run has plain pools; start the system in a program"


class Sinks:
    """Where results and ends go.

    Args:
        console: gets results where there are no files; ends are counted then.
        pipe: its name.
        files: by output and end, made when `opened()` begins.
        envelope: whether more than the payload of a result is written.

    Attributes:
        results: how many there are, by output. ends: how many items left the flow, and how.
        first_failure: why the first one failed, where there are no files to look it up.
    """

    def __init__(
        self,
        console: Console,
        pipe: str,
        files: AbstractContextManager[Mapping[str, LineFile]] | None,
        *,
        envelope: bool = False,
    ) -> None:
        self.results: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.first_failure: str | None = None
        self._console = console
        self._pipe = pipe
        self._to_open = files
        self._files: Mapping[str, LineFile] | None = None
        self._envelope = envelope

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The files are there while this block is open.

        Raises:
            FolderRefused: they cannot be made.
        """
        if self._to_open is None:
            yield
            return
        with self._to_open as self._files:
            yield

    def result(self, item: Item) -> None:
        """An item has reached an output."""
        line = result_line(item, envelope=self._envelope)
        if self._files is None:
            self._console.write(line[:-1].decode())
        else:
            self._files[item.route].write(line)
        self.results[item.route] += 1

    def end(self, item: Item, end: str) -> None:
        """An item has left the flow."""
        if self._files is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._files[end].write(end_line(item, end, self._pipe, now))
        elif end != "dropped" and self.first_failure is None:
            self.first_failure = _failure(item)
        self.ends[end] += 1

    def flush(self) -> None:
        """Nothing comes for a while."""
        if self._files is None:
            self._console.flush()


class Flow:
    """One run.

    Args:
        pipe: what lines go through.
        lines: what is read.
        parse: what they say.
        sinks: where it goes.
        size: bytes there are to read, if that is known.

    Attributes:
        failure: why it did not come to its end; `None` if it did, or was ended by a signal.
        signal: the one that ended it; 0 for none.
        cut: whether what was under way was given up for it.
    """

    def __init__(self, pipe: PipeType, lines: Lines, parse: Parse, sinks: Sinks, size: int | None) -> None:
        self.failure: str | None = None
        self.signal = 0
        self.cut = False
        self._pipe: Any = pipe
        self._lines = lines
        self._parse = parse
        self._sinks = sinks
        self._size = size
        self._read = 0  # lines that say something, or should
        self._broken = 0
        self._pace = Pace()
        self._stages = dict.fromkeys((stage.name for stage in pipe.definition.stages), 0)
        self._stream: Stream | None = None
        self._began = self._ended = time.monotonic()

    def run(self, pools: tuple[int, Mapping[str, int]], stop: Stop, gauge: Gauge) -> None:
        """Do it.

        Args:
            pools: workers of each pool, and of those with another number.
            stop: what ends the reading.
            gauge: where it is told how it goes.

        Raises:
            InvalidOption, UnknownPool, StartError: the system does not start. FolderRefused: results have no files.
            WriteFailed, OutputClosed, OutputFailed: results cannot be written. NoHeader: rows have no names.
        """
        stores = tuple(store for store in self._pipe.stores if not isinstance(store, str))
        sizes = _pools(self._pipe, *pools)
        with slither.start(pools=sizes, stores=stores, pipes=[self._pipe], handle_signals=False) as system:
            try:
                with self._sinks.opened(), self._stages_counted(gauge):
                    self._stream_through(system, stop, gauge)
            except (PipeError, DispatchError, NotPicklable, SystemDown) as error:
                self.failure = f"{type(error).__name__}: {error}"
            except _ReadFailed as error:
                self.failure = str(error)

    def _stream_through(self, system: slither.System, stop: Stop, gauge: Gauge) -> None:
        self._began = time.monotonic()
        with (
            draining(stop.ask, stop.waking) as handler,
            system.stream_pipe(self._pipe, self._items(), on_end=self._sinks.end) as self._stream,
        ):
            try:
                self._pass(self._stream, gauge)
            finally:
                self._ended = time.monotonic()
                self.signal = handler.received
                gauge.show(*self._how(self._ended))

    @contextmanager
    def _stages_counted(self, gauge: Gauge) -> Iterator[None]:
        """Hear what stages are done with, where somebody looks: it costs them something."""
        if isinstance(gauge, NoGauge):
            self._stages = {}
            yield
            return

        def count(event: tuple[str, ...], measured: dict[str, Any], about: dict[str, Any]) -> None:
            self._stages[about["stage"]] += measured["items_in"]

        name = f"slither run {id(self)}"
        slither.telemetry.attach(name, "slither.pipe.stage.stop", count)
        try:
            yield
        finally:
            slither.telemetry.detach(name)

    def _pass(self, stream: Stream, gauge: Gauge) -> None:
        due = self._began
        for item in stream:
            self._sinks.result(item)
            if (now := time.monotonic()) >= due:
                gauge.show(*self._how(now))
                due = now + gauge.every_s

    def _items(self) -> Iterator[Item]:
        for read in self._parse(self._raw()):
            self._read += 1
            if isinstance(read, Broken):
                self._broken += 1
                notes = {"line": read.number, "error": read.error}
                self._sinks.end(Item(take_ids(1)[0], read.text, notes), "skipped")
            else:
                yield Item(take_ids(1)[0], read.payload, {"line": read.number})

    def _raw(self) -> Iterable[Line]:
        try:
            yield from self._lines
        except OSError as error:
            raise _ReadFailed(f"the input cannot be read any more: {error.strerror}") from None

    def _how(self, now: float) -> tuple[float | None, str]:
        standing = self._standing()
        self._pace.see(now, standing)
        return standing.fraction, words(standing, self._pace)

    def _standing(self) -> Standing:
        ends = self._sinks.ends
        return Standing(
            lines=self._read,
            position=self._lines.position,
            size=self._size,
            under_way=self._under_way,
            skipped=ends["skipped"],
            dropped=ends["dropped"],
            dead=ends["dead"],
            stages=self._stages,
        )

    @property
    def _under_way(self) -> int:
        return self._stream.accounting.abandoned if self._stream is not None else 0

    def summary(self, source: str, folder: str | None) -> dict[str, Any]:
        """What became of it, as plain data."""
        outcome = "cut" if self.cut else "failed" if self.failure is not None else "drained" if self.signal else "done"
        return {
            "pipe": self._pipe.definition.name,
            "input": source,
            "output_dir": folder,
            "outcome": outcome,
            "error": self.failure,
            "lines": self._read,
            "broken": self._broken,
            "outputs": {name: self._sinks.results[name] for name in self._pipe.definition.outputs},
            "skipped": self._sinks.ends["skipped"],
            "dropped": self._sinks.ends["dropped"],
            "dead": self._sinks.ends["dead"],
            "abandoned": self._under_way,
            "seconds": round(self._ended - self._began, 3),
        }

    @property
    def first_failure(self) -> str | None:
        """Why the first item or line failed, in one line; where there are files, it stands in these."""
        first = self._sinks.first_failure
        return None if first is None else one_line(first)

    def words(self) -> str:
        """The same for people."""
        told = self.summary("", None)
        parts = [f"{count:,} to {name}" for name, count in told["outputs"].items()]
        broken = f" ({self._broken:,} of them lines that cannot be read)" if self._broken else ""
        parts.append(f"{told['skipped']:,} skipped{broken}")
        parts += [f"{told[kind]:,} {kind}" for kind in ("dropped", "dead", "abandoned") if told[kind]]
        return f"{told['outcome']}: {self._read:,} lines: {', '.join(parts)}; {told['seconds']:,.1f} s"


def _failure(item: Item) -> str:
    """Where and why an item failed; a line that cannot be read says so itself."""
    error, stage = item.meta["error"], item.meta.get("stage")
    if stage is None:
        return str(error)
    kind = "" if isinstance(error, RemoteError) else f"{type(error).__name__}: "
    return f"line {item.meta.get('line')}, in {stage}: {kind}{error}"


class _ReadFailed(Exception):
    """The input was readable, and is not any more."""


def _pools(pipe: PipeType, size: int, special: Mapping[str, int]) -> dict[str, int]:
    """The pools that a pipe needs, with their sizes.

    Raises:
        UnknownPool: a size is given for another one. InvalidOption: a stage wants the adapter of a pool.
    """
    stages = {stage.name: stage.declaration for stage in pipe.definition.stages}
    workers = {name: one for name, one in stages.items() if isinstance(one, WorkerDeclaration)}
    for name, worker in workers.items():
        if isinstance(worker.executor, CommandCode):
            where = f"stage {name} of pipe {pipe.definition.name}"
            raise InvalidOption(where, "executor", f"Command({worker.executor.name!r})", _NO_ADAPTER)
    needed = {worker.options.get("pool", "default") for worker in workers.values()}
    for name in special:
        if name not in needed:
            raise UnknownPool(name, tuple(sorted(needed)))
    return dict.fromkeys(sorted(needed), size) | dict(special)
