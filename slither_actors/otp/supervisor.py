"""`Supervisor`: the actor around `SupervisorCore`. It starts, stops and kills processes; the core decides which."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
from thespian.actors import ChildActorExited

from slither_actors import telemetry
from slither_actors.errors import SlitherError
from slither_actors.logs import about
from slither_actors.otp import _actions as act
from slither_actors.otp._children import Process, reason_of, spawn, why_no_process
from slither_actors.otp._inquest import Work
from slither_actors.otp._parent import Parent
from slither_actors.otp._requests import Requests
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp.child import ChildSpec, ExitReason, SupervisorOptions, checked_plan, last_line
from slither_actors.otp.messages import (
    Down,
    Forgotten,
    Forward,
    Ignored,
    Init,
    KillProcess,
    Reply,
    Shutdown,
    Started,
    StartFailed,
    Up,
)
from slither_actors.otp.ref import Ref
from slither_actors.otp.reports import tell
from slither_actors.otp.server import IGNORE, LATER, Caller, Server, handles
from slither_actors.transport.process import kill_leftovers
from slither_actors.transport.rundir import remove_sockets

_log = logging.getLogger(__name__)


class Supervisor(Parent):
    """A supervisor as OTP knows it, over real processes.

    A subclass overrides `init` where options and children are to be made in the process of the supervisor. That is all
    of a user's code that ever runs in one.

    Args:
        options: strategy, restart budget; left out, those by default.
        specs: the initial children, in start order.
    """

    def __init__(self, options: SupervisorOptions | None = None, specs: Iterable[ChildSpec] = ()) -> None:
        self._plan = options or SupervisorOptions(), specs

    def init(self) -> Any:
        """Called once in the process of the supervisor.

        Returns:
            `SupervisorOptions` and the children in start order, or `IGNORE`. Anything else, and what it raises, is a
            failed start.
        """
        return self._plan

    def _begin(self) -> Any:
        plan = self.init()
        if plan is IGNORE:
            return IGNORE
        options, specs = checked_plan(type(self).__name__, plan)
        self._take_charge()
        self._why = ""  # what led to the end of this supervisor, if that was no wish
        self._core = SupervisorCore(options, specs, pause_s=self.uncharged_s, ruled=self._coroner.inquest.ruled)
        self._requests = Requests(self._core, self.name, self._ref_of)
        self._act(self._core.start(time.monotonic()))
        return LATER

    # -- what subclasses may override

    def autopsy(self, ref: Ref) -> Any:
        """Called when a child is dead; what it finds is passed on with `Down`, and to `charges`."""
        return None

    def charges(self, ref: Ref | None, reason: ExitReason, finding: Any) -> bool:
        """Whether this exit counts against the restart budget."""
        return True

    def uncharged_s(self, child: str, reason: ExitReason, now: float) -> float | None:
        """After how many seconds a child that died is restarted without a charge; `None` charges its restart."""
        return None

    def child_up(self, ref: Ref, info: Any) -> None:
        """Called when a child is up; `info` is what its `init` returned."""

    def child_down(self, process: Process, reason: ExitReason) -> None:
        """Called when a child that was up is dead, before its `autopsy`."""

    def gave_up(self, causes: Sequence[str]) -> None:
        """Called when the restart budget is spent, before this process exits."""

    # -- messages

    @handles(Started)
    def _on_started(self, message: Started, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is None or process.ref is not None:
            return
        process.stop_timer()
        process.ref = Ref(message.name, message.incarnation, sender, message.pid)
        self._tell_registry(Up(process.ref, process.spec.type))
        self.child_up(process.ref, message.info)
        self._act(self._core.child_started(process.spec.id, process.incarnation, time.monotonic()))

    @handles(Ignored)
    def _on_ignored(self, message: Ignored, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is not None:
            process.ignored = True
            self._act(self._core.child_ignored(process.spec.id, process.incarnation, time.monotonic()))

    @handles(StartFailed)
    def _on_start_failed(self, message: StartFailed, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is not None:
            process.stop_timer()
            self._start_failed(process, message.error)

    def _start_failed(self, process: Process, error: str) -> None:
        reason = process.failure = ExitReason("start_failed", error)
        self._act(self._core.child_start_failed(process.spec.id, process.incarnation, reason, time.monotonic()))

    @handles(Shutdown)
    def _on_shutdown(self, message: Shutdown, sender: str) -> None:
        self._why = message.why
        self._act(self._core.stop(time.monotonic()))

    def handle_info(self, message: Any, sender: str) -> None:
        if not isinstance(message, ChildActorExited):  # the kernel tells us more, and once
            super().handle_info(message, sender)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, KillProcess):
            return self._kill_as_told(request)
        answer = self._requests.answer(request)
        if answer is not None:
            return answer
        actions = self._requests.carry_out(request, caller, time.monotonic())
        if actions is None:
            return super().handle_call(request, caller)
        self._act(actions)
        return LATER

    def handle_exit(self, ref: Ref, reason: ExitReason) -> None:
        """A supervisor decides by the exits of its children, and by no link."""

    def _send_reply(self, to: str, reply: Reply) -> None:
        # by way of the registry, so that whoever has the answer finds there what it tells of
        registry = self.surroundings.registry
        if registry is None:
            self.post(to, reply)
        else:
            self.post(registry, Forward(to, reply))

    # -- what the core wants done

    def _act(self, actions: Iterable[act.Action]) -> None:
        for action in actions:
            self._ACTIONS[type(action)](self, action)

    def _do_start(self, action: act.StartChild) -> None:
        key = (action.child_id, action.incarnation)
        try:
            spec = action.spec.sealed()
        except SlitherError as error:
            self._cannot_start(key, str(error))
            return
        spawned = spawn(self, self._coroner.sink)
        if spawned is None:
            self._cannot_start(key, why_no_process())
            return
        address, handle, ear = spawned
        process = self._processes[key] = Process(spec, action.incarnation, handle, os.pidfd_open(handle.pid), ear)
        self._coroner.attend(process)
        self.life.transport.hub.watch(process.watch, lambda: self._died(process))
        limit = spec.start_timeout_s
        if limit is not None:
            text = f"not up after {limit:g} s (its start_timeout_s)"
            process.timer = self.start_timer(limit, lambda: self._start_failed(process, text))
        name, around = self._child_name(spec.id), self.surroundings
        init = Init(name, action.incarnation, spec.start, spec.args, self.address, around, spec.busy_limit_s)
        # Thespian keeps it until the shell has an address
        super(Server, self).send(address, init)

    def _cannot_start(self, key: tuple[str, int], problem: str) -> None:
        reason, now = ExitReason("start_failed", problem), time.monotonic()
        self.start_timer(0.0, lambda: self._act(self._core.child_exited(*key, reason, now)))

    def _do_stop(self, action: act.StopChild) -> None:
        process = self._processes.get((action.child_id, action.incarnation))
        if process is None:
            return
        process.stop_timer()
        process.stopping = True
        if process.ref is not None:
            self.post(process.ref.address, Shutdown(self._why or self._told(action.cause)))
        if action.shutdown_s is not None:
            process.timer = self.start_timer(
                action.shutdown_s,
                lambda: self._act(self._core.child_stop_timeout(action.child_id, action.incarnation)),
            )

    def _told(self, cause: act.Cause | None) -> str:
        return f"{self._child_name(cause.child_id)}: {last_line(cause.reason)}" if cause else ""

    def _do_kill(self, action: act.KillChild) -> None:
        process = self._processes.get((action.child_id, action.incarnation))
        if process is not None:
            process.overdue = process.stopping
            process.unasked = not process.stopping and process.failure is None
            self._kill(process)

    def _do_retry(self, action: act.RetryLater) -> None:
        self.start_timer(action.pause_s, lambda: self._act(self._core.retry(time.monotonic())))

    def _do_started(self, action: act.Started) -> None:
        self.started(self.start_info())

    def start_info(self) -> Any:
        """What the parent is told when all children are up."""
        return None

    def _do_start_failed(self, action: act.StartFailed) -> None:
        life = self.life
        name, error = self._child_name(action.child_id), action.reason.text or action.reason.kind
        if not error.startswith(f"{name}/"):  # else it names one further down already
            error = f"{name}: {error}"
        self.post(life.parent, StartFailed(life.name, life.incarnation, error))
        life.leave()

    def _do_give_up(self, action: act.GiveUp) -> None:
        self._coroner.inquest.close_all()
        causes = self._coroner.inquest.explained(action.causes)
        _log.error("%s gives up: its children died too often", self.name or "the root supervisor")
        cause = action.causes[-1]
        self._report("give_up", {}, self._child_name(cause.child_id), cause.reason)
        self.gave_up(causes)
        # the whole of it, and behind it in one line the exit that was one too many, for those who have no more room
        self.exit(attrs.evolve(action.reason, text="\n".join([*causes, self._told(action.causes[-1])])))

    def _do_stopped(self, action: act.Stopped) -> None:
        self._coroner.inquest.close_all()
        self.exit(ExitReason("shutdown", self._why))

    def _do_reply(self, action: act.Reply) -> None:
        self.reply(*self._requests.reply(action))

    def _do_forgotten(self, action: act.Forgotten) -> None:
        self._tell_registry(Forgotten(self._child_name(action.child_id)))

    def _do_restarted(self, action: act.Restarted) -> None:
        name = self._child_name(action.child_id)
        _log.warning("%s was restarted: %s", name, last_line(action.cause), extra=about(child=name))
        away_s = self._coroner.inquest.away_s(action.child_id, action.old_incarnation)
        self._report("restart", {} if away_s is None else {"away_s": away_s}, name, action.cause)

    def _report(self, what: str, measurements: dict[str, float], process: str, reason: ExitReason) -> None:
        about = {"supervisor": self.name or "root", "process": process, "reason": reason.kind}
        tell(self, (*telemetry.SUPERVISOR, what), measurements, **about, error=last_line(reason))

    _ACTIONS: dict[type, Callable[[Any, Any], None]] = {  # noqa: RUF012 - a table, never changed
        act.StartChild: _do_start,
        act.StopChild: _do_stop,
        act.KillChild: _do_kill,
        act.RetryLater: _do_retry,
        act.Started: _do_started,
        act.StartFailed: _do_start_failed,
        act.GiveUp: _do_give_up,
        act.Stopped: _do_stopped,
        act.Forgotten: _do_forgotten,
        act.Reply: _do_reply,
        act.Restarted: _do_restarted,
    }

    # -- deaths

    def _died(self, process: Process) -> None:
        """The kernel says that the child is dead; what it sent before is read first."""
        self.life.transport.hub.unwatch(process.watch)
        os.close(process.watch)
        kill_leftovers(process.pid)
        # all its addresses; those of a child that died in its start were never told
        addresses = os.path.join(self.surroundings.directory, f"{process.pid}.")
        self.life.after_arrivals(addresses, lambda: self._bury(process))

    def _bury(self, process: Process) -> None:
        process.stop_timer()
        process.handle.join(1.0)
        self._processes.pop((process.spec.id, process.incarnation), None)
        reason = process.announced or reason_of(process, self.surroundings.directory)
        self._coroner.examine(process, reason, self.last_work(process.ref) if process.ref else Work())
        if process.ref is not None:
            self.child_down(process, reason)
        finding = self.autopsy(process.ref) if process.ref else None
        charge = not process.ordered and self.charges(process.ref, reason, finding)
        remove_sockets(Path(self.surroundings.directory), process.pid)
        # what is written down about it is there before anybody hears of it
        now = time.monotonic()
        actions = self._core.child_exited(process.spec.id, process.incarnation, reason, now, charge=charge)
        if process.ref is not None:
            self._tell_registry(Down(process.ref, reason, finding))
        self._act(actions)
