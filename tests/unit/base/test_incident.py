"""Incidents as text and as plain data."""

from __future__ import annotations

import pickle

from slither_actors._codec import from_json, to_json
from slither_actors._record import replaced
from slither_actors.incident import Incident, as_data, from_data

KILLED = Incident("pools/default/workers/worker-1", 3, 42, 1e9, 1.25, "killed", "SIGKILL", "SIGKILL")


def test_an_incident_is_the_same_after_its_way_through_json_and_pickle() -> None:
    whole = replaced(KILLED, items=(1, 2), item_count=2, last_lines=("a", "b"), together=("x",), out_of_memory=True)

    assert from_data(from_json(to_json(as_data(whole)))) == whole
    assert pickle.loads(pickle.dumps(whole)) == whole


def test_what_another_version_added_is_left_out() -> None:
    assert from_data(as_data(KILLED) | {"mood": "bad"}) == KILLED


def test_a_signal_that_nobody_here_sent_is_told_as_such() -> None:
    assert KILLED.circumstances == "process 42, incarnation 3, after 1.25 s; nothing in this system had sent the signal"
    assert "sent" not in replaced(KILLED, ordered=True).circumstances
    stood_still = replaced(KILLED, ordered=True, reason="SIGSTOP: a signal had stopped it for 5 s")
    assert stood_still.circumstances.endswith("; ended with SIGKILL, which this system had sent")


def test_a_want_of_memory_is_told_in_the_place_of_the_signal() -> None:
    circumstances = replaced(KILLED, out_of_memory=True, peak_bytes=512_000_000).circumstances

    assert circumstances.endswith("after 1.25 s; 512 MB at most; the kernel had killed for want of memory")


def test_items_are_told_with_how_many_more_there_were() -> None:
    one = replaced(KILLED, handling="RunBatch", items=(7,), item_count=1)
    many = replaced(one, items=(7, 8), item_count=1002)

    assert "while it handled RunBatch of item 7;" in one.circumstances
    assert "while it handled RunBatch of items 7, 8 and 1,000 more;" in many.circumstances
    assert "while it handled Reset;" in replaced(KILLED, handling="Reset").circumstances


def test_the_text_has_the_last_line_of_the_reason_the_rule_and_the_last_words() -> None:
    crash = replaced(
        KILLED,
        kind="crash",
        reason="Traceback\nKeyError: 1\n",
        exit="exit code 1",
        outcome="restarted",
        rule="permanent, rest_for_one",
        together=("leases",),
        last_lines=("first", "last"),
    )
    first, *rest = str(crash).splitlines()

    assert first.endswith(" pools/default/workers/worker-1: crash: KeyError: 1")
    assert rest == [
        "    process 42, incarnation 3, after 1.25 s; ended with exit code 1; with it leases",
        "    restarted: permanent, rest_for_one",
        "    | first",
        "    | last",
    ]
    assert crash.line.endswith("; its last line: last)")


def test_one_without_a_reason_is_told_by_its_kind() -> None:
    assert replaced(KILLED, kind="shutdown", reason="").summary == "shutdown"
