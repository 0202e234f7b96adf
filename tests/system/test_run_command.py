"""`slither run` as a shell would start it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.command import Slither, slither
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

ORDERS = "tests.helpers.streamed:Orders"


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def orders(count: int) -> str:
    return "".join(f'{{"number": {number}}}\n' for number in range(count))


def run(base: Path, pipe: str, source: Path | str, *options: str) -> tuple[int, str, str]:
    return slither(base, "run", pipe, "--input", str(source), "--workers", "1", *options)


def test_every_line_stands_in_one_file(base: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text(orders(100) + '{"number": \n')

    code, told, notes = run(base, ORDERS, source, "--output-dir", str(out), "--json", "--progress")

    assert code == 1
    assert lines_of(out / "default.jsonl") == [{"number": n, "price": 2 * n} for n in range(50) if n not in (7, 13)]
    assert lines_of(out / "large.jsonl") == [{"number": n, "price": 2 * n} for n in range(50, 100)]
    assert [(end["line"], end["payload"]) for end in lines_of(out / "dropped.jsonl")] == [(8, {"number": 7})]
    skipped = {end["line"]: end for end in lines_of(out / "skipped.jsonl")}
    assert (skipped[14]["stage"], skipped[14]["reason"], skipped[14]["error_type"]) == (
        "price",
        "unlucky",
        "ValueError",
    )
    assert (skipped[101]["payload"], skipped[101]["error_type"]) == ('{"number": ', "BrokenLine")
    assert (len(skipped), lines_of(out / "dead.jsonl")) == (2, [])
    summary = json.loads(told)
    assert (summary["outcome"], summary["lines"], summary["broken"]) == ("done", 101, 1)
    assert (summary["outputs"], summary["skipped"]) == ({"default": 48, "large": 50}, 2)
    assert (summary["dropped"], summary["dead"], summary["abandoned"]) == (1, 0, 0)
    assert notes.splitlines()[-1] == (
        "100%  101 lines  0 in flight  2 skipped  1 dropped  (check 100, price 99, route 98)"
    )
    again = run(base, ORDERS, source, "--output-dir", str(out))
    assert (again[0], again[1]) == (2, "")
    assert again[2].startswith(f"slither: {out} has files in it: ")


def test_rows_come_in_through_a_pipe_and_out_on_standard_output(base: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.write_text("name,size\nbolt,3\nnut,4,5\n")
    options = ["--format", "csv", "--envelope", "--max-failed", "1", "--workers", "1"]
    with (
        rows.open() as stdin,
        Slither(base, "run", "tests.helpers.streamed:Rows", "--input", "-", *options, stdin=stdin) as command,
    ):
        code, out, notes = command.end()

    assert code == 0
    (told,) = map(json.loads, out.splitlines())
    assert (told["line"], told["output"], told["payload"]) == (2, "default", {"name": "bolt", "size": "3"})
    first, summary = notes.splitlines()
    assert first.startswith("slither: first failure: line 3 has 3 values, and the first row names 2 columns")
    assert summary.startswith("done: 2 lines: 1 to default, 1 skipped (1 of them lines that cannot be read); ")


def test_a_store_of_the_pipe_may_be_configured_too_and_a_failed_start_leaves_no_files(
    base: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text("1\n")
    command = ("--input", str(source), "--output-dir", str(out), "--workers", "1")
    refused, _, notes = slither(base, "run", "tests.helpers.streamed:Commanded", *command)
    assert (refused, list(out.iterdir())) == (2, [])
    assert notes == (
        "slither: stage score of pipe Commanded: executor is Command('score'); allowed: no command of an adapter, "
        "since slither run has plain pools; start the system in a program\n"
    )
    kept = tmp_path / "kept" / "default.jsonl"
    kept.parent.mkdir()
    kept.write_text("0\n")
    again = run(base, "tests.helpers.streamed:Commanded", source, "--output-dir", str(kept.parent), "--force")
    assert (again[0], list(kept.parent.iterdir()), kept.read_text()) == (2, [kept], "0\n")
    environment = {"SLITHER_STORES": "tests.helpers.streamed:Known"}
    code, _, notes = slither(base, "run", "tests.helpers.streamed:Looking", *command, environment=environment)
    assert (code, lines_of(out / "default.jsonl")) == (0, [1]), notes


@pytest.mark.thorough
def test_who_has_seen_enough_ends_it_without_a_failure(base: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(f'"{"x" * 10_000}"\n' * 200)  # more than the reader and the pipe take
    arguments = ["run", "tests.helpers.streamed:Rows", "--input", str(source), "--workers", "1"]
    with Slither(base, *arguments) as command:
        assert command.process.stdout is not None
        assert len(command.process.stdout.readline()) == 10_003
        command.process.stdout.close()
        command.process.stdout = None
        code, _, notes = command.end()

    assert (code, notes) == (0, "")


@pytest.mark.thorough
def test_a_failure_that_halts_keeps_what_came_before(base: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text('{"number": 13}\n')
    code, _, notes = run(base, "tests.helpers.streamed:Strict", source, "--output-dir", str(out))
    assert (code, list(out.iterdir())) == (1, []), notes  # so that the same folder can be named again
    source.write_text(orders(20))

    code, told, notes = run(base, "tests.helpers.streamed:Strict", source, "--output-dir", str(out))

    assert (code, told) == (1, "")
    assert [result["number"] for result in lines_of(out / "default.jsonl")] == list(range(13))
    assert "slither: PipeError: " in notes
    assert "unlucky" in notes
    assert "\nfailed: " in notes


@contextmanager
def waiting(base: Path, pipe: str, out: Path, lines: str) -> Iterator[Slither]:
    """A run that has got lines, and waits for more."""
    arguments = ["run", f"tests.helpers.streamed:{pipe}", "--input", "-", "--output-dir", str(out), "--workers", "1"]
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdin, os.fdopen(reader) as end:
        stdin.write(lines)
        stdin.flush()
        with Slither(base, *arguments, stdin=end) as command:
            yield command


def summary_of(notes: str) -> str:
    return notes.splitlines()[-1].partition(";")[0]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.thorough),
    ],
)
def test_the_first_signal_lets_what_was_read_come_to_its_end(
    base: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    results = tmp_path / "default.jsonl"
    with waiting(base, "Rows", tmp_path, orders(70)) as command:
        eventually(lambda: results.exists() and results.stat().st_size, "the first results are there")
        command.signal(number, group=True)
        ended, _, notes = command.end()

    found = lines_of(results)
    assert ended == code
    assert found == [{"number": number} for number in range(len(found))]
    assert summary_of(notes) == f"drained: {len(found)} lines: {len(found)} to default, 0 skipped"


def test_the_second_signal_cuts_and_leaves_whole_lines(base: Path, tmp_path: Path) -> None:
    stuck = tmp_path / "stuck"
    with waiting(base, "Stuck", tmp_path / "out", f'1\n2\n"{stuck}"\n' + 60 * "4\n") as command:
        eventually(stuck.exists, "a stage is stuck")
        command.signal(signal.SIGTERM)
        command.signal(signal.SIGINT)
        ended, _, notes = command.end()

    assert ended in (130, 143)  # whichever was heard last
    assert "cut: " in notes
    assert lines_of(tmp_path / "out" / "default.jsonl") in ([], [1, 2])
