"""What else stands in the body of a pipe: the user's own is left alone, what would silently mean nothing is refused."""

from __future__ import annotations

import functools
import subprocess
import sys

import cloudpickle
import pytest

import slither_actors as slither
from slither_actors import DefinitionError
from tests.helpers.patience import PATIENCE_S


def keep(item):
    return item


class Mine(slither.Stage):
    def handle_item(self, item, ctx):
        return item


class Tag(slither.Executor):
    def execute_batch(self, items, ctx):
        return items


def refusal(name, value):
    with pytest.raises(DefinitionError) as caught:
        type(slither.Pipe)("P", (slither.Pipe,), {"step": slither.local(keep), name: value})
    where, _, text = str(caught.value).partition(": ")
    assert where == f"pipe P, {name}"
    return text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_eror", "on_error"),
        ("on_errors", "on_error"),
        ("onerror", "on_error"),
        ("output", "outputs"),
        ("ouputs", "outputs"),
        ("store", "stores"),
    ],
)
def test_a_misspelt_option_is_told_the_one_that_was_meant(name, meant):
    text = refusal(name, ["a"])
    assert text.startswith(f"a pipe has no such option (did you mean {meant!r}?); allowed: outputs, on_error, stores")


def test_pools_are_no_option_of_a_pipe():
    text = refusal("pools", {"gpu": slither.PoolOptions(1)})
    assert text.startswith("it means nothing in a pipe; allowed: pools of slither.start(pools=...)")


@pytest.mark.parametrize("name", ["pool", "batch_size", "max_in_flight", "ordering", "timeout_s", "strategy", "then"])
def test_an_option_of_a_stage_means_nothing_in_a_pipe(name):
    assert f"an option of a stage, such as slither.worker(..., {name}=...)" in refusal(name, 8)


@pytest.mark.parametrize(
    ("value", "declaration"),
    [
        (keep, "@slither.local for each item, slither.worker(function) for batches, or a staticmethod"),
        (lambda item: item, "@slither.local"),
        (len, "@slither.local"),
        (functools.partial(keep), "@slither.local"),
        (Mine, "slither.stage(Mine)"),
        (Mine(), "slither.stage(Mine, ...)"),
        (Tag, "slither.worker(Tag)"),
        (slither.Call("my_model:predict"), "slither.worker(Call(target='my_model:predict'))"),
        ("my_model:predict", "slither.worker('my_model:predict')"),
        ((keep, "accept"), "slither.router((predicate, destination), ...)"),
        (((keep, "accept"), (keep, "review")), "slither.router((predicate, destination), ...)"),
        ([(keep, "accept")], "slither.router((predicate, destination), ...)"),
    ],
)
def test_what_could_be_a_stage_and_is_not_declared_is_told_how_to_declare_it(value, declaration):
    text = refusal("predict", value)
    assert text.startswith(f"it is not declared, so it would not run; allowed: {declaration}")
    assert text.endswith("; a name of your own begins with _ or is in CAPITALS")


def test_the_name_of_the_checked_definition_is_taken():
    assert refusal("definition", 5).startswith("the checked definition stands under this name")


class Features(slither.Store):
    features = slither.Table()


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ([int], "subclasses of slither_actors.Store, or Store.named(...)"),
        (["not a name"], "subclasses of slither_actors.Store, or Store.named(...)"),
        ([slither.Store], "subclasses of slither_actors.Store, or Store.named(...)"),
        (Features, "a list of stores, such as [FeatureStore]"),
        ("abc", "a list of stores, such as [FeatureStore]"),
        (5, "a list of stores, such as [FeatureStore]"),
        (None, "a list of stores, such as [FeatureStore]"),
        ([Features, "Features"], "each store once"),
    ],
)
def test_what_are_no_stores_is_refused(wrong, allowed):
    assert refusal("stores", wrong).endswith(f"allowed: {allowed}")


def test_stores_are_named_by_class_by_name_and_with_a_name_of_their_own():
    class P(slither.Pipe):
        keep = slither.local(keep)
        stores = [Features, Features.named("eu"), "us"]

    assert P.definition.stores == ("Features", "eu", "us")


def test_what_is_the_users_own_is_left_alone():
    class P(slither.Pipe):
        """A docstring."""

        threshold = 0.8
        title = "a text"
        out = ["a"]
        url = "http://localhost:80"
        labels = ("good", "bad")
        MODEL = "my_model:predict"
        ROUTES = ((keep, "accept"),)
        KEEP = keep
        outputs = ["accept"]
        stores = []
        note: str

        class Nested(slither.Stage):
            def handle_item(self, item, ctx):
                return item

        class Settings:
            size = 3

        kind = dict

        def _helper(value):
            return value

        @staticmethod
        def clean(value):
            return value

        @classmethod
        def made(cls):
            return cls

        @property
        def size(self):
            return 1

        predict = slither.worker(MODEL)
        route = slither.router(*ROUTES)
        own = slither.stage(Nested)
        store = slither.local(keep)

    assert [stage.name for stage in P.definition.stages] == ["predict", "route", "own", "store"]


def test_a_stage_may_be_taken_out_whatever_its_name():
    class Base(slither.Pipe):
        one = slither.local(keep)
        store = slither.local(keep)

    class Child(Base):
        store = None

    assert [stage.name for stage in Child.definition.stages] == ["one"]


def test_a_pipe_that_its_own_functions_name_travels_by_value():
    """As one of a script does, whose helpers its stages call by the name of the class."""

    class Local(slither.Pipe):
        @staticmethod
        def twice(value):
            return value * 2

        @slither.local
        def step(item):
            return Local.twice(item.payload)

    script = """
import pickle, sys
from slither_actors import Item
pipe = pickle.load(sys.stdin.buffer)
print(pipe.definition.stage("step").declaration.function(Item.wrap(4)))
"""
    blob = cloudpickle.dumps(Local, protocol=5)
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], input=blob, capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert (done.stdout, done.stderr) == (b"8\n", b"")
