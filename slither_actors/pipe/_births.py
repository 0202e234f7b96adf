"""What became of items that became several: the service is told, so that its accounts add up."""

from __future__ import annotations

from slither_actors.dispatch.messages import Expanded
from slither_actors.item import Item
from slither_actors.pipe._answers import new_child_of
from slither_actors.pipe._lanes import Emission


class Births:
    """What the service was not told yet."""

    def __init__(self) -> None:
        self._news: list[tuple[int, int | None, int, int]] = []

    def over(self, emission: Emission) -> None:
        """It became all that it will."""
        emission.over = True
        self._note(emission, emission.count, 1)

    def failed(self, emission: Emission, *, routed: bool) -> Item:
        """It failed: what it became stands, and it ends in another way. Returns what fails: the item, or where it goes
        on elsewhere, one more of those that it became, so that nothing of it comes out before it is known of."""
        emission.failed = True
        if routed and (emission.over or emission.count):
            emission.count += 1
            self._note(emission, 1 if emission.over else emission.count, 0 if emission.over else 1)
            return new_child_of(emission.item, emission.item, emission.given)
        if emission.over:
            self._note(emission, 0, -1)
        elif emission.count:
            self._note(emission, emission.count, 0)
        return emission.item

    def stuck(self, emission: Emission) -> None:
        """One of what it became cannot travel."""
        if emission.over or emission.failed:  # the number was told
            self._note(emission, -1, 0)
        else:
            emission.count -= 1

    def _note(self, emission: Emission, more: int, ended: int) -> None:
        self._news.append((emission.item.id, emission.item.parent_id, more, ended))

    def take(self) -> tuple[Expanded, ...]:
        """The news, if there are any."""
        news, self._news = self._news, []
        return (Expanded(tuple(news)),) if news else ()
