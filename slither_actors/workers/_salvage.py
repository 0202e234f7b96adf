"""Parcels that cannot be read as a whole: which of their items are lost, and which are not.

An object may be pickled where it was made and yet not be rebuilt anywhere, or not here. Such a parcel is read once
more, slowly, and what cannot be rebuilt is replaced, together with all that is made of it.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slither_actors._describe import is_of_a_signal
from slither_actors._record import record
from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.workers.parcel import Columns, Note, Parcel, pack, plain_buffers, unpack, unpack_items


@record
class Loss:
    """Items that could not be read: without their payloads and notes, and what was raised; or an item that could not
    be routed as its `note` says, as it came."""

    parcel: Parcel
    error: RemoteError
    note: Note | None = None

    def items(self) -> list[Item]:
        return unpack_items([self.parcel])


def read(parcel: Parcel) -> tuple[Columns, Loss | None]:
    """Decode a parcel as far as that is possible here, without regard to its notes.

    Raises:
        RemoteError: not even its ids can be read.
    """
    try:
        return unpack(parcel), None
    except (Exception, SystemExit) as error:
        if is_of_a_signal(error):
            raise
        reason = RemoteError.of(error).with_traceback(None)
    _, _, lo, hi, _ = parcel
    found = _salvage(parcel)
    if found is None:  # a fresh error, since one that the frame holds makes a cycle, which no buffer may be part of
        raise RemoteError(*reason.args)
    rows, lost = found
    bad = [number for number in range(lo, hi) if number in lost]
    good = [number for number in range(lo, hi) if number not in lost]
    ids, _, _, routes, births = _pick(rows, bad)
    return _pick(rows, good), Loss(pack((ids, [None] * len(ids), None, routes, births)), reason) if bad else None


def _pick(rows: Columns, numbers: Sequence[int]) -> Columns:
    picked: list[Any] = [None if column is None else [column[number] for number in numbers] for column in rows]
    return (picked[0], picked[1], picked[2], picked[3], picked[4])


def _salvage(parcel: Parcel) -> tuple[Columns, set[int]] | None:
    """All rows that a parcel refers to, and the numbers of those that are lost; `None` if there is no telling."""
    data, buffers, _, _, _ = parcel
    reader = _Reader(io.BytesIO(memoryview(data)), buffers=plain_buffers(buffers))
    try:
        rows: Columns = reader.load()
    except (Exception, SystemExit) as error:
        if is_of_a_signal(error):
            raise
        return None
    ids, payloads, metas, routes, births = rows
    if any(map(_is_lost, (ids, routes, births))):
        return None
    if reader.astray:
        return rows, set(range(len(ids)))
    return rows, {n for n in range(len(ids)) if _is_lost(payloads[n]) or (metas is not None and _is_lost(metas[n]))}


class _Lost:
    """In the place of an object that cannot be rebuilt; a container takes elements all the same."""

    def append(self, element: Any) -> None: ...
    def extend(self, elements: Iterable[Any]) -> None: ...
    def add(self, element: Any) -> None: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...


_LOST = _Lost()


def _is_lost(value: Any) -> bool:
    """Whether a value, or something in it, was replaced. Other objects than these were replaced themselves then."""
    try:
        if isinstance(value, dict):
            return any(map(_is_lost, (*value.keys(), *value.values())))
        is_list = isinstance(value, list | tuple | set | frozenset | deque)
        return value is _LOST or (is_list and any(map(_is_lost, value)))
    except RecursionError:  # it contains itself
        return True


def _guarded(opcode: bytes, operands: int) -> Callable[[Any], None]:
    """A step that makes one object of this many on the stack, and a lost one if that is not possible."""
    step = pickle._Unpickler.dispatch[opcode[0]]

    def run(reader: Any) -> None:
        bottom = len(reader.stack) - operands
        first = reader.stack[bottom]
        if not any(map(_is_lost, reader.stack[bottom:])):
            try:
                step(reader)
            except (Exception, SystemExit) as error:  # what it runs is user code
                if is_of_a_signal(error):
                    raise
            else:
                return
        reader.stack[bottom:] = [_LOST]
        if opcode == pickle.BUILD:  # the object is there, without its state, and may be referred to again
            reader.memo.update({key: _LOST for key, value in reader.memo.items() if value is first})

    return run


def _pop(reader: Any) -> None:
    # A call that was made for its effect on something else, which is not what it should be now.
    reader.astray |= bool(reader.stack) and reader.stack[-1] is _LOST
    pickle._Unpickler.dispatch[pickle.POP[0]](reader)


class _Reader(pickle._Unpickler):
    """Pickle's own reader in Python, the only one whose steps can be looked at."""

    _OPERANDS = ((pickle.REDUCE, 2), (pickle.BUILD, 2), (pickle.NEWOBJ, 2), (pickle.NEWOBJ_EX, 3))
    dispatch = {  # noqa: RUF012 - a table, never changed
        **pickle._Unpickler.dispatch,
        **{opcode[0]: _guarded(opcode, count) for opcode, count in _OPERANDS},
        pickle.POP[0]: _pop,
    }
    astray = False

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (Exception, SystemExit) as error:  # an import runs user code
            if is_of_a_signal(error):
                raise
            return _LOST
