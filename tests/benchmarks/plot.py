"""The ratios as a picture: for each workload a bar per peer, to the right where we are ahead. SVG, written by hand."""

from __future__ import annotations

import math
from html import escape

from tests.benchmarks.catalogue import OURS, PEERS, WORKLOADS, Workload
from tests.benchmarks.results import Results
from tests.benchmarks.tables import times

WIDTH, ROW, GROUP, TOP = 900, 20, 40, 64
LABELS, RIGHT = 280, 70
AHEAD, BEHIND, LIMIT, INK, PALE = "#2a7f62", "#c2703d", "#8a8f98", "#22262b", "#d8dce1"


def svg(results: Results) -> str:
    """The picture. Workloads whose figures are not a matter of speed are left out."""
    groups = [(workload, ratios) for workload in WORKLOADS.values() if (ratios := _ratios(workload, results))]
    scale = Scale([ratio for _, ratios in groups for _, ratio in ratios])
    height = TOP + sum(GROUP + ROW * len(ratios) for _, ratios in groups) + 16
    parts = [*_frame(height), *_axis(scale, height)]
    y = TOP
    for workload, ratios in groups:
        y += GROUP
        parts.append(text_at(16, y - 10, f"{workload.name.upper()}: {workload.title}", weight="bold"))
        for peer, ratio in ratios:
            parts += _bar(peer, ratio, y, scale)
            y += ROW
    return "\n".join([*parts, "</svg>", ""])


def _ratios(workload: Workload, results: Results) -> list[tuple[str, float]]:
    peers = results.runs.get(workload.name, {})
    return [(peer, ratio) for peer in peers if (ratio := results.ratio(workload, peer)) is not None]


class Scale:
    """Places of ratios on a logarithmic axis: twice as fast is as far to the right as half as fast to the left."""

    def __init__(self, ratios: list[float]) -> None:
        powers = [0.0, *(math.log2(ratio) for ratio in ratios)]
        self.least = math.floor(min(powers) - 0.01)
        self.most = math.ceil(max(powers) + 0.01)

    def x(self, ratio: float) -> float:
        share = (math.log2(ratio) - self.least) / (self.most - self.least)
        return LABELS + share * (WIDTH - LABELS - RIGHT)

    def ticks(self) -> list[float]:
        step = max(1, math.ceil((self.most - self.least) / 9))
        return [2.0**power for power in range(self.least, self.most + 1) if power % step == 0]


def _frame(height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>How many times as fast {OURS} is</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text_at(16, 24, f"How many times as fast {OURS} is as each of the others", weight="bold", size=15),
        text_at(
            16, 44, "Ratios of medians on a logarithmic scale. Right of 1 x: ahead. Grey: what the machine allows."
        ),
    ]


def _axis(scale: Scale, height: int) -> list[str]:
    parts = []
    for ratio in scale.ticks():
        x = scale.x(ratio)
        colour = INK if ratio == 1 else PALE
        parts.append(f'<line x1="{x:.1f}" y1="{TOP + 12}" x2="{x:.1f}" y2="{height - 12}" stroke="{colour}"/>')
        parts.append(text_at(x, TOP + 6, f"{ratio:.2g} x", anchor="middle"))
    return parts


def _bar(peer: str, ratio: float, y: int, scale: Scale) -> list[str]:
    start, end = sorted((scale.x(1), scale.x(ratio)))
    colour = LIMIT if PEERS[peer].limit else AHEAD if ratio >= 1 else BEHIND
    text, anchor = (end + 5, "start") if ratio >= 1 else (start - 5, "end")
    return [
        text_at(LABELS - 50, y + 13, PEERS[peer].title, anchor="end"),
        f'<rect x="{start:.1f}" y="{y + 3}" width="{max(end - start, 1):.1f}" height="{ROW - 6}" fill="{colour}"/>',
        text_at(text, y + 13, times(ratio), anchor=anchor),
    ]


def text_at(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 12) -> str:
    """Words in the picture."""
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" {style}>{escape(text)}</text>'
