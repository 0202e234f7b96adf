"""What the future of a submitted item gets. Pure."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.messages import Expanded
from slither_actors.errors import (
    ItemDead,
    ItemDropped,
    ItemSkipped,
    NotPicklable,
    PipeError,
)
from slither_actors.item import Item
from slither_actors.pipe._lineage import Descent
from slither_actors.pipe._per_item import PerItem
from slither_actors.system._runs import by_output
from slither_actors.system.results import Results

_ENDS = {"skipped": ItemSkipped, "dropped": ItemDropped, "dead": ItemDead}


def outcome_of(descent: Descent, pipe: PerItem) -> tuple[Any, Exception | None]:
    """What is said of an item that has come to its end, with all that it became: a result, or an error instead."""
    name, outputs = pipe.definition.name, [item for item, kind in descent.leaves if kind is None]
    for item, kind in descent.leaves:
        stage = item.meta.get("stage") if kind in ("skipped", "dead") else None
        if stage in pipe.halting:
            partial = by_output(pipe.definition.outputs, outputs, {})
            return None, PipeError(name, stage or "", item.meta["error"], partial)
    for item, kind in descent.leaves:
        if kind is not None and item.id == descent.root:
            reason = item.meta["error"]
            # one that cannot travel was never on its way
            return None, reason if isinstance(reason, NotPicklable) else _ENDS[kind](name, item, outputs)
    return (_results(descent, outputs) if descent.became_others else outputs[0]), None


def _results(descent: Descent, outputs: list[Item]) -> Results:
    """A list of what came out, with the ends of the rest beside it."""
    log = EndLog()
    log.pulled, log.given = 1, len(outputs)
    log.note(Expanded(((descent.root, None, len(descent.leaves), 1),)))
    for item, kind in descent.leaves:
        if kind is not None:
            getattr(log, kind).note(item)
    return Results(outputs, log)
