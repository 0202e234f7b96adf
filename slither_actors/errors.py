"""Everything this library raises on purpose. Every class survives pickling, since errors cross process borders.

::

    SlitherError
    - InvalidOption (ValueError)        an option has a value, or a name, that is not allowed
    - DefinitionError (ValueError)      a pipe, store or stage class is wrong; raised when the class is defined
    - NotImportable                     "module:function" cannot be imported here
    - NotPicklable                      an object cannot travel to another process
    - NotDecodable                      an object cannot be rebuilt in the process that received it
    - UnknownPool (LookupError)         no worker pool has this name
    - SessionLimit                      a pool has as many sessions as it may have
    - NoProcess                         no process has this name (any more)
    - CallTimeout (TimeoutError)        a process did not answer in time
    - StreamBusy                        another thread is waiting for results of the same stream
    - StartError                        something did not start
    - ChildRefused                      a supervisor refuses what is asked about one of its children
    - SystemDown                        the system is stopped, or has given up
    - UnsupportedPlatform               this operating system lacks what the library needs
    - RunDirectoryError                 the private directory of a system cannot be used
    - TransportError                    a message cannot be sent
      - SendQueueFull                   a peer does not read as fast as it is written to
    - DeadlineExceeded (TimeoutError)   a run took longer than ``deadline_s``
    - EndsFileError                     the file for the ends of a run cannot be used
    - ItemError                         what can befall an item or a batch; policies look at these
      - RemoteError                     your function raised, in another process
      - ResultCountMismatch             your function gave more or fewer results than it got items
      - WorkerCrashed                   the worker died under the batch
      - BatchTimeout                    the batch took longer than ``timeout_s``
      - QueueTimeout                    the batch waited for a worker longer than ``queue_timeout_s``
      - SessionLost                     the session's worker died, or the session ended
      - WorkerBusy                      the session's worker is busy, and the session does not wait
      - StageDown                       the stage died while it held the item
      - InvalidOutcome                  a stage answered something that means nothing
    - DispatchError                     a dispatch was halted; carries what was finished
    - PipeError                         a run of a pipe was halted; carries what was finished
"""

from slither_actors._describe import kinds_of as kinds_of
from slither_actors._describe import shorten as shorten
from slither_actors._error import SlitherError, error
from slither_actors._item_errors import (
    BatchTimeout,
    InvalidOutcome,
    ItemError,
    QueueTimeout,
    RemoteError,
    ResultCountMismatch,
    SessionLost,
    StageDown,
    WorkerBusy,
    WorkerCrashed,
)
from slither_actors.item import Item

# fmt: off
__all__ = [
    "BatchTimeout", "CallTimeout", "ChildRefused", "DeadlineExceeded", "DefinitionError", "DispatchError",
    "EndsFileError", "InvalidOption", "InvalidOutcome", "ItemError", "NoProcess", "NotDecodable", "NotImportable",
    "NotPicklable", "PipeError", "QueueTimeout", "RemoteError", "ResultCountMismatch", "RunDirectoryError",
    "SendQueueFull", "SessionLimit", "SessionLost", "SlitherError", "StageDown", "StartError", "StreamBusy",
    "SystemDown", "TransportError", "UnknownPool", "UnsupportedPlatform", "WorkerBusy", "WorkerCrashed",
]
# fmt: on


@error("{where}: {option} is {got}; allowed: {allowed}")
class InvalidOption(SlitherError, ValueError):
    """An option has a value, or a name, that is not allowed. ``got`` is the repr of the value, shortened."""

    where: str
    option: str
    got: str
    allowed: str


@error()
class DefinitionError(SlitherError, ValueError):
    """A pipe, store or stage class is wrong. Raised when the class is defined, before anything runs."""

    where: str
    problem: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" + (f"; allowed: {self.allowed}" if self.allowed else "")


@error("cannot import {path!r}: {why}")
class NotImportable(SlitherError):
    """A path "module:function" cannot be imported in this process."""

    path: str
    why: str


@error("{what} cannot be sent to another process: {why}")
class NotPicklable(SlitherError):
    """An object cannot travel to another process, by reference or by value."""

    what: str
    why: str


@error("{what} cannot be read in the process that received it: {why}")
class NotDecodable(SlitherError):
    """An object that was sent to another process cannot be rebuilt there: its class is missing, or raises."""

    what: str
    why: str


