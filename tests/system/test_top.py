"""`slither top` beside a system that works."""

from __future__ import annotations

import itertools
import json

import pytest

import slither_actors as slither
from slither_actors.cli import main
from tests.helpers import jobs
from tests.helpers.streamed import Orders

pytestmark = pytest.mark.system


def test_what_a_system_does_is_seen_from_outside(
    system: slither.System, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    system.start_pipe(Orders)
    with system.stream(itertools.count(), jobs.same, batch_size=4) as stream:

        def work(seconds: float) -> None:
            for _ in range(40):
                next(stream)

        monkeypatch.setattr("slither_actors.cli.top.time.sleep", work)
        assert main(["top", system.name, "--once", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    (pool,) = told["pools"]
    assert (told["name"], pool["name"], pool["up"]) == (system.name, "default", len(pool["workers"]))
    assert pool["batches_per_s"] > 0
    assert [
        (pipe["name"].partition("-")[0], [stage["name"] for stage in pipe["stages"]]) for pipe in told["pipes"]
    ] == [("Orders", ["check", "price", "route"])]
