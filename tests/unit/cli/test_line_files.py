"""Files that hold whole lines, in a folder that nobody loses anything in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from slither_actors.cli._line_files import FolderRefused, LineFile, WriteFailed, end_line, line_files, result_line
from slither_actors.dispatch.ends_file import read_ends
from slither_actors.errors import RemoteError, ResultCountMismatch
from slither_actors.item import Item

NAMES = {"default": 0o666, "dead": 0o600}


@pytest.fixture
def source(tmp_path: Path) -> Any:
    path = tmp_path / "in.jsonl"
    path.touch()
    with path.open("rb") as file:
        yield file.fileno()


def appended(path: Path) -> LineFile:
    return LineFile(path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))


def test_there_is_a_file_per_name_also_where_nothing_is_written(tmp_path: Path, source: int) -> None:
    folder = tmp_path / "deep" / "out"
    with line_files(folder, NAMES, force=False, source=source) as files:
        files["default"].write(b"1\n")
        assert (folder / "default.jsonl").read_bytes() == b"1\n"  # at once, for those who follow it

    assert sorted(path.name for path in folder.iterdir()) == ["dead.jsonl", "default.jsonl"]
    assert (folder / "dead.jsonl").stat().st_mode & 0o777 == 0o600


def test_an_error_before_the_first_line_leaves_no_files(tmp_path: Path, source: int) -> None:
    folder = tmp_path / "out"
    files = line_files(folder, NAMES, force=False, source=source)
    assert list(folder.iterdir()) == []  # as where the system does not start
    with pytest.raises(ValueError, match="no header"), files:
        raise ValueError("no header")
    assert list(folder.iterdir()) == []
    files = line_files(folder, NAMES, force=False, source=source)
    files.__enter__()["dead"].write(b"1\n")
    error = ValueError("later")
    assert not files.__exit__(ValueError, error, None)
    assert sorted(path.name for path in folder.iterdir()) == ["dead.jsonl", "default.jsonl"]


def test_what_others_make_meanwhile_is_not_replaced(tmp_path: Path, source: int) -> None:
    folder = tmp_path / "out"
    files = line_files(folder, NAMES, force=False, source=source)
    (folder / "dead.jsonl").write_text("precious")

    with pytest.raises(FolderRefused, match=r"out has got another .*/dead.jsonl meanwhile"), files:
        pass

    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("dead.jsonl", "precious")]


def test_force_replaces_nothing_before_the_files_are_made(tmp_path: Path, source: int) -> None:
    (tmp_path / "default.jsonl").write_text("1\n")
    files = line_files(tmp_path, NAMES, force=True, source=source)
    assert (tmp_path / "default.jsonl").read_text() == "1\n"
    with files:
        assert (tmp_path / "default.jsonl").read_text() == ""


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path: Path, source: int) -> None:
    with pytest.raises(FolderRefused, match="--force"), line_files(tmp_path, NAMES, force=False, source=source):
        pass

    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_force_begins_the_files_of_its_names_anew_and_no_others(tmp_path: Path, source: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / "default.jsonl").symlink_to(elsewhere)
    (tmp_path / "other.jsonl").write_text("kept")

    with line_files(tmp_path, NAMES, force=True, source=source) as files:
        files["default"].write(b"2\n")

    assert (tmp_path / "default.jsonl").read_bytes() == b"2\n"
    assert (elsewhere.read_text(), (tmp_path / "other.jsonl").read_text()) == ("precious", "kept")


def test_what_is_read_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "default.jsonl"
    path.write_text("1\n")
    with path.open("rb") as file, pytest.raises(FolderRefused, match="is what is read"):
        line_files(tmp_path, NAMES, force=True, source=file.fileno()).__enter__()

    assert path.read_text() == "1\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, source: int) -> None:
    for place, why in (("in.jsonl/out", "cannot take results: Not a directory"), ("in.jsonl", "is no folder")):
        with pytest.raises(FolderRefused, match=rf"{place} {why}$"):
            line_files(tmp_path / place, NAMES, force=False, source=source).__enter__()


def test_a_line_that_was_cut_short_is_cut_off_when_the_file_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = appended(tmp_path / "out")
    file.write(b"whole\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    file.write(b"in three pieces\n")

    def full(fd: int, data: memoryview) -> int:
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return write(fd, data[:4])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(WriteFailed, match="No space left on device"):
        file.write(b"too long\n")
    file.close()

    assert (tmp_path / "out").read_bytes() == b"whole\nin three pieces\n"
    assert file.lines == 2


class Odd:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("payload", "line"),
    [({"a": [1, "ü\n"]}, '{"a":[1,"ü\\n"]}'), (float("nan"), "null"), (1 << 70, str(1 << 70).join('""'))],
)
def test_a_result_is_one_line_of_json(payload: Any, line: str) -> None:
    assert result_line(Item.wrap(payload), envelope=False).decode() == f"{line}\n"


def test_what_json_cannot_say_is_named() -> None:
    line = result_line(Item.wrap(Odd()), envelope=False)

    assert "Odd object" in json.loads(line)


def test_an_envelope_tells_where_a_result_comes_from() -> None:
    item = Item(7, "x", {"line": 3}, "large", 6, 1)

    told = json.loads(result_line(item, envelope=True))

    assert told == {"line": 3, "output": "large", "id": 7, "parent_id": 6, "index": 1, "payload": "x"}


def test_an_end_is_a_line_for_people_and_for_those_who_run_it_again(tmp_path: Path) -> None:
    error = RemoteError("ValueError", "unlucky", "Traceback ...", ("builtins.ValueError",))
    item = Item(9, {"number": 13}, {"line": 4, "own": "note"}).with_meta(error=error, stage="price", attempts=2)
    path = tmp_path / "skipped.jsonl"
    path.write_bytes(end_line(item, "skipped", "Orders", "2026-01-01T00:00:00.000+00:00"))

    told = json.loads(path.read_bytes())
    (record,) = read_ends(path)

    assert (told["line"], told["payload"]) == (4, {"number": 13})
    assert (told["stage"], told["reason"], told["error_type"]) == ("price", "unlucky", "ValueError")
    assert (record.pipe, record.stage, record.attempts, record.end) == ("Orders", "price", 2, "skipped")
    assert (told["run"], told["pool"]) == ("", None)
    assert record.item() == Item(9, {"number": 13}, {"line": 4, "own": "note"})


def test_an_end_whose_notes_are_gone_still_has_its_line() -> None:
    item = Item(9, 1).with_meta(error=ResultCountMismatch("f", 2, 1), stage=None, attempts=1)

    assert json.loads(end_line(item, "dead", "P", ""))["line"] is None
