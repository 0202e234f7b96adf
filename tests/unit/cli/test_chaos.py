"""What may be typed behind `slither chaos`, and what it hands on; nobody is hit here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slither_actors.cli import chaos as command
from slither_actors.cli import main
from slither_actors.testing import ChaosReport, Hit, chaos
from slither_actors.testing._chaos_plan import KINDS
from slither_actors.testing._chaos_roles import DEFAULT_ROLES, FATAL

HIT = Hit(1, 0.25, "kill", "stores/Rates", 77, "stores", 0.0, 0.0, True, 0.06, ("stores/other",))
REPORT = ChaosReport(7, 2.0, (HIT,), 1, (), (), True)


class Played:
    """Stands in for `Chaos`."""

    given: dict[str, Any]
    ends: BaseException | None = None
    report = REPORT

    def __init__(self, system: str, **options: Any) -> None:
        type(self).given = {"system": system, **options}
        self.seed = 7

    def run(self) -> ChaosReport:
        if self.ends is not None:
            raise self.ends
        return self.report


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> type[Played]:
    class Fresh(Played):
        pass

    monkeypatch.setattr(chaos, "Chaos", Fresh)
    return Fresh


def test_what_is_typed_is_handed_on(played: type[Played]) -> None:
    words = "chaos orders --seed 7 --duration 2.5 --rate 4 --kinds kill,stop --targets stores,root --longest-stop 1"

    assert main([*words.split(), "--spend-budgets"]) == 0
    assert played.given == {
        "system": "orders",
        "seed": 7,
        "duration_s": 2.5,
        "rate": 4.0,
        "kinds": ("kill", "stop"),
        "targets": ("stores", "root"),
        "longest_stop_s": 1.0,
        "spare_budgets": False,
    }


def test_the_defaults_are_those_of_the_block(played: type[Played]) -> None:
    assert main(["chaos", "orders"]) == 0
    assert played.given == {
        "system": "orders",
        "seed": None,
        "duration_s": 30.0,
        "rate": 1.0,
        "kinds": KINDS,
        "targets": DEFAULT_ROLES,
        "longest_stop_s": 0.3,
        "spare_budgets": True,
    }
    assert frozenset(command._FATAL) == FATAL


def test_the_report_is_the_result_and_the_seed_is_told_at_once(
    played: type[Played], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chaos", "orders"]) == 0

    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "chaos with seed 7, 2.0 s",
        "    0.25 s  kill  stores/Rates (77): back after 0.06 s, 1 more went with it",
        "1 killed, 0 stopped, 0 slowed; 1 strikes found nobody",
        "the system lives",
    ]
    assert shown.err == "chaos on orders with seed 7 for 30 s; Ctrl-C ends it\n"


def test_as_json_the_report_is_one_object(played: type[Played], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "orders", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["seed"], found["alive"], found["hits"][0]["others"]) == (7, True, ["stores/other"])


def test_a_system_that_is_gone_is_a_failure(played: type[Played]) -> None:
    played.report = ChaosReport(7, 2.0, (HIT,), 1, (), ("stores/Rates",), False)

    assert main(["chaos", "orders"]) == 1


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_what_was_done_is_told_also_when_it_is_interrupted(
    played: type[Played], capsys: pytest.CaptureFixture[str], end: BaseException, code: int
) -> None:
    played.ends = end

    assert main(["chaos", "orders"]) == code
    assert "1 killed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--kinds", "murder"], "argument --kinds: unknown kind 'murder' (known: kill, stop, slow)"),
        (["--targets", "worker"], "argument --targets: unknown target 'worker'; did you mean workers?"),
        (["--rate", "0"], "argument --rate: '0' is no number above 0"),
        (["--duration", "inf"], "argument --duration: 'inf' is no number above 0"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["--sed", "1"], "unknown option --sed; did you mean --seed?"),
    ],
)
def test_wrong_usage_says_what_is_right(capsys: pytest.CaptureFixture[str], words: list[str], problem: str) -> None:
    assert main(["chaos", "orders", *words]) == 2
    assert problem in capsys.readouterr().err.splitlines()[-1]


def test_a_system_that_does_not_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert main(["chaos", "orders"]) == 1
    problem = "no system called 'orders' is running; running now: none"
    assert capsys.readouterr().err == f"slither: SystemNotFound: {problem}\n"
