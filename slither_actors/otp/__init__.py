"""Processes, names and restarts: actors with the manners of OTP. Knows nothing of items, batches or pipes."""

from slither_actors.otp._roster import ChildCounts, ChildInfo
from slither_actors.otp.backoff import Backoff
from slither_actors.otp.child import (
    ChildSpec,
    ExitReason,
    Restart,
    Strategy,
    SupervisorOptions,
    check_childspecs,
)
from slither_actors.otp.handle import SupervisorHandle
from slither_actors.otp.ref import ProcessInfo, Ref
from slither_actors.otp.server import IGNORE, LATER, Caller, Monitor, Server, handles
from slither_actors.otp.supervisor import Supervisor

__all__ = [
    "IGNORE",
    "LATER",
    "Backoff",
    "Caller",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "ExitReason",
    "Monitor",
    "ProcessInfo",
    "Ref",
    "Restart",
    "Server",
    "Strategy",
    "Supervisor",
    "SupervisorHandle",
    "SupervisorOptions",
    "check_childspecs",
    "handles",
]
