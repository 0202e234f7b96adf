"""Runs the larger examples as a user does, and holds what pages say they print against it: all but what is measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.examples.running import EXAMPLES, FOLDERS, REPOSITORY, run

DOCUMENT: Final = (REPOSITORY / "docs" / "examples.md").read_text("utf-8")

# What differs from run to run: times, process ids, and what depends on who was first.
MEASURED: Final = {
    "text_analysis": (r"(?<= in ).* documents/s", r"(?<=^  pid ).*"),
    "batch_stats": (r"\S+\.\d\d$", r"(?<=^16 of one sensor) +\S+"),
    "data_etl": (
        r"(?<= in ).* rows/s",
        r"(?<=^  by schema \d) .*",
        r"(?<=^  ...epted|^  ...ected) .*",
        r"\S+ (ms|rows were)",
    ),
    "ml_scoring": (r"(?<= in ).* s$", r"(?<=^north|^south)  +\d+", r"[\d,]+ +[\d,]+$"),
    "image_pipeline": (r"(?<=^seconds).*", r"(?<=^most at one time, pixels).*"),
}


def steady(name: str, lines: list[str]) -> list[str]:
    """The lines without what is measured, and without the white space that it takes."""
    text = re.sub("|".join(MEASURED[name]), " ... ", "\n".join(lines), flags=re.MULTILINE)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def shown(name: str) -> list[str]:
    """What the page of an example says it prints: the first block of text behind the command."""
    page = (REPOSITORY / "examples" / name / "README.md").read_text("utf-8")
    return page.partition("## Run it")[2].partition("```text\n")[2].partition("```")[0].splitlines()


def table_of(name: str) -> list[str]:
    """The baseline of an example, as the document shows it."""
    [table] = re.findall(rf"^{name}: .*?(?=\n\n|\n```)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(table).splitlines()


def cells(row: str) -> tuple[str, str, str]:
    """Way, lines and result of a row. Of how much was lost, how much there is."""
    way, _, lines, result = re.split("  +", row.strip(), maxsplit=3)
    return way, lines, re.sub(r"(?<!of )(?<![\d,])\d[\d,]*", "...", result)


@pytest.mark.system
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_and_its_baseline_print_what_pages_say(name: str, tmp_path: Path) -> None:
    if missing := EXAMPLES[name].missing:
        pytest.skip(f"needs {', '.join(missing)}")
    printed = run(name, tmp_path)

    assert steady(name, printed.report) == steady(name, shown(name))
    assert printed.baseline[0].partition(" inputs")[0] == table_of(name)[0].partition(" inputs")[0]
    for row, said in zip(map(cells, printed.baseline[2:7]), map(cells, table_of(name)[2:]), strict=True):
        assert row == said or row == (*said[:2], "right this time")  # a race may do no harm


def test_a_bound_that_a_page_names_is_the_one_in_the_code() -> None:
    pytest.importorskip("PIL")
    from slither_actors.examples.image_pipeline.pipe import BATCH_PIXELS, PIXELS_AT_ONCE

    page = (REPOSITORY / "examples" / "image_pipeline" / "README.md").read_text("utf-8")
    assert f"`WeightedBatch({BATCH_PIXELS:_}, pixels_of)`" in page
    assert f"`max_in_flight_weight={PIXELS_AT_ONCE:_}`" in page
