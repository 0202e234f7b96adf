"""The errors of a system that ends, or that belongs to somebody else."""

from __future__ import annotations

from slither_actors._error import SlitherError, error


@error()
class SystemDown(SlitherError):
    """The system is stopped, or its root supervisor gave up. ``causes`` are then the deaths that spent its budget,
    oldest first, each with what is known of it; the last one with all that led to it further down."""

    system: str
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if any("\n" in cause for cause in self.causes):  # a chain, each of its links in lines of its own
            return "\n".join([f"system {self.system!r} is down:", *self.causes])
        return f"system {self.system!r} is down: {', because '.join(self.causes) or 'it was stopped'}"


@error("system {system!r} is stopping: it begins nothing new, and what is not finished in time is given up")
class SystemStopping(SystemDown):
    """The system is stopping. Raised by calls that come too late, and the reason of a `DispatchError` or a `PipeError`
    of a run that was not finished in time; those hold what was finished."""


@error("system {system!r} belongs to process {owner}, of which this is a fork: start one of your own in this process")
class ForkedSystem(SystemDown):
    """The handle was made in process ``owner``, and this one was forked from it. Nothing that is done here reaches the
    system."""

    owner: int = 0


@error("{by} was stopped: the source was read up to item {pulled}, and all that was read has come to its end")
class Drained(SlitherError):
    """A run ended before its source did, since its system or its pipe was stopped: the reason of a `DispatchError` or a
    `PipeError` that loses nothing. The first ``pulled`` items of the source were read, and stand in ``partial_results``
    or in the ends of the run; whoever goes on later begins behind them.
    """

    by: str
    pulled: int
