"""A small tree, started by hand from the layers below `system`."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path
from typing import Any, TypeVar

import attrs

from slither_actors._code import Code
from slither_actors._codec import encode
from slither_actors.errors import SystemDown
from slither_actors.otp.child import ChildSpec, ExitReason, Restart, Strategy, SupervisorOptions
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import (
    Down,
    Exiting,
    Init,
    ListProcesses,
    Resolve,
    Shutdown,
    StartChild,
    Started,
    StartFailed,
    Subscribe,
    Surroundings,
)
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.registry import Registry
from slither_actors.otp.root import Root
from slither_actors.otp.supervisor import Supervisor
from slither_actors.transport.launch import Host, launch
from slither_actors.transport.spawn import WaitingHost
from tests.helpers.patience import PATIENCE_S
from tests.system.leaves import Leaf

_M = TypeVar("_M")
LIMIT_S = PATIENCE_S
_SHELL = "slither_actors.otp.shell"
PATIENT = {"intensity": 1000, "period_s": 1.0}


def child(name: str, cls: type, *args: Any, **options: Any) -> ChildSpec:
    return ChildSpec(name, Code.of(cls), args, **options)


def supervisor(name: str, *children: ChildSpec, **options: Any) -> ChildSpec:
    return child(name, Supervisor, SupervisorOptions(**PATIENT | options), children, type="supervisor")


def standard_children() -> tuple[ChildSpec, ...]:
    """sup/one, sup/inner/two; and a place for children that a test starts."""
    return (
        supervisor("sup", child("one", Leaf), supervisor("inner", child("two", Leaf))),
        supervisor("guests", dynamic=True),
    )


class Tree:
    """A running tree and an endpoint to talk to it."""

    def __init__(self, name: str, children: tuple[ChildSpec, ...] | None = None, **options: Any) -> None:
        self.name = name
        with WaitingHost((_SHELL,)) as waiting:
            self.host: Host = launch(waiting, name, f"{_SHELL}.Shell")
        self.endpoint = Endpoint(self.host.directory, self.host.watch, lambda: SystemDown(name, ()))
        self.received: list[Any] = []
        self._guests = itertools.count()
        specs = (child("registry", Registry), *(standard_children() if children is None else children))
        root = SupervisorOptions(**PATIENT | {"strategy": Strategy.REST_FOR_ONE} | options)
        around = Surroundings(str(self.host.directory), None, self.endpoint.address, 20)
        init = Init("", 1, Code.of(Root), encode((root, specs)), self.endpoint.address, around)
        self.endpoint.post(self.host.root, init)

    @classmethod
    def up(cls, name: str, children: tuple[ChildSpec, ...] | None = None, **options: Any) -> Tree:
        tree = cls(name, children, **options)
        try:
            answer = tree.wait_for((Started, StartFailed), lambda message: message.name == "")
            assert isinstance(answer, Started), answer.error
        except BaseException:
            tree.end()
            raise
        tree.registry = answer.info
        return tree

    registry: str

    def wait_for(self, kind: Any, fits: Any = lambda message: True, limit_s: float = LIMIT_S) -> Any:
        """The first message of that kind that fits, also of those that were put aside before."""
        for message in self.received:
            if isinstance(message, kind) and fits(message):
                self.received.remove(message)
                return message
        deadline = time.monotonic() + limit_s
        while True:
            got = self.endpoint.receive(max(0.0, deadline - time.monotonic()))
            if got is not None:
                if isinstance(got[0], kind) and fits(got[0]):
                    return got[0]
                self.received.append(got[0])
            assert time.monotonic() < deadline, f"no fitting {kind}; got {self.received}"

    def drain(self) -> list[Any]:
        """All that has come so far."""
        while (got := self.endpoint.receive(0.0)) is not None:
            self.received.append(got[0])
        received, self.received = self.received, []
        return received

    def drain_until_down(self) -> None:
        """Take all that comes until the system is known to be down."""
        with contextlib.suppress(SystemDown):
            while self.endpoint.receive(LIMIT_S) is not None:
                pass

    def ref(self, name: str) -> Ref:
        return self.endpoint.call(self.registry, Resolve((name,)), LIMIT_S)[0]  # type: ignore[no-any-return]

    def call(self, name: str, *request: Any, timeout_s: float = LIMIT_S) -> Any:
        return self.endpoint.call(self.ref(name).address, request, timeout_s, name)

    def processes(self) -> dict[str, ProcessInfo]:
        return {info.ref.name: info for info in self.endpoint.call(self.registry, ListProcesses(), LIMIT_S)}

    def subscribe(self, prefix: str) -> None:
        self.endpoint.post(self.registry, Subscribe(prefix))

    def start(self, name: str, cls: type, *args: Any, **options: Any) -> Ref:
        """Start a guest under a name like this one; when it dies it is not started again."""
        unique = f"{name}{next(self._guests)}"
        spec = attrs.evolve(child(unique, cls, *args), **{"restart": Restart.TEMPORARY} | options)
        return self.endpoint.call(self.ref("guests").address, StartChild(spec), LIMIT_S)  # type: ignore[no-any-return]

    def end_of(self, ref: Ref) -> ExitReason:
        """Why a process ended, as soon as that is told."""
        down = self.wait_for(Down, lambda message: message.ref == ref)
        return down.reason  # type: ignore[no-any-return]

    def stop(self) -> ExitReason:
        """The orderly end; what the root said at last."""
        self.endpoint.post(self.host.root, Shutdown())
        said = self.wait_for(Exiting, lambda message: message.name == "")
        self.end()
        return said.reason  # type: ignore[no-any-return]

    def end(self) -> None:
        """The end without asking anybody; may be repeated."""
        self.endpoint.close()
        self.host.end(LIMIT_S)

    @property
    def directory(self) -> Path:
        return self.host.directory


def lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []
