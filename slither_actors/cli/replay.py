"""`slither dead replay`: items of an ends file, run again by workers of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO

import slither_actors as slither
from slither_actors.dispatch._end_lines import json_of
from slither_actors.dispatch.ends_file import EndRecord, EndsFile, EndsReader
from slither_actors.errors import EndsFileError, InvalidOption, NotDecodable, NotImportable

from ._console import Console
from ._imports import current_directory_imported
from ._meters import Meter
from ._words import one_line

FAILED = 1
WRONG_USAGE = 2


class Replay:
    """One replay.

    Args:
        arguments: what was typed behind `slither dead replay`.
        console: for results, progress and notes.
    """

    def __init__(self, arguments: argparse.Namespace, console: Console) -> None:
        self._given = arguments
        self._console = console
        self._ends = frozenset(arguments.end)
        self._failed: EndsFile | None = None
        self._done = 0
        self._again = 0
        self._unreadable = 0

    def run(self) -> int:
        """Do it; the exit code.

        Raises:
            EndsFileError: a file cannot be used. SlitherError: the system could not start, or the run was ended.
        """
        try:
            self._check_files()
            total = sum(1 for _ in self._records())
            if total:
                with _appended(self._given.output) as output:
                    self._replay(total, output)
        except (InvalidOption, NotImportable) as error:
            self._console.note(f"slither: {one_line(str(error))}")
            return WRONG_USAGE
        except _WriteFailed as failure:
            self._console.note(f"slither: {one_line(str(failure))}")
            return FAILED
        failed = self._again + self._unreadable
        if self._given.json:
            counts = {"replayed": total, "succeeded": self._done, "failed": failed, "unreadable": self._unreadable}
            self._console.write_json(counts)
        else:
            self._console.note(f"{self._done:,} of {total:,} items succeeded, {failed:,} failed")
        return FAILED if failed else 0

    def _check_files(self) -> None:
        """Refuse to write to what is read."""
        EndsReader(self._given.file, trusted=True).close()
        for path in (self._given.output, self._given.failed):
            if path is not None and os.path.exists(path) and os.path.samefile(path, self._given.file):
                raise EndsFileError(path, "is what is replayed, which stays as it is: name another one to write to")
        if self._given.failed is not None:
            self._failed = EndsFile.of("slither dead replay", self._given.failed)

    def _records(self) -> Iterator[EndRecord]:
        reader = EndsReader(self._given.file, trusted=True)
        try:
            for record in reader:
                if record.end in self._ends:
                    yield record
        finally:
            reader.close()

    def _replay(self, total: int, output: FileIO | None) -> None:
        with ExitStack() as stack:
            stack.enter_context(current_directory_imported())
            system = stack.enter_context(slither.start(pools={"default": self._given.workers}))
            meter = stack.enter_context(self._console.progress("replay", total))
            stream = stack.enter_context(
                system.stream(
                    self._items(total, meter),
                    self._given.executor,
                    on_error=slither.Skip(isolate=True),
                    on_end=lambda item, end: self._note_failure(item, meter),
                    ends_file=self._given.failed,
                )
            )
            for item in stream:
                self._print(item, output)
                self._done += 1
                meter.advance()
        if self._failed is not None:
            self._failed.close()
            if self._failed.failure is not None:
                raise _WriteFailed(self._failed.failure)

    def _items(self, total: int, meter: Meter) -> Iterator[slither.Item]:
        """What can be read, of as many as there were in the beginning: somebody may write to the file meanwhile."""
        for record, _ in zip(self._records(), range(total), strict=False):
            try:
                item = record.item()
            except NotDecodable as error:
                self._console.note(f"slither: {one_line(str(error))}")
                self._unreadable += 1
                if self._failed is not None:
                    self._failed.append(record)
                meter.advance()
            else:
                yield item

    def _note_failure(self, item: slither.Item, meter: Meter) -> None:
        self._again += 1
        if self._failed is None:
            self._console.note(f"slither: item {item.id} failed: {one_line(str(item.meta['error']))}")
        meter.advance()

    def _print(self, item: slither.Item, output: FileIO | None) -> None:
        fields = {"id": item.id, "parent_id": item.parent_id, "index": item.index, "payload": item.payload}
        line = json_of(fields, "payload", None)
        if output is None:
            self._console.write(line.decode())
            return
        left = memoryview(line + b"\n")
        try:
            while left:  # a disk that is full takes a part, and says so the next time
                left = left[output.write(left) :]
        except OSError as error:
            raise _WriteFailed(f"{self._given.output} cannot be written: {error.strerror}") from None


class _WriteFailed(Exception):
    """A file that could be written to when the replay began cannot any more."""


@contextmanager
def _appended(path: str | None) -> Iterator[FileIO | None]:
    """A file of results, for its owner alone where it is new. Without a buffer, since a replay may be interrupted."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EndsFileError(path, f"cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        yield file
