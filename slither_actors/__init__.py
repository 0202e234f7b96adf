"""Bounded, observable, supervised pipelines over worker processes, inside your service.

Two primitives, each made of actors under a supervision tree: dispatch and pipes. `start` is where to begin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slither_actors import errors, telemetry
    from slither_actors.config import BridgeConfig, Config, DispatchConfig, SessionConfig
    from slither_actors.context import Context
    from slither_actors.dispatch.ends_file import EndRecord, read_ends
    from slither_actors.dispatch.options import DispatchOptions
    from slither_actors.dispatch.session_options import SessionOptions
    from slither_actors.dispatch.strategy import FixedBatch, WeightedBatch
    from slither_actors.errors import (
        BatchTimeout,
        CallTimeout,
        ChildRefused,
        DeadlineExceeded,
        DefinitionError,
        DispatchError,
        EndsFileError,
        InvalidOption,
        InvalidOutcome,
        ItemError,
        NoProcess,
        NotDecodable,
        NotImportable,
        NotPicklable,
        PipeError,
        QueueTimeout,
        RemoteError,
        ResultCountMismatch,
        SessionLimit,
        SessionLost,
        SlitherError,
        StageDown,
        StartError,
        StreamBusy,
        SystemDown,
        UnknownPool,
        WorkerBusy,
        WorkerCrashed,
    )
    from slither_actors.item import Item
    from slither_actors.outcome import Drop, Emit, Fail, RouteTo
    from slither_actors.pipe.declarations import local, router, stage, worker
    from slither_actors.pipe.outputs import Outputs
    from slither_actors.pipe.pipe import Pipe
    from slither_actors.pipe.stage import Stage
    from slither_actors.policy import Halt, Retry, Route, Skip
    from slither_actors.system.pipes import DrainReport
    from slither_actors.system.results import Results, Stream
    from slither_actors.system.session import Session
    from slither_actors.system.start import start
    from slither_actors.system.system import System
    from slither_actors.workers.adapter import Adapter, Command
    from slither_actors.workers.executor import Call, Executor
    from slither_actors.workers.pool_options import PoolOptions

__version__ = "0.1.0"

__all__ = [
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
    "Drop",
    "Emit",
    "EndRecord",
    "EndsFileError",
    "Executor",
    "Fail",
    "FixedBatch",
    "Halt",
    "InvalidOption",
    "InvalidOutcome",
    "Item",
    "ItemError",
    "NoProcess",
    "NotDecodable",
    "NotImportable",
    "NotPicklable",
    "Outputs",
    "Pipe",
    "PipeError",
    "PoolOptions",
    "QueueTimeout",
    "RemoteError",
    "ResultCountMismatch",
    "Results",
    "Retry",
    "Route",
    "RouteTo",
    "Session",
    "SessionConfig",
    "SessionLimit",
    "SessionLost",
    "SessionOptions",
    "Skip",
    "SlitherError",
    "Stage",
    "StageDown",
    "StartError",
    "Stream",
    "StreamBusy",
    "System",
    "SystemDown",
    "UnknownPool",
    "WeightedBatch",
    "WorkerBusy",
    "WorkerCrashed",
    "__version__",
    "errors",
    "local",
    "read_ends",
    "router",
    "stage",
    "start",
    "telemetry",
    "worker",
]

# Where the names are. A module is imported when one of its names is first used: what a program does not use costs it
# nothing, and `start` lets the host begin before the rest is imported here.
_NAMES = {
    "config": "BridgeConfig Config DispatchConfig SessionConfig",
    "context": "Context",
    "dispatch.ends_file": "EndRecord read_ends",
    "dispatch.options": "DispatchOptions",
    "dispatch.session_options": "SessionOptions",
    "dispatch.strategy": "FixedBatch WeightedBatch",
    "errors": (
        "BatchTimeout CallTimeout ChildRefused DeadlineExceeded DefinitionError DispatchError EndsFileError "
        "InvalidOption InvalidOutcome ItemError NoProcess NotDecodable NotImportable NotPicklable PipeError "
        "QueueTimeout RemoteError ResultCountMismatch SessionLimit SessionLost SlitherError StageDown StartError "
        "StreamBusy SystemDown UnknownPool WorkerBusy WorkerCrashed"
    ),
    "item": "Item",
    "outcome": "Drop Emit Fail RouteTo",
    "pipe.declarations": "local router stage worker",
    "pipe.outputs": "Outputs",
    "pipe.pipe": "Pipe",
    "pipe.stage": "Stage",
    "policy": "Halt Retry Route Skip",
    "system.pipes": "DrainReport",
    "system.results": "Results Stream",
    "system.session": "Session",
    "system.start": "start",
    "system.system": "System",
    "workers.adapter": "Adapter Command",
    "workers.executor": "Call Executor",
    "workers.pool_options": "PoolOptions",
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
