"""Files of lines that hold whole lines whatever happens: each line is one write, and a torn one is cut off again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from slither_actors._codec import to_json
from slither_actors._describe import is_of_a_signal
from slither_actors.dispatch._end_lines import RunNames, json_of, line_of, record_of
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import SlitherError
from slither_actors.item import Item

# What it is that an item gets into its notes when it ends.
_OF_THE_END: Final = ("error", "stage", "attempts")
_PAYLOAD: Final = b'{"payload":'


class FolderRefused(Exception):
    """The folder for results cannot be used. Says why."""


class WriteFailed(Exception):
    """A file of results cannot be written any more. Says which, and why."""


class LineFile:
    """One file; it grows by whole lines.

    Args:
        path: where it is.
        fd: it, opened for writing at its end.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.lines = 0
        self._fd = fd
        self._size = 0  # of its whole lines

    def write(self, line: bytes) -> None:
        """Add a line; `line` has its end.

        Raises:
            WriteFailed: no room, for example.
        """
        left = memoryview(line)
        try:
            while left:  # a disk that is full takes a part, and says so the next time
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            raise WriteFailed(f"{self.path} cannot be written: {error.strerror}") from None
        self._size += len(line)
        self.lines += 1

    def close(self) -> None:
        """Cut off what is no whole line, and close the file."""
        with contextlib.suppress(OSError):
            if os.fstat(self._fd).st_size > self._size:
                os.ftruncate(self._fd, self._size)
        os.close(self._fd)


def line_files(
    folder: Path, names: Mapping[str, int], *, force: bool, source: int
) -> AbstractContextManager[dict[str, LineFile]]:
    """A file of lines per name in a folder, which is made if need be.

    The folder is looked at now, and the files are made when the block begins. Where that ends with an error before
    there is a line in any of them, they are removed, so that the same folder can be named again.

    Args:
        folder: where they are.
        names: of the files, without their ending, and who may read them.
        force: whether there may be files in the folder; those of these names are begun anew then.
        source: an open file that must not be among them.

    Raises:
        FolderRefused: they cannot be made, or must not.
    """
    paths = {folder / f"{name}.jsonl": (name, mode) for name, mode in names.items()}
    with _refused(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not force and any(folder.iterdir()):
            raise FolderRefused(f"{folder} has files in it: name another folder, or --force replaces its results")
        for path in paths:
            _check_other(path, source)
    return _made(folder, paths, force)


@contextlib.contextmanager
def _made(folder: Path, paths: Mapping[Path, tuple[str, int]], force: bool) -> Iterator[dict[str, LineFile]]:
    files: dict[str, LineFile] = {}
    with contextlib.ExitStack() as stack:
        try:
            with _refused(folder):
                for path, (name, mode) in paths.items():
                    if force:  # unlinked, not emptied: somebody may still be reading it, and it may be a link
                        path.unlink(missing_ok=True)
                    file = LineFile(path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, mode))
                    stack.callback(file.close)
                    files[name] = file
            yield files
        except Exception:
            if not any(file.lines for file in files.values()):
                for file in files.values():
                    with contextlib.suppress(OSError):
                        file.path.unlink()
            raise


@contextlib.contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        what = "is no folder" if str(error.filename) == str(folder) else f"has got another {error.filename} meanwhile"
        raise FolderRefused(f"{folder} {what}") from None
    except OSError as error:
        where = "" if str(error.filename) == str(folder) else f"{error.filename}: "
        raise FolderRefused(f"{folder} cannot take results: {where}{error.strerror}") from None


def _check_other(path: Path, source: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.stat(), os.fstat(source)):
            raise FolderRefused(f"{path} is what is read: name another folder")


def result_line(item: Item, *, envelope: bool) -> bytes:
    """The line of a result: its payload, or an object with the payload and where it comes from."""
    if envelope:
        told = {
            "line": item.meta.get("line"),
            "output": item.route,
            "id": item.id,
            "parent_id": item.parent_id,
            "index": item.index,
            "payload": item.payload,
        }
        return json_of(told, "payload", None) + b"\n"
    try:
        return to_json(item.payload) + b"\n"
    except (Exception, SystemExit) as error:  # what JSON cannot say is told by its `str`, which is user code
        if is_of_a_signal(error):
            raise
        return json_of({"payload": item.payload}, "payload", None)[len(_PAYLOAD) : -1] + b"\n"


def end_line(item: Item, end: str, pipe: str, now: str) -> bytes:
    """The line of an item that left the flow: where it stood, its payload, and what an ends file says of it."""
    error, stage, attempts = (item.meta.get(name) for name in _OF_THE_END)
    meta: dict[str, Any] = {key: value for key, value in item.meta.items() if key not in _OF_THE_END}
    bare = Item(item.id, item.payload, meta, item.route, item.parent_id, item.index)
    ends = Ends(end, (), error or SlitherError(), stage, attempts or 0)
    record = line_of(record_of(bare, ends, RunNames("", pipe=pipe), now, lost=False))
    told = json_of({"line": meta.get("line"), "payload": item.payload}, "payload", None)
    return told[:-1] + b"," + record[1:]


def counts(files: Mapping[str, LineFile], names: Iterable[str]) -> dict[str, int]:
    """How many lines each of these files has."""
    return {name: files[name].lines for name in names}
