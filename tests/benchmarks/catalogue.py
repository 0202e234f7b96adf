"""What is measured, and whom: names and addresses only, so that a fresh interpreter loads no more than it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

WORKERS = 2
OURS = "slither_actors"
PIPE = "slither_pipe"


class Metric(NamedTuple):
    """A figure of a result.

    Attributes:
        key: its name in the result.
        heading: what stands above it in tables.
        more_is_better: which way is up; `None` where it is not a question of better.
    """

    key: str
    heading: str
    more_is_better: bool | None = True


class Workload(NamedTuple):
    """What is measured: the function that does it as "module:function", the metric that counts, and others."""

    name: str
    title: str
    measure: str
    metric: Metric
    others: tuple[Metric, ...] = ()


class PeerInfo(NamedTuple):
    """Who is measured: a class as "module:class", and the workloads it takes part in (all with workers if empty).

    `heavy` ones are left out unless asked for. `limit` ones are no libraries but what the machine allows.
    """

    name: str
    title: str
    address: str
    only: frozenset[str] = frozenset()
    heavy: bool = False
    limit: bool = False

    def takes_part_in(self, workload: str) -> bool:
        return workload in (self.only or WORK)


ITEMS = Metric("items_s", "items/s")
READS = Metric("reads_s", "reads/s")
MEGABYTES = Metric("mb_s", "MB/s")
LOST = Metric("lost", "items lost", more_is_better=None)
FAULTS = (
    Metric("slowdown", "time of an undisturbed run, x", more_is_better=None),
    Metric("replaced_ms", "new worker after, ms", more_is_better=None),
)


class Curve(NamedTuple):
    """What a curve of costs is drawn over: points of something."""

    unit: str
    points: tuple[int, ...]


CURVES = {
    "w10-items": Curve("items", (10_000, 100_000, 1_000_000)),
    "w10-stages": Curve("stages", (1, 2, 4, 8)),
    "w10-chain": Curve("stages", (1, 2, 4, 8)),
    "w10-workers": Curve("workers", (1, 2, 4, 8, 16)),
}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("w1-ordered", "no-op, batches of 64, in order", "throughput:ordered", ITEMS),
        Workload("w1-completed", "no-op, batches of 64, as completed", "throughput:completed", ITEMS),
        Workload("w1-single", "no-op, batches of 1, in order", "throughput:single", ITEMS),
        Workload(
            "w2",
            "text analysis, batches of 50",
            "throughput:text",
            ITEMS,
            (Metric("of_bare", "of two bare processes at that time, x", more_is_better=None),),
        ),
        Workload("w3-back", "arrays of 1 MB there and back", "throughput:arrays_back", MEGABYTES),
        Workload("w3-sum", "arrays of 1 MB there, a number back", "throughput:arrays_there", MEGABYTES),
        Workload(
            "w4",
            "streaming many no-ops, batches of 64",
            "streaming:lazily",
            ITEMS,
            (
                Metric("pulled_ahead", "pulled ahead of a pause", more_is_better=None),
                Metric("peak_few_mb", "peak after the first tenth, MB", more_is_better=None),
                Metric("growth", "peak after all, x", more_is_better=None),
            ),
        ),
        Workload(
            "w4-long",
            "memory and lead of a long input, batches of 64",
            "streaming:steadily",
            Metric("growth", "PSS peak of all against a tenth, x", more_is_better=None),
            (
                Metric("peak_few_mb", "PSS peak of a tenth, MB", more_is_better=None),
                Metric("peak_mb", "PSS peak of all, MB", more_is_better=None),
                Metric("distance", "source at most ahead", more_is_better=None),
                Metric("credit", "credit", more_is_better=None),
            ),
        ),
        Workload("w5", "uneven sleeps, as completed", "throughput:naps", Metric("of_ideal", "share of the ideal")),
        Workload(
            "w6",
            "interpreter start to the first result",
            "startup:startup",
            Metric("first_result_s", "s", more_is_better=False),
            (
                Metric("idle_mb", "idle PSS, MB", more_is_better=None),
                Metric("processes", "processes", more_is_better=None),
                Metric("stop_s", "stop and exit, s", more_is_better=None),
            ),
        ),
        Workload("w7-killed", "an item kills every worker that gets it", "faults:killed", LOST, FAULTS),
        Workload("w7-once", "an item kills its worker once", "faults:killed_once", LOST, FAULTS),
        Workload("w7-hang", "an item hangs, under a timeout", "faults:hanging", LOST, FAULTS[:1]),
        Workload("w8", "calls of sticky sessions", "sessions:sticky", Metric("calls_s", "calls/s")),
        *(
            Workload(
                name,
                f"processor time per item {as_what}",
                measure,
                Metric("bend", "bend, %", more_is_better=None),
                tuple(
                    Metric(f"cpu_{point}", f"{point:,} {CURVES[name].unit}, µs", more_is_better=None)
                    for point in CURVES[name].points
                ),
            )
            for name, as_what, measure in (
                ("w10-items", "as there are more items, no-op", "growth:items"),
                ("w10-stages", "as there are more local stages, no-op", "growth:stages"),
                ("w10-chain", "as there are more worker stages, no-op", "growth:chain"),
                ("w10-workers", "as there are more workers, text analysis", "growth:workers"),
            )
        ),
        Workload("w9-random", "reads all over a table of 100,000 small dicts", "tables:random_reads", READS),
        Workload("w9-hot", "reads of 100 keys of it", "tables:hot_reads", READS),
        Workload("w9-writes", "writes one by one", "tables:writes", Metric("writes_s", "writes/s")),
        Workload("w9-bulk", "100,000 rows at once", "tables:bulk", Metric("rows_s", "rows/s")),
    )
}

# What shares tables is measured with nothing else, and what has none with everything else. Some is asked of ourselves.
TABLES = frozenset(name for name in WORKLOADS if name.startswith("w9-"))
OF_PIPES = frozenset({"w10-stages", "w10-chain"})
OF_OURS = frozenset({"w4-long", *CURVES}) - OF_PIPES
WORK = frozenset(WORKLOADS) - TABLES - OF_OURS - OF_PIPES

PEERS = {
    peer.name: peer
    for peer in (
        PeerInfo(OURS, "slither_actors", "slither:Stream", WORK | TABLES | OF_OURS),
        PeerInfo(PIPE, "slither_actors pipe", "slither_pipe:PipeStream", OF_OURS | OF_PIPES | {"w2"}),
        PeerInfo("process_pool", "ProcessPoolExecutor, bounded loop", "executors:Bounded"),
        PeerInfo(
            "process_pool_map",
            "ProcessPoolExecutor.map",
            "executors:Map",
            WORK - {"w1-completed", "w5", "w7-hang"},
        ),
        PeerInfo("mp_pool", "multiprocessing.Pool.imap", "pools:MultiprocessingPool"),
        PeerInfo("pebble", "pebble, bounded loop", "executors:Pebble"),
        PeerInfo("mpire", "mpire.imap", "pools:Mpire"),
        PeerInfo("loky", "loky, bounded loop", "executors:Loky"),
        PeerInfo("ray", "Ray tasks, bounded", "heavy:Ray", heavy=True),
        PeerInfo("dask", "Dask submit, bounded", "heavy:Dask", heavy=True),
        PeerInfo("xoscar", "xoscar actors, bounded", "xoscar_pool:Xoscar", heavy=True),
        PeerInfo(
            "raw_pipes",
            "limit: raw socket pairs",
            "raw_pipes:RawPipes",
            WORK - {"w7-killed", "w7-once", "w7-hang"},
            limit=True,
        ),
        PeerInfo(
            "shared_memory",
            "limit: shared memory",
            "limits:SharedMemory",
            frozenset({"w3-back", "w3-sum"}),
            limit=True,
        ),
        PeerInfo("redis", "Redis, GET and SET", "tables:Redis", TABLES),
        PeerInfo("diskcache", "diskcache", "tables:DiskCache", TABLES),
        PeerInfo("sqlite", "sqlite3, WAL", "tables:Sqlite", TABLES),
        PeerInfo("manager", "multiprocessing.Manager().dict", "tables:Manager", TABLES),
        PeerInfo("lmdb", "limit: LMDB and pickle by hand", "tables:Lmdb", TABLES, limit=True),
        PeerInfo("dict", "limit: a dict", "tables:Dict", TABLES, limit=True),
        PeerInfo("bare_forks", "limit: bare processes", "limits:BareForks", frozenset({"w2"}), limit=True),
    )
}


def chosen_workloads(names: Iterable[str]) -> list[Workload]:
    """Workloads by name or by the beginning of a name ("w7"), in the order of the catalogue; all if none is named.

    Raises:
        ValueError: there is none of that name.
    """
    asked = list(names)
    for name in asked:
        if not any(_is_meant(workload, name) for workload in WORKLOADS):
            raise ValueError(f"there is no workload {name!r}; there are {', '.join(WORKLOADS)}")
    return [
        workload
        for name, workload in WORKLOADS.items()
        if not asked or any(_is_meant(name, wanted) for wanted in asked)
    ]


def _is_meant(workload: str, name: str) -> bool:
    return workload == name or workload.startswith(f"{name}-")


def chosen_peers(names: Iterable[str], *, heavy: bool) -> list[PeerInfo]:
    """Peers by name; without names all that are not heavy, or all.

    Raises:
        ValueError: there is none of that name.
    """
    asked = list(names)
    for name in asked:
        if name not in PEERS:
            raise ValueError(f"there is no peer {name!r}; there are {', '.join(PEERS)}")
    return [peer for peer in PEERS.values() if (peer.name in asked if asked else heavy or not peer.heavy)]
