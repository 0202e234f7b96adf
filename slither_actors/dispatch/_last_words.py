"""The end of a run for which there is no time left: its nodes give up what they have, and say who had it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.messages import Surrender, Surrendered
from slither_actors.errors import RemoteError, SlitherError
from slither_actors.otp.endpoint import Endpoint
from slither_actors.workers._salvage import read
from slither_actors.workers.parcel import Parcel


class LastWords:
    """Asks the nodes of a run. Those that are stuck say nothing.

    Args:
        error: what ends the run.
    """

    def __init__(self, endpoint: Endpoint, plan: RunPlan, error: SlitherError) -> None:
        self.error = error
        self._silent = {node.ref.address: node.ref.name for node in plan.nodes}
        self._held: dict[str, list[tuple[str, list[int]]]] = {address: [] for address in self._silent}
        for address in self._silent:
            with contextlib.suppress(SlitherError):
                endpoint.post(address, Surrender(plan.run))

    def note(self, news: Surrendered, sender: str) -> bool:
        """Somebody has spoken; true when all have."""
        self._silent.pop(sender, None)
        self._held[sender] = [(place, _ids(parcels)) for place, parcels in news.held]
        return not self._silent

    def places(self, ids: Iterable[int]) -> dict[str, list[int]]:
        """Where these ids are, as far as anybody says. A stage may have sent on already what it says it has, so the
        later one is right. What nobody says is with the one that is silent, if only one is."""
        found: dict[str, list[int]] = {}
        for said in reversed(self._held.values()):
            for place, held in said:
                found.setdefault(place, []).extend(held)
        if len(self._silent) == 1:
            (silent,) = self._silent.values()
            found[silent] = list(ids)
        return found


def _ids(parcels: Sequence[Parcel]) -> list[int]:
    """The ids of items, and of those that they were made of."""
    found: list[int] = []
    for parcel in parcels:
        with contextlib.suppress(RemoteError):
            (ids, _, _, _, births), _ = read(parcel)
            found += ids
            found += [birth[0] for birth in births or () if birth is not None]
    return found
