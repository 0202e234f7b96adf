"""What a pool can be made of, and which commands its adapter has."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from slither_actors import Adapter, Command, Context, InvalidOption, Item, NotImportable, PoolOptions
from slither_actors.item import columns
from slither_actors.workers.adapter import CommandCode, check_command, commands_of
from slither_actors.workers.executor import batch_runner, code_of, once_runner
from slither_actors.workers.pool_options import code_for
from tests.helpers import adapters


class Empty(Adapter):
    pass


class Made(Adapter):
    def __init__(self, path: str) -> None:
        self.path = path

    def score(self, payloads: list[int]) -> list[int]:
        return payloads


class Odd(Adapter):
    def score(self, payloads: list[int], device: str) -> list[int]:
        return payloads


class Async(Adapter):
    async def score(self, payloads: list[int]) -> list[int]:
        return payloads


class Greedy(Adapter):
    def setup(self, path: str) -> None:  # type: ignore[override]
        pass

    def score(self, payloads: list[int]) -> list[int]:
        return payloads


async def warm_async() -> None:
    pass


def warm_with(model: str) -> None:
    pass


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": 0}, "PoolOptions: size is 0.*1 to 512"),
        ({"size": True}, "PoolOptions: size is True"),
        ({"size": 513}, "PoolOptions: size is 513"),
        ({"size": 1, "adapter": 3}, "adapter is 3.*subclass of slither_actors.Adapter"),
        ({"size": 1, "adapter": Adapter}, "adapter is .*subclass of slither_actors.Adapter"),
        ({"size": 1, "adapter": adapters.Scorer()}, "adapter is .*subclass"),
        ({"size": 1, "adapter": Empty}, "adapter is Empty.*at least one public method"),
        ({"size": 1, "adapter": Made}, r"adapter is Made, made with \(path\).*without arguments"),
        ({"size": 1, "adapter": Odd}, r"Odd.score is parameters \(payloads, device\)"),
        ({"size": 1, "adapter": Async}, "Async.score is an async method"),
        ({"size": 1, "adapter": Greedy}, r"Greedy.setup is parameters \(path\).*no parameters"),
        ({"size": 1, "adapter": f"{__name__}:Empty"}, "adapter is Empty"),
        ({"size": 1, "warm_up": 3}, "warm_up is 3.*a function"),
        ({"size": 1, "warm_up": dict}, "warm_up is .*a function"),
        ({"size": 1, "warm_up": warm_async}, "warm_up is .*async.*a plain function"),
        ({"size": 1, "warm_up": warm_with}, r"warm_up is .*\(model\).*ctx"),
        ({"size": 1, "environment": [("A", "1")]}, "environment is .*a mapping of names to text"),
        ({"size": 1, "environment": {"A": 1}}, r"environment\['A'\] is 1.*\"1\""),
        ({"size": 1, "environment": {"A=B": "1"}}, "environment is 'A=B'.*without ="),
        ({"size": 1, "environment": {"": "1"}}, "environment is ''"),
        ({"size": 1, "environment": {"A": "\0"}}, r"environment\['A'\]"),
        ({"size": 1, "start_timeout_s": 0}, "start_timeout_s is 0"),
        ({"size": 1, "warmup": warm_with}, "warmup.*did you mean 'warm_up'"),
    ],
)
def test_what_cannot_work_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        PoolOptions(**given)


@pytest.mark.parametrize("field", ["adapter", "warm_up"])
def test_a_malformed_path_is_refused_and_a_good_one_is_not_imported(field: str) -> None:
    with pytest.raises(NotImportable):
        PoolOptions(1, **{field: "no colon"})
    assert PoolOptions(1, **{field: "only_in_a_worker:Thing"}).outfit() is not None


def test_a_pool_of_plain_workers_needs_no_outfit() -> None:
    assert PoolOptions(4).outfit() is None
    assert PoolOptions(4, environment={"A": "1"}).outfit() is not None


def test_options_do_not_change_with_what_they_were_made_of() -> None:
    given = {"A": "1"}
    options = PoolOptions(1, environment=given)
    given["A"] = "2"
    assert options.environment == {"A": "1"}
    assert hash(options) == hash(PoolOptions(1, environment={"A": "1"}))


def test_the_commands_are_the_public_methods() -> None:
    assert commands_of(adapters.Scorer) == ("break_on_three", "figures", "plain", "score", "tell")


@pytest.mark.parametrize("name", ["", "_private", "not a name", "class", 3, None])
def test_a_command_has_the_name_of_a_public_method(name: Any) -> None:
    with pytest.raises(InvalidOption, match=r"Command: name is .*public method"):
        Command(name)


def test_a_command_travels_as_its_name() -> None:
    code = pickle.loads(pickle.dumps(code_of(Command("score"))))
    assert isinstance(code, CommandCode)
    assert code.name == "score"


@pytest.mark.parametrize(("load", "name"), [(batch_runner, "scores"), (once_runner, "figure")])
def test_the_worker_looks_for_the_command_too(load: Callable[..., Any], name: str) -> None:
    with pytest.raises(InvalidOption, match=r"a command of Scorer: break_on_three, figures.*did you mean"):
        load(code_of(Command(name)), adapters.Scorer())
    with pytest.raises(InvalidOption, match="only where the pool has an adapter"):
        load(code_of(Command(name)), None)


def test_the_worker_calls_a_command_with_payloads_or_without() -> None:
    scorer = adapters.Scorer()
    scorer.setup()
    rows = columns(Item.wrap_many([1, 2]))
    assert list(batch_runner(code_of(Command("score")), scorer)(rows, Context())[1]) == [10, 20]
    assert once_runner(code_of(Command("figures")), scorer)(Context())[1] == 1
    with pytest.raises(InvalidOption, match="the list of payloads"):
        batch_runner(code_of(Command("figures")), scorer)


def test_the_service_refuses_what_it_can_see() -> None:
    options = PoolOptions(1, adapter=adapters.Scorer)
    assert code_for(Command("score"), "gpu", options, "dispatch").name == "score"
    assert code_for(Command("figures"), "gpu", options, "call_each", once=True).name == "figures"
    with pytest.raises(InvalidOption, match=r"dispatch: executor is Command\('scor'\)"):
        code_for(Command("scor"), "gpu", options, "dispatch")
    with pytest.raises(InvalidOption, match=r"dispatch: executor is Command\('score'\) for pool 'cpu'"):
        code_for(Command("score"), "cpu", PoolOptions(1), "dispatch")
    check_command(code_of(Command("any")), "only_in_a_worker:Thing", "pool 'gpu'", "dispatch")
    check_command(code_of(len), None, "pool 'gpu'", "dispatch")
