"""The end of a run, seen from a stage: what is finished goes out, and so does the news of what was still here."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from slither_actors.dispatch.messages import Surrender as Surrender
from slither_actors.dispatch.messages import Surrendered
from slither_actors.errors import NotPicklable
from slither_actors.item import Item
from slither_actors.pipe._stage_run import StageRun
from slither_actors.workers.parcel import Parcel, pack_items


def surrendered(run: StageRun, name: str) -> Surrendered:
    """The last words of the stage that is called so, for a run that it will forget."""
    words = run.last_words()
    here = [*run.in_work, *(parcel for _, parcels in run.waiting for parcel in parcels)]
    for lane in run.lanes.values():
        here += _ids_of(lane.items)
        here += [parcel for batch in lane.edge.take(regardless=True) for parcel in batch.parcels]
    return Surrendered(run.id, ((name, tuple(here)),), words)


def _ids_of(items: Sequence[Item]) -> list[Parcel]:
    with contextlib.suppress(NotPicklable):
        bare = [Item(item.id, None, parent_id=item.parent_id, index=item.index) for item in items]
        return [pack_items(bare)] if bare else []
    return []
