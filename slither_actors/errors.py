"""Everything this library raises on purpose. Every class survives pickling, since errors cross process borders.

::

    SlitherError
    - InvalidOption (ValueError)        an option has a value, or a name, that is not allowed
    - DefinitionError (ValueError)      a pipe, store or stage class is wrong; raised when the class is defined
    - NotImportable                     "module:function" cannot be imported here
    - NotPicklable                      an object cannot travel to another process
    - NotDecodable                      an object cannot be rebuilt in the process that received it
    - UnknownPool (LookupError)         no worker pool has this name
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
    - ItemError                         what can befall an item or a batch; policies look at these
      - RemoteError                     your function raised, in another process
      - ResultCountMismatch             your function gave more or fewer results than it got items
      - WorkerCrashed                   the worker died under the batch
      - BatchTimeout                    the batch took longer than ``timeout_s``
      - StageDown                       the stage died while it held the item
      - InvalidOutcome                  a stage answered something that means nothing
    - DispatchError                     a dispatch was halted; carries what was finished
    - PipeError                         a run of a pipe was halted; carries what was finished
"""

import functools
from collections.abc import Callable
from typing import Self, TypeVar, dataclass_transform

import attrs

from slither_actors._describe import is_plain, message_of, traceback_of
from slither_actors._describe import kinds_of as kinds_of
from slither_actors._describe import shorten as shorten
from slither_actors.item import Item

# fmt: off
__all__ = [
    "BatchTimeout", "CallTimeout", "ChildRefused", "DefinitionError", "DispatchError", "InvalidOption",
    "InvalidOutcome", "ItemError", "NoProcess", "NotDecodable", "NotImportable", "NotPicklable", "PipeError",
    "RemoteError", "ResultCountMismatch", "RunDirectoryError", "SendQueueFull", "SlitherError", "StageDown",
    "StartError", "StreamBusy", "SystemDown", "TransportError", "UnknownPool", "UnsupportedPlatform", "WorkerCrashed",
]
# fmt: on

_E = TypeVar("_E", bound=type[BaseException])


@dataclass_transform(eq_default=False, field_specifiers=(attrs.field,))
def _error(text: str = "") -> Callable[[_E], _E]:
    """An exception class with positional fields and a ``str()`` made of them by ``text``.

    attrs hands the fields to ``BaseException``, so pickle can rebuild it. No slots: ``ValueError`` and others clash.
    """

    def decorate(cls: _E) -> _E:
        made = attrs.define(slots=False, eq=False, repr=False)(cls)
        if text:
            type.__setattr__(made, "__str__", lambda self: text.format_map(vars(self)))
        return made

    return decorate


class SlitherError(Exception):
    """Base of all errors of this library."""

    def __repr__(self) -> str:
        # Not the fields: some hold all the results that were finished.
        return f"<{type(self).__name__}: {shorten(str(self), 400)}>"


@_error("{where}: {option} is {got}; allowed: {allowed}")
class InvalidOption(SlitherError, ValueError):
    """An option has a value, or a name, that is not allowed. ``got`` is the repr of the value, shortened."""

    where: str
    option: str
    got: str
    allowed: str


@_error()
class DefinitionError(SlitherError, ValueError):
    """A pipe, store or stage class is wrong. Raised when the class is defined, before anything runs."""

    where: str
    problem: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" + (f"; allowed: {self.allowed}" if self.allowed else "")


@_error("cannot import {path!r}: {why}")
class NotImportable(SlitherError):
    """A path "module:function" cannot be imported in this process."""

    path: str
    why: str


@_error("{what} cannot be sent to another process: {why}")
class NotPicklable(SlitherError):
    """An object cannot travel to another process, by reference or by value."""

    what: str
    why: str


@_error("{what} cannot be read in the process that received it: {why}")
class NotDecodable(SlitherError):
    """An object that was sent to another process cannot be rebuilt there: its class is missing, or raises."""

    what: str
    why: str


@_error()
class UnknownPool(SlitherError, LookupError):
    """No worker pool of the system has this name."""

    pool: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"no pool is called {self.pool!r}; this system has: {', '.join(self.known) or 'none'}"


@_error("no process is registered as {name!r}; it has ended, or is being restarted: call again")
class NoProcess(SlitherError):
    """No process is registered under this name: it never was, it ended, or it is being restarted."""

    name: str


@_error("{target} did not answer within {timeout_s:g} s; the call may still be carried out")
class CallTimeout(SlitherError, TimeoutError):
    """A process did not answer a call in time. The call may still be carried out."""

    target: str
    timeout_s: float


