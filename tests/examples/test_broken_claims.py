"""The examples with real processes: small runs hold what they claim, and a claim that is broken is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors.examples.batch_stats import pipe as stats
from slither_actors.examples.batch_stats.data import generate
from slither_actors.examples.batch_stats.main import main as batch_stats
from slither_actors.examples.contract import Meter
from slither_actors.examples.data_etl.main import main as data_etl
from slither_actors.examples.data_etl.pipe import Schemas
from slither_actors.examples.data_etl.schemas import entries

pytestmark = [pytest.mark.system, pytest.mark.thorough]


class Silent:
    """A display that shows nothing."""

    def write(self, text: str = "") -> None:
        pass

    write_json = note = write

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Meter]:
        yield self

    def advance(self, steps: int = 1) -> None:
        pass


class Whole(stats.ByNumber):
    """Batches that fail as a whole."""

    summarise = slither.worker(stats.SUMMARISE, strategy=stats.ByNumber.CUT, on_error="skip")


class Larger(stats.ByWeight):
    """Batches that are cut in another way than they should be."""

    summarise = slither.worker(stats.SUMMARISE, batch_size=64, on_error=slither.Skip(isolate=True))


def test_only_the_poison_is_lost_and_without_isolation_more_is(base: Path) -> None:
    data = list(generate(200, 4, seed=1))

    pipes = {"weight": stats.ByWeight, "key": stats.ByKey, "whole": Whole, "larger": Larger}
    report = batch_stats(data, 2, Silent(), pipes)

    lost = {part.cut: len(part.lost) for part in report.parts}
    assert all(part.lost_whole > 4 for part in report.parts)
    assert report.problems == [
        f"whole: {lost['whole']} data sets are lost, {lost['whole'] - 4} of them sound ones",
        "larger: a batch was cut in another way",
        "the sums differ from one way to cut to the next",
    ]
    assert lost == {"weight": 4, "key": 4, "larger": 4, "whole": report.parts[2].lost_whole}


def test_no_row_meets_half_a_schema_and_half_a_reload_is_found(base: Path) -> None:
    assert data_etl(150, 2, 1, Silent()).problems == []

    def by_halves(system: slither.System) -> None:
        """As one would do without a reload: one table after the other, and something comes between."""
        store = system.store(Schemas)
        phase = store.phase.get("now") + 1
        store.phase.put("now", phase)
        store.fields.clear()
        store.fields.bulk_insert((key, entry) for table, key, entry in entries(phase) if table == "fields")

    report = data_etl(150, 2, 1, Silent(), by_halves)
    assert report.torn
    assert "rows were validated by parts of two schemas" in report.problems[0]


@pytest.mark.timeout(180)
def test_sessions_keep_their_models_apart_and_a_wrong_row_is_found(base: Path) -> None:
    pytest.importorskip("sklearn")
    from slither_actors.examples.ml_scoring.customers import is_wanted
    from slither_actors.examples.ml_scoring.main import main as ml_scoring

    assert ml_scoring(200, 2, 1, Silent()).problems == []

    broken = ml_scoring(200, 2, 1, Silent(), lambda market, one: is_wanted("north", one))
    assert broken.problems == ["the model of south is not the one that its own rows make"]


@pytest.mark.timeout(180)
def test_the_bound_on_pixels_is_kept_and_a_pipe_without_it_is_found(base: Path) -> None:
    pytest.importorskip("PIL")
    from slither_actors.examples.image_pipeline.main import main as image_pipeline
    from slither_actors.examples.image_pipeline.pipe import Unbounded

    assert image_pipeline(50, 2, 1948, Silent()).problems == []
    assert "pixels" in image_pipeline(50, 2, 1948, Silent(), Unbounded).problems[0]
