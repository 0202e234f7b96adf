"""From a host that waits to a running tree, or to nothing with a reason."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from slither_actors._code import Code
from slither_actors._codec import encode
from slither_actors._validators import check_bool
from slither_actors.config import NO_STORES, Config, names_stores
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.errors import InvalidOption, SlitherError, StartError, SystemDown, shorten
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import Init, Started, StartFailed, Surroundings
from slither_actors.otp.registry import Registry
from slither_actors.otp.root import REGISTRY, Root
from slither_actors.otp.server import Server
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe.pipe import Pipe
from slither_actors.system.names import CHILDREN, DISPATCHER, POOLS
from slither_actors.system.pipes import check_pipe
from slither_actors.system.system import System
from slither_actors.transport.bases import BASES
from slither_actors.transport.launch import Host, launch
from slither_actors.transport.spawn import WaitingHost
from slither_actors.workers.pool import pool_spec
from slither_actors.workers.pool_options import SIZE, PoolOptions, is_size


def grow(
    waiting: WaitingHost,
    name: str | None,
    stores: Iterable[Any],
    pools: Mapping[str, int | PoolOptions] | None,
    pipes: Iterable[type[Pipe]],
    children: Iterable[ChildSpec],
    config: Config | Mapping[str, Any] | None,
    base: str,
    trusted_network: bool,
) -> System:
    """What `start` says, with a host that waits: all is checked before that one is told anything."""
    _check_base(base, trusted_network)
    if names_stores(stores):
        raise InvalidOption("start", "stores", shorten(stores), NO_STORES)
    settings = Config.of(config)
    chosen_pools = _check_pools(pools)
    chosen = _check_name(name)
    specs = _tree(chosen_pools, _check_children(children))
    pipes = _listed("pipes", pipes, "a list of pipe classes")
    for pipe in pipes:
        check_pipe(pipe, chosen_pools, settings.dispatch)
    host = launch(waiting, chosen, "slither_actors.otp.shell.Shell", base)
    try:
        system = _grown(chosen, host, specs, chosen_pools, settings)
    except BaseException:
        host.end(5.0)
        raise
    try:
        for pipe in pipes:
            system.start_pipe(pipe)
    except BaseException:
        system.stop()
        raise
    return system


def _grown(
    name: str, host: Host, specs: tuple[ChildSpec, ...], pools: dict[str, PoolOptions], config: Config
) -> System:
    """Have the root start the tree, and wait until all of it is up."""
    gateway = Endpoint(host.directory, host.watch, lambda: SystemDown(name, ("the host process died",)))
    try:
        registry = _await_tree(name, host, gateway, specs, config)
        return System(name, host, gateway, registry, pools, config)
    except BaseException:
        gateway.close()
        raise


def _await_tree(name: str, host: Host, gateway: Endpoint, specs: tuple[ChildSpec, ...], config: Config) -> str:
    """Returns the address of the registry."""
    level = logging.getLogger().getEffectiveLevel()
    surroundings = Surroundings(str(host.directory), None, gateway.address, level, config.queue_limit_bytes)
    options = SupervisorOptions(strategy=Strategy.REST_FOR_ONE)
    gateway.post(host.root, Init("", 1, Code.of(Root), encode((options, specs)), gateway.address, surroundings))
    kept = []
    while True:
        try:
            received = gateway.receive(None)  # each process has a limit of its own, which names it
        except SystemDown as error:
            raise StartError(f"system {name}", "its host process died; standard error says more") from error
        if received is None:
            continue
        news = received[0]
        if isinstance(news, Started):
            break
        if isinstance(news, StartFailed):
            raise StartError(f"system {name}", news.error)
        kept.append(received)
    for note, sender in kept:
        gateway.put_aside(note, sender)
    registry: str = news.info
    return registry


def _tree(chosen: Mapping[str, PoolOptions], children: tuple[ChildSpec, ...]) -> tuple[ChildSpec, ...]:
    """The children of the root, in start order; what comes later stands on what comes earlier."""
    pools = [
        pool_spec(pool, options, ChildSpec(DISPATCHER, Code.of(Dispatcher), (pool,)))
        for pool, options in chosen.items()
    ]
    specs = [
        ChildSpec(REGISTRY, Code.of(Registry)),
        ChildSpec(
            POOLS, Code.of(Supervisor), (SupervisorOptions(parallel_start=True), tuple(pools)), type="supervisor"
        ),
    ]
    if children:
        specs.append(ChildSpec(CHILDREN, Code.of(Supervisor), (SupervisorOptions(), children), type="supervisor"))
    return tuple(specs)


def _check_children(children: Any) -> tuple[ChildSpec, ...]:
    specs: list[ChildSpec] = []
    for child in _listed("children", children, "a list of ChildSpec(id, actor class, args)"):
        if not isinstance(child, ChildSpec):
            raise InvalidOption("start", "children", shorten(child), "ChildSpec(id, actor class, args)")
        if any(child.id == spec.id for spec in specs):
            raise InvalidOption("start", "children", f"two of the id {child.id!r}", "one child per id")
        is_actor = isinstance(child.start, type) and issubclass(child.start, Server)
        if not is_actor and not isinstance(child.start, str | Code):
            allowed = 'a subclass of slither_actors.otp.Server, or its path "module:Class"'
            raise InvalidOption("start", f"children, start of {child.id!r}", shorten(child.start), allowed)
        specs.append(child.sealed())
    return tuple(specs)


def _listed(option: str, value: Any, allowed: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidOption("start", option, shorten(value), allowed)
    return tuple(value)


def _check_base(base: Any, trusted_network: Any) -> None:
    if base not in BASES:
        raise InvalidOption("start", "base", shorten(base), " or ".join(f'"{known}"' for known in BASES))
    if base != "tcp":
        check_bool("start", "trusted_network", trusted_network)
    elif trusted_network is not True:
        raise InvalidOption(
            "start",
            "trusted_network",
            shorten(trusted_network),
            'True for base="tcp": it listens on all interfaces, and whoever reaches its ports can run code here',
        )


def _check_pools(pools: Any) -> dict[str, PoolOptions]:
    if pools is None:
        return {"default": PoolOptions(os.cpu_count() or 1)}
    if not isinstance(pools, Mapping):
        raise InvalidOption("start", "pools", shorten(pools), 'a mapping of name to size, such as {"default": 2}')
    for pool, value in pools.items():
        _check_identifier("pools", pool)
        if not isinstance(value, PoolOptions) and not is_size(value):
            raise InvalidOption("start", f"pools[{pool!r}]", shorten(value), f"{SIZE}, or PoolOptions")
    return {pool: value if isinstance(value, PoolOptions) else PoolOptions(value) for pool, value in pools.items()}


def _check_name(name: Any) -> str:
    if name is None:
        return os.urandom(6).hex()
    _check_identifier("name", name)
    return str(name)


def _check_identifier(option: str, value: Any) -> None:
    """Names become paths and parts of paths."""
    try:
        ChildSpec(value, object)
    except SlitherError as error:
        allowed = error.allowed if isinstance(error, InvalidOption) else "a name"
        raise InvalidOption("start", option, shorten(value), allowed) from None