@_error("another thread waits for results of this stream: take turns, or give each thread a stream of its own")
class StreamBusy(SlitherError):
    """Two threads, or a source and whoever it feeds, asked one stream for more at the same time."""


@_error("{what} did not start: {reason}")
class StartError(SlitherError):
    """Something did not start; nothing of it is left running."""

    what: str
    reason: str


@_error("child {child}: {why} ({hint})")
class ChildRefused(SlitherError):
    """A supervisor refuses what is asked about one of its children. ``why`` is OTP's word, such as "not_found"."""

    child: str
    why: str
    hint: str


@_error()
class SystemDown(SlitherError):
    """The system is stopped, or its root supervisor gave up. ``causes`` runs from the root down to the first cause."""

    system: str
    causes: tuple[str, ...]

    def __str__(self) -> str:
        return f"system {self.system!r} is down: {', because '.join(self.causes) or 'it was stopped'}"


@_error("{platform} is not supported: the library needs what only Linux has, such as parent-death signals")
class UnsupportedPlatform(SlitherError):
    """This operating system lacks what the library needs."""

    platform: str


@_error("run directory {path}: {problem}")
class RunDirectoryError(SlitherError):
    """The private directory that holds a system's sockets cannot be used."""

    path: str
    problem: str


class TransportError(SlitherError):
    """A message cannot be sent; nothing of it arrived."""


@_error(
    "{queued_bytes:,} bytes wait for {peer}, which reads more slowly (queue_limit_bytes is {limit:,}): "
    "use a smaller batch_size or max_in_flight, or smaller payloads"
)
class SendQueueFull(TransportError):
    """A peer does not read as fast as it is written to, and the queue for it is full."""

    peer: str
    queued_bytes: int
    limit: int


class ItemError(SlitherError):
    """What can befall an item or a batch. An error policy decides what happens then."""

    # Not a plain property: RemoteError keeps the kinds of the original in the instance, under the same name.
    @functools.cached_property
    def kinds(self) -> tuple[str, ...]:
        """Qualified names of the classes this counts as, so that a policy can filter by classes it cannot import."""
        return kinds_of(type(self))


@_error()
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


@_error("{function} got {expected} items and gave {got} results; it must give one per item")
class ResultCountMismatch(ItemError):
    """A batch function gave more or fewer results than it got items, so results cannot be matched to items."""

    function: str
    expected: int
    got: int


@_error("worker {worker} (pid {pid}) died with {exit} while it ran the batch")
class WorkerCrashed(ItemError):
    """A worker process died while it ran the batch. ``exit`` is "SIGKILL" or "exit code 3"."""

    worker: str
    pid: int
    exit: str


@_error("the batch took longer than timeout_s={timeout_s:g} and worker {worker} was killed")
class BatchTimeout(ItemError):
    """A batch took longer than its ``timeout_s``; the worker that ran it was killed."""

    timeout_s: float
    worker: str


@_error("stage {name!r} died with {exit} while it held the item")
class StageDown(ItemError):
    """A stage process died while it held the item."""

    name: str
    exit: str


@_error("{stage} gave an answer that cannot be used: {problem}")
class InvalidOutcome(ItemError):
    """A stage answered something that means nothing there, such as an unknown destination."""

    stage: str
    problem: str

    @classmethod
    def unreadable(cls, stage: str, why: object) -> Self:
        """What a stage gave can be pickled there, and not be rebuilt where it is read."""
        return cls(stage, f"it can be pickled, but not unpickled: {why}")


@_error()
class DispatchError(SlitherError):
    """A dispatch was halted by its error policy.

    ``reason`` is what happened, ``partial_results`` the items that were finished when the failure was known.
    """

    reason: SlitherError
    batch_ref: int
    partial_results: list[Item]

    def __attrs_post_init__(self) -> None:
        self.__cause__ = self.reason  # pickle drops the cause; so it is back wherever the error is rebuilt

    def __str__(self) -> str:
        return f"batch {self.batch_ref} failed, {len(self.partial_results)} items are in partial_results: {self.reason}"


@_error()
class PipeError(SlitherError):
    """A run of a pipe was halted by its error policy.

    ``reason`` is what happened, ``partial_results`` maps each output to the items that had reached it.
    """

    pipe: str
    stage: str
    reason: SlitherError
    partial_results: dict[str, list[Item]]

    def __attrs_post_init__(self) -> None:
        self.__cause__ = self.reason  # as in DispatchError

    def __str__(self) -> str:
        done = sum(map(len, self.partial_results.values()))
        return f"stage {self.stage!r} of pipe {self.pipe} failed, {done} items are in partial_results: {self.reason}"
