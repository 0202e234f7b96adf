"""What a store is made of, and where it is: small frozen values that travel in messages."""

from __future__ import annotations

from pathlib import Path

import attrs

from slither_actors import _validators as check
from slither_actors.store._values import CODECS

KINDS = ("set", "ordered_set", "bag")
MOST_TABLES = 120


@attrs.frozen
class TableSpec:
    """One table of a store.

    Attributes:
        name: How the store's attribute is called.
        kind: "set" and "ordered_set" hold one value a key, "bag" several; all of them are kept in the order of keys.
        codec: "pickle" takes what pickle takes, "json" what JSON can say.
        is_bag: Whether a key may have several values.
    """

    name: str = attrs.field(validator=check.name)
    kind: str = attrs.field(default="set", validator=check.one_of(*KINDS))
    codec: str = attrs.field(default="pickle", validator=check.one_of(*CODECS))
    is_bag: bool = attrs.field(init=False, repr=False, eq=False)

    @is_bag.default
    def _is_bag(self) -> bool:
        return self.kind == "bag"


@attrs.frozen
class StoreLocation:
    """What a process needs to read a store: it travels in messages, and opens nothing by itself.

    Attributes:
        name: The store's name, for errors.
        path: The directory of its environment.
        tables: What stands in it.
        durable: Whether what is acknowledged survives the end of the machine too.
        views: Names of its views, for errors.
    """

    name: str
    path: Path
    tables: tuple[TableSpec, ...]
    durable: bool = False
    views: tuple[str, ...] = ()


@attrs.frozen
class Cursor:
    """Where a `select` stopped: give it as ``after`` to go on behind that row, whatever was written meanwhile."""

    table: str
    row: bytes
