"""The store that holds the schema, and the pipe whose workers validate by it."""

from __future__ import annotations

from typing import Any

import slither_actors as slither

from .schemas import PHASES, entries


class Schemas(slither.Store):
    """The schema that is in force. Each load takes the next one, as it would read a file that somebody changed."""

    phase = slither.Table()
    fields = slither.Table()
    products = slither.Table()

    def load(self, tables: Any) -> None:
        phase = min(self.phase.get("now", 0) + 1, PHASES)
        tables.phase.put("now", phase)
        for table, key, entry in entries(phase):
            getattr(tables, table).put(key, entry)


def is_sound(item: slither.Item) -> bool:
    """Whether a row has no problems."""
    return not item.payload["problems"]


class RowPipe(slither.Pipe):
    """Rows in; those that the schema accepts on `accepted`, the others on `default`."""

    stores = [Schemas]
    validate = slither.worker("slither_actors.examples.data_etl.work:validate_batch", batch_size=50, max_in_flight=4)
    sort = slither.router((is_sound, "accepted"))
    outputs = ["accepted"]
