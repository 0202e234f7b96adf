"""Results inside a document, between two marker comments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.catalogue import WORKLOADS
from tests.benchmarks.results import Results
from tests.benchmarks.tables import bar_table, workload_table

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def section(results: Results, about: dict[str, str], pictures: Mapping[str, str]) -> str:
    """What stands between the markers: the machine, the pictures by title, the bars, a table for each workload."""
    parts = [_told(about), *(f"![{title}]({file})" for title, file in pictures.items())]
    parts.append(f"### Bars\n\n{bar_table(results)}")
    for name in results.runs:
        workload = WORKLOADS[name]
        parts.append(f"### {name.upper()}: {workload.title}\n\n{workload_table(workload, results)}")
    return "\n\n".join(parts)


def _told(about: dict[str, str]) -> str:
    return (
        f"Measured on {about['date']}: {about['processor']}, {about['memory']}, {about['system']}, {about['python']}; "
        f"{about['repetitions']} runs of each pair in {about['minutes']} minutes, "
        f"during which other programs took {about['others']} of the machine (median)."
    )


def around(document: Path) -> tuple[str, str]:
    """What stands in a document before the part between the markers, and behind it.

    Raises:
        ValueError: it does not have each marker once, in this order.
    """
    whole = document.read_text("utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ValueError(f"{document} needs {BEGIN} and, below it, {END}, each once")
    return before, after


def insert(document: Path, text: str) -> None:
    """Put text between the markers of a document, in place of what stands there.

    Raises:
        ValueError: the markers are not there.
    """
    before, after = around(document)
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
