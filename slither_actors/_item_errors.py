"""What can befall an item or a batch; to be had from `errors`."""

import functools
from typing import Self

from slither_actors._describe import is_plain, kinds_of, message_of, traceback_of
from slither_actors._error import PUBLIC, SlitherError, error


class ItemError(SlitherError):
    """What can befall an item or a batch. An error policy decides what happens then."""

    # Not a plain property: RemoteError keeps the kinds of the original in the instance, under the same name.
    @functools.cached_property
    def kinds(self) -> tuple[str, ...]:
        """Qualified names of the classes this counts as, so that a policy can filter by classes it cannot import."""
        return kinds_of(type(self))


@error()
class RemoteError(ItemError):
    """User code raised in another process. ``str()`` is type and message in one line, fit for a log.

    The original traceback is text in ``.traceback``; as a note it is also shown wherever this error's own is printed.
    """

    type_name: str
    message: str
    traceback: str
    kinds: tuple[str, ...]

    def __attrs_post_init__(self) -> None:
        if self.traceback:
            self.add_note(self.traceback)

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name

    @classmethod
    def of(cls, exc: BaseException) -> Self:
        """Turn a live exception into text that any process can read, also one that lacks its class.

        Args:
            exc: The exception as it was caught. One that came from elsewhere already is returned as it is.

        Returns:
            The error, its traceback beginning with the first frame that is not this library's.
        """
        if type(exc) is cls and is_plain(exc):
            return exc
        return cls(type(exc).__qualname__, message_of(exc), traceback_of(exc), kinds_of(type(exc)))


@error("{function} got {expected} items and gave {got} results; it must give one per item")
class ResultCountMismatch(ItemError):
    """A batch function gave more or fewer results than it got items, so results cannot be matched to items."""

    function: str
    expected: int
    got: int


@error("worker {worker} (pid {pid}) died with {exit} while it ran the batch")
class WorkerCrashed(ItemError):
    """A worker process died while it ran the batch. ``exit`` is "SIGKILL" or "exit code 3"."""

    worker: str
    pid: int
    exit: str


@error("the batch took longer than timeout_s={timeout_s:g} and worker {worker} was killed")
class BatchTimeout(ItemError):
    """A batch took longer than its ``timeout_s``; the worker that ran it was killed."""

    timeout_s: float
    worker: str


@error("the batch waited longer than queue_timeout_s={queue_timeout_s:g}, and pool {pool!r} had no worker for its run")
class QueueTimeout(ItemError):
    """A batch waited longer than its ``queue_timeout_s`` while no worker was there for its run. It did not run."""

    queue_timeout_s: float
    pool: str


@error("session {session!r} is lost in its epoch {epoch}, with all that it had: {why}")
class SessionLost(ItemError):
    """A session's state is gone: its worker died, or the session was ended or idled too long. ``epoch`` is the one that
    ended. Nothing of it was tried again elsewhere."""

    session: str
    worker: str
    epoch: int
    why: str = "its worker died"


@error("worker {worker} is busy, and session {session!r} does not wait for it")
class WorkerBusy(ItemError):
    """The worker of a session with ``mode="fail_fast"`` was at work for others. The batch did not run."""

    session: str
    worker: str


@error("stage {name!r} died with {exit} while it held the item")
class StageDown(ItemError):
    """A stage process died while it held the item."""

    name: str
    exit: str


@error("{stage} gave an answer that cannot be used: {problem}")
class InvalidOutcome(ItemError):
    """A stage answered something that means nothing there, such as an unknown destination."""

    stage: str
    problem: str

    @classmethod
    def unreadable(cls, stage: str, why: object) -> Self:
        """What a stage gave can be pickled there, and not be rebuilt where it is read."""
        return cls(stage, f"it can be pickled, but not unpickled: {why}")


@error("{strategy} {problem}")
class StrategyError(ItemError):
    """A strategy of the user's own lost, repeated or invented items, or gave something that is no list of batches."""

    strategy: str
    problem: str


ItemError.__module__ = PUBLIC


def type_name_of(error: SlitherError) -> str:
    """What was raised, without what it said: that may quote an item, which is for no log and no event."""
    return error.type_name if isinstance(error, RemoteError) else type(error).__name__
