"""`start`: quick to import, since the host's process begins before the rest of the library is imported here."""

from __future__ import annotations

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


@known_keywords
def start(
    *,
    name: str | None = None,
    stores: Iterable[Any] = (),
    pools: Mapping[str, int | PoolOptions] | None = None,
    pipes: Iterable[type[Pipe]] = (),
    children: Iterable[ChildSpec] = (),
    config: Config | Mapping[str, Any] | None = None,
    base: str = "unix",
    trusted_network: bool = False,
) -> System:
    """Start a system: processes that belong to this one, and die with it.

    Returns when every worker answers. Safe to call from any thread.

    Args:
        name: what others call the system; two systems of one name cannot run at once. A fresh one by default.
        stores: none; stores are not part of this version.
        pools: worker pools, name to size or `PoolOptions`; `{"default": number of processors}` by default.
        pipes: pipe classes to start at once and keep running.
        children: child specs of your own actors, put under a supervisor of their own, which is called "children".
        config: a `Config`, or nested mappings with some of its keys.
        base: what Thespian's own messages go over: `"unix"`, sockets of the Unix domain, or `"tcp"`, its TCP base, for
            actors that must be reached over a network.
        trusted_network: must be `True` for `base="tcp"`, which listens on all interfaces and unpickles, hence runs,
            what anybody sends to it.

    Returns:
        The handle; use it as a context manager, or call `stop()`.

    Raises:
        InvalidOption: an argument is not allowed. UnknownPool: a pipe wants a pool that is not there.
        UnsupportedPlatform: this is not Linux.
        StartError: something did not come up; nothing is left running.
    """
    if not sys.platform.startswith("linux"):
        from slither_actors.errors import UnsupportedPlatform

        raise UnsupportedPlatform(sys.platform)
    with WaitingHost(_PRELOAD) as waiting:
        from slither_actors.system.grow import grow

        return grow(waiting, name, stores, pools, pipes, children, config, base, trusted_network)
