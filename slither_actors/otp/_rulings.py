"""What a supervisor decided when a child had died, and by which rule: for reports."""

import enum
from collections.abc import Iterable

from slither_actors._record import record
from slither_actors.otp._roster import Child
from slither_actors.otp.child import SupervisorOptions


class Fate(enum.Enum):
    """What becomes of a child that ended."""

    RESTARTED = "restarted"
    RESTARTED_LATER = "restarted later"
    """After a pause."""
    NOT_RESTARTED = "not restarted"
    GAVE_UP = "gave up"
    """The restart would have been one too many: its supervisor ends, with all its children."""
    NOT_STARTED = "not started"
    """It never came up. Whoever started it is told; where that was a restart, it is tried again, at the budget's
    expense."""
    STOPPED = "stopped"
    """It was to end anyway, and ended in another way than it should."""


@record
class Ruling:
    """What becomes of one incarnation of a child.

    Attributes:
        child_id: the child. incarnation: the process that ended.
        fate: what becomes of it.
        rule: why, in words.
        together: ids of those that are stopped and started again with it.
    """

    child_id: str
    incarnation: int
    fate: Fate
    rule: str
    together: tuple[str, ...] = ()


def restarted(child: Child, charged: bool, options: SupervisorOptions, others: Iterable[Child]) -> Ruling:
    """At once, and these others with it."""
    rule = _words(child, options) + ("" if charged else "; not counted as a restart")
    return Ruling(child.id, child.incarnation, Fate.RESTARTED, rule, tuple(other.id for other in others))


def restarted_later(child: Child, charged: bool, options: SupervisorOptions, pause_s: float) -> Ruling:
    """After a pause: its own, or one that replaces the charge."""
    rule = f"{_words(child, options)}; {'its backoff' if charged else 'quarantine'}: in {pause_s:.3g} s"
    return Ruling(child.id, child.incarnation, Fate.RESTARTED_LATER, rule)


def retired(child: Child) -> Ruling:
    """Its restart type does not bring it back."""
    return Ruling(child.id, child.incarnation, Fate.NOT_RESTARTED, child.spec.restart.value)


def gave_up(child: Child, options: SupervisorOptions) -> Ruling:
    """The budget is spent."""
    rule = f"more than {options.intensity} restarts within {options.period_s:g} s"
    return Ruling(child.id, child.incarnation, Fate.GAVE_UP, rule)


def overtaken(child: Child, incarnation: int) -> Ruling:
    """While its turn was awaited it was dealt with on another's account."""
    return Ruling(child.id, incarnation, Fate.RESTARTED, "together with another child of its group")


def _words(child: Child, options: SupervisorOptions) -> str:
    return f"{child.spec.restart.value}, {options.strategy.value}"
