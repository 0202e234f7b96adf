"""A misspelt keyword of what users call is refused by name, with the nearest one that means something."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import slither_actors as slither
from slither_actors import Call, Context, FixedBatch, InvalidOption, System
from slither_actors._keywords import known_keywords
from slither_actors.config import BridgeConfig, Config, DispatchConfig
from slither_actors.otp import ChildSpec, SupervisorHandle, SupervisorOptions


@pytest.mark.parametrize(
    ("callee", "given", "nearest"),
    [
        (slither.start, "pool", "pools"),
        (System.dispatch, "batchsize", "batch_size"),
        (System.stream, "max_inflight", "max_in_flight"),
        (System.call_batch, "timeout", "timeout_s"),
        (System.call_each, "pol", "pool"),
        (System.run_pipe, "sesion_id", "session_id"),
        (System.stream_pipe, "on_ends", "on_end"),
        (System.start_pipe, "pip", "pipe"),
        (System.stop_pipe, "timeout", "timeout_s"),
        (System.stop, "timeout", "timeout_s"),
        (System.call, "timeout", "timeout_s"),
        (System.cast, "requst", "request"),
        (System.whereis, "nam", "name"),
        (System.supervisor, "timeout", "timeout_s"),
        (slither.router, "on_eror", "on_error"),
        (SupervisorHandle.start_child, "specs", "spec"),
        (SupervisorHandle.delete_child, "child", "child_id"),
        (ChildSpec, "restarts", "restart"),
        (SupervisorOptions, "period", "period_s"),
        (Context, "meta_data", "metadata"),
        (Config, "dispatcher", "dispatch"),
        (DispatchConfig, "default_batchsize", "default_batch_size"),
        (BridgeConfig, "defaultscope", "default_scope"),
        (FixedBatch, "siz", "size"),
        (Call, "targe", "target"),
    ],
)
def test_a_misspelt_keyword_is_refused_before_anything_else_is_looked_at(callee: Any, given: str, nearest: str) -> None:
    with pytest.raises(InvalidOption, match=f"did you mean '{nearest}'") as caught:
        callee(**{given: 1})
    assert (caught.value.where, caught.value.option) == (callee.__name__, given)


def test_every_public_method_of_a_system_that_takes_keywords_is_covered() -> None:
    methods = {name: one for name, one in inspect.getmembers(System, inspect.isfunction) if name[0] != "_"}
    uncovered = [
        name
        for name, one in methods.items()
        if len(inspect.signature(one).parameters) > 1 and not hasattr(one, "__wrapped__")
    ]
    assert not uncovered


def test_what_is_checked_looks_and_works_as_before() -> None:
    @known_keywords
    def made(first: int, *, second: int = 2) -> tuple[int, int]:
        """What it makes."""
        return first, second

    assert made(1) == (1, 2)
    assert made(first=3, second=4) == (3, 4)
    assert made.__doc__ == "What it makes."
    assert list(inspect.signature(made).parameters) == ["first", "second"]
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        made()  # type: ignore[call-arg]
