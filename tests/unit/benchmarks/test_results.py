"""What the bench makes of its runs: ratios, bars, tables, the picture and the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks.bars import Standing, standings
from tests.benchmarks.catalogue import OURS, PIPE, WORKLOADS
from tests.benchmarks.curves import curves_svg
from tests.benchmarks.document import BEGIN, END, insert, section
from tests.benchmarks.measures.growth import bend, in_turn, spread
from tests.benchmarks.plot import svg
from tests.benchmarks.results import Results, Spread
from tests.benchmarks.tables import table, workload_table

SVG = "{http://www.w3.org/2000/svg}"
ABOUT = {
    "processor": "2 x thing",
    "memory": "4 GB",
    "system": "Linux",
    "python": "CPython",
    "repetitions": "3",
    "minutes": "1",
    "date": "2026-01-01",
    "others": "2%",
}


def results(**peers: list[dict[str, Any]]) -> Results:
    return Results({"w1-ordered": {peer: [{"noise": 0.0, **run} for run in runs] for peer, runs in peers.items()}})


def rates(*values: float) -> list[dict[str, Any]]:
    return [{"items_s": value} for value in values]


def reached(found: Results, bar: str) -> list[Standing]:
    return [standing for standing in standings(found) if standing.bar == bar]


def test_a_ratio_is_one_of_medians_and_above_one_where_we_are_ahead() -> None:
    rate = results(slither_actors=rates(100, 400, 9000), mp_pool=rates(1, 200, 201))
    start = Results({"w6": {OURS: [{"first_result_s": 0.5}], "loky": [{"first_result_s": 1.0}]}})

    assert rate.ratio(WORKLOADS["w1-ordered"], "mp_pool") == 2.0
    assert start.ratio(WORKLOADS["w6"], "loky") == 2.0
    assert rate.spread("w1-ordered", OURS, "items_s") == Spread(400, 100, 9000, 3)


def test_what_was_not_measured_has_no_ratio_and_no_figure() -> None:
    found = results(slither_actors=rates(100), ray=[{"status": "not installed: ray"}])

    assert found.ratio(WORKLOADS["w1-ordered"], "ray") is None
    assert found.ratio(WORKLOADS["w1-ordered"], OURS) is None
    assert found.medians()["w1-ordered"]["ray"] == {"noise": 0.0}
    assert "not installed: ray" in workload_table(WORKLOADS["w1-ordered"], found)


def test_notes_say_in_how_many_runs_something_happened() -> None:
    found = results(loky=[{"outcome": "hangs"}, {"outcome": "hangs", "left_behind": ["python", "python"]}])

    assert found.notes("w1-ordered", "loky") == "hangs; left 2 processes behind (1 of 2)"


@pytest.mark.parametrize(("ours", "expected"), [(3.0, "goal"), (1.3, "first"), (1.1, "no")])
def test_a_bar_says_which_of_its_heights_is_reached(ours: float, expected: str) -> None:
    found = results(slither_actors=rates(ours), process_pool=rates(1.0), mp_pool=rates(2.0))

    (standing,) = reached(found, "P1")

    assert standing.reached == expected
    assert standing.value == f"{ours:.3g} x bounded ProcessPool loop / {ours / 2:.3g} x Pool.imap"


def test_a_bar_whose_figures_are_missing_is_not_reached_and_not_missed() -> None:
    assert {standing.reached for standing in standings(Results({}))} == {"not measured"}


def test_fewer_is_better_where_a_bar_says_at_most() -> None:
    found = Results({"w7-killed": {OURS: [{"lost": 10, "replaced_ms": 250.0, "slowdown": 1.1}]}})

    by_what = {standing.what: standing.reached for standing in reached(found, "P9")}

    assert by_what["killed, with skip: lost"] == "first"
    assert by_what["killed, with skip: new worker"] == "no"
    assert by_what["killed, with skip: time of the run"] == "first"


def test_the_columns_of_a_table_line_up() -> None:
    assert table(["a", "long"], [["wide cell", "1"]]).splitlines() == [
        "| a         | long |",
        "|-----------|------|",
        "| wide cell | 1    |",
    ]


def test_the_picture_has_a_bar_for_each_ratio_on_the_side_it_belongs_to() -> None:
    found = results(slither_actors=rates(100), mp_pool=rates(50), raw_pipes=rates(800))

    picture = ElementTree.fromstring(svg(found))

    bars = [shape for shape in picture.iter(f"{SVG}rect") if shape.get("x")]
    ahead, behind = (float(bar.get("x", 0)) for bar in bars)
    assert behind < ahead
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"2 x", "0.125 x", "multiprocessing.Pool.imap", "limit: raw socket pairs"} <= set(texts)


def test_the_curves_have_a_point_for_each_cost_and_the_dearest_is_highest() -> None:
    costs = [{"cpu_1": 1.0, "cpu_2": 2.0, "cpu_4": 4.0, "cpu_8": 8.0}, {"cpu_8": 10.0}, {"cpu_8": 9.0}]
    picture = ElementTree.fromstring(curves_svg(Results({"w10-stages": {PIPE: costs}})))

    circles = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in picture.iter(f"{SVG}circle")]
    assert len(circles) == 4
    assert circles == sorted(circles, key=lambda spot: (spot[0], -spot[1]))
    (x1, y1), (x2, y2), (x4, y4), _ = circles
    assert (x4 - x1) / (x2 - x1) == pytest.approx((y4 - y1) / (y2 - y1), rel=0.02), "a line is straight"
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"W10-STAGES: processor time per item as there are more local stages, no-op", "9"} <= set(texts)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({1: 3.0, 2: 4.0, 8: 10.0}, 0.0),
        ({1: 5.0, 2: 5.0}, 0.0),
        ({1: 1.0, 2: 2.0, 4: 4.0}, 0.0),
        ({1: 0.9, 2: 2.2, 4: 3.6, 8: 8.8}, 0.1),  # by turns below and above the line
        ({1: 1.0, 8: 64.0}, 7 / 9),  # though two points are on a line: it is one that begins below nothing
    ],
)
def test_a_bend_is_how_far_the_costs_are_from_the_next_straight_line(costs: dict[int, float], expected: float) -> None:
    assert bend(costs) == pytest.approx(expected, abs=0.02 if expected == 0.1 else 1e-6)


def test_what_should_cost_the_same_is_spread_by_the_dearest_over_the_cheapest() -> None:
    assert spread({1: 2.0, 4: 3.0, 16: 2.5}) == pytest.approx(0.5)


def test_points_take_turns_forwards_and_backwards_and_one_that_was_disturbed_does_not_count() -> None:
    asked: list[int] = []

    def turn(point: int) -> float:
        asked.append(point)
        return 99.0 if len(asked) == 1 else float(point)

    assert in_turn({1: lambda: turn(1), 2: lambda: turn(2)}, 3) == {1: 1.0, 2: 2.0}
    assert asked == [1, 2, 2, 1, 1, 2]


def test_a_source_that_is_further_ahead_than_credit_misses_the_bar() -> None:
    found = Results({"w4-long": {OURS: [{"distance": 769, "credit": 768, "growth": 1.0}]}})

    by_what = {standing.what: standing.reached for standing in reached(found, "P8")}

    assert by_what["source ahead at most, stream"] == "no"
    assert by_what["the same of all processes together, stream"] == "first"


def test_the_marked_part_of_a_document_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n", "utf-8")
    found = results(slither_actors=rates(100), mp_pool=rates(50))

    for _ in range(2):
        insert(document, section(found, ABOUT, {"Ratios of all workloads": "_static/benchmarks.svg"}))

    text = document.read_text("utf-8")
    assert text.startswith(f"before\n{BEGIN}\n\nMeasured on 2026-01-01: 2 x thing")
    assert text.endswith(f"\n\n{END}\nbehind\n")
    assert "old" not in text
    assert text.count("### W1-ORDERED: no-op") == 1
    assert "![Ratios of all workloads](_static/benchmarks.svg)" in text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_document_without_its_markers_is_refused(tmp_path: Path, text: str) -> None:
    document = tmp_path / "other.md"
    document.write_text(text, "utf-8")

    with pytest.raises(ValueError, match="needs"):
        insert(document, "new")
    assert document.read_text("utf-8") == text
