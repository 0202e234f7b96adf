"""A start is all or nothing: what fails is named, nothing is left; and pools come up side by side."""

from __future__ import annotations

import os
import time

import pytest

import slither_actors as slither
from slither_actors import PoolOptions
from slither_actors.otp import ChildSpec, Server
from tests.helpers.patience import PATIENCE_S
from tests.system.running import a_system

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy_each")]


class Broken(slither.Store):
    rows = slither.Table()

    def load(self, tables):
        raise ValueError("no rows")


class Refusing(Server):
    def init(self):
        raise ValueError("not today")


class BrokenStage(slither.Stage):
    def setup(self, ctx):
        raise ValueError("no model")

    def handle_item(self, item, ctx):
        return item


class BrokenPipe(slither.Pipe):
    good = slither.local(lambda item: item)
    bad = slither.stage(BrokenStage)


def fail_to_warm():
    raise ValueError("cold")


THREE = {"a": 1, "b": 1, "c": PoolOptions(1, warm_up=fail_to_warm)}


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"stores": [Broken]}, "stores/Broken.*no rows"),
        ({"pools": THREE}, "pools/c/.*cold"),
        ({"children": [ChildSpec("good", Server), ChildSpec("bad", Refusing)]}, "children/bad.*not today"),
        ({"pipes": [BrokenPipe]}, "pipes/BrokenPipe-1/bad.*no model"),
    ],
    ids=["store", "pool", "child", "pipe"],
)
def test_a_start_that_fails_names_the_culprit_and_leaves_nothing(options, culprit):
    with pytest.raises(slither.StartError, match=f"(?s){culprit}"):
        slither.start(**{"pools": {"default": 1}, **options})


def meet(own, other):
    """Waits until the other pool has begun to warm up too."""

    def warm():
        open(own, "w").close()
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(other):
            assert time.monotonic() < deadline, "the other pool waits for this one"
            time.sleep(0.005)

    return warm


def test_pools_start_side_by_side(tmp_path):
    """Each waits in its warm-up for the other one: one after the other they would never be up."""
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    pools = {"a": PoolOptions(1, warm_up=meet(a, b)), "b": PoolOptions(1, warm_up=meet(b, a))}
    with a_system(pools=pools) as system:
        assert sorted(system.statistics()["pools"]) == ["a", "b"]
