"""Bounded, observable, supervised pipelines over worker processes, inside your service.

Three primitives, each made of actors under a supervision tree: dispatch, pipes and stores. `start` is where to begin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors import errors, telemetry
    from slither_actors.config import BridgeConfig, Config, DispatchConfig, SessionConfig
    from slither_actors.context import Context
    from slither_actors.dispatch.accounting import Accounting
    from slither_actors.dispatch.drain import DrainReport, IdTally, RunReport
    from slither_actors.dispatch.ends_file import EndRecord, read_ends
    from slither_actors.dispatch.options import DispatchOptions
    from slither_actors.dispatch.session_options import SessionOptions
    from slither_actors.dispatch.strategy import FixedBatch, KeyPartition, Strategy, WeightedBatch
    from slither_actors.errors import (
        BatchTimeout,
        CallTimeout,
        ChildRefused,
        DeadlineExceeded,
        DefinitionError,
        DispatchError,
        Drained,
        DuplicateView,
        EndsFileError,
        ForkedSystem,
        InvalidOption,
        InvalidOutcome,
        ItemDead,
        ItemDropped,
        ItemEnded,
        ItemError,
        ItemSkipped,
        KeyTooLong,
        NoProcess,
        NotDecodable,
        NotImportable,
        NotPicklable,
        PipeError,
        PipeFull,
        PipeStopped,
        PoolQuarantined,
        QueueTimeout,
        RemoteError,
        ResultCountMismatch,
        SessionLimit,
        SessionLost,
        SlitherError,
        SnapshotExpired,
        StageDown,
        StartError,
        StoreConflict,
        StoreFull,
        StoreLoadError,
        StoreUnavailable,
        StrategyError,
        StreamBusy,
        SystemDown,
        SystemStopping,
        UnknownPool,
        UnknownStore,
        UnknownView,
        ViewTimeout,
        WorkerBusy,
        WorkerCrashed,
        WriteInDoubt,
    )
    from slither_actors.incident import Incident
    from slither_actors.item import Item
    from slither_actors.outcome import Drop, Emit, Fail, RouteTo
    from slither_actors.pipe.declarations import local, router, stage, worker
    from slither_actors.pipe.outputs import Outputs
    from slither_actors.pipe.pipe import Pipe
    from slither_actors.pipe.stage import Stage
    from slither_actors.policy import Halt, Retry, Route, Skip
    from slither_actors.rate import Rate
    from slither_actors.store._match import ANY
    from slither_actors.store.declarations import Table, view
    from slither_actors.store.handle import StoreHandle
    from slither_actors.store.store import Store
    from slither_actors.system.results import Results, Stream
    from slither_actors.system.session import Session
    from slither_actors.system.start import start
    from slither_actors.system.started import StartedPipe
    from slither_actors.system.system import System
    from slither_actors.workers.adapter import Adapter, Command
    from slither_actors.workers.executor import Call, Executor
    from slither_actors.workers.pool_options import PoolOptions
    from slither_actors.workers.quarantine import Quarantine
    from slither_actors.workers.recycle import Recycle

__version__ = "0.1.0"

__all__ = [
    "ANY",
    "Accounting",
    "Adapter",
    "BatchTimeout",
    "BridgeConfig",
    "Call",
    "CallTimeout",
    "ChildRefused",
    "Command",
    "Config",
    "Context",
    "DeadlineExceeded",
    "DefinitionError",
    "DispatchConfig",
    "DispatchError",
    "DispatchOptions",
    "DrainReport",
    "Drained",
    "Drop",
    "DuplicateView",
    "Emit",
    "EndRecord",
    "EndsFileError",
    "Executor",
    "Fail",
    "FixedBatch",
    "ForkedSystem",
    "Halt",
    "IdTally",
    "Incident",
    "InvalidOption",
    "InvalidOutcome",
    "Item",
    "ItemDead",
    "ItemDropped",
    "ItemEnded",
    "ItemError",
    "ItemSkipped",
    "KeyPartition",
    "KeyTooLong",
    "NoProcess",
    "NotDecodable",
    "NotImportable",
    "NotPicklable",
    "Outputs",
    "Pipe",
    "PipeError",
    "PipeFull",
    "PipeStopped",
    "PoolOptions",
    "PoolQuarantined",
    "Quarantine",
    "QueueTimeout",
    "Rate",
    "Recycle",
    "RemoteError",
    "ResultCountMismatch",
    "Results",
    "Retry",
    "Route",
    "RouteTo",
    "RunReport",
    "Session",
    "SessionConfig",
    "SessionLimit",
    "SessionLost",
    "SessionOptions",
    "Skip",
    "SlitherError",
    "SnapshotExpired",
    "Stage",
    "StageDown",
    "StartError",
    "StartedPipe",
    "Store",
    "StoreConflict",
    "StoreFull",
    "StoreHandle",
    "StoreLoadError",
    "StoreUnavailable",
    "Strategy",
    "StrategyError",
    "Stream",
    "StreamBusy",
    "System",
    "SystemDown",
    "SystemStopping",
    "Table",
    "UnknownPool",
    "UnknownStore",
    "UnknownView",
    "ViewTimeout",
    "WeightedBatch",
    "WorkerBusy",
    "WorkerCrashed",
    "WriteInDoubt",
    "__version__",
    "errors",
    "local",
    "read_ends",
    "router",
    "stage",
    "start",
    "telemetry",
    "view",
    "worker",
]

# Where the names are. A module is imported when one of its names is first used: what a program does not use costs it
# nothing, and `start` lets the host begin before the rest is imported here.
_NAMES = {
    "config": "BridgeConfig Config DispatchConfig SessionConfig",
    "context": "Context",
    "dispatch.accounting": "Accounting",
    "dispatch.drain": "DrainReport IdTally RunReport",
    "dispatch.ends_file": "EndRecord read_ends",
    "dispatch.options": "DispatchOptions",
    "dispatch.session_options": "SessionOptions",
    "dispatch.strategy": "FixedBatch KeyPartition Strategy WeightedBatch",
    "errors": (
        "BatchTimeout CallTimeout ChildRefused DeadlineExceeded DefinitionError DispatchError Drained DuplicateView "
        "EndsFileError ForkedSystem InvalidOption InvalidOutcome ItemDead ItemDropped ItemEnded ItemError ItemSkipped "
        "KeyTooLong NoProcess NotDecodable NotImportable NotPicklable PipeError PipeFull PipeStopped PoolQuarantined "
        "QueueTimeout RemoteError ResultCountMismatch "
        "SessionLimit SessionLost SlitherError SnapshotExpired StageDown StartError StoreConflict StoreFull "
        "StoreLoadError StoreUnavailable StrategyError StreamBusy SystemDown SystemStopping UnknownPool UnknownStore "
        "UnknownView ViewTimeout WorkerBusy WorkerCrashed WriteInDoubt"
    ),
    "incident": "Incident",
    "item": "Item",
    "outcome": "Drop Emit Fail RouteTo",
    "pipe.declarations": "local router stage worker",
    "pipe.outputs": "Outputs",
    "pipe.pipe": "Pipe",
    "pipe.stage": "Stage",
    "policy": "Halt Retry Route Skip",
    "rate": "Rate",
    "store._match": "ANY",
    "store.declarations": "Table view",
    "store.handle": "StoreHandle",
    "store.store": "Store",
    "system.results": "Results Stream",
    "system.session": "Session",
    "system.start": "start",
    "system.started": "StartedPipe",
    "system.system": "System",
    "workers.adapter": "Adapter Command",
    "workers.executor": "Call Executor",
    "workers.pool_options": "PoolOptions",
    "workers.recycle": "Recycle",
    "workers.quarantine": "Quarantine",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # else a misspelt name would be of type Any

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        elif name in __all__:
            value = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
