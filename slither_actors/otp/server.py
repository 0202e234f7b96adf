"""`Server`: an actor with OTP's manners. The only place that knows how Thespian treats its actors.

A server handles one message at a time. Its messages are dispatched by class to the methods marked `@handles(Class)`,
calls to `handle_call`, and everything else to `handle_info`. Whatever a handler raises is contained here: the process
announces the reason to its supervisor and dies once, instead of handling the message a second time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from slither_actors._codec import encode_parts
from slither_actors.errors import InvalidOption, NoProcess, SlitherError
from slither_actors.otp._life import Caller, Life, Monitor, Settled, Tick
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ExitReason
from slither_actors.otp.endpoint import HungUp
from slither_actors.otp.messages import Call, Cast, Exiting, LogLine, Reply, Shutdown, Started, WatchEnded
from slither_actors.otp.ref import Ref
from slither_actors.transport.hub import Undecodable, Undelivered, Unread

if TYPE_CHECKING:

    class Actor:
        """What this library uses of Thespian's untyped `Actor`, so that strict projects can check their subclasses."""

        _myRef: Any

        @property
        def myAddress(self) -> Any: ...
        def send(self, targetAddr: Any, msg: Any) -> None: ...
        def createActor(
            self,
            actorClass: Any,
            targetActorRequirements: Any = None,
            globalName: Any = None,
            sourceHash: Any = None,
        ) -> Any: ...
        def wakeupAfter(self, timePeriod: timedelta, payload: Any = None) -> None: ...

else:
    from thespian.actors import Actor

from thespian.actors import ActorExitRequest, ChildActorExited, WakeupMessage

_log = logging.getLogger(__name__)
_Handler = TypeVar("_Handler", bound=Callable[..., None])


def handles(*classes: type) -> Callable[[_Handler], _Handler]:
    """Mark a method `(self, message, sender)` as the handler of these message classes."""

    def mark(function: _Handler) -> _Handler:
        function._handled = classes  # type: ignore[attr-defined]
        return function

    return mark


class Later:
    """What `init` or `handle_call` returns when the answer comes later."""


LATER = Later()


