"""How fast a run goes, and when it will be over."""

from __future__ import annotations

import io
from typing import Any

import pytest

from slither_actors.cli._console import Console
from slither_actors.cli._gauges import LogGauge
from slither_actors.cli._pace import Pace, Standing, words
from tests.unit.cli.test_console import Broken, Terminal, without_rich

__all__ = ["without_rich"]


def standing(lines: int, *, size: int | None = 1000, under_way: int = 0, **more: Any) -> Standing:
    given = {"skipped": 0, "dropped": 0, "dead": 0} | more
    return Standing(lines=lines, position=lines, size=size, under_way=under_way, **given)


def test_in_the_first_second_nobody_can_tell() -> None:
    pace = Pace()
    pace.see(0.0, standing(0))
    pace.see(0.9, standing(90))

    assert (pace.lines_per_s, pace.left_s) == (None, None)


def test_the_rate_is_of_what_is_over_and_the_rest_of_the_file_takes_its_time() -> None:
    pace = Pace()
    pace.see(0.0, standing(0))
    pace.see(2.0, standing(200, under_way=50))

    assert (pace.lines_per_s, pace.left_s) == (75.0, 8.0)


def test_only_the_last_ten_seconds_count() -> None:
    pace = Pace()
    for second in range(31):
        pace.see(float(second), standing(10 * second if second < 20 else 200 + (second - 20)))

    assert pace.lines_per_s == pytest.approx(1.0)


def test_of_an_endless_source_nobody_knows_the_end() -> None:
    pace = Pace()
    pace.see(0.0, standing(0, size=None))
    pace.see(5.0, standing(100, size=None))

    assert (pace.left_s, standing(5, size=None).fraction) == (None, None)
    assert words(standing(100, size=None, under_way=4), pace) == "100 lines  20/s  4 in flight  0 skipped"


def test_what_stages_have_done_stands_behind_all_else() -> None:
    stages = {"check": 1200, "price": 1136}

    assert words(standing(1200, dropped=1, stages=stages), Pace()) == (
        "1,200 lines  0 in flight  0 skipped  1 dropped  (check 1,200, price 1,136)"
    )


def test_a_file_that_stands_still_has_no_end_in_sight() -> None:
    pace = Pace()
    pace.see(0.0, standing(5))
    pace.see(5.0, standing(5))

    assert (pace.lines_per_s, pace.left_s) == (0.0, None)


def test_the_words_name_ends_that_there_are() -> None:
    pace = Pace()
    pace.see(0.0, standing(0))
    pace.see(1.0, standing(500))

    told = words(standing(1500, under_way=64, skipped=3, dead=1), pace)

    assert told == "1,500 lines  500/s  64 in flight  3 skipped  1 dead  eta 1.0 s"


def shown(err: io.StringIO, wanted: bool | None, *, term: str = "xterm") -> str:
    console = Console(io.StringIO(), err, environ={"TERM": term, "NO_COLOR": "1"})
    with console.gauge(wanted) as gauge:
        gauge.show(0.0, "beginning with a long text")
        gauge.show(0.5, "half")
        gauge.show(None, "unknown")
    return err.getvalue()


@pytest.mark.parametrize(("wanted", "terminal"), [(None, False), (False, False), (False, True)])
def test_nothing_is_shown_where_nobody_looks(wanted: bool | None, terminal: bool) -> None:
    assert shown(Terminal() if terminal else io.StringIO(), wanted) == ""


def test_who_asks_gets_lines_in_a_file() -> None:
    assert shown(io.StringIO(), True).splitlines() == ["  0%  beginning with a long text", " 50%  half", "unknown"]
    assert LogGauge.every_s >= 1.0


def test_a_terminal_that_cannot_move_its_cursor_gets_lines_too() -> None:
    assert "\r" not in shown(Terminal(), None, term="dumb")


@pytest.mark.usefixtures("without_rich")
def test_a_terminal_without_rich_gets_one_line_drawn_over_itself() -> None:
    drawn = shown(Terminal(), None)

    assert drawn.count("\r") == 3
    assert "\r[##########----------]  50%  half " in drawn
    assert drawn.endswith("\n")
    assert "\x1b" not in drawn
    shown(Broken(), True)


def test_a_terminal_with_rich_gets_a_bar_without_colours_where_none_are_wanted() -> None:
    pytest.importorskip("rich")
    drawn = shown(Terminal(), None)

    assert "half" in drawn
    assert "\x1b[?25h" in drawn
    assert "\x1b[3" not in drawn
