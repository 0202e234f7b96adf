"""The options of a dispatch: defaults, checks and documentation in one place."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import attrs

from slither_actors._validators import (
    check_known,
    name,
    one_of,
    optional,
    positive_int,
    positive_number,
    positive_seconds,
)
from slither_actors.config import DispatchConfig
from slither_actors.dispatch.strategy import AnyStrategy, Strategy, as_strategy
from slither_actors.errors import InvalidOption, shorten
from slither_actors.policy import Halt, Policy, as_policy, without_function

Ordering = Literal["preserve", "as_completed"]


def _policy(value: Any) -> Policy:
    return as_policy(value, "DispatchOptions")


class WorkerOptions(TypedDict, total=False):
    """What a worker stage says of a dispatch, for type checkers; its `on_error` is an option of all stages."""

    pool: str
    batch_size: int
    max_in_flight: int
    max_in_flight_weight: float | None
    ordering: Ordering
    timeout_s: float
    queue_timeout_s: float | None
    strategy: Strategy | None


@attrs.frozen(kw_only=True)
class DispatchOptions:
    """How items are batched, how many batches may be out, and what a failure means."""

    pool: str = attrs.field(default="default", validator=name, metadata={"doc": "The worker pool to use."})
    batch_size: int = attrs.field(default=64, validator=positive_int, metadata={"doc": "Items per batch."})
    max_in_flight: int = attrs.field(
        default=8, validator=positive_int, metadata={"doc": "Batches that may be with workers at once."}
    )
    max_in_flight_weight: float | None = attrs.field(
        default=None,
        validator=optional(positive_number),
        metadata={"doc": "What these may weigh together, by a strategy with weights; a heavier batch goes alone."},
    )
    ordering: Ordering = attrs.field(
        default="preserve",
        validator=one_of("preserve", "as_completed"),
        metadata={"doc": "Results in the order of the items, or as batches complete."},
    )
    on_error: Policy = attrs.field(
        default=Halt(),
        converter=_policy,
        metadata={"doc": "What happens to the items of a failed batch: halt, skip, `Retry()` or `Route()`."},
    )
    timeout_s: float = attrs.field(
        default=30.0,
        validator=positive_seconds,
        metadata={"doc": "Seconds a batch may run before its worker is killed."},
    )
    queue_timeout_s: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(positive_seconds),
        metadata={"doc": "Seconds a batch may wait while its run has no worker; no limit by default."},
    )
    strategy: AnyStrategy | None = attrs.field(
        default=None,
        converter=as_strategy,
        metadata={"doc": "How items are cut into batches; by default `FixedBatch(batch_size)`."},
    )

    @property
    def size(self) -> int:
        """Items that a batch may have, by the strategy where one is given."""
        return self.strategy.size_within(self.batch_size) if self.strategy else self.batch_size

    def for_dispatcher(self) -> DispatchOptions:
        """For those who form no batches and run no user code: what these refer to may not even be picklable."""
        policy = without_function(self.on_error)
        return attrs.evolve(self, strategy=None, batch_size=self.size, on_error=policy)

    @classmethod
    def of(cls, given: dict[str, Any], defaults: DispatchConfig, where: str) -> DispatchOptions:
        """Options from what a user gave; `None` and what is missing become the configured defaults.

        Raises:
            InvalidOption: an unknown name, or a value that is not allowed.
        """
        check_known(where, given, [field.name for field in attrs.fields(cls)])
        configured: dict[str, Any] = {
            "batch_size": defaults.default_batch_size,
            "max_in_flight": defaults.default_max_in_flight,
            "ordering": defaults.default_ordering,
            "on_error": defaults.default_on_error,
        }
        try:
            options = cls(**configured | {key: value for key, value in given.items() if value is not None})
        except InvalidOption as error:
            raise InvalidOption(where, error.option, error.got, error.allowed) from None
        if options.max_in_flight_weight is not None and not (options.strategy and options.strategy.weighs):
            allowed = "None, unless strategy=WeightedBatch(max_weight, weight) says what batches weigh"
            raise InvalidOption(where, "max_in_flight_weight", shorten(options.max_in_flight_weight), allowed)
        return options
