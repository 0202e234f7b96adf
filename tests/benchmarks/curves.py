"""The costs of more and more work as a picture: for each curve a panel of costs per item. SVG, written by hand."""

from __future__ import annotations

import math
from typing import NamedTuple

from tests.benchmarks.catalogue import CURVES, OURS, PEERS, PIPE, WORKLOADS
from tests.benchmarks.plot import AHEAD, BEHIND, INK, PALE, text_at
from tests.benchmarks.results import Results
from tests.benchmarks.tables import figure

WIDTH, PANEL, TOP, BOTTOM, LEFT, RIGHT = 900, 210, 64, 44, 70, 150
COLOURS = {OURS: AHEAD, PIPE: BEHIND}


class _Line(NamedTuple):
    """What a peer costs at each point."""

    peer: str
    costs: dict[int, float]


def curves_svg(results: Results) -> str:
    """The picture, of as many curves as were measured."""
    panels = [(name, lines) for name in CURVES if (lines := _lines(name, results))]
    height = TOP + PANEL * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        "<title>Processor time per item as work grows</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text_at(16, 24, "Processor time of all processes per item, in microseconds", weight="bold", size=15),
        text_at(16, 44, "Each panel begins at 0. Where more of the same is done the line is level; stages add up."),
    ]
    for number, (name, lines) in enumerate(panels):
        parts += _panel(name, lines, TOP + PANEL * number)
    return "\n".join([*parts, "</svg>", ""])


def _lines(name: str, results: Results) -> list[_Line]:
    lines = []
    for peer in results.runs.get(name, {}):
        found = {point: results.median(name, peer, f"cpu_{point}") for point in CURVES[name].points}
        costs = {point: cost for point, cost in found.items() if cost is not None}
        if costs:
            lines.append(_Line(peer, costs))
    return lines


def _panel(name: str, lines: list[_Line], y: int) -> list[str]:
    curve = CURVES[name]
    top, bottom = y + 34, y + PANEL - BOTTOM
    most = max(cost for line in lines for cost in line.costs.values())
    places = _places(curve.points)
    parts = [text_at(16, y + 18, f"{name.upper()}: {WORKLOADS[name].title}", weight="bold")]
    for cost in (0.0, most / 2, most):
        level = bottom - (bottom - top) * cost / most
        parts.append(f'<line x1="{LEFT}" y1="{level:.1f}" x2="{WIDTH - RIGHT}" y2="{level:.1f}" stroke="{PALE}"/>')
        parts.append(text_at(LEFT - 6, level + 4, figure(cost), anchor="end"))
    for point, x in places.items():
        parts.append(text_at(x, bottom + 18, f"{point:,}", anchor="middle"))
    parts.append(text_at(WIDTH - RIGHT + 20, bottom + 18, curve.unit))
    for line in lines:
        spots = [(places[point], bottom - (bottom - top) * cost / most) for point, cost in line.costs.items()]
        parts += _drawn(line.peer, spots)
    return parts


def _places(points: tuple[int, ...]) -> dict[int, float]:
    """Stages where they are on a straight scale, all else at equal steps of a factor."""
    first, last = points[0], points[-1]
    width = WIDTH - RIGHT - LEFT - 40
    if last / first > len(points) ** 2:
        return {point: LEFT + 20 + width * math.log(point / first) / math.log(last / first) for point in points}
    return {point: LEFT + 20 + width * (point - first) / (last - first) for point in points}


def _drawn(peer: str, spots: list[tuple[float, float]]) -> list[str]:
    colour = COLOURS.get(peer, INK)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    x, y = spots[-1]
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots),
        text_at(x + 10, y + 4, PEERS[peer].title),
    ]
