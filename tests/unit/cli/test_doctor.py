"""Every check of the doctor as data."""

from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from slither_actors.cli import doctor, main
from slither_actors.cli.doctor import Check

GOOD = Check("python", True, "3.11.7")
BAD = Check("file descriptors", False, "64 per process", "ulimit -n 4096")


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A base directory of this test's own; pytest's are too deep for sockets."""
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def given(monkeypatch: pytest.MonkeyPatch, checks: Iterable[Check]) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter(checks))


@pytest.mark.parametrize(
    ("version", "ok"),
    [((3, 10, 13), False), ((3, 11, 0), True), ((3, 14, 2), True), ((3, 15, 0), False), ((4, 0, 0), False)],
)
def test_python_is_supported_from_3_11_to_3_14(version: tuple[int, int, int], ok: bool) -> None:
    check = doctor.check_python(version)

    assert (check.ok, check.detail) == (ok, ".".join(map(str, version)))
    assert check.advice == ("" if ok else "use Python 3.11 to 3.14")


@pytest.mark.parametrize(("name", "ok"), [("linux", True), ("darwin", False), ("win32", False)])
def test_linux_alone_is_supported(name: str, ok: bool) -> None:
    assert doctor.check_platform(name).ok is ok


def test_an_installed_package_is_named_with_its_version() -> None:
    check = doctor.check_package("thespian")

    assert check.ok
    assert check.detail.startswith("4.")


def test_a_missing_package_says_how_to_get_it() -> None:
    expected = Check("no-such-package-here", False, "not installed", "pip install no-such-package-here")

    assert doctor.check_package("no-such-package-here") == expected


@pytest.mark.parametrize(("mode", "ok"), [(0o700, True), (0o1777, True), (0o777, False), (0o755, True)])
def test_a_base_directory_must_keep_others_from_replacing_what_is_in_it(tmp_path: Path, mode: int, ok: bool) -> None:
    tmp_path.chmod(mode)

    check = doctor.check_run_directory(tmp_path)

    assert (check.ok, check.detail) == (ok, f"{tmp_path}, mode {mode:o}")


def test_a_base_directory_must_exist(tmp_path: Path) -> None:
    check = doctor.check_run_directory(tmp_path / "gone")

    assert not check.ok
    assert "No such file" in check.detail


def test_a_socket_is_really_tried_and_leaves_nothing(base: Path) -> None:
    check = doctor.check_socket()

    assert check.ok, check.detail
    assert list(base.iterdir()) == []


def test_a_path_too_long_for_a_socket_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))

    check = doctor.check_socket()

    assert not check.ok
    assert "too long" in check.detail


def test_free_shared_memory_is_counted_where_there_is_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_shared_memory(tmp_path / "gone").ok

    monkeypatch.setattr(doctor, "ENOUGH_SHARED_MEMORY", 0)
    assert doctor.check_shared_memory(tmp_path).ok

    monkeypatch.setattr(doctor, "ENOUGH_SHARED_MEMORY", 2**63)
    check = doctor.check_shared_memory(tmp_path)
    assert (check.ok, "--shm-size" in check.advice) == (False, True)


@pytest.mark.parametrize(("limit", "ok"), [(256, False), (1024, True), (resource.RLIM_INFINITY, True)])
def test_a_process_needs_a_thousand_file_descriptors(limit: int, ok: bool) -> None:
    assert doctor.check_descriptors(limit).ok is ok


def test_leftovers_are_counted_and_how_to_remove_them_is_said() -> None:
    assert doctor.check_leftovers([]).ok
    assert doctor.check_leftovers([Path("a"), Path("b")]) == Check(
        "leftovers", False, "2 directories of dead systems", "slither reap"
    )


@pytest.mark.usefixtures("base")
def test_all_checks_run_on_this_machine() -> None:
    names = [check.name for check in doctor.examine()]

    assert names[:3] == ["python", "platform", "thespian"]
    assert names[-5:] == ["run directory", "socket", "shared memory", "file descriptors", "leftovers"]


def test_the_report_gives_advice_below_what_failed() -> None:
    assert list(doctor.report([GOOD, BAD])) == [
        "ok      python            3.11.7",
        "FAILED  file descriptors  64 per process",
        "                          do: ulimit -n 4096",
        "1 of 2 checks failed",
    ]
    assert list(doctor.report([GOOD]))[-1] == "all 1 checks passed"


@pytest.mark.parametrize(("checks", "code"), [([GOOD], 0), ([GOOD, BAD], 1)])
def test_the_exit_code_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checks: list[Check], code: int
) -> None:
    given(monkeypatch, checks)

    assert main(["doctor"]) == code
    assert len(capsys.readouterr().out.splitlines()) == len(list(doctor.report(checks)))


def test_as_json_the_checks_are_one_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given(monkeypatch, [GOOD, BAD])

    assert main(["doctor", "--json"]) == 1

    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["checks"][1] == {
        "name": "file descriptors",
        "ok": False,
        "detail": "64 per process",
        "advice": "ulimit -n 4096",
    }
