"""The pipes that run in a system: started when they are first needed, stopped when they idle."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors.config import DispatchConfig
from slither_actors.errors import InvalidOption, UnknownPool, shorten
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.supervisor import StartDynamic, TerminateDynamic
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.pipe.plan import pipe_spec
from slither_actors.system.names import PIPES

# A pipe that was started by a run stops after this long without one.
IDLE_S = 30.0

_START_LIMIT_S = 60.0
_LONGEST_NAME = 40


@attrs.define(eq=False)
class RunningPipe:
    """A pipe whose processes run: `prefix` is the name of its supervisor."""

    prefix: str
    definition: PipeDefinition
    keep: bool
    runs: int = 0
    idle_since: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its stages' processes."""
        return tuple(f"{self.prefix}/{stage.name}" for stage in self.definition.stages)


class Pipes:
    """Started pipes by class.

    Args:
        call: asks a process by name: `call(name, request, timeout_s)`.
        pools: names of the pools.
        config: defaults of options.
    """

    def __init__(self, call: Callable[[str, Any, float], Any], pools: tuple[str, ...], config: DispatchConfig) -> None:
        self._call = call
        self._pools = pools
        self._config = config
        self._lock = threading.Lock()
        self._running: dict[PipeType, RunningPipe] = {}
        self._numbers = itertools.count(1)

    def begin(self, pipe: Any) -> RunningPipe:
        """A run of `pipe` begins; starts its processes if need be."""
        with self._lock:
            running = self._ensure(pipe, keep=False)
            running.runs += 1
            return running

    def end(self, running: RunningPipe) -> None:
        """A run is over."""
        with self._lock:
            running.runs -= 1
            running.idle_since = time.monotonic()

    def start(self, pipe: Any) -> None:
        """Start the processes of `pipe`, and keep them."""
        with self._lock:
            self._ensure(pipe, keep=True).keep = True

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
            for pipe, running in list(self._running.items()):
                if not running.keep and not running.runs and running.idle_since < oldest:
                    del self._running[pipe]
                    self._terminate(running)

    def statistics(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {pipe.__name__: {"runs": run.runs, "kept": run.keep} for pipe, run in self._running.items()}

    def _ensure(self, pipe: Any, *, keep: bool) -> RunningPipe:
        running = self._running.get(checked(pipe))
        if running is None:
            definition = pipe.definition
            self._check_pools(definition)
            child_id = f"{definition.name[:_LONGEST_NAME]}-{next(self._numbers)}"
            self._call(PIPES, StartDynamic(self._spec(child_id, pipe)), _START_LIMIT_S)
            running = self._running[pipe] = RunningPipe(f"{PIPES}/{child_id}", definition, keep)
        return running

    def _spec(self, child_id: str, pipe: PipeType) -> ChildSpec:
        code = Code.of(pipe)
        if code.path is None:
            code = Code.of_value(pipe.definition, code.name)
        return pipe_spec(child_id, pipe.definition, code, self._config)

    def _check_pools(self, definition: PipeDefinition) -> None:
        for stage in definition.stages:
            if isinstance(stage.declaration, WorkerDeclaration):
                pool = definition.dispatch_options(stage, self._config).pool
                if pool not in self._pools:
                    raise UnknownPool(pool, self._pools)

    def _terminate(self, running: RunningPipe) -> None:
        self._call(PIPES, TerminateDynamic(running.prefix.rpartition("/")[2]), _START_LIMIT_S)


def checked(pipe: Any) -> PipeType:
    """The pipe, if it is one.

    Raises:
        InvalidOption: it is no subclass of `Pipe`.
    """
    if not isinstance(pipe, PipeType) or pipe is Pipe:
        raise InvalidOption("system", "pipe", shorten(pipe), "a subclass of slither_actors.Pipe")
    return pipe
