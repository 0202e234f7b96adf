"""What stands in an ends file: one line of JSON per item that left the flow. Pure.

People and other programs read the words; the item itself is a pickle within them, so that it can be run again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import attrs

from slither_actors._codec import Frame, by_value, encode, from_json, to_json
from slither_actors._describe import is_of_a_signal, message_of, shorten
from slither_actors._record import record
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import NotDecodable, NotPicklable, RemoteError
from slither_actors.item import Item

KINDS = ("skipped", "dropped", "dead")

# The notes of an item are repeated for people, who read no more than this of them.
_META_LIMIT = 20_000
_TEXTS = ("run", "pool", "pipe", "stage", "time", "reason", "error_type", "traceback")


@record
class RunNames:
    """The run that an item left: the pool of a dispatch, or the pipe."""

    run: str
    pool: str | None = None
    pipe: str | None = None


@attrs.frozen
class EndRecord:
    """An item that left the flow, as `read_ends` finds it in a file. Nothing of it is unpickled but by `item()`.

    Attributes:
        id: of the item.
        parent_id: id of the item it was made from.
        index: which of those that were made from that one it was.
        end: "skipped", "dropped" or "dead".
        run: the run, as in telemetry.
        pool: the pool of the dispatch; `None` for a pipe.
        pipe: the name of the pipe; `None` for a dispatch.
        stage: the stage of the pipe.
        attempts: how often the item had run.
        time: when it was written, in ISO 8601, UTC.
        reason: what the error says.
        error_type: the name of its class; of a `RemoteError`, that of the class that was raised.
        traceback: the remote one as text.
        meta: the item's own notes, as JSON can say them.
        pickled: the item with its own notes, pickled and in base64; `None` if that was not possible.
    """

    id: int
    end: str
    parent_id: int | None = None
    run: str | None = None
    pool: str | None = None
    pipe: str | None = None
    stage: str | None = None
    attempts: int = 0
    time: str | None = None
    reason: str | None = None
    error_type: str | None = None
    traceback: str | None = None
    meta: dict[str, Any] = attrs.field(factory=dict, hash=False)
    pickled: str | None = attrs.field(default=None, repr=False)
    index: int | None = None

    def item(self) -> Item:
        """The item as it was. This unpickles, in this process, which can run any code: only for files you trust.

        Raises:
            NotDecodable: the file does not hold it, or it cannot be rebuilt here.
        """
        what = f"item {self.id}"
        if self.pickled is None:
            raise NotDecodable(what, "it could not be pickled when it was written down")
        try:
            data = base64.b64decode(self.pickled, validate=True)
        except (binascii.Error, ValueError):
            raise NotDecodable(what, "what was written down is no base64") from None
        item = Frame(data, ()).open(what)
        if not isinstance(item, Item):
            raise NotDecodable(what, f"what was written down is a {type(item).__qualname__} and no Item")
        return item

    def plain(self) -> dict[str, Any]:
        """The words alone, for people and programs that will not unpickle."""
        return {name: value for name, value in _fields(self).items() if name != "item"}


def record_of(item: Item, ends: Ends, names: RunNames, time: str, *, lost: bool) -> EndRecord:
    """The record of an item that a node reports; `lost` says that its payload could not be read here."""
    error = ends.error
    remote = error if isinstance(error, RemoteError) else None
    return EndRecord(
        id=item.id,
        end=ends.kind,
        parent_id=item.parent_id,
        run=names.run,
        pool=names.pool,
        pipe=names.pipe,
        stage=ends.stage,
        attempts=ends.attempts,
        time=time,
        reason=remote.message if remote else message_of(error),
        error_type=remote.type_name if remote else type(error).__qualname__,
        traceback=remote.traceback if remote else None,
        meta=item.meta,
        pickled=None if lost else _pickled(item),
        index=item.index,
    )


def line_of(record: EndRecord) -> bytes:
    """The record as one line, with its end."""
    return json_of(_fields(record), "meta") + b"\n"


def parse(line: bytes) -> EndRecord | None:
    """The record of a line; `None` for one that is torn, or is none of ours."""
    try:
        found = from_json(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("end") not in KINDS:
        return None
    number, parent, meta = _id(found.get("id")), _id(found.get("parent_id")), found.get("meta")
    if number is None:
        return None
    return EndRecord(
        number,
        found["end"],
        parent,
        attempts=found["attempts"] if type(found.get("attempts")) is int else 0,
        meta=meta if isinstance(meta, dict) else {},
        pickled=_text(found.get("item")),
        index=_id(found.get("index")),
        **{name: _text(found.get(name)) for name in _TEXTS},
    )


def json_of(fields: Mapping[str, Any], foreign: str, limit: int | None = _META_LIMIT) -> bytes:
    """JSON of fields, one of which holds objects of users: their `__str__` may raise, and they may be large."""
    try:
        if limit is None or len(to_json(fields[foreign])) <= limit:
            return to_json(fields)
    except (Exception, SystemExit) as error:
        if is_of_a_signal(error):
            raise
    value = fields[foreign]
    tame: Any = {_key(key): shorten(value[key]) for key in value} if isinstance(value, dict) else shorten(value)
    return to_json({**fields, foreign: tame})


def _fields(record: EndRecord) -> dict[str, Any]:
    """What a line has, in its order."""
    return {
        "id": record.id,
        "parent_id": record.parent_id,
        "index": record.index,
        "end": record.end,
        "run": record.run,
        "pool": record.pool,
        "pipe": record.pipe,
        "stage": record.stage,
        "attempts": record.attempts,
        "time": record.time,
        "reason": record.reason,
        "error_type": record.error_type,
        "traceback": record.traceback,
        "meta": record.meta,
        "item": record.pickled,
    }


def _pickled(item: Item) -> str | None:
    try:
        frame = encode(item)
        # Large buffers stand beside their frame, and a line has one part.
        data = by_value(item) if frame.buffers else frame.data
    except NotPicklable:
        return None
    return base64.b64encode(data).decode("ascii")


def _id(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():  # JSON has no integers of more than 64 bit
        return int(value)
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _key(key: Any) -> str:
    return key if type(key) is str else shorten(key)
