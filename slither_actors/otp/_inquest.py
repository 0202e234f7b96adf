"""What a supervisor finds out about the deaths of its children: facts and ruling become an incident, and a budget that
is spent is explained by the incidents that led to it. No process, no clock, no file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from slither_actors._record import record, replaced
from slither_actors.incident import ITEMS, REASON_CHARS, Incident
from slither_actors.otp._actions import Cause
from slither_actors.otp._rulings import Fate, Ruling
from slither_actors.otp.child import ExitReason, last_line

# How many incidents a supervisor remembers, for the case that it has to explain itself.
_REMEMBERED = 32


@record
class Work:
    """What a process was at when it died.

    Attributes:
        handling: the kind of message, empty for none.
        batch: the number of the batch, 0 for none.
        items: ids of its items, the first ones. count: how many there were.
    """

    handling: str = ""
    batch: int = 0
    items: tuple[int, ...] = ()
    count: int = 0


@record
class Death:
    """The facts about a child that is dead.

    Attributes:
        child_id: which child. incarnation: which process of it. pid: its number.
        ran_s: how long it had lived.
        reason: what it announced, or what its end looks like.
        exit: how the kernel says that it ended.
        ordered: whether something here had it killed.
        out_of_memory: whether the kernel has killed for want of memory.
        work: what it was at.
        peak_bytes: the most main memory it ever had.
        last_lines: of its standard error.
    """

    child_id: str
    incarnation: int
    pid: int
    ran_s: float
    reason: ExitReason
    exit: str
    ordered: bool = False
    out_of_memory: bool = False
    work: Work = Work()
    peak_bytes: int = 0
    last_lines: tuple[str, ...] = ()


class Inquest:
    """Brings together what is known of a death and what became of it, whichever is known first.

    Args:
        prefix: what stands before the id of a child in its name.
        write: takes each incident, once.
        clock: seconds since 1970.
    """

    def __init__(self, prefix: str, write: Callable[[Incident], None], clock: Callable[[], float] = time.time) -> None:
        self._prefix = prefix
        self._write = write
        self._clock = clock
        self._open: dict[tuple[str, int], tuple[Cause, Incident]] = {}
        self._past: deque[tuple[Cause, Incident]] = deque(maxlen=_REMEMBERED)

    def died(self, death: Death) -> None:
        """A child ended by itself; the supervisor's ruling comes now or later."""
        self._open[death.child_id, death.incarnation] = self._made(death)

    def ruled(self, ruling: Ruling) -> None:
        """The supervisor has decided; of a death that is closed already it may decide again."""
        known = self._open.pop((ruling.child_id, ruling.incarnation), None)
        if known is None:
            return
        cause, incident = known
        if ruling.fate is Fate.NOT_RESTARTED and cause.reason.is_normal:
            return  # it was done
        self._close(cause, incident, ruling.fate, ruling.rule, ruling.together)

    def closed(self, death: Death, fate: Fate, rule: str) -> None:
        """A death that is not for the supervisor to decide about."""
        self._close(*self._made(death), fate, rule)

    def close_all(self) -> None:
        """The supervisor ends, and decides nothing any more."""
        while self._open:
            self._close(*self._open.popitem()[1], Fate.NOT_RESTARTED, "its supervisor ends")

    def _close(self, cause: Cause, incident: Incident, fate: Fate, rule: str, together: tuple[str, ...] = ()) -> None:
        names = tuple(map(self._name, together))
        incident = replaced(incident, outcome=fate.value, rule=rule, together=names)
        self._past.append((cause, incident))
        self._write(incident)

    def _made(self, death: Death) -> tuple[Cause, Incident]:
        reason, work = death.reason, death.work
        incident = Incident(
            name=self._name(death.child_id),
            incarnation=death.incarnation,
            pid=death.pid,
            at=self._clock(),
            ran_s=death.ran_s,
            kind=reason.kind,
            reason=reason.text[-REASON_CHARS:],
            exit=death.exit,
            ordered=death.ordered,
            out_of_memory=death.out_of_memory,
            handling=work.handling,
            batch=work.batch,
            items=work.items[:ITEMS],
            item_count=work.count,
            peak_bytes=death.peak_bytes,
            last_lines=death.last_lines,
        )
        return Cause(death.child_id, reason), incident

    def latest(self, child_id: str) -> Incident | None:
        """The newest incident of a child, also one that is not decided about yet."""
        known = [*self._past, *self._open.values()]
        return next((incident for cause, incident in reversed(known) if cause.child_id == child_id), None)

    def away_s(self, child_id: str, incarnation: int) -> float | None:
        """How long ago this process ended by itself; `None` if it did not, or that is forgotten."""
        known = reversed([*self._past, *self._open.values()])
        ends = (one.at for cause, one in known if (cause.child_id, one.incarnation) == (child_id, incarnation))
        at = next(ends, None)
        return None if at is None else self._clock() - at

    def explained(self, causes: Iterable[Cause]) -> list[str]:
        """The chain of causes, oldest first, each in lines for people; the last one, which was one too many, with all
        that led to it further down and with its last words."""
        past = list(self._past)
        chain: list[str] = []
        for cause in reversed(list(causes)):
            place = next((place for place in reversed(range(len(past))) if past[place][0] == cause), None)
            incident = None if place is None else past.pop(place)[1]
            chain.append(self._told(cause, incident, whole=not chain))
        return chain[::-1]

    def _told(self, cause: Cause, incident: Incident | None, *, whole: bool) -> str:
        reason = str(cause.reason).rstrip() if whole else last_line(cause.reason)
        lines = [f"{self._name(cause.child_id)}: {reason}"]
        if incident is not None:
            lines.append(f"    ({incident.circumstances})")
            lines.extend(f"    | {line}" for line in incident.last_lines if whole)
        return "\n".join(lines)

    def _name(self, child_id: str) -> str:
        return f"{self._prefix}{child_id}"
