"""`slither config`: what holds, who says so, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slither_actors import Config
from slither_actors.cli import main


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file of a working directory of this test's own; one variable is set too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLITHER_DISPATCH__DEFAULT_ORDERING", "as_completed")
    path = tmp_path / "slither.toml"
    path.write_text('stores = ["shop:Features"]\ndispatch.default_batch_size = 32\n')
    return path


def test_each_value_is_printed_with_its_source(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0

    printed = capsys.readouterr()
    lines = [line.split("  # ") for line in printed.out.splitlines()]
    assert {line.rstrip(): source for line, source in lines} == {
        'stores = ["shop:Features"]': str(file),
        "dispatch.default_batch_size = 32": str(file),
        "dispatch.default_max_in_flight = 8": "default",
        'dispatch.default_ordering = "as_completed"': "SLITHER_DISPATCH__DEFAULT_ORDERING",
        'dispatch.default_on_error = "halt"': "default",
        'bridge.default_scope = "session"': "default",
        "sessions.default_ttl_s = 3600.0": "default",
        "sessions.max_sessions = 10000": "default",
        "queue_limit_bytes = 1073741824": "default",
        "stopped_limit_s = 5.0": "default",
    }
    assert printed.err == f"configuration file: {file}\n"


def test_what_is_printed_can_be_read_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config.load()
    main(["config"])
    file.write_text(capsys.readouterr().out)

    assert Config.load(environ={}) == config


def test_as_json_it_is_one_object(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--json"]) == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["file"] == str(file)
    assert list(printed["values"]) == list(Config().sources)
    assert printed["values"]["stores"] == {"value": ["shop:Features"], "source": str(file)}
    assert printed["values"]["queue_limit_bytes"] == {"value": 2**30, "source": "default"}


def test_another_file_may_be_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.toml").write_text("queue_limit_bytes = 9")
    assert main(["config", "--file", "other.toml"]) == 0

    printed = capsys.readouterr()
    assert "queue_limit_bytes = 9" in printed.out
    assert '["shop:Features"]' not in printed.out
    assert printed.err == "configuration file: other.toml\n"


def test_where_there_is_no_file_that_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.unlink()
    assert main(["config"]) == 0
    assert capsys.readouterr().err == "no configuration file\n"
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] is None


def test_what_a_start_would_refuse_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("dispatch.batch_size = 3")
    assert main(["config"]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"slither: InvalidOption: {file}: dispatch.batch_size is not an option; allowed: ")
    assert printed.err.endswith("did you mean 'dispatch.default_batch_size'?\n")
