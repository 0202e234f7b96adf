"""The pipes that run in a system: started when they are first needed, stopped when they idle."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors.config import DispatchConfig
from slither_actors.errors import InvalidOption, NoProcess, SlitherError, StartError, UnknownPool, shorten
from slither_actors.otp._children import REFUSAL
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.ref import Ref
from slither_actors.otp.supervisor import StartDynamic, TerminateDynamic
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.pipe.plan import pipe_spec
from slither_actors.system.client import RESTART_LIMIT_S, Client
from slither_actors.system.names import PIPES

# A pipe that was started by a run stops after this long without one.
IDLE_S = 30.0

_START_LIMIT_S = 60.0
_LONGEST_NAME = 40

# How long a stage that is not there is waited for before somebody looks why.
_GLANCE_S = 0.2


@attrs.define(eq=False)
class RunningPipe:
    """A pipe whose processes run, or are being started: `child_id` is what its supervisor is called among all pipes.

    `starting` is held while they are started and stopped, which may take long; `over` says that they were stopped for
    good.
    """

    pipe: PipeType
    child_id: str
    keep: bool = False
    runs: int = 0
    idle_since: float = 0.0
    up: bool = False
    over: bool = False
    starting: threading.Lock = attrs.field(factory=threading.Lock)

    @property
    def definition(self) -> PipeDefinition:
        return self.pipe.definition

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its stages' processes."""
        return tuple(f"{PIPES}/{self.child_id}/{stage.name}" for stage in self.definition.stages)


class Pipes:
    """Started pipes by class. None waits for the start of another one.

    Args:
        client: the connection to the tree.
        pools: names of the pools.
        config: defaults of options.
    """

    def __init__(self, client: Client, pools: tuple[str, ...], config: DispatchConfig) -> None:
        self._client = client
        self._pools = pools
        self._config = config
        # Re-entrant, since the garbage collector may end an abandoned stream anywhere, also within this lock.
        self._lock = threading.RLock()
        self._running: dict[PipeType, RunningPipe] = {}
        self._numbers = itertools.count(1)

    def begin(self, pipe: Any, *, keep: bool = False) -> RunningPipe:
        """A run of `pipe` begins; starts its processes if need be, and keeps them if wanted."""
        self._check_pools(checked(pipe).definition)
        while True:
            with self._lock:
                running = self._running.get(pipe)
                if running is None:
                    child_id = f"{pipe.definition.name[:_LONGEST_NAME]}-{next(self._numbers)}"
                    running = self._running[pipe] = RunningPipe(pipe, child_id)
                running.runs += 1
            try:
                if self._is_up(running):
                    running.keep = running.keep or keep
                    return running
            except BaseException:
                self.end(running)
                raise
            self.end(running)

    def end(self, running: RunningPipe) -> None:
        """A run is over."""
        with self._lock:
            running.runs -= 1
            running.idle_since = time.monotonic()

    def start(self, pipe: Any) -> None:
        """Start the processes of `pipe`, and keep them."""
        self.end(self.begin(pipe, keep=True))

    def stop(self, pipe: Any) -> bool:
        """Stop the processes of `pipe`; false if there were none."""
        with self._lock:
            running = self._running.pop(checked(pipe), None)
        if running is not None:
            self._terminate(running)
        return running is not None

    def stop_idle(self) -> None:
        """Stop what nobody has used for a while and nobody wants kept."""
        oldest = time.monotonic() - IDLE_S
        with self._lock:
            idle = [r for r in self._running.values() if r.up and not r.keep and not r.runs and r.idle_since < oldest]
            for running in idle:
                del self._running[running.pipe]
        for running in idle:
            with contextlib.suppress(SlitherError):  # it is gone already, or everything is
                self._terminate(running)

    def refs(self, running: RunningPipe) -> tuple[Ref, ...]:
        """Its stages' processes; those that are being restarted are waited for.

        Raises:
            StartError: they do not start again. NoProcess: they did not come back in time.
        """
        deadline = time.monotonic() + RESTART_LIMIT_S
        while True:
            try:
                return self._client.resolve(running.names, _GLANCE_S)
            except NoProcess:
                if time.monotonic() > deadline:
                    raise
                self._revive(running)

    def _revive(self, running: RunningPipe) -> None:
        """Start its processes again if their supervisor has forgotten them: one that was restarted has."""
        with running.starting:
            if running.over:
                return
            try:
                self._client.call(PIPES, StartDynamic(self._spec(running)), _START_LIMIT_S)
            except NoProcess:
                pass  # the supervisor itself is being restarted
            except StartError as error:
                if not error.reason.startswith(REFUSAL):  # they are there, and being restarted
                    raise

    def statistics(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {pipe.__name__: {"runs": run.runs, "kept": run.keep} for pipe, run in self._running.items()}

    def _is_up(self, running: RunningPipe) -> bool:
        """Start the processes unless they run; false when somebody has stopped them for good meanwhile."""
        with running.starting:
            if not running.up and not running.over:
                try:
                    self._client.call(PIPES, StartDynamic(self._spec(running)), _START_LIMIT_S)
                    # the supervisor's answer may overtake its word to the registry
                    self._client.resolve((f"{PIPES}/{running.child_id}", *running.names), RESTART_LIMIT_S)
                except BaseException:
                    running.over = True
                    with self._lock:
                        if self._running.get(running.pipe) is running:
                            del self._running[running.pipe]
                    raise
                running.up = True
            return not running.over

    def _spec(self, running: RunningPipe) -> ChildSpec:
        return pipe_spec(running.child_id, running.definition, Code.by_path(running.pipe), self._config)

    def _check_pools(self, definition: PipeDefinition) -> None:
        for stage in definition.stages:
            if isinstance(stage.declaration, WorkerDeclaration):
                pool = definition.dispatch_options(stage, self._config).pool
                if pool not in self._pools:
                    raise UnknownPool(pool, self._pools)

    def _terminate(self, running: RunningPipe) -> None:
        with running.starting:
            running.over = True
            if running.up:
                running.up = False
                self._client.call(PIPES, TerminateDynamic(running.child_id), _START_LIMIT_S)


def checked(pipe: Any) -> PipeType:
    """The pipe, if it is one.

    Raises:
        InvalidOption: it is no subclass of `Pipe`.
    """
    if not isinstance(pipe, PipeType) or pipe is Pipe:
        raise InvalidOption("system", "pipe", shorten(pipe), "a subclass of slither_actors.Pipe")
    return pipe
