"""What each example claims is checked by its report: a claim that does not hold is a problem, and an exit code of 1."""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter
from typing import Any

import pytest

import slither_actors as slither
from slither_actors.cli._console import Console
from slither_actors.examples.batch_stats import data, work
from slither_actors.examples.batch_stats import main as batch_stats
from slither_actors.examples.batch_stats.main import Part, is_poison
from slither_actors.examples.batch_stats.main import Report as Statistics
from slither_actors.examples.data_etl import main as data_etl
from slither_actors.examples.data_etl.main import Report as Rows
from slither_actors.examples.data_etl.schemas import PHASES, rows, schema
from slither_actors.examples.data_etl.work import validate
from slither_actors.examples.ml_scoring.main import Report as Scores
from slither_actors.examples.ml_scoring.main import Session

DATA = list(data.generate(60, 6, seed=3))
POISON = {one["id"] for one in DATA if is_poison(one)}
GOOD = [work.summary(one) for one in DATA if one["id"] not in POISON]


def statistics(**changes: Any) -> Statistics:
    """A run in which all went well, but for one of its parts."""
    sound = {"cut": "2", "seconds": 1.0, "good": GOOD, "lost": POISON, "lost_whole": 20, "kept_to_the_cut": True}
    return Statistics(60, POISON, [Part(**{**sound, "cut": "1"}), Part(**{**sound, **changes})])


def test_as_many_data_sets_are_poison_as_were_asked_for_and_one_kills() -> None:
    assert len(POISON) == 6
    assert [one["values"] for one in DATA].count(["kill -9"]) == 1
    assert statistics().problems == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lost": POISON | {GOOD[0]["id"]}, "good": GOOD[1:]}, "2: 7 data sets are lost, 1 of them sound ones"),
        ({"good": GOOD[1:]}, "2: 59 of 60 are accounted for"),
        ({"kept_to_the_cut": False}, "2: a batch was cut in another way"),
        ({"good": [GOOD[1], *GOOD[1:]]}, "the sums differ from one way to cut to the next"),
    ],
)
def test_statistics_that_lost_or_mixed_something_are_a_problem(changes: dict[str, Any], problem: str) -> None:
    assert problem in statistics(**changes).problems


def test_totals_do_not_depend_on_the_order_of_what_is_added() -> None:
    one, other = work.total_of(GOOD), work.total_of(reversed(GOOD))
    values = [value for each in DATA if each["id"] not in POISON for value in each["values"]]

    assert one.values == other.values == len(values)
    assert one.mean == pytest.approx(sum(values) / len(values))
    assert one.as_dict()["deviation"] == pytest.approx(other.as_dict()["deviation"])


def etl(**changes: Any) -> Rows:
    """Three rows, one by each schema."""
    report = Rows(PHASES, seconds=1.0, reload_s=[0.1, 0.1])
    for phase in range(1, PHASES + 1):
        [row] = rows(phase, 1, seed=1, first=phase)
        result = validate(row, schema(phase)["fields"], schema(phase)["products"].get)
        result |= changes if phase == 2 else {}
        report.add(slither.Item.wrap(result).with_route("accepted"), {phase: (2 if phase == 2 else phase, row)})
    return report


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"phases": [1, 2]}, "1 rows were validated by parts of two schemas"),
        ({"phases": [1]}, "1 rows met a schema that was replaced before they were sent"),
        ({"problems": ["made up"]}, "1 rows have another result than their schema gives"),
    ],
)
def test_a_row_that_met_half_a_schema_or_an_old_one_is_a_problem(changes: dict[str, Any], problem: str | None) -> None:
    problems = etl(**changes).problems

    assert problem in problems if problem else problems == []


def test_rows_that_are_missing_and_reloads_that_did_not_happen_are_problems() -> None:
    report = etl()
    report.rows += 1
    report.reload_s.pop()

    assert report.problems == ["3 rows came out of 4", "there were 1 reloads, and rows of the phases [1, 2, 3]"]


def test_an_older_row_is_read_by_a_newer_schema() -> None:
    [old] = rows(1, 1, seed=1)
    new = validate(old, schema(3)["fields"], schema(3)["products"].get)

    assert new["phases"] == [3]
    assert new["row"]["cents"] == old["amount"] * 100
    assert "amount" not in new["row"]


def scores(**changes: Any) -> Scores:
    """Two sessions that kept apart, but for the second."""
    north = {"market": "north", "pid": 1, "right": 0.99, "accepted": 5, "rows": 10, "hits": 10, "misses": 5}
    north |= {"began": 1.0, "ended": 3.0, "as_if_alone": True}
    south = {**north, "market": "south", "pid": 2, "began": 2.0, "ended": 4.0}
    cached = changes.pop("cached", 10)
    return Scores(10, 2, 1.0, cached, [Session(**north), Session(**{**south, **changes})])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"pid": 1}, "both sessions were in one worker"),
        ({"began": 3.5}, "the sessions ran one after the other"),
        ({"as_if_alone": False}, "the model of south is not the one that its own rows make"),
        ({"cached": 9}, "there are features of 9 customers, of 10"),
    ],
)
def test_sessions_that_were_not_apart_are_a_problem(changes: dict[str, Any], problem: str | None) -> None:
    assert scores(**changes).problems == ([problem] if problem else [])


IMAGES = {
    "seconds": 1.0,
    "routes": {"wide": 5, "tall": 3, "default": 1},
    "skipped": 1,
    "heaviest_batch": 390_000,
    "heaviest_image": 380_000,
    "pixels_at_once": 1_100_000,
    "thumbnails": ("a",),
}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"heaviest_batch": 400_001}, "a batch had 400,001 pixels"),
        ({"pixels_at_once": 1_200_001}, "1,200,001 pixels were with workers at one time"),
        ({"skipped": 0}, "9 images came out, 0 files were skipped"),
        ({"thumbnails": ("b",)}, "the thumbnails differ"),
    ],
)
def test_images_beyond_the_bound_are_a_problem(changes: dict[str, Any], problem: str | None) -> None:
    pytest.importorskip("PIL")
    from slither_actors.examples.image_pipeline.main import Part, Report

    report = Report(10, 1, Part(**{**IMAGES, **changes}), Part(**IMAGES))
    assert report.problems == ([problem] if problem else [])


def test_what_was_in_work_at_one_time_is_added_up() -> None:
    pytest.importorskip("PIL")
    from slither_actors.examples.image_pipeline.main import at_once

    spans = [(0.0, 2.0, 5), (1.0, 3.0, 7), (2.0, 4.0, 6)]
    assert at_once([{"from": start, "to": end, "pixels": pixels} for start, end, pixels in spans]) == 13
    assert at_once([]) == 0


@pytest.mark.parametrize(
    ("module", "report", "ok"),
    [
        (batch_stats, statistics(), True),
        (batch_stats, statistics(good=GOOD[1:]), False),
        (data_etl, etl(), True),
        (data_etl, etl(phases=[1, 2]), False),
    ],
)
def test_a_claim_that_does_not_hold_is_an_exit_code_of_1_and_a_note(
    module: Any, report: Any, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "main", lambda *_: report)
    for as_json in (False, True):
        out, err = io.StringIO(), io.StringIO()
        options = Counter(sets=60, poison=6, rows=3, workers=2, seed=3)
        code = module.run(argparse.Namespace(json=as_json, **options), Console(out, err))

        assert code == (0 if ok else 1)
        assert err.getvalue().startswith("does not add up: ") is not ok
        assert not as_json or json.loads(out.getvalue())["ok"] is ok
