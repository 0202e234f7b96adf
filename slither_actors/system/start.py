"""`start`: quick to import, since the host's process begins before the rest of the library is imported here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from slither_actors._keywords import known_keywords
from slither_actors.transport.spawn import WaitingHost

if TYPE_CHECKING:
    from slither_actors.config import Config
    from slither_actors.otp.child import ChildSpec
    from slither_actors.pipe.pipe import Pipe
    from slither_actors.system.system import System
    from slither_actors.workers.pool_options import PoolOptions

# What actors are made of, and what modules with a pipe in them import again in every worker.
_PRELOAD = (
    "slither_actors.otp.shell",
    "slither_actors.otp.root",
    "slither_actors.otp.registry",
    "slither_actors.workers.pool",
    "slither_actors.dispatch.dispatcher",
    "slither_actors.pipe.builtin",
    "slither_actors.pipe.pipe",
)
_FOR_STORES = ("slither_actors.store.owner", "slither_actors.store.views")


@known_keywords
def start(
    *,
    name: str | None = None,
    stores: Iterable[Any] = (),
    pools: Mapping[str, int | PoolOptions] | None = None,
    pipes: Iterable[type[Pipe]] = (),
    children: Iterable[ChildSpec] = (),
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    base: str = "unix",
    trusted_network: bool = False,
    handle_signals: bool = True,
    stop_timeout_s: float = 10.0,
) -> System:
    """Start a system: processes that belong to this one, and die with it.

    Returns when every store is loaded and every worker answers. Safe to call from any thread.

    Args:
        name: what others call the system; two systems of one name cannot run at once. A fresh one by default.
        stores: store classes, or `Store.named(...)`, to load before anything else starts.
        pools: worker pools, name to size or `PoolOptions`; `{"default": number of processors}` by default.
        pipes: pipe classes to start at once and keep running.
        children: child specs of your own actors, put under a supervisor of their own, which is called "children".
        config: nested mappings with some keys of `Config`, which come before the environment and the configuration
            file; the path of that file; or a `Config`, which is taken as it is.
        base: what Thespian's own messages go over: `"unix"`, sockets of the Unix domain, or `"tcp"`, its TCP base, for
            actors that must be reached over a network.
        trusted_network: must be `True` for `base="tcp"`, which listens on all interfaces and unpickles, hence runs,
            what anybody sends to it.
        handle_signals: whether SIGTERM drains while the `with` block of the system is open in the main thread: only
            where the program has no handler of its own. A second one, or Ctrl-C, cuts everything short.
        stop_timeout_s: how many seconds `stop()`, the end of the block and a signal may take.

    Returns:
        The handle; use it as a context manager, or call `stop()`.

    Raises:
        InvalidOption: an argument is not allowed. UnknownPool: a pipe wants a pool that is not there.
        UnsupportedPlatform: this is not Linux.
        StartError: something did not come up; nothing is left running. Its cause is a `StoreLoadError` where that was
            the `load` of a store.
        DuplicateView: two stores have a global view of one name.
    """
    if not sys.platform.startswith("linux"):
        from slither_actors.errors import UnsupportedPlatform

        raise UnsupportedPlatform(sys.platform)
    preload = (*_PRELOAD, *_FOR_STORES) if stores else _PRELOAD
    with WaitingHost(preload) as waiting:
        from slither_actors.system.grow import grow

        endings = (handle_signals, stop_timeout_s)
        return grow(waiting, name, stores, pools, pipes, children, config, base, trusted_network, endings)
