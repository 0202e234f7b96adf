"""`slither example text_analysis` as a user meets it: on a terminal, in a script, and with things going wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
from pathlib import Path

import pytest

from tests.helpers.patience import AT_ONCE_S
from tests.system.command import LIMIT_S, Slither, slither
from tests.system.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.thorough]

EXAMPLE = ("example", "text_analysis", "--no-baseline")


def test_5000_documents_are_all_accounted_for_and_nothing_is_left(base: Path) -> None:
    code, out, err = slither(base, *EXAMPLE)

    assert code == 0
    assert out.startswith("5,000 documents in ")
    assert out.endswith(
        "accounted for: 5,000 analysed + 0 skipped = 5,000 of 5,000\nthe workers' own counts add up to the same 5,000\n"
    )
    assert err.splitlines() == [f"analysing: {n * 500:,} of 5,000 ({n * 10} %)" for n in range(1, 11)]


def test_the_same_seed_gives_the_same_figures_with_any_number_of_workers(base: Path) -> None:
    answers = []
    for workers in ("1", "3"):
        code, out, _ = slither(base, *EXAMPLE, "--json", "--documents", "300", "--workers", workers)
        answer = json.loads(out)
        assert (code, answer["ok"], answer["accounted"]) == (0, True, 300)
        assert 1 <= len(answer["index"]["shares"]) <= int(workers)
        answers.append((answer["routes"], answer["readability"], sorted(answer["index"]["top_words"])))

    assert answers[0][0] == answers[1][0]
    assert answers[0][1] == pytest.approx(answers[1][1])


def test_on_a_terminal_there_is_a_bar_above_the_result(base: Path) -> None:
    ours, theirs = pty.openpty()
    with Slither(base, *EXAMPLE, "--documents", "300", stdout=theirs, stderr=theirs) as command:
        os.close(theirs)
        shown = read_terminal(ours)
        assert command.end()[0] == 0

    bar, _, result = shown.partition("300 documents in ")
    assert "analysing" in bar
    assert re.search(r"300 of 300 \(100 %\)|300/300", bar)  # without rich, with rich
    assert "accounted for: 300 analysed" in result
    assert "Traceback" not in shown


def read_terminal(fd: int) -> str:
    shown = b""
    try:
        while chunk := os.read(fd, 65536):
            shown += chunk
    except OSError:
        pass  # how Linux says that nobody has the other end any more
    finally:
        os.close(fd)
    return shown.decode()


def test_a_worker_that_is_killed_is_replaced_and_every_document_is_accounted_for(base: Path) -> None:
    with Slither(base, *EXAMPLE) as command:
        command.wait_for_progress()
        victim = command.named("worker-1")
        os.kill(victim, signal.SIGKILL)
        code, out, err = command.end()

    assert code == 0
    found = re.search(r"accounted for: ([\d,]+) analysed \+ (\d+) skipped = 5,000 of 5,000", out)
    assert found
    # Only the batch that it ran is suspect, and there may have been none at that moment.
    assert int(found[2]) in (0, 50)
    assert int(found[1].replace(",", "")) + int(found[2]) == 5000
    assert f"replaced: pid {victim}; the statistics of a lost worker are gone with its process" in out
    assert "pools/default/workers/worker-1 was restarted: killed: SIGKILL" in err


def test_nothing_outlives_the_service_when_that_is_killed(base: Path) -> None:
    with Slither(base, *EXAMPLE, "--documents", "20000") as command:
        command.wait_for_progress()
        command.signal(signal.SIGKILL)

        command.wait_until_nothing_is_left()


def test_a_way_of_a_baseline_ends_with_the_command(base: Path, tmp_path: Path) -> None:
    hanging, begun = tmp_path / "python3.99t", tmp_path / "begun"
    hanging.write_text(f"#!/bin/sh\nsleep 1000 &\ntouch {begun}\nwait\n")
    hanging.chmod(0o755)
    with Slither(base, "baseline", "batch_stats", "--size", "40", "--python", str(hanging)) as command:
        eventually(begun.exists, "another Python runs")
        command.signal(signal.SIGTERM)

        assert command.end()[0] == 143
        command.wait_until_nothing_is_left()


@pytest.mark.parametrize(
    ("number", "group", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGINT, False, 130), (signal.SIGTERM, False, 143)],
    ids=["Ctrl-C", "SIGINT", "SIGTERM"],
)
def test_who_is_asked_to_end_ends_at_once_without_a_traceback(
    base: Path, number: signal.Signals, group: bool, code: int
) -> None:
    with Slither(base, *EXAMPLE, "--documents", "30000") as command:
        command.wait_for_progress()
        command.signal(number, group=group)

        ended, out, err = command.end(AT_ONCE_S)

    assert (ended, out) == (code, "")
    notes = [line for line in err.splitlines() if not line.startswith("analysing: ")]
    assert notes == (["interrupted"] if number is signal.SIGINT else [])


def test_a_reader_who_has_seen_enough_is_no_failure(base: Path) -> None:
    with Slither(base, *EXAMPLE, "--documents", "300") as command:
        assert command.process.stdout is not None
        command.process.stdout.close()
        assert command.process.stderr is not None
        notes = command.process.stderr.read()

        assert command.process.wait(LIMIT_S) == 0
        command.wait_until_nothing_is_left()
    assert notes.splitlines()[-1] == "analysing: 300 of 300 (100 %)"


def test_streams_that_are_closed_from_the_start_are_no_failure(base: Path) -> None:
    assert slither(base, *EXAMPLE, "--documents", "100", sh="<&- >&- 2>&-") == (0, "", "")
