"""Contract checks: what a plug-in must keep to, tried on one of yours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from slither_actors._codec import encode
from slither_actors._describe import said
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.dispatch.strategy import Strategy
from slither_actors.errors import DispatchError, InvalidOption, PipeError, SlitherError, shorten
from slither_actors.item import Item
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.stage import Stage
from slither_actors.policy import Retry
from slither_actors.testing.inline import InlineSystem
from slither_actors.testing.simulation import Simulation
from slither_actors.workers.executor import AnyExecutor

_SEEDS = range(5)
_SIZES = (1, 2, 7)
_AGAIN = Retry(max_attempts=50, backoff_s=0.0)


class ContractBroken(AssertionError):
    """A plug-in does not keep to what its kind promises. Says what was tried, and what came of it."""


def check_executor(executor: AnyExecutor, payloads: Iterable[Any], *, same: bool = True) -> list[Any]:
    """Try an executor: alone, in batches, on workers that die, and on the way to another process.

    Args:
        executor: a function, `"module:function"`, `Call`, or a subclass of `Executor`; what `System.dispatch` takes.
        payloads: what it can work on, and does not fail for; two at least.
        same: whether a payload has the same result whatever batch it is in, and whichever worker it meets.

    Returns:
        The results, one for each payload.

    Raises:
        ContractBroken: it fails, gives another number of results, gives results that cannot travel, changes what it
            was given, or gives other results in other batches.
    """
    given = _listed("check_executor", "payloads", payloads, 2)
    before = _pickled(given)
    results: list[Any] | None = None
    for size in (*_SIZES, len(given)):
        with InlineSystem(pools={"default": 1}) as system:
            found = _payloads(partial(system.dispatch, given, executor, batch_size=size), f"batches of {size}")
        _agree(results, found, f"batches of {size}", same)
        results = found if results is None else results
    if _pickled(given) != before:
        raise ContractBroken("the payloads were changed: make new ones, since a batch that is tried again needs them")
    assert results is not None
    for seed in _SEEDS:
        world = Simulation(seed=seed, crashes=0.2)
        run = partial(world.dispatch, given, executor, batch_size=2, on_error=_AGAIN)
        found = _payloads(run, "workers that die")
        _agree(results, found, f"workers that die (seed {seed})", same)
    return results


def check_strategy(strategy: Strategy, payloads: Iterable[Any], *, batch_size: int = 8) -> list[list[Any]]:
    """Try a strategy: whether every item comes out once and as it was, whatever ends the waiting, in runs that know
    nothing of each other.

    Args:
        strategy: as for the option `strategy`.
        payloads: what it can place, also many times over.
        batch_size: as for the option.

    Returns:
        The batches of one run, as lists of payloads.

    Raises:
        ContractBroken: it raises, loses, repeats or invents items, does not keep an order that it says it keeps,
            remembers a former run, or cannot travel.
    """
    given = _listed("check_strategy", "payloads", payloads, 1)
    DispatchOptions(strategy=strategy, batch_size=batch_size)
    _pickled(strategy, "the strategy")
    if not strategy.needs_former:
        return [given[at : at + batch_size] for at in range(0, len(given), batch_size)]
    try:
        first = _formed(strategy, given, batch_size)
        if _formed(strategy, given, batch_size) != first:
            raise ContractBroken("a second run cuts the items in another way: make in `start` what a run remembers")
        for often in _SIZES:
            _formed(strategy, given, batch_size, often)
    except ContractBroken:
        raise
    except Exception as error:
        raise ContractBroken(f"it fails: {said(error)}") from error
    return first


def check_stage(
    stage: type[Stage],
    inputs: Iterable[Any],
    *,
    outputs: Sequence[str] = (),
    same: bool = True,
    **options: Any,
) -> Outputs:
    """Try a stage: made twice, with its hooks, over many inputs, and while neighbours die and messages come late.

    Args:
        stage: a subclass of `Stage`.
        inputs: what it can work on.
        outputs: where it routes to, beside "default".
        same: whether the same inputs have the same outputs each time.
        options: those of its `Options`.

    Returns:
        The outputs.

    Raises:
        ContractBroken: it fails for an input, loses one, or gives other outputs another time.
        DefinitionError, InvalidOption: as for the declaration in a pipe.
    """
    given = _listed("check_stage", "inputs", inputs, 1)
    first: Outputs | None = None
    for seed in _SEEDS:
        world = Simulation(seed=seed, laziness=0.5)
        try:
            found = world.run_stage(stage, given, outputs=outputs, **options)
        except PipeError as error:
            raise ContractBroken(f"it fails: {said(error)}") from error
        _check_balance(found)
        if first is not None and same and _told(found) != _told(first):
            raise ContractBroken(f"other outputs the next time (seed {seed}): {_told(found)}, before {_told(first)}")
        first = found if first is None else first
    assert first is not None
    return first


def check_store(store: Any, reads: Callable[[Any], object] | None = None) -> None:
    """Try a store: whether it loads, loads again to the same, travels to other processes, and answers.

    Args:
        store: a subclass of `Store`, or `Store.named(...)`.
        reads: a function of the store's handle, called behind each load; what it returns must be the same each time.

    Raises:
        ContractBroken: it cannot be loaded, or not to the same again.
    """
    try:
        system = InlineSystem(stores=[store])
    except SlitherError as error:
        raise ContractBroken(f"it does not start: {error}") from error
    with system:
        handle = system.store(store)
        before = _contents(handle), reads(handle) if reads is not None else None
        try:
            handle.reload()
        except SlitherError as error:
            raise ContractBroken(f"it does not load a second time: {error}") from error
        after = _contents(handle), reads(handle) if reads is not None else None
    if before != after:
        raise ContractBroken(f"a second load makes something else: {shorten(after)}, before {shorten(before)}")


def _contents(handle: Any) -> Mapping[str, list[Any]]:
    return {name: list(handle.table(name).select()) for name in handle.statistics()["tables"]}


def _payloads(run: Callable[[], Iterable[Item]], how: str) -> list[Any]:
    try:
        return [item.payload for item in run()]
    except DispatchError as error:
        raise ContractBroken(f"it fails with {how}: {said(error.reason)}") from error


def _agree(first: list[Any] | None, found: list[Any], how: str, same: bool) -> None:
    if same and first is not None and _pickled(found) != _pickled(first) and found != first:
        raise ContractBroken(f"other results with {how}: {shorten(found)}, before {shorten(first)}")


def _formed(strategy: Strategy, given: list[Any], batch_size: int, often: int = 0) -> list[list[Any]]:
    """The batches of one run, which waits no longer for some of them every so `often`."""
    run = strategy.begin(batch_size, lambda: 0.0)
    items = Item.wrap_many(given)
    batches: list[Sequence[Item]] = []

    def add(more: Iterable[Sequence[Item]]) -> int:
        lists = list(more)
        batches.extend(lists)
        return sum(map(len, lists))

    held = 0
    for number, item in enumerate(items, 1):
        held += 1 - add(run.push(item))
        if often and held and number % often == 0:
            given_up = add(run.flush("ceiling"))
            held -= given_up
            if not given_up:
                raise ContractBroken("flush('ceiling') gives nothing though items are held: endless input would stop")
    add(run.flush("end"))
    out = [item for batch in batches for item in batch]
    if sorted(map(id, out)) != sorted(map(id, items)):
        raise ContractBroken(f"{len(items)} items went in, and {len(out)} came out, or not the same objects")
    if strategy.keeps_order and [item.id for item in out] != [item.id for item in items]:
        raise ContractBroken("it says that it keeps the order, and does not")
    return [[item.payload for item in batch] for batch in batches]


def _check_balance(outputs: Outputs) -> None:
    if outputs.accounting.abandoned:
        raise ContractBroken(f"{outputs.accounting.abandoned} items are at no end: {outputs}")


def _told(outputs: Outputs) -> dict[str, list[Any]]:
    """All outputs and ends, by payload."""
    told: dict[str, list[Any]] = {name: [item.payload for item in items] for name, items in outputs.items()}
    return told | {end: sorted(repr(item.payload) for item in getattr(outputs, end)) for end in ("skipped", "dropped")}


def _pickled(value: Any, what: str = "a result") -> bytes:
    try:
        return bytes(encode(value).data)
    except SlitherError as error:
        raise ContractBroken(f"{what} cannot travel to another process: {error}") from error


def _listed(where: str, option: str, values: Iterable[Any], least: int) -> list[Any]:
    given = list(values)
    if len(given) < least:
        raise InvalidOption(where, option, f"{len(given)} of them", f"at least {least}")
    return given
