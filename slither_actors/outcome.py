"""What a stage may answer for an item, besides a payload or an `Item`. A batch function of a worker may not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs


@attrs.frozen
class Emit:
    """Any number of items instead of one; each is a payload or an `Item`, and names the original as its parent.

    `payloads` is any iterable, also an endless generator: it is asked for the next one, in the stage's process, only
    when there is room for it behind the stage. What it raises is a failure of the original item; what it gave before
    stays emitted. When the run ends before it does, a generator is closed.
    """

    payloads: Iterable[Any]


@attrs.frozen
class RouteTo:
    """Send the item to a later stage or to an output instead of the next stage."""

    destination: str
    payload: Any


@attrs.frozen
class Drop:
    """Take the item out of the flow; it stands in `.dropped`, with the reason in `meta["error"]`."""

    reason: Any = None


@attrs.frozen
class Fail:
    """The item failed; the error policy decides, as for an exception."""

    reason: Any = None


# All that means something only where a stage answers.
Outcome = Emit | RouteTo | Drop | Fail
