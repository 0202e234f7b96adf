"""Bounded, observable, supervised pipelines over worker processes, inside your service.

Two primitives, each made of actors under a supervision tree: dispatch and pipes. `start` is where to begin.
"""

from slither_actors import errors, telemetry
from slither_actors.config import BridgeConfig, Config, DispatchConfig
from slither_actors.context import Context
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.strategy import FixedBatch, WeightedBatch
from slither_actors.errors import (
    BatchTimeout,
    CallTimeout,
    ChildRefused,
    DefinitionError,
    DispatchError,
    InvalidOption,
    InvalidOutcome,
    ItemError,
    NoProcess,
    NotDecodable,
    NotImportable,
    NotPicklable,
    PipeError,
    RemoteError,
    ResultCountMismatch,
    SlitherError,
    StageDown,
    StartError,
    StreamBusy,
    SystemDown,
    UnknownPool,
    WorkerCrashed,
)
from slither_actors.item import Item
from slither_actors.outcome import Drop, Emit, Fail, RouteTo
from slither_actors.pipe.declarations import local, router, stage, worker
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.pipe import Pipe
from slither_actors.pipe.stage import Stage
from slither_actors.policy import Halt, Retry, Skip
from slither_actors.system import System, start
from slither_actors.system.pipes import DrainReport
from slither_actors.system.results import Results, Stream
from slither_actors.workers.executor import Call, Executor

__version__ = "0.1.0"

__all__ = [
    "BatchTimeout",
    "BridgeConfig",
    "Call",
    "CallTimeout",
    "ChildRefused",
    "Config",
    "Context",
    "DefinitionError",
    "DispatchConfig",
    "DispatchError",
    "DispatchOptions",
    "DrainReport",
    "Drop",
    "Emit",
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
    "RemoteError",
    "ResultCountMismatch",
    "Results",
    "Retry",
    "RouteTo",
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
    "WorkerCrashed",
    "__version__",
    "errors",
    "local",
    "router",
    "stage",
    "start",
    "telemetry",
    "worker",
]
