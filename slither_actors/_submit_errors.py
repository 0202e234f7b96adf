"""What can become of an item that was submitted to a pipe; to be had from `errors`."""

from slither_actors._error import SlitherError, error
from slither_actors.item import Item


@error("pipe {pipe} has {max_queued} items waiting, as many as it may have (max_queued)")
class PipeFull(SlitherError):
    """A started pipe had no room for an item within the time that `submit` was given. The item was not taken."""

    pipe: str
    max_queued: int


@error("pipe {pipe} was stopped: start it again, and submit to what start_pipe returns then")
class PipeStopped(SlitherError):
    """The started pipe takes no more items, since it was stopped. The item was not taken."""

    pipe: str


@error()
class ItemEnded(SlitherError):
    """A submitted item left the flow of its pipe: the base of the three ways to do so.

    ``item`` is the item as it ended, with ``error``, ``stage`` and ``attempts`` in its meta; ``reason`` is that error.
    ``partial_results`` are the items that came out of it before, if it had become others.
    """

    pipe: str
    item: Item
    partial_results: list[Item]

    _how = "has ended"

    def __attrs_post_init__(self) -> None:
        self.__cause__ = self.reason  # pickle drops the cause; so it is back wherever the error is rebuilt

    @property
    def reason(self) -> SlitherError:
        """Why."""
        found: SlitherError = self.item.meta["error"]
        return found

    def __str__(self) -> str:
        stage = self.item.meta.get("stage")
        where = f"stage {stage!r} of pipe" if stage else "pipe"
        return f"an item {self._how} in {where} {self.pipe}: {self.reason}"


@error()
class ItemSkipped(ItemEnded):
    """A submitted item failed, and the error policy took it out of the flow."""

    _how = "was skipped"


@error()
class ItemDropped(ItemEnded):
    """A submitted item was dropped by a handler, or became nothing at all."""

    _how = "was dropped"


@error()
class ItemDead(ItemEnded):
    """A submitted item was given up: it had used its attempts up, or cost a worker its life, or could not be routed."""

    _how = "was given up"
