"""One thing in four forms: a dispatch, a stream, a pipe and its stream, with what may become of them."""

from __future__ import annotations

import sys
from typing import Any

import slither_actors as slither
from slither_actors import DispatchError, PipeError, Retry, Route, Skip
from slither_actors.testing import Crash
from tests.helpers import jobs

MISHAPS = ("raise", "_exit", "too few", "lock")


def mishaps(payloads):
    """Those of `jobs`; where that would be the end of the tests, the end of a simulated worker."""
    if "_exit" in payloads and "pytest" in sys.modules:
        raise Crash
    return jobs.mishaps(payloads)


def in_its_place(item: slither.Item, reason: BaseException) -> str:
    return f"not {item.payload}"


POLICIES: dict[str, Any] = {
    "halt": "halt",
    "skip": "skip",
    "isolate": Skip(isolate=True),
    "retry": Retry(max_attempts=2, backoff_s=0.0, then="skip"),
    "retry, halt": Retry(max_attempts=2, backoff_s=0.0),
    "retry, isolate": Retry(max_attempts=2, backoff_s=0.0, then="skip", isolate=True),
    "route": Route(in_its_place),
    "retry, route": Retry(max_attempts=2, backoff_s=0.0, then=Route(in_its_place)),
}
OPTIONS: dict[str, Any] = {"batch_size": 3, "max_in_flight": 1}


def taken(stream: Any, into: list[Any]) -> Any:
    for item in stream:
        into.append(item.payload)
    return stream


def in_each_form(system: slither.System, given: list[Any], policy: Any) -> list[Any]:
    """What each form makes of it: results, ends with their reasons, and what ended the run."""

    class OneStage(slither.Pipe):
        only = slither.worker(mishaps, on_error=policy, **OPTIONS)

    streams: dict[int, list[Any]] = {1: [], 3: []}

    def dispatched() -> Any:
        return system.dispatch(given, mishaps, on_error=policy, **OPTIONS)

    def streamed() -> Any:
        return taken(system.stream(given, mishaps, on_error=policy, **OPTIONS), streams[1])

    def piped() -> Any:
        return system.run_pipe(OneStage, given)

    def pipe_streamed() -> Any:
        return taken(system.stream_pipe(OneStage, given), streams[3])

    outcomes = []
    for number, form in enumerate((dispatched, streamed, piped, pipe_streamed)):
        got, ends, halt = streams.get(number, []), {}, ""
        try:
            results = form()
        except (DispatchError, PipeError) as error:
            halt, partial = f"{type(error.reason).__name__}: {error.reason}", error.partial_results
            items = partial["default"] if isinstance(partial, dict) else partial
        else:
            items = [] if number in streams else results.default if number == 2 else results
            for end in ("skipped", "dropped", "dead"):
                ends[end] = [
                    (item.payload, type(item.meta["error"]).__name__, item.meta["attempts"])
                    for item in getattr(results, end)
                ]
        outcomes.append((got + [item.payload for item in items], ends, halt))
    return outcomes


def without_names(mishap: str, outcomes: list[Any]) -> list[Any]:
    """The text of the death of a worker names that one."""
    if mishap != "_exit":
        return outcomes
    return [(got, ends, halt.partition(":")[0]) for got, ends, halt in outcomes]
