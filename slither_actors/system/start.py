"""`start`: from nothing to a running tree, or to nothing with a reason."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.errors import InvalidOption, SlitherError, StartError, SystemDown, UnsupportedPlatform, shorten
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import Init, Started, StartFailed, Surroundings
from slither_actors.otp.registry import Registry
from slither_actors.otp.supervisor import REGISTRY, Root, Supervisor
from slither_actors.system.names import CHILDREN, DISPATCHER, PIPES, POOLS
from slither_actors.system.pipes import checked
from slither_actors.system.system import System
from slither_actors.transport.hub import Unread
from slither_actors.transport.launch import Host, launch
from slither_actors.worker.pool import pool_spec

_START_LIMIT_S = 60.0
_MOST_WORKERS = 512


def start(
    *,
    name: str | None = None,
    pools: Mapping[str, int] | None = None,
    pipes: Iterable[Any] = (),
    children: Iterable[ChildSpec] = (),
    config: Config | Mapping[str, Any] | None = None,
    base: str = "unix",
) -> System:
    """Start a system: processes that belong to this one, and die with it.

    Returns when every worker answers. Safe to call from any thread.

    Args:
        name: what others call the system; two systems of one name cannot run at once. A fresh one by default.
        pools: worker pools, name to size; `{"default": number of processors}` by default.
        pipes: pipe classes to start at once and keep running.
        children: child specs of your own actors, put under a supervisor of their own.
        config: a `Config`, or nested mappings with some of its keys.
        base: `"unix"`, the Unix-domain socket transport.

    Returns:
        The handle; use it as a context manager, or call `stop()`.

    Raises:
        InvalidOption: an argument is not allowed. UnsupportedPlatform: this is not Linux.
        StartError: something did not come up; nothing is left running.
    """
    if not sys.platform.startswith("linux"):
        raise UnsupportedPlatform(sys.platform)
    if base != "unix":
        raise InvalidOption("start", "base", shorten(base), '"unix"')
    settings = Config.of(config)
    sizes = _check_pools(pools)
    chosen = _check_name(name)
    specs = _tree(sizes, _listed("children", children, "a list of ChildSpec objects"))
    chosen_pipes = [checked(pipe) for pipe in _listed("pipes", pipes, "a list of Pipe classes")]
    host = launch(chosen, "slither_actors.otp.server.Shell")
    try:
        system = _grow(chosen, host, specs, sizes, settings)
    except BaseException:
        host.end(5.0)
        raise
    try:
        for pipe in chosen_pipes:
            system.start_pipe(pipe)
    except BaseException:
        system.stop()
        raise
    return system


def _grow(name: str, host: Host, specs: tuple[ChildSpec, ...], sizes: Mapping[str, int], config: Config) -> System:
    """Have the root start the tree, and wait until all of it is up."""
    gateway = Endpoint(host.directory, host.watch, lambda: SystemDown(name, ("the host process died",)))
    try:
        registry = _await_tree(name, host, gateway, specs)
        return System(name, host, gateway, registry, dict(sizes), config)
    except BaseException:
        gateway.close()
        raise


def _await_tree(name: str, host: Host, gateway: Endpoint, specs: tuple[ChildSpec, ...]) -> str:
    """Returns the address of the registry."""
    level = logging.getLogger().getEffectiveLevel()
    surroundings = Surroundings(name, str(host.directory), None, gateway.address, level)
    options = SupervisorOptions(strategy=Strategy.REST_FOR_ONE)
    gateway.post(host.root, Init("", 1, Code.of(Root), (options, specs), gateway.address, surroundings))
    deadline = time.monotonic() + _START_LIMIT_S
    kept = []
    while True:
        try:
            received = gateway.receive(deadline - time.monotonic())
        except SystemDown as error:
            raise StartError(f"system {name}", "its host process died; standard error says more") from error
        if received is None:
            raise StartError(f"system {name}", f"not up after {_START_LIMIT_S:g} s")
        news = received[0]
        if isinstance(news, Started):
            break
        if isinstance(news, StartFailed):
            raise StartError(f"system {name}", news.error)
        if isinstance(news, Unread):  # of the `Init` above
            raise StartError(f"system {name}", f"its description cannot be read in its process: {news.error}")
        kept.append(received)
    for note, sender in kept:
        gateway.put_aside(note, sender)
    registry: str = news.info
    return registry


def _tree(sizes: Mapping[str, int], children: tuple[ChildSpec, ...]) -> tuple[ChildSpec, ...]:
    """The children of the root, in start order; what comes later stands on what comes earlier."""
    pools = [pool_spec(pool, size, ChildSpec(DISPATCHER, Code.of(Dispatcher), (pool,))) for pool, size in sizes.items()]
    specs = [
        ChildSpec(REGISTRY, Code.of(Registry)),
        ChildSpec(
            POOLS, Code.of(Supervisor), (SupervisorOptions(parallel_start=True), tuple(pools)), type="supervisor"
        ),
        ChildSpec(PIPES, Code.of(Supervisor), (SupervisorOptions(), ()), type="supervisor"),
    ]
    if children:
        own = tuple(_own(child) for child in children)
        specs.append(ChildSpec(CHILDREN, Code.of(Supervisor), (SupervisorOptions(), own), type="supervisor"))
    return tuple(specs)


def _listed(option: str, values: Any, allowed: str) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidOption("start", option, shorten(values), allowed)
    return tuple(values)


def _own(child: Any) -> ChildSpec:
    if not isinstance(child, ChildSpec):
        raise InvalidOption("start", "children", shorten(child), "ChildSpec(id, actor class, args)")
    return child.sealed()


def _check_pools(pools: Any) -> dict[str, int]:
    if pools is None:
        return {"default": os.cpu_count() or 1}
    if not isinstance(pools, Mapping):
        raise InvalidOption("start", "pools", shorten(pools), 'a mapping of name to size, such as {"default": 2}')
    for pool, size in pools.items():
        _check_identifier("pools", pool)
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _MOST_WORKERS:
            raise InvalidOption(
                "start", f"pools[{pool!r}]", shorten(size), f"a number of workers, 1 to {_MOST_WORKERS}"
            )
    return dict(pools)


def _check_name(name: Any) -> str:
    if name is None:
        return secrets.token_hex(6)
    _check_identifier("name", name)
    return str(name)


def _check_identifier(option: str, value: Any) -> None:
    """Names become paths and parts of paths."""
    try:
        ChildSpec(value, object)
    except SlitherError as error:
        allowed = error.allowed if isinstance(error, InvalidOption) else "a name"
        raise InvalidOption("start", option, shorten(value), allowed) from None
