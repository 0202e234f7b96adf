"""Looking at a running system: its tree, and its figures, as plain data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from slither_actors.errors import NoProcess
from slither_actors.incident import Incident
from slither_actors.otp.ref import ProcessInfo
from slither_actors.store.folder import has_stores
from slither_actors.system.client import CALL_LIMIT_S, Client
from slither_actors.system.names import POOLS, ROOT
from slither_actors.system.pipes import Pipes
from slither_actors.workers.messages import CountLeases, CountWorkers
from slither_actors.workers.pool import LEASES, WORKERS
from slither_actors.workers.pool_options import PoolOptions

_FIGURES = ("size", "up", "restarts", "recycled", "retiring", "quarantined", "idle", "leased", "leaving")


class Figures:
    """What `System` says of itself."""

    name: str
    _client: Client
    _pools: dict[str, PoolOptions]
    _pipes: Pipes

    def topology(self) -> dict[str, Any]:
        """The live tree as nested plain data: name, pid, incarnation, restarts, last exit, children."""
        return _tree_of(self.name, self._client.processes())

    def incidents(self) -> tuple[Incident, ...]:
        """The newest deaths in the tree that nobody had asked for, with all that is known of them: at most 200, the
        newest last. `statistics()["incidents"]` says how many there were in all.

        Asks nobody: what supervisors write down is read here. It is there as soon as its supervisor has decided what
        follows from it, for a worker before the run is told whose batch it had; a call to a process that dies may fail
        a moment before. When the system is stopped or down, these are its last.
        """
        self._client.check_process()
        return self._client.incidents.read().newest

    def statistics(self) -> dict[str, Any]:
        """Figures as plain data: processes, restarts, incidents, stores, pools and pipes."""
        processes = self._client.processes()
        figures = {pool: _figures_of(self._client, pool) for pool in self._pools}
        return {
            "system": self.name,
            "processes": sum(info.alive for info in processes),
            "restarts": sum(info.restarts for info in processes),
            "incidents": self._client.incidents.read().total,
            "stores": _stores(self._client),
            "pools": figures,
            "pipes": self._pipes.statistics(),
        }


def _stores(client: Client) -> dict[str, Any]:
    """Version and rows of each store, read here."""
    if not has_stores(client.directory):
        return {}
    stores = client.stores
    handles = [stores.handle(name) for name in stores.catalogue.entries]
    return {handle.name: handle.statistics() for handle in handles}


def _figures_of(client: Client, pool: str) -> dict[str, Any]:
    """Figures of one pool, `None` where the process that keeps them is being restarted."""
    figures: dict[str, Any] = dict.fromkeys(_FIGURES)
    for keeper, request in ((WORKERS, CountWorkers()), (LEASES, CountLeases())):
        with contextlib.suppress(NoProcess):
            figures |= client.call(f"{POOLS}/{pool}/{keeper}", request, CALL_LIMIT_S)
    return figures


def _tree_of(system: str, processes: Iterable[ProcessInfo]) -> dict[str, Any]:
    """Nested plain data out of a flat list of names."""
    root: dict[str, Any] = {"name": system, "children": []}
    nodes = {"": root}
    for info in sorted(processes, key=lambda info: info.ref.name):
        node = {
            "name": info.ref.name.rpartition("/")[2],
            "pid": info.ref.pid,
            "incarnation": info.ref.incarnation,
            "kind": info.kind,
            "alive": info.alive,
            "restarts": info.restarts,
            "last_exit": str(info.last_exit) if info.last_exit else None,
            "children": [],
        }
        if info.ref.name == ROOT:
            root.update({key: value for key, value in node.items() if key not in ("name", "children")})
            continue
        nodes[info.ref.name] = node
        nodes.get(info.ref.name.rpartition("/")[0], root)["children"].append(node)
    return root
