"""Messages to the owner of a store."""

from __future__ import annotations

from typing import Any

from slither_actors._message import message


@message
class WriteTables:
    """Carry this operation out (`as_plain` made it), unless `number`, or a later one, of this writer was before.

    By itself, where the operation is plain data, or in a call. The answer is the result and the number of rows that
    were written.
    """

    number: int
    writer: bytes
    operation: tuple[Any, ...]


@message
class Written:
    """The answer to a `WriteTables` that came by itself, where it is plain data; else that is a `Reply`."""

    number: int
    result: float | None  # or a bool
    rows: int


@message
class ReloadTables:
    """Call: replace everything by what `load` makes, or by what the dump in `file` holds. The answer is the version."""

    writer: bytes
    number: int
    file: str = ""


@message
class RecallOutcome:
    """Call: what became of this `ReloadTables`; the answer is its version, `None` if it was not carried out."""

    writer: bytes
    number: int
