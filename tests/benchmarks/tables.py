"""Results as tables of text, the same on a terminal and in a document."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.bars import standings
from tests.benchmarks.catalogue import OURS, PEERS, Workload
from tests.benchmarks.results import Results, Spread

Rows = Sequence[Sequence[str]]


def workload_table(workload: Workload, results: Results) -> str:
    """All peers of a workload: the median with its spread, the ratio, the other metrics, and notes."""
    metric = workload.metric
    head = ["peer", f"{metric.heading} (least to most)", f"{OURS} is", *(m.heading for m in workload.others), "notes"]
    rows = []
    for peer in results.runs.get(workload.name, {}):
        ratio = results.ratio(workload, peer)
        rows.append(
            [
                PEERS[peer].title,
                spread(results.spread(workload.name, peer, metric.key)),
                times(ratio) if ratio is not None else "",
                *(figure(results.median(workload.name, peer, other.key)) for other in workload.others),
                results.notes(workload.name, peer),
            ]
        )
    return table(*_without_empty_columns(head, rows))


def bar_table(results: Results) -> str:
    """All bars."""
    head = ["bar", "what", "value", "first", "goal", "reached?"]
    return table(head, standings(results))


def table(head: Sequence[str], rows: Rows) -> str:
    """A table in Markdown whose columns also line up where it is only printed."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _without_empty_columns(head: list[str], rows: Rows) -> tuple[list[str], Rows]:
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)] or [0]
    return [head[column] for column in kept], [[row[column] for column in kept] for row in rows]


def spread(found: Spread | None) -> str:
    """A median with its extremes."""
    if found is None:
        return ""
    if found.runs == 1:
        return figure(found.median)
    return f"{figure(found.median)} ({figure(found.least)} to {figure(found.most)})"


def figure(value: float | None) -> str:
    """Three significant digits, and no more than a whole number needs."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{figure(ratio)} x"
