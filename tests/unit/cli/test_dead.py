"""Looking at ends files from the command line; what `replay` refuses."""

from __future__ import annotations

import json
from io import FileIO
from pathlib import Path

import pytest

from slither_actors.cli import main
from slither_actors.cli.replay import Replay
from slither_actors.dispatch._end_lines import EndRecord, RunNames, line_of, record_of
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import RemoteError
from slither_actors.item import Item

ERROR = RemoteError("ValueError", "boom \x1b[31m", "Traceback\n  \x1b]0;title\x07 line", ("ValueError",))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


def ended(number: int, end: str) -> EndRecord:
    ends = Ends(end, (), ERROR, "price", 2)
    return record_of(Item(number, Trap()), ends, RunNames("r", pipe="Orders"), "2030-01-01", lost=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ends"
    records = [ended(1, "skipped"), ended(2, "dropped"), ended(3, "dead")]
    path.write_bytes(b"".join(map(line_of, records)) + b'{"id": 4, "end": "de\n')
    path.chmod(0o600)
    return path


def test_the_list_has_a_line_per_item_and_steers_no_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "list", str(path)]) == 0

    shown = capsys.readouterr()
    assert [line.split()[:4] for line in shown.out.splitlines()[1:]] == [
        ["1", "skipped", "price", "2"],
        ["2", "dropped", "price", "2"],
        ["3", "dead", "price", "2"],
    ]
    assert "ValueError: boom \\x1b[31m" in shown.out
    assert "\x1b" not in shown.out
    assert "1 lines of" in shown.err


def test_the_list_may_be_of_some_ends(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "list", str(path), "--end", "dead,dropped", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert [(record["id"], record["end"]) for record in listed] == [(2, "dropped"), (3, "dead")]
    assert "item" not in listed[0]


def test_one_item_is_shown_whole(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "show", str(path), "3"]) == 0

    out = capsys.readouterr().out
    assert "pipe        Orders" in out
    assert "can be replayed" in out
    assert out.endswith("Traceback\n  \\x1b]0;title\\x07 line\n")
    assert main(["dead", "show", str(path), "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["has_item"] is True


def test_an_item_that_is_not_there_is_1(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", "show", str(path), "9"]) == 1
    assert "no item 9 stands in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["lits"], "did you mean list?"),
        (["list", "f", "--end", "skiped"], "did you mean skipped?"),
        (["replay", "f", "m:f", "--worker", "2"], "did you mean --workers?"),
        (["replay", "f", "m:f", "--workers", "0"], "no whole number of at least 1"),
        (["replay", "f", "m:f", "--json"], "--json needs --output"),
        (["list", "/nonexistent/ends"], "No such file"),
        ([], "WORD"),
    ],
)
def test_wrong_usage_is_2(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead", *argv]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output", "--failed"])
def test_a_replay_never_writes_to_what_it_reads(path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    assert main(["dead", "replay", str(path), "m:f", option, str(path)]) == 2
    assert "stays as it is" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_file_that_others_may_write_to_is_not_replayed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.chmod(0o620)
    assert main(["dead", "replay", str(path), "m:f"]) == 2
    assert "can be written by others (mode 620" in capsys.readouterr().err
    assert main(["dead", "list", str(path)]) == 0


def test_where_there_is_nothing_to_replay_nothing_starts(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(line_of(ended(2, "dropped")))
    assert main(["dead", "replay", str(path), "m:f"]) == 0
    assert "0 of 0 items" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_a_failure_of_the_replay_and_nothing_else(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def replay(self: Replay, total: int, output: FileIO | None) -> None:
        self._print(Item(1, "short"), output)

    monkeypatch.setattr(Replay, "_replay", replay)
    assert main(["dead", "replay", str(path), "builtins:list", "--output", "/dev/full"]) == 1
    assert capsys.readouterr().err == "slither: /dev/full cannot be written: No space left on device\n"
