"""Draws the pictures of docs/architecture.md, dispatch.md and store.md: `python docs/drawings.py` writes them anew.

Each has a ground of its own, so it can be read on a light page and on a dark one.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "_static"

INK, PALE, GROUND = "#1f2937", "#6b7280", "#f9fafb"
# What a process is: it runs code of users, it supervises, or it does the library's own work.
COLOURS = {"yours": ("#dcfce7", "#15803d"), "supervisor": ("#dbeafe", "#1d4ed8"), "own": ("#e5e7eb", "#6b7280")}

# Name, kind, note, children.
Node = tuple[str, str, str, tuple["Node", ...]]


class Drawing:
    """Boxes, lines and words, collected as SVG."""

    def __init__(self, width: int, height: int, title: str, story: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-labelledby="title story" font-family="system-ui, sans-serif" font-size="13">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="story">{escape(story)}</desc>',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}" stroke="#d1d5db"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, kind: str, name: str, note: str = "") -> None:
        """A rectangle with a name, and a smaller line below that."""
        fill, edge = COLOURS[kind]
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.parts.append(f'<rect {place} rx="5" fill="{fill}" stroke="{edge}"/>')
        middle = y + height / 2
        self.text(x + width / 2, middle + (-2 if note else 4.5), name, weight=600)
        if note:
            self.text(x + width / 2, middle + 12, note, colour=PALE, size=11)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        colour: str = INK,
        size: int = 13,
        anchor: str = "middle",
        weight: int = 400,
    ) -> None:
        """A line of words."""
        style = f'fill="{colour}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>')

    def line(self, points: list[tuple[float, float]], *, tip: bool = False, dashed: bool = False) -> None:
        """A line through points, with a tip at its end where it is an arrow."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        extra = (' marker-end="url(#tip)"' if tip else "") + (' stroke-dasharray="4 4"' if dashed else "")
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{INK if tip else PALE}"{extra}/>')

    def svg(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def leaf(name: str, kind: str = "own", note: str = "") -> Node:
    return name, kind, note, ()


POOL: Node = (
    "default",
    "supervisor",
    "rest for one",
    (
        ("workers", "supervisor", "one for one", (leaf("worker-1", "yours"), leaf("worker-2", "yours"))),
        leaf("leases", note="who has whom"),
        leaf("dispatcher", note="plain calls"),
    ),
)
PIPE: Node = (
    "TextPipe-1",
    "supervisor",
    "rest for one",
    (leaf("prepare", "yours", "local"), leaf("analyse", note="a dispatcher"), leaf("classify", "yours", "router")),
)
ROOT: Node = (
    "root",
    "supervisor",
    "rest for one",
    (
        leaf("registry", note="names"),
        ("stores", "supervisor", "one for one", (leaf("Prices", "yours", "owner: load"),)),
        ("pools", "supervisor", "one for one", (POOL,)),
        ("children", "supervisor", "one for one", (leaf("tally", "yours", "your actor"),)),
        ("pipes", "supervisor", "one for one", (PIPE,)),
    ),
)
TREE: Node = (
    "service",
    "yours",
    "your process",
    (("host", "own", "the guard", (("admin", "own", "Thespian's", (ROOT,)),)),),
)


def tree() -> str:
    """All processes of a system, from the service on the left to workers and stages on the right."""
    story = (
        "The service has the host as its child, that has the admin, and that the root supervisor. Below the root "
        "stand, in start order, the registry, and the supervisors of stores, pools, your own actors and pipes. A pool "
        "has a supervisor of workers, the leases and a dispatcher; a pipe has a process for each stage."
    )
    drawing = Drawing(1000, 492, "The processes of a system and who supervises whom", story)
    rows = iter(range(100))

    def place(node: Node, depth: int) -> float:
        name, kind, note, children = node
        heights = [place(child, depth + 1) for child in children]
        middle = sum((heights[0], heights[-1])) / 2 if heights else 62 + 43 * next(rows)
        x = 16 + 122 * depth
        for height in heights:
            drawing.line([(x + 104, middle), (x + 113, middle), (x + 113, height), (x + 122, height)])
        drawing.box(x, middle - 18, 104, 36, kind, name, note)
        return middle

    place(TREE, 0)
    for number, (kind, words) in enumerate(
        [("yours", "runs code of yours"), ("supervisor", "supervises"), ("own", "the library's own")]
    ):
        drawing.box(16 + 160 * number, 14, 16, 16, kind, "")
        drawing.text(38 + 160 * number, 27, words, anchor="start", size=12)
    return drawing.svg()


def batch() -> str:
    """The life of a batch, and how demand lets the next one come."""
    story = (
        "The service pulls a batch from your iterable and sends it to the dispatcher, as far as credit allows. "
        "The dispatcher sends it to a worker it has leased. The worker runs your function and answers. The dispatcher "
        "sends the result to the service in its turn. When your loop is through with it, the batch is settled, credit "
        "rises, and the next batches are pulled."
    )
    drawing = Drawing(860, 500, "The life of a batch with demand", story)
    lanes = {"service": 130, "dispatcher": 430, "worker": 730}
    for (name, x), (kind, note) in zip(
        lanes.items(),
        [("yours", "your iterable, your loop"), ("own", "reads no payload"), ("yours", "your function")],
        strict=True,
    ):
        drawing.box(x - 90, 16, 180, 40, kind, name, note)
        drawing.line([(x, 56), (x, 484)], dashed=True)
    s, d, w = lanes.values()
    steps = [
        (s, s, "credit 10: pull batches 1 to 10", ""),
        (s, d, "batches 1 to 10", "encoded once"),
        (d, w, "batch 1, and batch 2 waits", "leased"),
        (w, w, "decode, run, encode", ""),
        (w, d, "batch 1 is done", "batch 2 begins"),
        (d, s, "result of batch 1", "in its turn"),
        (s, s, "yield items of batch 1", ""),
        (s, s, "loop asks on: 1, then 2 settled", ""),
        (s, d, "batches 11 and 12", "and: results 11, 12 may come"),
        (s, s, "a loop that stops: nothing more", ""),
    ]
    for number, (start, end, words, note) in enumerate(steps):
        y = 92 + 42 * number
        if start == end:
            drawing.box(start - 112, y - 15, 224, 26, "yours", "")
            drawing.text(start, y + 3, words, size=12)
            continue
        drawing.line([(start, y), (end, y)], tip=True)
        drawing.text((start + end) / 2, y - 6, words, size=12)
        drawing.text((start + end) / 2, y + 14, note, size=11, colour=PALE)
    return drawing.svg()


def store() -> str:
    """Who reads and who writes the tables of a store."""
    story = (
        "The tables of a store stand in shared memory or on disk. The service, workers and stages read them in place, "
        "without a message. Writes are calls to the owner, which commits them one after the other and answers. A "
        "reload puts new tables in the place of all old ones in one commit."
    )
    drawing = Drawing(860, 360, "A store: many readers and one owner", story)
    drawing.box(330, 120, 200, 120, "own", "")
    drawing.text(430, 166, "tables", weight=600)
    drawing.text(430, 190, "LMDB, in /dev/shm or at a path", size=11, colour=PALE)
    drawing.text(430, 206, "each commit is seen whole", size=11, colour=PALE)
    for number, (name, note) in enumerate(
        [("service", "system.store(S)"), ("worker", "ctx.store(S), views"), ("stage", "ctx.store(S), views")]
    ):
        y = 40 + 110 * number
        drawing.box(650, y, 180, 60, "yours", name, note)
        drawing.line([(530, 140 + 40 * number), (650, y + 30)], tip=True)
    drawing.text(590, 158, "read in place,", size=12)
    drawing.text(590, 173, "no message", size=12)
    drawing.box(30, 130, 180, 100, "yours", "owner", "load(tables) runs here")
    drawing.line([(210, 180), (330, 180)], tip=True)
    drawing.text(270, 158, "commits,", size=12)
    drawing.text(270, 172, "one at a time", size=12)
    drawing.line([(740, 320), (740, 342), (120, 342), (120, 230)], tip=True)
    drawing.text(430, 334, "put, update, transaction: a call, answered when it is committed", size=12)
    drawing.line([(740, 40), (740, 20), (120, 20), (120, 130)], tip=True)
    drawing.text(430, 36, "reload(): one commit in the place of all tables", size=12)
    return drawing.svg()


DRAWINGS = {"tree.svg": tree, "batch.svg": batch, "store.svg": store}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (FOLDER / name).write_text(draw(), "utf-8")
