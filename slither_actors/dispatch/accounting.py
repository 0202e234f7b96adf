"""Where the items of a run are, in numbers."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Accounting:
    """The balance of a run: `inputs + born` are all items there ever were, and each is in one of the other places.

    Attributes:
        inputs: pulled from the source.
        born: what stages made of others by `Emit` or `many=True`.
        outputs: came out.
        expanded: became others.
        skipped, dropped, dead: ended so.
    """

    inputs: int
    born: int
    outputs: int
    expanded: int
    skipped: int
    dropped: int
    dead: int

    def __add__(self, other: Accounting) -> Accounting:
        """Of two runs together."""
        return Accounting(**{name: count + getattr(other, name) for name, count in attrs.asdict(self).items()})

    @property
    def abandoned(self) -> int:
        """Items that are still under way. None when a run has come to its end; those that were lost with it when it
        was ended by an error, or early."""
        return self.inputs + self.born - self.outputs - self.expanded - self.skipped - self.dropped - self.dead
