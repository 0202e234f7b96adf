"""Whether the limit of open files is enough for a tree, before anything of it starts."""

from __future__ import annotations

import resource
from collections.abc import Mapping

from slither_actors.errors import StartError
from slither_actors.workers.pool_options import PoolOptions

# The least that any tree needs in one process; and the supervisor of workers, by itself and for each of them: its
# process, its standard error, its page, and connections.
_LEAST = 32
_BESIDE = 14
_PER_WORKER = 6


def check_descriptors(name: str, pools: Mapping[str, PoolOptions]) -> None:
    """Refuse a limit under which the tree surely cannot stand; one that is a little larger may be too low as well.

    Raises:
        StartError: the limit is too low.
    """
    sizes = [options.size for options in pools.values()]
    needed = max(_LEAST, _BESIDE + _PER_WORKER * max(sizes, default=0))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < needed:
        reason = f"a process of it needs {needed:,} file descriptors, and the limit is {limit:,}; raise it (ulimit -n)"
        raise StartError(f"system {name}", reason)
