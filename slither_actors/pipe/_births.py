"""What became of items that became several: the service is told, so that its accounts add up."""

from __future__ import annotations

from slither_actors.dispatch.messages import Expanded
from slither_actors.item import Item
from slither_actors.pipe._answers import new_child_of
from slither_actors.pipe._lanes import Emission

# Of an item that goes on becoming others the service hears now and then: when they are twice as many, or so many more.
_MANY = 256


class Births:
    """What the service was not told yet."""

    def __init__(self) -> None:
        self._news: list[tuple[int, int | None, int, int]] = []

    def over(self, emission: Emission) -> None:
        """It became all that it will."""
        emission.over = True
        self._note(emission, emission.count - emission.told, 1)

    def failed(self, emission: Emission, *, routed: bool) -> Item:
        """It failed: what it became stands, and it ends in another way. Returns what fails: the item, or where it goes
        on elsewhere, one more of those that it became, so that nothing of it comes out before it is known of."""
        emission.failed = True
        if routed and (emission.over or emission.count or emission.told):
            emission.count += 1
            self._note(emission, emission.count - emission.told, 0 if emission.over else 1)
            return new_child_of(emission.item, emission.item, emission.given)
        if emission.over:
            self._note(emission, 0, -1)
        elif emission.count != emission.told:
            self._note(emission, emission.count - emission.told, 0)
        return emission.item

    def stuck(self, emission: Emission) -> None:
        """One of what it became cannot travel."""
        emission.count -= 1
        if emission.over or emission.failed:  # the number was told
            self._note(emission, -1, 0)

    def _note(self, emission: Emission, more: int, ended: int) -> None:
        emission.told += more
        self._news.append((emission.item.id, emission.item.parent_id, more, ended))

    def due(self, emission: Emission | None, *, done: bool) -> tuple[Expanded, ...]:
        """What is to be told now. `done` is whether nothing is left of a batch, `emission` what goes on in it."""
        if emission is not None:
            fresh = emission.count - emission.told
            if fresh <= 0 or fresh < min(emission.told, _MANY):
                return ()
            self._note(emission, fresh, 0)
        return self.take() if done or emission is not None else ()

    def take(self) -> tuple[Expanded, ...]:
        """The news, if there are any."""
        news, self._news = self._news, []
        return (Expanded(tuple(news)),) if news else ()
