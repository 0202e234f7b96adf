"""What is known of a death, and what became of it, become one incident."""

from __future__ import annotations

from typing import Any

from slither_actors.incident import ITEMS, REASON_CHARS, Incident
from slither_actors.otp._actions import Cause
from slither_actors.otp._inquest import Death, Inquest, Work
from slither_actors.otp._rulings import Fate, Ruling
from slither_actors.otp.child import ExitReason

CRASH = ExitReason("crash", "Traceback ...\nValueError: bad")
KILLED = ExitReason("killed", "SIGKILL")
NORMAL = ExitReason("normal")


class Desk:
    """An inquest, what it has written, and a clock that stands still."""

    def __init__(self) -> None:
        self.written: list[Incident] = []
        self.now = 1000.0
        self.inquest = Inquest("sup/", self.written.append, lambda: self.now)


def death(incarnation: int = 1, reason: ExitReason = CRASH, **facts: Any) -> Death:
    return Death("a", incarnation, 42, 2.5, reason, "exit code 1", **facts)


def restarted(incarnation: int = 1, *together: str) -> Ruling:
    return Ruling("a", incarnation, Fate.RESTARTED, "permanent, one_for_one", together)


def test_facts_and_ruling_become_one_incident() -> None:
    desk = Desk()
    work = Work("RunBatch", 7, (1, 2), 2)
    desk.inquest.died(death(work=work, peak_bytes=5, last_lines=("oh no",), out_of_memory=True))
    assert desk.written == []

    desk.now += 9
    desk.inquest.ruled(restarted(1, "b", "c"))

    assert desk.written == [
        Incident(
            name="sup/a",
            incarnation=1,
            pid=42,
            at=1000.0,
            ran_s=2.5,
            kind="crash",
            reason=CRASH.text,
            exit="exit code 1",
            out_of_memory=True,
            handling="RunBatch",
            batch=7,
            items=(1, 2),
            item_count=2,
            peak_bytes=5,
            last_lines=("oh no",),
            outcome="restarted",
            rule="permanent, one_for_one",
            together=("sup/b", "sup/c"),
        )
    ]


def test_a_ruling_about_nothing_that_is_known_writes_nothing() -> None:
    desk = Desk()
    desk.inquest.died(death())
    desk.inquest.ruled(restarted(2))
    desk.inquest.ruled(restarted(1))
    desk.inquest.ruled(restarted(1))

    assert [incident.incarnation for incident in desk.written] == [1]


def test_one_that_was_done_is_no_incident_but_one_that_is_started_again_after_a_normal_end_is() -> None:
    desk = Desk()
    desk.inquest.died(death(1, NORMAL))
    desk.inquest.ruled(Ruling("a", 1, Fate.NOT_RESTARTED, "transient"))
    desk.inquest.died(death(2, CRASH))
    desk.inquest.ruled(Ruling("a", 2, Fate.NOT_RESTARTED, "temporary"))
    desk.inquest.died(death(3, NORMAL))
    desk.inquest.ruled(restarted(3))

    assert [(incident.incarnation, incident.outcome) for incident in desk.written] == [
        (2, "not restarted"),
        (3, "restarted"),
    ]


def test_what_is_not_decided_when_the_supervisor_ends_is_written_down_all_the_same() -> None:
    desk = Desk()
    desk.inquest.died(death())
    desk.inquest.close_all()
    desk.inquest.close_all()

    assert [(incident.outcome, incident.rule) for incident in desk.written] == [
        ("not restarted", "its supervisor ends")
    ]


def test_reasons_and_lists_of_items_are_bounded() -> None:
    desk = Desk()
    endless = ExitReason("crash", "x" * (REASON_CHARS + 10) + "end")
    desk.inquest.closed(death(reason=endless, work=Work("RunBatch", 1, tuple(range(100)), 100)), Fate.STOPPED, "rule")

    (incident,) = desk.written
    assert len(incident.reason) == REASON_CHARS
    assert incident.reason.endswith("end")
    assert (len(incident.items), incident.item_count) == (ITEMS, 100)


def test_the_newest_incident_of_a_child_is_known_before_it_is_decided_about() -> None:
    desk = Desk()
    assert desk.inquest.latest("a") is None
    desk.inquest.closed(death(1), Fate.STOPPED, "rule")
    desk.inquest.died(death(2))

    latest = desk.inquest.latest("a")
    assert latest is not None
    assert latest.incarnation == 2


def test_a_chain_of_causes_tells_each_in_short_and_the_last_in_full() -> None:
    desk = Desk()
    for incarnation in (1, 2):
        work = Work("Reset", 0, (), 0)
        desk.inquest.died(death(incarnation, work=work, last_lines=(f"words of {incarnation}",)))
        desk.inquest.ruled(restarted(incarnation))

    first, last = desk.inquest.explained([Cause("a", CRASH), Cause("a", CRASH)])

    assert first.splitlines() == [
        "sup/a: crash: ValueError: bad",
        "    (process 42, incarnation 1, after 2.5 s; ended with exit code 1; while it handled Reset)",
    ]
    assert last.splitlines() == [
        "sup/a: crash: Traceback ...",
        "ValueError: bad",
        "    (process 42, incarnation 2, after 2.5 s; ended with exit code 1; while it handled Reset)",
        "    | words of 2",
    ]


def test_a_cause_that_is_forgotten_is_told_as_far_as_it_is_known() -> None:
    assert Desk().inquest.explained([Cause("b", KILLED)]) == ["sup/b: killed: SIGKILL"]


def test_how_long_a_child_was_away_counts_from_its_own_end() -> None:
    desk = Desk()
    desk.inquest.died(death(1))
    desk.now += 3.0
    assert desk.inquest.away_s("a", 1) == 3.0
    desk.inquest.ruled(restarted(1))
    assert desk.inquest.away_s("a", 1) == 3.0
    assert desk.inquest.away_s("a", 2) is None, "that one was stopped with another"
    assert desk.inquest.away_s("b", 1) is None
