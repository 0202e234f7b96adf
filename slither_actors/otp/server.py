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
from typing import Any, ClassVar

from slither_actors._letter import sealed
from slither_actors.errors import InvalidOption, NoProcess, SlitherError
from slither_actors.otp._answers import IGNORE, LATER, check_addressee, handles
from slither_actors.otp._life import Caller, Life, Monitor, Settled, Tick
from slither_actors.otp._thespian import (
    Actor,
    ActorExitRequest,
    ChildActorExited,
    WakeupMessage,
    is_thespians,
    swallow,
)
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ExitReason, last_line
from slither_actors.otp.endpoint import HungUp
from slither_actors.otp.messages import (
    Call,
    Cast,
    Exiting,
    LinkEnded,
    LogLine,
    Reply,
    Shutdown,
    Started,
    WatchEnded,
)
from slither_actors.otp.ref import Ref
from slither_actors.transport.hub import Undecodable, Undelivered, Unread

_log = logging.getLogger(__name__)


class Server(Actor):
    """An actor under a supervisor.

    Subclasses override `init` and the handlers. `__init__` is left alone by the library: it runs in the new process
    with the child spec's arguments, before any message, and must not use the process.
    """

    # Hold back what is sent until all that has arrived is handled. For actors that pass on much and wait for nothing.
    corks: ClassVar[bool] = False
    # Whether it starts processes, and so passes on what they write to their standard error.
    has_children: ClassVar[bool] = False
    # What the time is, in seconds. A simulated process has a clock of its own.
    _clock: Callable[[], float] = time.monotonic
    _handlers: ClassVar[dict[type, str]] = {Call: "_answer", Cast: "_take_cast", Settled: "_settle"}
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
        `LATER` postpones the answer until `started` is called. `IGNORE` ends the process, which is no failure: its
        place under the supervisor stays empty. What it raises is a failed start."""

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

    def handle_exit(self, ref: Ref, reason: ExitReason) -> None:
        """Called when a process that this one is linked with has ended. Unless a subclass decides otherwise, this one
        then ends too, for the same reason, save that it was a normal end."""
        if reason.kind != "normal":
            self.exit(ExitReason(reason.kind, f"linked with {ref}, which ended: {last_line(reason)}"))

    def handle_continue(self, what: Any) -> None:
        """Called for a `continue_with`, before anything else is handled. What it raises is a crash."""
        _log.warning("%s does not continue with a %s", self.name, type(what).__name__)

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
            InvalidOption: it would be a call to itself, or `timeout_s` is no time.
            NotPicklable: the request or the answer cannot travel.
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

    def link(self, to: str | Ref) -> None:
        """Share the fate of another process: when one of the two ends, `handle_exit` of the other is called, and
        without one of its own it ends too. With one that is dead already that happens at once.

        A supervisor takes no notice: it decides by the exits of its children alone.
        """
        self.life.link(to)

    def unlink(self, to: str | Ref) -> None:
        """End a link, whoever of the two began it; `handle_exit` is not called for it any more.

        Raises:
            NoProcess, CallTimeout: the registry does not answer.
        """
        self.life.unlink(to)

    def continue_with(self, what: Any) -> None:
        """Have `handle_continue` called as soon as the present message, or `init`, is dealt with, and before anything
        else that has arrived. So a long set-up holds up no supervisor, and still comes before the first request."""
        self.life.next_up(lambda: self.handle_continue(what))

    def post(self, to: str, message: Any) -> None:
        """Send one of this library's messages. Never blocks."""
        (self._life or self.life).transport.post(to, message)

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

    def _say_goodbye(self, reason: ExitReason, handling: str = "") -> None:
        life = self.life
        life.leaving = True
        life.transport.receiver = swallow  # what has arrived already meets a server that has cleaned up
        try:
            self.terminate(reason)
        except BaseException:
            _log.exception("%s: terminate failed", self.name)
        self.post(life.parent, Exiting(life.name, life.incarnation, reason, handling))

    def send(self, targetAddr: Any, msg: Any) -> None:
        """Thespian's `send`, without its bookkeeping where the address is a final one."""
        path = getattr(targetAddr.addressDetails, "path", None)
        if path is None or self._life is None:
            super().send(targetAddr, msg)
        else:
            self._life.transport.post(path, msg)

    # -- the containment

    def _begin(self) -> Any:
        return self.init()

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
                self._crash(error, message)
            return True
        return self._receive_other(message, sender)

    def _receive_other(self, message: Any, sender: str) -> bool:
        if isinstance(message, WatchEnded):
            if self.life.end_monitor(message.number):
                self._contain(self.handle_down, message.ref, message.reason)
        elif isinstance(message, LinkEnded):
            self._contain(self.handle_exit, message.ref, message.reason)
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
        elif isinstance(message, Shutdown):
            self._contain(self.exit, ExitReason("shutdown", message.why))
        elif is_thespians(message):
            return False
        else:
            self._contain(self.handle_info, message, sender)
        return True

    def _settle(self, note: Settled, sender: str) -> None:
        note.action()

    def _answer(self, call: Call, sender: str) -> None:
        caller = Caller(sender, call.number)
        try:
            request = self.life.opened(call, lambda: f"the request to {self.name}")
            check_addressee(request, self.name, self.has_children)
            value = self.handle_call(request, caller)
        except SlitherError as error:
            self.reply(caller, error=error)
        else:
            if value is not LATER:
                self.reply(caller, value)

    def reply(self, caller: Caller, value: Any = None, error: Exception | None = None) -> None:
        """Answer a call for which `handle_call` returned `LATER`. An answer that cannot be pickled becomes the error
        that says so."""
        try:
            outcome = sealed((value, error), lambda: f"the answer of {self.name} ({type(error or value).__name__})")
        except SlitherError as failure:
            outcome = sealed((None, failure), lambda: "an error")
        self._send_reply(caller.address, Reply(caller.number, outcome))

    def _send_reply(self, to: str, reply: Reply) -> None:
        self.post(to, reply)

    def _take_cast(self, cast: Cast, sender: str) -> None:
        try:
            request = self.life.opened(cast, lambda: "its request")
        except SlitherError as error:
            _log.error("%s: a cast from %s is lost: %s", self.name, sender, error)
        else:
            self.handle_cast(request)

    def _contain(self, action: Callable[..., Any], *args: Any) -> None:
        try:
            action(*args)
        except BaseException as error:
            self._crash(error, *args[:1])

    def _crash(self, error: BaseException, message: Any = None) -> None:
        """Die once, with the reason told: Thespian would run the message again and then live on half-changed."""
        life = self.life
        text = "".join(traceback.format_exception(error))
        with contextlib.suppress(Exception):
            _log.error("%s crashed: %s", self.name, traceback.format_exception_only(error)[-1].strip())
        if not life.leaving:
            with contextlib.suppress(Exception):
                self._say_goodbye(ExitReason("crash", text), life.handled(message))
        life.leave()


__all__ = ["IGNORE", "LATER", "Caller", "Monitor", "Server", "handles"]