class Server(Actor):
    """An actor under a supervisor.

    Subclasses override `init` and the handlers. `__init__` is left alone by the library: it runs in the new process
    with the child spec's arguments, before any message, and must not use the process.
    """

    # Hold back what is sent until all that has arrived is handled. For actors that pass on much and wait for nothing.
    corks: ClassVar[bool] = False
    # What the time is, in seconds. A simulated process has a clock of its own.
    _clock: Callable[[], float] = time.monotonic
    _handlers: ClassVar[dict[type, str]] = {}
    _life: Life | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = dict(cls._handlers)
        for name, member in vars(cls).items():
            for handled in getattr(member, "_handled", ()):
                cls._handlers[handled] = name

    # -- what subclasses override

    def init(self) -> Any:
        """Called once in the new process, when sending is possible. What it returns goes to the parent as `info`;
        `LATER` postpones the answer until `started` is called. What it raises is a failed start."""

    def handle_call(self, request: Any, caller: Caller) -> Any:
        """Called for a call; the returned value is the reply, `LATER` postpones it. A `SlitherError` raised here is
        the reply too; anything else is a crash."""
        allowed = f"what the handle_call of its class, {type(self).__name__}, answers"
        raise InvalidOption(f"call of {self.name}", "request", f"of type {type(request).__name__}", allowed)

    def handle_cast(self, request: Any) -> None:
        """Called for a cast. What it raises is a crash."""
        _log.warning("%s ignores a cast of %s", self.name, type(request).__name__)

    def handle_down(self, ref: Ref, reason: ExitReason) -> None:
        """Called once for each `monitor` when what it watches is dead; of kind "unknown" if it was dead before."""
        _log.warning("%s ignores the end of %s", self.name, ref)

    def handle_info(self, message: Any, sender: str) -> None:
        """Called for a message that nothing else handles."""
        _log.warning("%s ignores a %s", self.name, type(message).__name__)

    def handle_undelivered(self, message: Any, to: str) -> None:
        """Called when `message` could not be delivered, since the process at `to` is gone."""

    def terminate(self, reason: ExitReason) -> None:
        """Called before the process ends, unless it is killed. What it raises is logged."""

    # -- what subclasses use

    @property
    def life(self) -> Life:
        """The process behind this server.

        Raises:
            NoProcess: the object was made by hand and is no actor.
        """
        if self._life is None:
            raise NoProcess(f"{type(self).__name__} (this object is not running as an actor)")
        return self._life

    @property
    def name(self) -> str:
        return self._life.name if self._life else type(self).__name__

    @property
    def address(self) -> str:
        """Where messages to this process go."""
        return self.life.address

    def call(self, to: str | Ref, request: Any, timeout_s: float = 5.0) -> Any:
        """Ask another process and wait for the answer; what arrives meanwhile is handled afterwards.

        From this server's own thread only. What was cast to the process before is handled before.

        Args:
            to: a registered name such as `"children/tally"`, a `Ref` or an address.
            request: what its `handle_call` understands.
            timeout_s: how long to wait.

        Raises:
            NoProcess: nobody is registered under the name, or the process is dead or dies before it answers.
            CallTimeout: no answer in time; the call may still be carried out.
            InvalidOption: it would be a call to itself. NotPicklable: the request or the answer cannot travel.
            NotDecodable: the process cannot read the request, or its answer cannot be read here.
            SlitherError: what the process answered with.
        """
        return self.life.call(to, request, timeout_s)

    def cast(self, to: str | Ref, request: Any) -> None:
        """Have `handle_cast` of another process called. Waits for nobody; a process that is dead is no error.

        Raises:
            NotPicklable: the request cannot travel.
        """
        self.life.cast(to, request)

    def monitor(self, to: str | Ref) -> Monitor:
        """Have `handle_down` called once when another process of the tree ends, however it ends.

        A name means the process that runs under it now: who is restarted is monitored anew. Several monitors of one
        process each lead to one call.
        """
        return self.life.monitor(to)

    def post(self, to: str, message: Any) -> None:
        """Send one of this library's messages. Never blocks."""
        self.life.transport.post(to, message)

    def drain(self, limit_s: float) -> None:
        """Wait until the kernel has taken what was posted, at most `limit_s`; what arrives meanwhile is kept."""
        hub = self.life.transport.hub
        if hub.pending:
            hub.flush(limit_s)

    def rest(self) -> None:
        """Give back the memory that was kept for the next large message; nothing large is expected for a while."""
        if self._life is not None:
            self._life.transport.hub.segments.release()

    def start_timer(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Call `action` in this process after `delay_s`; cancel by the returned timer."""
        return self.life.start_timer(delay_s, action)

    def started(self, info: Any = None) -> None:
        """Tell the parent that this process is up (after `init` returned `LATER`)."""
        life = self.life
        self.post(life.parent, Started(life.name, life.incarnation, os.getpid(), info))

    def exit(self, reason: ExitReason) -> None:
        """End this process after the current message, with `reason` told to the supervisor."""
        life = self.life
        if not life.leaving:
            self._say_goodbye(reason)
            life.end_for_sure()
            Actor.send(self, self.myAddress, ActorExitRequest(recursive=True))

    def _say_goodbye(self, reason: ExitReason) -> None:
        life = self.life
        life.leaving = True
        life.transport.receiver = _swallow  # what has arrived already meets a server that has cleaned up
        try:
            self.terminate(reason)
        except BaseException:
            _log.exception("%s: terminate failed", self.name)
        self.post(life.parent, Exiting(life.name, life.incarnation, reason))

    def send(self, targetAddr: Any, msg: Any) -> None:
        """Thespian's `send`, without its bookkeeping where the address is a final one."""
        path = getattr(targetAddr.addressDetails, "path", None)
        if path is None or self._life is None:
            super().send(targetAddr, msg)
        else:
            self._life.transport.post(path, msg)

    # -- the containment

    def receiveMessage(self, msg: Any, sender: Any) -> None:
        """Thespian's entry; messages of Thespian itself come this way."""
        if isinstance(msg, ActorExitRequest) or self.life.leaving:
            return
        if isinstance(msg, WakeupMessage) and isinstance(msg.payload, Tick):
            self._contain(self.life.run_timers, msg.payload)
        else:
            path = getattr(sender.addressDetails, "path", "")
            if isinstance(msg, (WakeupMessage, ChildActorExited)) or not self._receive(msg, path):
                self._contain(self.handle_info, msg, path)

    def _receive(self, message: Any, sender: str) -> bool:
        """The transport's short cut; false for what Thespian must see first."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            try:
                getattr(self, handler)(message, sender)
            except BaseException as error:
                self._crash(error)
            return True
        return self._receive_other(message, sender)

    def _receive_other(self, message: Any, sender: str) -> bool:
        if isinstance(message, Call):
            self._contain(self._answer, message, sender)
        elif isinstance(message, Cast):
            self._contain(self._take_cast, message, sender)
        elif isinstance(message, WatchEnded):
            if self.life.end_monitor(message.number):
                self._contain(self.handle_down, message.ref, message.reason)
        elif isinstance(message, Undelivered):
            # a handler that logs would bring the next one about, for ever
            if not isinstance(message.original, LogLine | Call | Cast):
                self._contain(self.handle_undelivered, message.original, message.to)
        elif isinstance(message, Reply | HungUp):
            pass  # for a call that waits no longer
        elif isinstance(message, Undecodable):
            _log.error("%s: a message from %s cannot be read: %s", self.name, sender, message.error)
            # perhaps somebody waits for the answer
            self._contain(self.post, sender, Unread(message.error, message.head))
        elif isinstance(message, Unread):
            _log.error("%s: %s cannot read what it was sent: %s", self.name, sender, message.error)
        elif isinstance(message, Settled):
            self._contain(message.action)
        elif isinstance(message, Shutdown):
            self._contain(self.exit, ExitReason("shutdown", message.why))
        elif _is_thespians(message):
            return False
        else:
            self._contain(self.handle_info, message, sender)
        return True

    def _answer(self, call: Call, sender: str) -> None:
        caller = Caller(sender, call.number)
        try:
            value = self.handle_call(call.request.open(f"the request to {self.name}"), caller)
        except SlitherError as error:
            self.reply(caller, error=error)
        else:
            if value is not LATER:
                self.reply(caller, value)

    def reply(self, caller: Caller, value: Any = None, error: Exception | None = None) -> None:
        """Answer a call for which `handle_call` returned `LATER`. An answer that cannot be pickled becomes the error
        that says so."""
        try:
            outcome = encode_parts((value, error), (), f"the answer of {self.name} ({type(error or value).__name__})")
        except SlitherError as failure:
            outcome = encode_parts((None, failure), (), "an error")
        self._send_reply(caller.address, Reply(caller.number, outcome))

    def _send_reply(self, to: str, reply: Reply) -> None:
        self.post(to, reply)

    def _take_cast(self, cast: Cast, sender: str) -> None:
        try:
            request = cast.request.open("its request")
        except SlitherError as error:
            _log.error("%s: a cast from %s is lost: %s", self.name, sender, error)
        else:
            self.handle_cast(request)

    def _contain(self, action: Callable[..., Any], *args: Any) -> None:
        try:
            action(*args)
        except BaseException as error:
            self._crash(error)

    def _crash(self, error: BaseException) -> None:
        """Die once, with the reason told: Thespian would run the message again and then live on half-changed."""
        life = self.life
        text = "".join(traceback.format_exception(error))
        with contextlib.suppress(Exception):
            _log.error("%s crashed: %s", self.name, traceback.format_exception_only(error)[-1].strip())
        if not life.leaving:
            with contextlib.suppress(Exception):
                self._say_goodbye(ExitReason("crash", text))
        life.leave()


def _is_thespians(message: Any) -> bool:
    # the last of these: what the transport has to say about a message that Thespian sent
    return type(message).__module__.startswith(("thespian.", "logging", "slither_actors.transport.unix"))


def _swallow(message: Any, sender: str) -> bool:
    """The receiver of a server that is leaving: only Thespian still gets what is its own."""
    return not _is_thespians(message)


__all__ = ["LATER", "Caller", "Monitor", "Server", "handles"]
