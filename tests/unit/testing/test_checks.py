"""The contract checks: what keeps to its contract passes, what does not is told why."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import slither_actors as slither
from slither_actors.testing import ContractBroken, check_executor, check_stage, check_store, check_strategy
from tests.helpers import jobs
from tests.helpers.strategies import Forgetful, Pairs


def test_an_executor_that_works_gives_its_results() -> None:
    assert check_executor(jobs.double, range(9)) == [2 * number for number in range(9)]


class Doubling(slither.Executor):
    def execute_batch(self, items, ctx):
        return [item.with_payload(2 * item.payload) for item in items]


def test_a_class_is_an_executor_too() -> None:
    assert check_executor(Doubling, [1, 2, 3]) == [2, 4, 6]


def sorts(values):
    return sorted(values)


def counts_batch(values):
    return [len(values)] * len(values)


@pytest.mark.parametrize(
    ("executor", "payloads", "said"),
    [
        (lambda values: values[:-1], [1, 2, 3], "ResultCountMismatch"),
        (lambda values: 1 / 0, [1, 2], "it fails with batches of 1: RemoteError: ZeroDivisionError"),
        (lambda values: [(value for value in ()) for _ in values], [1, 2], "it fails with batches of 1"),
        (counts_batch, [1, 2, 3], "other results with batches of 2"),
        (sorts, [3, 2, 1], "other results with batches of 2"),
    ],
)
def test_an_executor_that_breaks_its_contract_is_told_how(executor: Any, payloads: list[Any], said: str) -> None:
    with pytest.raises(ContractBroken) as broken:
        check_executor(executor, payloads)
    assert said in str(broken.value)


def test_results_may_depend_on_the_batch_where_that_is_said() -> None:
    assert check_executor(counts_batch, [1, 2, 3], same=False) == [1, 1, 1]
    with pytest.raises(slither.InvalidOption, match="at least 2"):
        check_executor(jobs.same, [1])


@pytest.mark.parametrize(
    "strategy",
    [
        Pairs(),
        slither.FixedBatch(4),
        slither.WeightedBatch(10.0, lambda item: item.payload),
        slither.KeyPartition(lambda item: item.payload % 3, max_size=2),
    ],
)
def test_strategies_that_work_pass(strategy: Any) -> None:
    batches = check_strategy(strategy, range(1, 11))

    assert sorted(itertools.chain.from_iterable(batches)) == list(range(1, 11))


class Remembers(Pairs):
    def __init__(self):
        self.seen = []

    def push(self, item):
        self.seen.append(item)
        return [[item]] if len(self.seen) % 3 else super().push(item)


class Holds(Pairs):
    def flush(self, reason):
        return [] if reason == "ceiling" else super().flush(reason)

    def push(self, item):
        self.items.append(item)
        return []


class Turns(Pairs):
    keeps_order = True

    def flush(self, reason):
        return [batch[::-1] for batch in super().flush(reason)]


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (Forgetful(), "10 items went in, and 9 came out"),
        (Remembers(), "a second run cuts the items in another way"),
        (Holds(), "gives nothing though items are held"),
        (Turns(), "it says that it keeps the order"),
        (slither.WeightedBatch(10.0, lambda item: item.payload), "it fails: InvalidOutcome: .* an item weighs 0"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_told_how(strategy: Any, said: str) -> None:
    with pytest.raises(ContractBroken, match=said):
        check_strategy(strategy, range(10))


class Failing(slither.Stage):
    def handle_item(self, item, ctx):
        raise ValueError("never")


def test_a_stage_that_works_gives_its_outputs() -> None:
    outputs = check_stage(Upper, ["a", "!", "b"])

    assert [item.payload for item in outputs.default] == ["A", "B"]
    assert outputs.dropped.total == 1


class Upper(slither.Stage):
    def handle_item(self, item, ctx):
        return slither.Drop("rude") if item.payload == "!" else item.payload.upper()


def test_a_stage_that_breaks_its_contract_is_told_how() -> None:
    with pytest.raises(ContractBroken, match="other outputs the next time"):
        check_stage(Changing, [1, 2])
    with pytest.raises(ContractBroken, match=r"it fails: .*never"):
        check_stage(Failing, [1])


class Changing(slither.Stage):
    def handle_item(self, item, ctx):
        return id(self)


class Steady(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        tables.rows.put("a", 1)


class Moody(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        tables.rows.put("a", __import__("time").perf_counter_ns())


class Fails(slither.Store):
    rows = slither.Table(kind="set")

    def load(self, tables):
        raise ValueError("nothing there")


def test_stores_load_twice_to_the_same() -> None:
    read: list[Any] = []

    check_store(Steady, lambda store: read.append(store.rows.get("a")))

    assert read == [1, 1]
    with pytest.raises(ContractBroken, match="a second load makes something else"):
        check_store(Moody)
    with pytest.raises(ContractBroken, match="nothing there"):
        check_store(Fails)
