"""Many items sent on at once, where nothing befell any of them."""

from __future__ import annotations

from typing import Any

from slither_actors.item import Item, shortest, with_payloads
from slither_actors.pipe._stage_run import StageRun
from slither_actors.workers.parcel import Parcel, Sorted, count


def send_on(run: StageRun, items: list[Item], made: list[Any]) -> None:
    """Send items on by themselves, with these payloads in the place of theirs."""
    to = run.plan.next
    lane = run.lanes.get(to)
    if lane is None:
        run.sink.put_all(with_payloads(items, made, to), made, items)
    else:
        lane.put_all(items, made, items)
    run.count_out(len(items))


def sort_out(run: StageRun, items: list[Item], destinations: list[str]) -> None:
    """Send items, as they are, to the stages and outputs that a router found for them."""
    run.count_out(len(items))
    if _pass_on(run, items, destinations):
        return
    for item, to in zip(items, destinations, strict=True):
        lane = run.lanes.get(to)
        if lane is None:
            lane, placed = run.sink, item if item.route == to else item.with_route(to)
        else:
            placed = item
        lane.put(placed, item)


def _pass_on(run: StageRun, items: list[Item], destinations: list[str]) -> bool:
    """Where all that came goes to outputs it goes as it came: what was decoded to be looked at is not encoded again."""
    parcels, ids = run.in_work, [item.id for item in items]
    if not run.lanes.keys().isdisjoint(destinations):
        return False
    if count(parcels) != len(ids) or any(parcel[4] for parcel in parcels) or len(set(ids)) < len(ids):
        return False
    sorted_parcels: list[Parcel] = []
    at = 0
    for data, buffers, lo, hi, _ in parcels:
        till = at + hi - lo
        sorted_parcels.append((data, buffers, lo, hi, (Sorted(shortest(ids[at:till]), destinations[at:till]),)))
        at = till
    run.sink.edge.put(tuple(sorted_parcels))
    return True
