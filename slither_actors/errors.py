"""Everything this library raises on purpose. Every class survives pickling, since errors cross process borders.

::

    SlitherError
    - InvalidOption (ValueError)        an option has a value, or a name, that is not allowed
      - InvalidSpec                     a child spec or the options of a supervisor are wrong
    - DefinitionError (ValueError)      a pipe, store or stage class is wrong; raised when the class is defined
    - NotImportable                     "module:function" cannot be imported here
    - NotPicklable                      an object cannot travel to another process
    - NotDecodable                      an object cannot be rebuilt in the process that received it
    - UnknownPool (LookupError)         no worker pool has this name
    - SessionLimit                      a pool has as many sessions as it may have
    - PoolQuarantined                   all workers of a pool keep dying, and are kept down for a while
    - NoProcess                         no process has this name (any more)
    - CallTimeout (TimeoutError)        a process did not answer in time
    - StreamBusy                        another thread is waiting for results of the same stream
    - StartError                        something did not start
    - ChildRefused                      a supervisor refuses what is asked about one of its children
    - KeyTooLong (ValueError)           a key of a table is longer than 480 bytes
    - UnknownStore (LookupError)        no store has this name
    - StoreUnavailable                  the tables of a store cannot be opened, or its owner is not there
      - WriteInDoubt                    a write was sent, and nobody can say whether it was carried out
    - StoreFull                         a write found no room, and nothing of it happened
    - StoreConflict                     an ``update`` was beaten by others too often
    - StoreLoadError                    the ``load`` of a store raised
    - SnapshotExpired                   a snapshot, or an iteration, was used after its end
    - UnknownView (LookupError)         no view that can be called here has this name
    - DuplicateView                     two stores have a view of this name
    - ViewTimeout (TimeoutError)        a view took longer than its ``timeout_s``
    - SystemDown                        the system is stopped, or has given up
      - SystemStopping                  the system is stopping, and begins nothing new
      - ForkedSystem                    the handle belongs to the process of which this one is a fork
    - SystemNotFound (LookupError)      no running system of this user has this name
    - Drained                           a run came to its end early, since its system or its pipe was stopped
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
      - StrategyError                   a strategy lost, repeated or invented items
    - DispatchError                     a dispatch was halted; carries what was finished
    - PipeError                         a run of a pipe was halted; carries what was finished
    - PipeFull                          a started pipe has no room for one more item
    - PipeStopped                       a started pipe was stopped, and takes no more items
    - ItemEnded                         a submitted item left the flow of its pipe; carries its end
      - ItemSkipped                     it failed, and was skipped by the error policy
      - ItemDropped                     it was dropped by a handler
      - ItemDead                        it was given up
"""

from typing import Any

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
    StrategyError,
    WorkerBusy,
    WorkerCrashed,
)
from slither_actors._item_errors import type_name_of as type_name_of
from slither_actors._lifecycle_errors import Drained, ForkedSystem, SystemDown, SystemStopping
from slither_actors._store_errors import (
    KeyTooLong,
    SnapshotExpired,
    StoreConflict,
    StoreFull,
    StoreLoadError,
    StoreUnavailable,
    UnknownStore,
    WriteInDoubt,
)
from slither_actors._submit_errors import ItemDead, ItemDropped, ItemEnded, ItemSkipped, PipeFull, PipeStopped
from slither_actors._view_errors import DuplicateView, UnknownView, ViewTimeout
from slither_actors.item import Item

# fmt: off
__all__ = [
    "BatchTimeout", "CallTimeout", "ChildRefused", "DeadlineExceeded", "DefinitionError", "DispatchError", "Drained",
    "DuplicateView", "EndsFileError", "ForkedSystem", "InvalidOption", "InvalidOutcome", "InvalidSpec", "ItemDead",
    "ItemDropped", "ItemEnded", "ItemError", "ItemSkipped", "KeyTooLong", "NoProcess", "NotDecodable", "NotImportable",
    "NotPicklable", "PipeError", "PipeFull", "PipeStopped", "PoolQuarantined",
    "QueueTimeout", "RemoteError", "ResultCountMismatch", "RunDirectoryError", "SendQueueFull", "SessionLimit",
    "SessionLost", "SlitherError", "SnapshotExpired", "StageDown", "StartError", "StoreConflict", "StoreFull",
    "StoreLoadError", "StoreUnavailable", "StrategyError", "StreamBusy", "SystemDown", "SystemNotFound",
    "SystemStopping", "TransportError", "UnknownPool", "UnknownStore", "UnknownView", "UnsupportedPlatform",
    "ViewTimeout", "WorkerBusy", "WorkerCrashed", "WriteInDoubt",
]
# fmt: on


@error("{where}: {option} is {got}; allowed: {allowed}")
class InvalidOption(SlitherError, ValueError):
    """An option has a value, or a name, that is not allowed. ``got`` is the repr of the value, shortened."""

    where: str
    option: str
    got: str
    allowed: str


@error("{where}: {option} is {got}; allowed: {allowed} ({why})")
class InvalidSpec(InvalidOption):
    """A child spec, or the options of a supervisor, are wrong. ``why`` is OTP's word, such as "invalid_shutdown"."""

    why: str


@error()
class DefinitionError(SlitherError, ValueError):
    """A pipe, store, stage, adapter or executor class is wrong. Raised when it is defined, before anything runs."""

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


@error("pool {pool!r} has no worker: all {workers} of it are in quarantine, since they keep dying; the last one: {why}")
class PoolQuarantined(SlitherError):
    """All workers of a pool died again and again while they were idle or starting, and none is started for a while.
    What its ``quarantine`` says decides for how long; a call that comes after that finds workers, if they live."""

    pool: str
    workers: int
    why: str


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
    """A supervisor refuses what is asked about one of its children. ``why`` is OTP's word, such as "not_found".

    ``running`` is the ``Ref`` of the child where that is "already_started".
    """

    child: str
    why: str
    hint: str
    running: Any = None


@error()
class SystemNotFound(SlitherError, LookupError):
    """No running system of this user has this name; ``running`` are those that do run. Where ``several`` have it, these
    are their run directories, of which one must be given in the place of the name."""

    name: str
    running: tuple[str, ...]
    several: bool = False

    def __str__(self) -> str:
        if self.several:
            return f"several systems are called {self.name!r}: give the run directory, {' or '.join(self.running)}"
        return f"no system called {self.name!r} is running; running now: {', '.join(self.running) or 'none'}"


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


@error("{what} took longer than deadline_s={deadline_s:g}")
class DeadlineExceeded(SlitherError, TimeoutError):
    """A run, or an item that was submitted, took longer than its ``deadline_s``; the reason of a `DispatchError` or a
    `PipeError`."""

    deadline_s: float
    what: str = "the run"


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
