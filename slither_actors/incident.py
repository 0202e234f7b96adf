"""`Incident`: one death in a tree, with all that is known of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from slither_actors._record import record

# Of what a process announced, which may end with a traceback of any length, the end says most.
REASON_CHARS = 4000
ITEMS = 32


@record
class Incident:
    """A process of the tree ended, and nobody had asked it to; or it ended in another way than it should.

    Attributes:
        name: its place in the tree, such as `"pools/default/workers/worker-1"`.
        incarnation: the how manyth process it was in its place, as its supervisor counts.
        pid: its process id. at: when it was found dead, in seconds since 1970.
        ran_s: how long it had lived.
        kind: that of its `ExitReason`: `"crash"`, `"killed"`, `"start_failed"`, `"unknown"`, `"normal"`, `"shutdown"`.
        reason: what it announced, at most 4,000 characters; where that is nothing, how the kernel says that it ended.
        exit: how the kernel says that it ended: `"SIGKILL"`, `"exit code 3"`, `"unknown"`.
        ordered: whether something in the system had it killed, also for standing still, and `reason` says why.
        out_of_memory: whether the kernel killed a process for want of memory at that time; most likely this one.
        handling: the kind of message that it was at, as far as that is known; empty if there was none.
        batch: the number of the batch that it was running, 0 for none.
        items: the ids of that batch's items, at most 32. item_count: how many there were.
        peak_bytes: the most main memory that it ever had, 0 if nobody knows.
        last_lines: what it wrote last to its standard error, at most 20 lines and 4,096 bytes.
        outcome: `"restarted"`, `"restarted later"`, `"not restarted"`, `"gave up"`, `"not started"` or `"stopped"`.
        rule: why that, in words.
        together: the names of those that were stopped and started again with it.
    """

    name: str
    incarnation: int
    pid: int
    at: float
    ran_s: float
    kind: str
    reason: str
    exit: str
    ordered: bool = False
    out_of_memory: bool = False
    handling: str = ""
    batch: int = 0
    items: tuple[int, ...] = ()
    item_count: int = 0
    peak_bytes: int = 0
    last_lines: tuple[str, ...] = ()
    outcome: str = ""
    rule: str = ""
    together: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What happened in one line, which is the kind of end and the last line of the reason."""
        lines = self.reason.strip().splitlines()
        return f"{self.kind}: {lines[-1]}" if lines else self.kind

    @property
    def circumstances(self) -> str:
        """What is known besides, in one line."""
        return "; ".join(_circumstances(self))

    @property
    def line(self) -> str:
        """All that fits into one line."""
        last = f"; its last line: {self.last_lines[-1]}" if self.last_lines else ""
        return f"{self.summary} ({self.circumstances}{last})"

    def __str__(self) -> str:
        """All of it but a traceback, in lines for people."""
        when = time.strftime("%H:%M:%S", time.localtime(self.at))
        return "\n".join(
            [
                f"{when} {self.name}: {self.summary}",
                f"    {self.circumstances}",
                f"    {self.outcome}: {self.rule}",
                *(f"    | {line}" for line in self.last_lines),
            ]
        )


def as_data(incident: Incident) -> dict[str, Any]:
    """An incident as plain data."""
    return {field: getattr(incident, field) for field in _FIELDS}


def from_data(data: Mapping[str, Any]) -> Incident:
    """An incident again. What a later version may have added is left out.

    Raises:
        TypeError, KeyError: it is none.
    """
    lists = {field: tuple(data[field]) for field in ("items", "last_lines", "together")}
    return Incident(**{field: data[field] for field in _FIELDS if field in data} | lists)


def _circumstances(incident: Incident) -> Iterator[str]:
    yield f"process {incident.pid}, incarnation {incident.incarnation}, after {incident.ran_s:.3g} s"
    if incident.exit not in incident.reason:
        sender = ", which this system had sent" if incident.ordered and incident.exit == "SIGKILL" else ""
        yield f"ended with {incident.exit}{sender}"
    if incident.handling:
        yield f"while it handled {incident.handling}{_items(incident)}"
    if incident.peak_bytes:
        yield f"{incident.peak_bytes / 1e6:.0f} MB at most"
    if incident.out_of_memory:
        yield "the kernel had killed for want of memory"
    elif incident.exit == "SIGKILL" and not incident.ordered:
        yield "nothing in this system had sent the signal"
    if incident.together:
        yield f"with it {', '.join(incident.together)}"


def _items(incident: Incident) -> str:
    if not incident.item_count:
        return ""
    shown = ", ".join(map(str, incident.items))
    more = incident.item_count - len(incident.items)
    return f" of {'item' if incident.item_count == 1 else 'items'} {shown}" + (f" and {more:,} more" if more else "")


_FIELDS: tuple[str, ...] = Incident.__match_args__
