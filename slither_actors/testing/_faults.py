"""What goes wrong in a simulation, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from slither_actors._signature import accepts
from slither_actors._validators import is_number, number_in, positive_int
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete
from slither_actors.errors import InvalidOption, shorten
from slither_actors.otp.messages import Down, KillProcess
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    EndRun,
    LeaseRecalled,
    RunBatch,
    Vacate,
    Vacated,
)

Seconds = float | tuple[float, float] | Callable[[Sequence[Any]], float]

# What may come twice, the second time late, without a difference. An `Ask` says how much in all, which only grows.
# `Complete`, `CloseRun`, `EndRun`, `Vacate` and `Vacated` name what is over, and it stays over. A `Down` names an
# incarnation, a result the number of an execution, a `KillProcess` both. A lease that is recalled is given back once.
# All others count, or are true only for a while: a batch that came twice would be two batches, a lease granted again a
# second lease, and a `LeaseRequest` may want less than the one before it.
REPEATABLE = (
    Ask,
    Complete,
    CloseRun,
    EndRun,
    Vacate,
    Vacated,
    Down,
    BatchDone,
    BatchFailed,
    KillProcess,
    LeaseRecalled,
)

# What a full queue may hold back: the messages that carry items. The others are a few bytes.
REFUSABLE = (Batch, RunBatch)


class Crash(BaseException):
    """Raised by user code in a simulated worker: the worker dies here, as by a segmentation fault.

    In a real worker it is no more than an exception, so the batch fails.
    """


class Hang(BaseException):
    """Raised by user code in a simulated worker: the batch never ends, until its worker is killed.

    In a real worker it is no more than an exception, so the batch fails.
    """


def _seconds(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if callable(value):
        fits = accepts(value, 1)
    elif isinstance(value, tuple):
        fits = len(value) == 2 and all(map(is_number, value)) and 0 <= value[0] <= value[1]
    else:
        fits = is_number(value) and value >= 0
    if not fits:
        allowed = "a number of seconds, a pair of the least and the most, or a function of the list of payloads"
        raise InvalidOption("Simulation", "seconds", shorten(value), allowed)


def _chance(default: float, most: float = 1.0) -> Any:
    return attrs.field(default=default, validator=number_in(0.0, most))


@attrs.frozen(kw_only=True)
class Faults:
    """The world of a simulation: sizes, times and chances. `Simulation` documents each."""

    workers: int = attrs.field(default=2, validator=positive_int)
    seconds: Seconds = attrs.field(default=(0.001, 0.02), validator=_seconds)
    crashes: float = _chance(0.0)
    hangs: float = _chance(0.0)
    pool_crashes: float = _chance(0.0, 0.5)
    node_crashes: float = _chance(0.0, 0.5)
    recycles: float = _chance(0.0)
    repeats: float = _chance(0.02)
    refusals: float = _chance(0.0)
    laziness: float = _chance(0.2, 0.99)

    def duration(self, payloads: Sequence[Any], rng: random.Random) -> float:
        """How long a batch takes, in virtual seconds."""
        if isinstance(self.seconds, tuple):
            return rng.uniform(*self.seconds)
        if not callable(self.seconds):
            return self.seconds
        seconds = self.seconds(payloads)
        if not is_number(seconds) or seconds < 0:
            raise InvalidOption("Simulation", "seconds", shorten(seconds), "a number of at least 0 from the function")
        return seconds
