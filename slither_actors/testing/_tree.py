"""The supervision tree of a simulation: it starts the library's own child specs, and starts again what has died."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.otp.child import ChildSpec, ExitReason, Strategy, SupervisorOptions
from slither_actors.otp.messages import Down, KillProcess, Surroundings, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.registry import Directory, Registry
from slither_actors.otp.server import Server
from slither_actors.pipe.balancer import Balancer
from slither_actors.pipe.stage import Stage
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._worker import SimulatedWorker
from slither_actors.testing._world import Action, World
from slither_actors.workers._page import Figures
from slither_actors.workers.messages import Staffing, WatchStaff, WorkerEmpty
from slither_actors.workers.pool import Pool
from slither_actors.workers.process import Worker

REGISTRY = "registry"

# Longer than any batch is waited for; how often something is restarted is another matter than what a restart does.
_RESTART_S = 0.02


@attrs.define(eq=False)
class _Supervisor:
    """Stands in for one supervisor. It has an address and kills whom it is told to; it never dies."""

    address: str
    tree: Tree
    strategy: Strategy
    children: list[tuple[str, ChildSpec]]
    busy: bool = False
    pool: str | None = None
    watching: int = 0
    retiring: dict[str, Ref] = attrs.field(factory=dict)  # by address

    def receive(self, message: Any, sender: str) -> None:
        if isinstance(message, KillProcess):
            process = self.tree.processes.get(message.ref.address)
            if process is not None and message.only in (None, process.finding):
                self.tree.death(message.ref.address, message.why, "is killed")
        elif isinstance(message, WatchStaff):
            if message.incarnation >= self.watching:
                self.watching, self.pool = message.incarnation, sender
                self._tell_pool()
        elif isinstance(message, WorkerEmpty) and message.worker.address in self.retiring:
            self.tree.death(message.worker.address, "", "retires")

    def replace(self, worker: str) -> None:
        """A worker is worn out; one at a time is replaced."""
        if not self.retiring:
            process = self.tree.processes[worker]
            assert isinstance(process, SimulatedWorker)
            process.retires = True
            self.retiring[worker] = process.ref
            self.tree.hire(self)
            self.children = [child for child in self.children if child[0] != process.ref.name]
            self._tell_pool()

    def gone(self, worker: str) -> None:
        """A worker is dead."""
        if self.retiring.pop(worker, None) is not None:
            self._tell_pool()

    def _tell_pool(self) -> None:
        if self.pool is not None:
            self.tree.world.send(self.address, self.pool, Staffing(tuple(self.retiring.values()), (), None))

    def actions(self) -> list[Action]:
        return []

    def wakes_at(self) -> float | None:
        return None


class Tree:
    """Names, incarnations, deaths and restarts.

    Args:
        world: where it lives.
        directory: a folder that processes may write to.
    """

    def __init__(self, world: World, directory: str) -> None:
        self.world = world
        self.processes: dict[str, SimulatedProcess] = {}
        self.deaths: list[str] = []
        self.failure: Exception | None = None
        self._up: dict[str, Ref] = {}
        self._incarnations: dict[str, int] = {}
        self._exits: dict[str, ExitReason] = {}
        self._supervisors: dict[str, _Supervisor] = {}  # by the names of their children
        self._watches: list[tuple[str, Any]] = []
        self._surroundings = Surroundings(directory, REGISTRY, None, 0)
        ref = Ref(REGISTRY, 1, REGISTRY, 1)
        registry = Registry(Directory(world.nodes.__contains__))
        self.registry = SimulatedProcess(world, registry, ref, "", self._surroundings)

    # -- growing

    def grow(self, prefix: str, spec: ChildSpec) -> None:
        """Start a child and all below it.

        Raises:
            StartError: something does not start.
        """
        name = f"{prefix}/{spec.id}"
        if spec.type != "supervisor":
            self._start(name, spec)
            return
        options, children, *_ = _arguments(spec)
        assert isinstance(options, SupervisorOptions)
        named = [(f"{name}/{child.id}", child) for child in children]
        supervisor = _Supervisor(name, self, options.strategy, named)
        self.world.nodes[name] = supervisor
        self._supervisors |= {child: supervisor for child, _ in named}
        self._report(name, Up(Ref(name, 1, name, 0), spec.type))
        for _, child in named:
            self.grow(name, child)

    def add(self, supervisor: str, spec: ChildSpec) -> None:
        """Start one child more of a supervisor that is up.

        Raises:
            StartError: it does not start.
        """
        above = self.world.nodes[supervisor]
        assert isinstance(above, _Supervisor)
        name = f"{supervisor}/{spec.id}"
        above.children.append((name, spec))
        self._supervisors[name] = above
        self._start(name, spec)

    def hire(self, supervisor: _Supervisor) -> None:
        """Start one more worker, like the others."""
        spec = supervisor.children[0][1]
        name = f"{supervisor.address}/worker-{len(self._incarnations) + 1}-new"
        supervisor.children.append((name, spec))
        self._supervisors[name] = supervisor
        self._start(name, spec)

    def _start(self, name: str, spec: ChildSpec) -> None:
        number = self._incarnations[name] = self._incarnations.get(name, 0) + 1
        supervisor = self._supervisors[name]
        ref = Ref(name, number, f"{name}#{number}", self._new_pid())
        server: Server = spec.sealed().start.load()(*_arguments(spec))
        if isinstance(server, Worker):
            process: SimulatedProcess = SimulatedWorker(
                self.world, server, ref, supervisor.address, self._surroundings, self.death, supervisor.replace
            )
        else:
            process = _Mortal(self.world, server, ref, supervisor.address, self._surroundings, self)
        if isinstance(server, Pool):
            server._page = self._page  # type: ignore[method-assign]  # no file, since there is no process
        self.processes[ref.address] = process
        self._up[name] = ref
        self._report(supervisor.address, Up(ref, spec.type))

    def _new_pid(self) -> int:
        return 1000 + sum(self._incarnations.values())

    def _page(self, worker: Ref) -> Figures:
        process = self.processes.get(worker.address)
        return Figures(number=process.finding) if process is not None else Figures()

    def _report(self, supervisor: str, news: Up | Down) -> None:
        self.world.send(supervisor, REGISTRY, news)

    # -- dying

    def death(self, address: str, text: str, what: str) -> None:
        """A process dies, and those that cannot live without it."""
        name = self.processes[address].ref.name
        supervisor = self._supervisors[name]
        self.world.trace.note(self.world.now, address, what)
        fallen = [(name, text)]
        if supervisor.strategy is Strategy.REST_FOR_ONE:
            names = [child for child, _ in supervisor.children]
            later = names[names.index(name) + 1 :]
            fallen += [(other, f"{name} died") for other in later if other in self._up]
        for other, why in fallen:
            self._end(other, why, supervisor)
        gone = {other for other, _ in fallen}
        specs = [child for child in supervisor.children if child[0] in gone]
        self.world.after(self.world.rng.random() * _RESTART_S, lambda: self._restart(specs))

    def _restart(self, specs: list[tuple[str, ChildSpec]]) -> None:
        for name, spec in specs:
            if name not in self._up:
                self._start(name, spec)

    def _end(self, name: str, why: str, supervisor: _Supervisor) -> None:
        ref = self._up.pop(name)
        process = self.processes.pop(ref.address)
        self.deaths.append(name)
        reason = self._exits[ref.address] = ExitReason("killed", why)
        self.world.watcher.died(process)
        self.world.leave(ref.address)
        self._report(supervisor.address, Down(ref, reason, process.finding))
        supervisor.gone(ref.address)
        self._tell_watches(ref)

    def _tell_watches(self, ref: Ref) -> None:
        for address, note in [watch for watch in self._watches if watch[0] == ref.address]:
            self._watches.remove((address, note))
            note()

    # -- looking

    def find(self, name: str) -> Ref | None:
        """Who runs under a name now."""
        return self._up.get(name)

    def last_exit(self, ref: Ref) -> str:
        reason = self._exits.get(ref.address)
        return str(reason) if reason else "unknown"

    def watch(self, ref: Ref, note: Action) -> Action:
        """Have `note` called when the process is dead; returns what ends the watch."""
        entry = (ref.address, note)
        self._watches.append(entry)
        return lambda: self._watches.remove(entry) if entry in self._watches else None


class _Mortal(SimulatedProcess):
    """An actor that may crash behind any message it has handled."""

    def __init__(
        self, world: World, server: Server, ref: Ref, parent: str, surroundings: Surroundings, tree: Tree
    ) -> None:
        self._tree = tree
        faults = world.faults
        kinds = ((Pool, faults.pool_crashes), ((Dispatcher, Stage, Balancer), faults.node_crashes))
        self._crashes = next((chance for kind, chance in kinds if isinstance(server, kind)), 0.0)
        super().__init__(world, server, ref, parent, surroundings)

    def receive(self, message: Any, sender: str) -> None:
        super().receive(message, sender)
        if self.world.chance(self._crashes) and self.address in self._tree.processes:
            self._tree.death(self.address, "SIGKILL", "crashes")


def _arguments(spec: ChildSpec) -> tuple[Any, ...]:
    args: tuple[Any, ...] = spec.sealed().args.open(f"arguments of {spec.id}")  # as another process would find them
    return args
