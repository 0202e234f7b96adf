"""The batches of a worker stage with a rate limit: none is larger than what may go at once."""

from __future__ import annotations

from typing import Any

from slither_actors.config import DispatchConfig
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import InvalidOption
from slither_actors.pipe.declarations import WorkerDeclaration


def within_burst(declaration: WorkerDeclaration, given: dict[str, Any], config: DispatchConfig) -> dict[str, Any]:
    """The options, with a batch size that fits where the pipe names none."""
    burst = declaration.rate.burst if declaration.rate is not None else None
    if burst is None or given.get("batch_size") is not None or config.default_batch_size <= burst:
        return given
    return given | {"batch_size": burst}


def check_burst(declaration: WorkerDeclaration, where: str) -> None:
    """Refuse options that do not fit, by themselves or to the rate limit.

    Raises:
        InvalidOption: one of them; the size of a batch that may never go.
    """
    config = DispatchConfig()
    options = DispatchOptions.of(within_burst(declaration, declaration.options, config), config, where)
    rate = declaration.rate
    if rate is not None and rate.burst is not None and options.size > rate.burst:
        option = "batch_size" if options.size == options.batch_size else "strategy"
        got = f"such that a batch may have {options.size} items"
        raise InvalidOption(where, option, got, f"at most {rate.burst}, the burst of its rate")
