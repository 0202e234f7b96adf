"""The end of a run, seen from a dispatcher: what is finished goes out, and so does the news of who had the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from slither_actors.dispatch._desk import Desk
from slither_actors.dispatch._dispatch_run import DispatchRun
from slither_actors.dispatch._patience import CANCEL_GRACE_S
from slither_actors.dispatch.messages import Batch, Surrendered
from slither_actors.workers.parcel import Parcel


class Surrenders:
    """What a core of a dispatcher does when there is no time left for a run."""

    _runs: dict[str, DispatchRun]
    _desk: Desk
    outbox: list[tuple[str, Any]]

    def surrender(self, run_id: str, keys: Iterable[str], to: str, name: str, now: float) -> None:
        """Give up a run.

        Args:
            run_id: what others call it.
            keys: what its parts are called here.
            to: who wants to know.
            name: of this dispatcher.
        """
        held: list[tuple[str, tuple[Parcel, ...]]] = []
        words: list[Batch] = []
        for key in keys:
            run = self._runs.get(key)
            if run is None:
                continue
            held += [(place, task.parcels) for place, task in self._desk.places_of(key)]
            held += [(name, task.parcels) for task in (*run.waiting, *run.chances.waiting(), *run.lanes.waiting())]
            words += run.last_words()
            self.close_run(key, now, 0.0)
        self.outbox.append((to, Surrendered(run_id, tuple(held), tuple(words))))

    def close_run(self, run_id: str, now: float, grace_s: float = CANCEL_GRACE_S) -> None:
        raise NotImplementedError
