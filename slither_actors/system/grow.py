"""From a host that waits to a running tree, or to nothing with a reason."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from slither_actors._code import Code
from slither_actors._codec import encode
from slither_actors._validators import check_bool, checked_seconds
from slither_actors.config import Config
from slither_actors.dispatch.dispatcher import Dispatcher
from slither_actors.errors import InvalidOption, SlitherError, StartError, SystemDown, shorten
from slither_actors.otp.child import ChildSpec, Strategy, SupervisorOptions
from slither_actors.otp.endpoint import Endpoint
from slither_actors.otp.messages import EventNotes, Init, Started, StartFailed, StartFailure, Surroundings, TreeEvents
from slither_actors.otp.registry import Registry
from slither_actors.otp.root import REGISTRY, Root
from slither_actors.otp.server import Server
from slither_actors.otp.supervisor import Supervisor
from slither_actors.pipe.pipe import Pipe
from slither_actors.system._descriptors import check_descriptors
from slither_actors.system._pipe_checks import check_pipe
from slither_actors.system.gateway import emit_all
from slither_actors.system.names import CHILDREN, DISPATCHER, POOLS
from slither_actors.system.stores import check_named, check_stores, enter_stores, stores_spec
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
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None,
    base: str,
    trusted_network: bool,
    endings: tuple[bool, float],
) -> System:
    """What `start` says, with a host that waits: all is checked before that one is told anything."""
    _check_base(base, trusted_network)
    check_bool("start", "handle_signals", endings[0])
    checked_seconds("start", endings[1], "stop_timeout_s")
    settings = Config.load(config)
    named = check_stores(listed("stores", stores, "a list of store classes, or of Store.named(...)"), settings)
    chosen_pools = check_pools(pools)
    chosen = check_name(name)
    specs = _tree(chosen_pools, _check_children(children))
    pipes = listed("pipes", pipes, "a list of pipe classes")
    for pipe in pipes:
        check_pipe(pipe, chosen_pools, settings.dispatch)
        check_named(pipe.definition, {store.name: store for store in named})
    check_descriptors(chosen, chosen_pools)
    host = launch(waiting, chosen, "slither_actors.otp.shell.Shell", base, settings.stopped_limit_s)
    with _ended_if_that_fails(chosen, host):
        entries = enter_stores(named, host.directory, settings)
        if entries:
            specs = (specs[0], stores_spec(entries), *specs[1:])  # behind the registry, before all that reads them
        system = _grown(chosen, host, specs, chosen_pools, settings, endings)
    try:
        for pipe in pipes:
            system.start_pipe(pipe)
    except BaseException:
        system.stop(drain=False)
        raise
    return system


@contextmanager
def _ended_if_that_fails(name: str, host: Host) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        host.end(5.0)
        if isinstance(error, OSError):  # no room for a file, or no descriptor left
            reason = f"{error.filename or host.directory}: {error.strerror}"
            raise StartError(f"system {name}", reason) from error
        raise


def _grown(
    name: str,
    host: Host,
    specs: tuple[ChildSpec, ...],
    pools: dict[str, PoolOptions],
    config: Config,
    endings: tuple[bool, float],
) -> System:
    """Have the root start the tree, and wait until all of it is up."""
    gateway = Endpoint(host.directory, host.watch, lambda: SystemDown(name, ("the host process died",)))
    try:
        registry = _await_tree(name, host, gateway, specs, config)
        return System(name, host, gateway, registry, pools, config, *endings)
    except BaseException:
        gateway.close()
        raise


def _await_tree(name: str, host: Host, gateway: Endpoint, specs: tuple[ChildSpec, ...], config: Config) -> str:
    """Returns the address of the registry."""
    level = logging.getLogger().getEffectiveLevel()
    surroundings = Surroundings(str(host.directory), None, gateway.address, level, config.queue_limit_bytes)
    options = SupervisorOptions(strategy=Strategy.REST_FOR_ONE)
    gateway.post(host.root, Init("", 1, Code.of(Root), encode((options, specs)), gateway.address, surroundings))
    kept: list[tuple[Any, str]] = []
    while True:
        try:
            received = gateway.receive(None)  # each process has a limit of its own, which names it
        except SystemDown as error:
            raise StartError(f"system {name}", "its host process died; standard error says more") from error
        if received is None:
            continue
        news = received[0]
        if isinstance(news, Started | StartFailed):
            break
        kept.append(received)
    _tell_events(gateway, kept, name)
    if isinstance(news, StartFailed):
        failures = [note for note, _ in kept if isinstance(note, StartFailure)]
        raise StartError(f"system {name}", news.error) from _cause(failures, news.error)
    for note, sender in kept:
        gateway.put_aside(note, sender)
    registry: str = news.info
    return registry


def _cause(failures: list[StartFailure], said: str) -> Exception | None:
    """The error behind a failed start, of which the root has `said` which child it was."""
    certain = [failure.error for failure in failures if not failure.child]
    likely = [failure.error for failure in failures if failure.child and said.startswith(f"{failure.child}: ")]
    return next(iter(certain + likely), None)


def _tell_events(gateway: Endpoint, kept: list[tuple[Any, str]], name: str) -> None:
    """Report what happened before the root was done; its word may have come before that of others, on its own line."""
    gateway.settle()
    kept.extend(iter(lambda: gateway.receive(0), None))
    for note, _ in kept:
        if isinstance(note, EventNotes | TreeEvents):
            emit_all(note, name)
    kept[:] = [received for received in kept if not isinstance(received[0], EventNotes | TreeEvents)]


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
    for child in listed("children", children, "a list of ChildSpec(id, actor class, args)"):
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


def listed(option: str, value: Any, allowed: str) -> tuple[Any, ...]:
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


def check_pools(pools: Any) -> dict[str, PoolOptions]:
    if pools is None:
        return {"default": PoolOptions(os.cpu_count() or 1)}
    if not isinstance(pools, Mapping):
        raise InvalidOption("start", "pools", shorten(pools), 'a mapping of name to size, such as {"default": 2}')
    for pool, value in pools.items():
        _check_identifier("pools", pool)
        if not isinstance(value, PoolOptions) and not is_size(value):
            raise InvalidOption("start", f"pools[{pool!r}]", shorten(value), f"{SIZE}, or PoolOptions")
    return {pool: value if isinstance(value, PoolOptions) else PoolOptions(value) for pool, value in pools.items()}


def check_name(name: Any) -> str:
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
