"""The figures of a system, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slither_actors.errors import NoProcess
from slither_actors.otp.ref import ProcessInfo
from slither_actors.system.client import CALL_LIMIT_S, Client
from slither_actors.system.names import POOLS
from slither_actors.workers.messages import CountLeases
from slither_actors.workers.pool import LEASES, WORKERS
from slither_actors.workers.pool_options import PoolOptions


def statistics_of(name: str, client: Client, pools: Mapping[str, PoolOptions]) -> dict[str, Any]:
    """Processes, restarts and pools."""
    processes = client.processes()
    return {
        "system": name,
        "processes": sum(info.alive for info in processes),
        "restarts": sum(info.restarts for info in processes),
        "pools": {pool: _figures_of(client, pool, options.size, processes) for pool, options in pools.items()},
    }


def _figures_of(client: Client, pool: str, size: int, processes: Sequence[ProcessInfo]) -> dict[str, Any]:
    """Figures of one pool; without those of the leases, where the process that keeps them is being restarted."""
    prefix = f"{POOLS}/{pool}/{WORKERS}/"
    workers = [info for info in processes if info.ref.name.startswith(prefix)]
    figures = {"size": size, "up": sum(info.alive for info in workers), "restarts": sum(i.restarts for i in workers)}
    try:
        leases: dict[str, int | None] = client.call(f"{POOLS}/{pool}/{LEASES}", CountLeases(), CALL_LIMIT_S)
    except NoProcess:
        leases = dict.fromkeys(("idle", "leased", "leaving"))
    return figures | leases
