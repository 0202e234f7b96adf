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

from slither_actors.errors import SlitherError, StartError
from slither_actors.otp import _actions as act
from slither_actors.otp._children import Process, Request, last_line, reason_of, refusal
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp.child import ChildSpec, ExitReason, SupervisorOptions
from slither_actors.otp.messages import (
    CountChildren,
    DeleteChild,
    Down,
    Exiting,
    Forgotten,
    Forward,
    GetChildSpec,
    Init,
    KillProcess,
    Reply,
    RestartChild,
    Shutdown,
    StartChild,
    Started,
    StartFailed,
    Surroundings,
    TerminateChild,
    Up,
    WhichChildren,
)
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import LATER, Caller, Server, handles
from slither_actors.otp.shell import Shell
from slither_actors.transport.process import held_still, kill_group, kill_leftovers
from slither_actors.transport.rundir import remove_sockets

_log = logging.getLogger(__name__)


class Supervisor(Server):
    """A supervisor as OTP knows it, over real processes. User code never runs in it.

    Args:
        options: strategy, restart budget.
        specs: the initial children, in start order.
    """

    def __init__(self, options: SupervisorOptions, specs: Iterable[ChildSpec] = ()) -> None:
        self._core = SupervisorCore(options, tuple(specs))
        self._processes: dict[tuple[str, int], Process] = {}
        self._why = ""  # what led to the end of this supervisor, if that was no wish

    def init(self) -> Any:
        self._surroundings = self.life.surroundings
        self._act(self._core.start(time.monotonic()))
        return LATER

    # -- what subclasses may override

    def autopsy(self, ref: Ref) -> Any:
        """Called when a child is dead; what it finds is passed on with `Down`, and to `charges`."""
        return None

    def at_work(self, ref: Ref) -> int | None:
        """What a child is at work on now, for those who want it killed for that alone."""
        return None

    def charges(self, ref: Ref | None, reason: ExitReason, finding: Any) -> bool:
        """Whether this exit counts against the restart budget."""
        return True

    def child_up(self, ref: Ref, info: Any) -> None:
        """Called when a child is up; `info` is what its `init` returned."""

    def gave_up(self, causes: Sequence[str]) -> None:
        """Called when the restart budget is spent, before this process exits."""

    @property
    def surroundings(self) -> Surroundings:
        """What children are told of the system; a subclass may change it while it starts them."""
        return self._surroundings

    @surroundings.setter
    def surroundings(self, value: Surroundings) -> None:
        self._surroundings = value

    def refs(self) -> list[Ref]:
        """The children that are up."""
        return [process.ref for process in self._processes.values() if process.ref is not None]

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

    @handles(StartFailed)
    def _on_start_failed(self, message: StartFailed, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is not None:
            process.stop_timer()
            self._start_failed(process, message.error)

    def _start_failed(self, process: Process, error: str) -> None:
        reason = ExitReason("start_failed", error)
        self._act(self._core.child_start_failed(process.spec.id, process.incarnation, reason, time.monotonic()))

    @handles(Exiting)
    def _on_exiting(self, message: Exiting, sender: str) -> None:
        process = self._find(message.name, message.incarnation)
        if process is not None:
            process.announced = message.reason

    @handles(KillProcess)
    def _on_kill(self, message: KillProcess, sender: str) -> None:
        self._kill_as_told(message)

    def _kill_as_told(self, message: KillProcess) -> bool:
        process = self._find(message.ref.name, message.ref.incarnation)
        if process is None or process.handle.exitcode is not None:
            return False
        with held_still(process.pid):  # or it could begin with something else between the look and the kill
            if message.only not in (None, self.at_work(message.ref)):
                return False
            process.announced = ExitReason("killed", message.why)
            process.ordered = True
            self._kill(process)
        return True

    @handles(Shutdown)
    def _on_shutdown(self, message: Shutdown, sender: str) -> None:
        self._why = message.why
        self._act(self._core.stop(time.monotonic()))

    def handle_info(self, message: Any, sender: str) -> None:
        if not isinstance(message, ChildActorExited):  # the kernel tells us more, and once
            super().handle_info(message, sender)

    def handle_call(self, request: Any, caller: Caller) -> Any:
        core, now = self._core, time.monotonic()
        match request:
            case StartChild(spec):
                self._act(core.start_child(spec, now, Request(caller, spec.id)))
            case TerminateChild(child_id):
                self._act(core.terminate_child(child_id, now, Request(caller, child_id)))
            case RestartChild(child_id):
                self._act(core.restart_child(child_id, now, Request(caller, child_id)))
            case DeleteChild(child_id):
                self._act(core.delete_child(child_id, Request(caller, child_id)))
            case GetChildSpec(child_id):
                found = core.get_childspec(child_id)
                if isinstance(found, act.ApiError):
                    raise refusal(self._child_name(child_id), found)
                return found
            case WhichChildren():
                return core.which_children()
            case CountChildren():
                return core.count_children()
            case KillProcess():
                return self._kill_as_told(request)
            case _:
                return super().handle_call(request, caller)
        return LATER

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
        name = self._child_name(spec.id)
        siblings = {id(info.childProc) for info in getattr(self._myRef, "_child_procs", ())}
        local = self.createActor(Shell)
        handle = self._myRef._child_procs[-1].childProc if hasattr(self._myRef, "_child_procs") else None
        if handle is None or id(handle) in siblings:  # Thespian says nothing when the fork fails
            self._cannot_start(key, "no process could be made; is a limit reached (ulimit -u)?")
            return
        process = self._processes[key] = Process(spec, action.incarnation, handle, os.pidfd_open(handle.pid))
        self.life.transport.hub.watch(process.watch, lambda: self._died(process))
        limit = spec.start_timeout_s
        if limit is not None:
            text = f"not up after {limit:g} s (its start_timeout_s)"
            process.timer = self.start_timer(limit, lambda: self._start_failed(process, text))
        init = Init(name, action.incarnation, spec.start, spec.args, self.address, self.surroundings)
        # Thespian keeps it until the shell has an address
        super(Server, self).send(local, init)

    def _cannot_start(self, key: tuple[str, int], problem: str) -> None:
        reason, now = ExitReason("start_failed", problem), time.monotonic()
        self.start_timer(0.0, lambda: self._act(self._core.child_exited(*key, reason, now)))

    def _do_stop(self, action: act.StopChild) -> None:
        process = self._processes.get((action.child_id, action.incarnation))
        if process is None:
            return
        process.stop_timer()
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
            self._kill(process)

    def _kill(self, process: Process) -> None:
        # asking for the exit code reaps a dead child, so a pid that is still ours to kill is not another's yet
        if process.handle.exitcode is None:
            kill_group(process.pid)

    def _do_retry(self, action: act.RetryLater) -> None:
        self.start_timer(0.0, lambda: self._act(self._core.retry(time.monotonic())))

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
        causes = [f"{self._child_name(cause.child_id)}: {cause.reason}" for cause in action.causes]
        _log.error("%s gives up: its children died too often", self.name or "the root supervisor")
        self.gave_up(causes)
        # the whole of it, and behind it in one line the exit that was one too many, for those who have no more room
        self.exit(attrs.evolve(action.reason, text="\n".join([*causes, self._told(action.causes[-1])])))

    def _do_stopped(self, action: act.Stopped) -> None:
        self.exit(ExitReason("shutdown", self._why))

    def _do_reply(self, action: act.Reply) -> None:
        request = action.token
        assert isinstance(request, Request)
        name, caller = self._child_name(request.child_id), request.caller
        process = self._processes.get((request.child_id, action.value or 0))
        if isinstance(action.error, act.ApiError):
            self.reply(caller, error=refusal(name, action.error))
        elif isinstance(action.error, ExitReason):
            self.reply(caller, error=StartError(name, action.error.text or action.error.kind))
        elif action.value is None:
            self.reply(caller)
        elif process is not None and process.ref is not None:
            self.reply(caller, process.ref)
        else:
            self.reply(caller, error=StartError(name, "it ended at once"))

    def _do_forgotten(self, action: act.Forgotten) -> None:
        self._tell_registry(Forgotten(self._child_name(action.child_id)))

    def _do_restarted(self, action: act.Restarted) -> None:
        _log.warning("%s was restarted: %s", self._child_name(action.child_id), last_line(action.cause))

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
        reason = process.announced or reason_of(process.handle.exitcode)
        finding = self.autopsy(process.ref) if process.ref else None
        charge = not process.ordered and self.charges(process.ref, reason, finding)
        remove_sockets(Path(self.surroundings.directory), process.pid)
        if process.ref is not None:
            self._tell_registry(Down(process.ref, reason, finding))
        now = time.monotonic()
        self._act(self._core.child_exited(process.spec.id, process.incarnation, reason, now, charge=charge))

    # -- names

    def _child_name(self, child_id: str) -> str:
        return f"{self.name}/{child_id}" if self.name else child_id

    def _find(self, name: str, incarnation: int) -> Process | None:
        return self._processes.get((name.rpartition("/")[2], incarnation))

    def _tell_registry(self, news: Up | Down | Forgotten) -> None:
        registry = self.surroundings.registry
        if registry is not None and (isinstance(news, Forgotten) or registry != news.ref.address):
            self.post(registry, news)