@error()
class UnknownPool(SlitherError, LookupError):
    """No worker pool of the system has this name."""

    pool: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"no pool is called {self.pool!r}; this system has: {', '.join(self.known) or 'none'}"


@error("pool {pool!r} has {limit} sessions open, as many as it may have (sessions.max_sessions)")
class SessionLimit(SlitherError):
    """A pool has as many open sessions as it may have."""

    pool: str
    limit: int


@error("no process is registered as {name!r}; it has ended, or is being restarted: call again")
class NoProcess(SlitherError):
    """No process is registered under this name: it never was, it ended, or it is being restarted."""

    name: str


@error("{target} did not answer within {timeout_s:g} s; the call may still be carried out")
class CallTimeout(SlitherError, TimeoutError):
    """A process did not answer a call in time. The call may still be carried out."""

    target: str
    timeout_s: float


@error("another thread waits for results of this stream: take turns, or give each thread a stream of its own")
class StreamBusy(SlitherError):
    """Two threads, or a source and whoever it feeds, asked one stream for more at the same time."""


@error("{what} did not start: {reason}")
class StartError(SlitherError):
    """Something did not start; nothing of it is left running."""

    what: str
    reason: str


@error("child {child}: {why} ({hint})")
class ChildRefused(SlitherError):
    """A supervisor refuses what is asked about one of its children. ``why`` is OTP's word, such as "not_found"."""

    child: str
    why: str
    hint: str


@error()
class SystemDown(SlitherError):
    """The system is stopped, or its root supervisor gave up. ``causes`` runs from the root down to the first cause."""

    system: str
    causes: tuple[str, ...]

    def __str__(self) -> str:
        return f"system {self.system!r} is down: {', because '.join(self.causes) or 'it was stopped'}"


@error("{platform} is not supported: the library needs what only Linux has, such as parent-death signals")
class UnsupportedPlatform(SlitherError):
    """This operating system lacks what the library needs."""

    platform: str


@error("run directory {path}: {problem}")
class RunDirectoryError(SlitherError):
    """The private directory that holds a system's sockets cannot be used."""

    path: str
    problem: str


class TransportError(SlitherError):
    """A message cannot be sent; nothing of it arrived."""


@error(
    "{queued_bytes:,} bytes wait for {peer}, which reads more slowly (queue_limit_bytes is {limit:,}): "
    "use a smaller batch_size or max_in_flight, or smaller payloads"
)
class SendQueueFull(TransportError):
    """A peer does not read as fast as it is written to, and the queue for it is full."""

    peer: str
    queued_bytes: int
    limit: int


@error("the run took longer than deadline_s={deadline_s:g}")
class DeadlineExceeded(SlitherError, TimeoutError):
    """A run took longer than its ``deadline_s``; the reason of a `DispatchError` or a `PipeError`."""

    deadline_s: float


@error("ends file {path} {problem}")
class EndsFileError(SlitherError):
    """The file for the ends of a run cannot be used. The reason of a `DispatchError` or a `PipeError` if it befell a
    run: items that ended then are in the ends of the run, and not all of them in the file."""

    path: str
    problem: str


@error()
class DispatchError(SlitherError):
    """A dispatch was halted, by its error policy or at its deadline.

    ``reason`` is what happened, ``batch_ref`` the number of the batch that it befell, 0 for none; ``partial_results``
    the items that were finished when the failure was known.
    """

    reason: SlitherError
    batch_ref: int
    partial_results: list[Item]

    def __attrs_post_init__(self) -> None:
        self.__cause__ = self.reason  # pickle drops the cause; so it is back wherever the error is rebuilt

    def __str__(self) -> str:
        what = f"batch {self.batch_ref}" if self.batch_ref else "the dispatch"
        return f"{what} failed, {len(self.partial_results)} items are in partial_results: {self.reason}"


@error()
class PipeError(SlitherError):
    """A run of a pipe was halted, by an error policy or at its deadline.

    ``reason`` is what happened, ``stage`` the stage that it befell, empty for none; ``partial_results`` maps each
    output to the items that had reached it.
    """

    pipe: str
    stage: str
    reason: SlitherError
    partial_results: dict[str, list[Item]]

    def __attrs_post_init__(self) -> None:
        self.__cause__ = self.reason  # as in DispatchError

    def __str__(self) -> str:
        done = sum(map(len, self.partial_results.values()))
        what = f"stage {self.stage!r} of pipe" if self.stage else "pipe"
        return f"{what} {self.pipe} failed, {done} items are in partial_results: {self.reason}"
