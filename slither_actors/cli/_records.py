"""What lines say: JSON or comma-separated values. What says nothing is told with its place, and a hint."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import attrs

from slither_actors._codec import from_json

from ._lines import Line

FORMATS: Final = ("jsonl", "csv", "tsv")

_KINDS: Final = {"jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv", "tsv": "tsv", "tab": "tsv"}
_TEXT_LIMIT: Final = 2_000
_STARTS: Final = (
    (b"\x1f\x8b", "this is compressed: zcat FILE | slither run ... --input -"),
    (b"\xff\xfe", "this is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | slither run ... --input -"),
    (b"\xfe\xff", "this is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | slither run ... --input -"),
)


class BrokenLine(Exception):
    """A line that cannot be read. Says which, why, and what may help."""


class NoHeader(Exception):
    """A file of values without the names of its columns."""


@attrs.frozen
class Broken:
    """A line that is no payload: the first part of its text, and why not."""

    number: int
    text: str
    error: BrokenLine


@attrs.frozen
class Read:
    """A payload, and the line it stands in; the first one, where it takes several."""

    number: int
    payload: Any


Parse = Callable[[Iterable[Line]], Iterator[Read | Broken]]


def format_of(path: str, given: str | None) -> str:
    """The format of a file: what was asked for, else by its name, else JSON lines."""
    return given or _KINDS.get(path.rpartition(".")[2].lower(), "jsonl")


def parser_of(name: str) -> Parse:
    """What reads lines of a format."""
    return {"jsonl": json_lines, "csv": lambda lines: values(lines, ","), "tsv": lambda lines: values(lines, "\t")}[
        name
    ]


def json_lines(lines: Iterable[Line]) -> Iterator[Read | Broken]:
    """One JSON value per line; lines without anything are passed over."""
    for line in lines:
        if line.too_long:
            yield _broken(line, "is too long", "one JSON value per line, please; is there a line end at all?")
            continue
        try:
            yield Read(line.number, from_json(line.data))
        except ValueError as error:
            if line.data.strip():
                yield _no_json(line, error)


def values(lines: Iterable[Line], delimiter: str) -> Iterator[Read | Broken]:
    """One mapping of texts per row, by the names in the first row; RFC 4180, so a quoted value may have several lines.

    Raises:
        NoHeader: the first row does not name columns.
    """
    text = _Text(lines)
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    names: list[str] = []
    while True:
        text.begin_row()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            row, problem = [], _misquoted(error)
        else:
            if not row:
                continue
            problem = text.problem or _unequal(names, row)
        if not names:
            names = _header(row, text.first, problem)
        elif problem:
            said, hint = problem
            yield Broken(text.first, text.row, _error(text.first, said, hint))
        else:
            yield Read(text.first, dict(zip(names, row, strict=True)))


class _Text:
    """Lines as text for a reader of rows; remembers what the present row is made of."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self.begin_row()

    def begin_row(self) -> None:
        self.first = 0
        self.row = ""
        self.problem: tuple[str, str] | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.first = self.first or line.number
        text = _text(line.data)
        if len(self.row) < _TEXT_LIMIT:
            self.row += f"{text}\n"[:_TEXT_LIMIT]
        if line.too_long:
            self.problem = "is too long", "is there a line end at all?"
        elif "\ufffd" in text and not _is_text(line.data):
            self.problem = _not_text(line.data)
        return f"{text}\n"


def _header(row: list[str], first: int, problem: tuple[str, str] | None) -> list[str]:
    if problem:
        raise NoHeader(f"line {first}, which should name the columns, {problem[0]} ({problem[1]})")
    unnamed = [str(place) for place, name in enumerate(row, 1) if not name.strip()]
    if unnamed or len(set(row)) < len(row):
        twice = next((name for name in row if row.count(name) > 1), "")
        what = f"column {unnamed[0]} has no name" if unnamed else f"two columns are called {twice!r}"
        raise NoHeader(f"line {first} should name the columns: {what}")
    return row


def _misquoted(error: csv.Error) -> tuple[str, str] | None:
    return f"is no row: {error}", "a quote that opens must close; double it within a value"


def _unequal(names: list[str], row: list[str]) -> tuple[str, str] | None:
    if not names or len(row) == len(names):
        return None
    hint = "a value with the delimiter in it needs quotes" if len(row) > len(names) else "a line end within a value?"
    return f"has {len(row)} values, and the first row names {len(names)} columns", hint


def _no_json(line: Line, error: ValueError) -> Broken:
    if not _is_text(line.data):
        return _broken(line, *_not_text(line.data))
    column = getattr(error, "colno", None)
    said = str(getattr(error, "msg", error))
    where = f"is no JSON at column {column}: {said}" if column else f"is no JSON: {said}"
    return _broken(line, where, _json_hint(line, error))


def _json_hint(line: Line, error: ValueError) -> str:
    start = line.data.strip()
    if not line.ended:
        return "the last line, and it has no end: was the file cut off?"
    if start in (b"[", b"{"):
        return "one value over several lines? jq -c . FILE, or jq -c '.[]' FILE for a list, puts each on one"
    if getattr(error, "colno", 0) > len(line.data):
        return "the value is cut off here, or goes on in the next line; jq -c . FILE puts each on one"
    if start.startswith(b"'") or b"{'" in start:
        return "JSON has double quotes"
    if start.endswith(b","):
        return "no comma behind the value of a line"
    if any(word in start for word in (b"NaN", b"Infinity")):
        return "JSON has no NaN and no Infinity: null"
    if any(word in start for word in (b"None", b"True", b"False")):
        return "JSON has null, true and false"
    if line.number == 1 and b"," in start and start[:1] not in b'[{"':
        return "comma-separated values? --format csv"
    return "one JSON value per line; a text has double quotes around it"


def _broken(line: Line, said: str, hint: str) -> Broken:
    return Broken(line.number, _text(line.data)[:_TEXT_LIMIT], _error(line.number, said, hint))


def _error(number: int, said: str, hint: str) -> BrokenLine:
    return BrokenLine(f"line {number} {said} ({hint})")


def _not_text(data: bytes) -> tuple[str, str]:
    known = next((hint for start, hint in _STARTS if data.startswith(start)), None)
    return "is no UTF-8", known or "Latin-1? iconv -f LATIN1 -t UTF-8 FILE | slither run ... --input -"


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
