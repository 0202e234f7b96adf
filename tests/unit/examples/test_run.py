"""The whole run of the example text_analysis in a system without processes, which may lose a worker."""

from __future__ import annotations

import argparse
import io
import itertools
import json
from typing import Any

import pytest

import slither_actors as slither
from slither_actors.cli._console import Console
from slither_actors.examples.text_analysis import add_options, run, work
from slither_actors.testing import Crash, InlineSystem


class Index(work.WorkerIndex):
    """That of a worker with a process id of its own."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "worker": self._pid}


def run_with(monkeypatch: pytest.MonkeyPatch, *argv: str, fatal: int | None = None) -> tuple[int, str, str]:
    """Exit code, results and notes of the example with one worker, which dies of the batch numbered `fatal`."""
    pids, batches, analyse = itertools.count(11), itertools.count(), work.analyse

    def analysed(documents: list[dict[str, Any]], ctx: slither.Context) -> list[dict[str, Any]]:
        if next(batches) == fatal:
            work._index = Index(next(pids))  # the one of the worker that comes in its place
            raise Crash
        return analyse(documents, ctx)

    with monkeypatch.context() as patch:
        patch.setattr(slither, "start", InlineSystem)
        patch.setattr(work, "analyse", analysed)
        patch.setattr(work, "_index", Index(next(pids)))
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", action="store_true")
        add_options(parser)
        out, err = io.StringIO(), io.StringIO()
        code = run(parser.parse_args(["--workers", "1", *argv]), Console(out, err))
    return code, out.getvalue(), err.getvalue()


def test_every_document_is_classified_and_counted_by_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_with(monkeypatch, "--documents", "1000")

    assert code == 0
    assert "accounted for: 1,000 analysed + 0 skipped = 1,000 of 1,000" in out
    assert out.endswith("the workers' own counts add up to the same 1,000\n")
    assert out.count("pid ") == 1
    assert err.splitlines()[-1] == "analysing: 1,000 of 1,000 (100 %)"


def test_the_same_seed_gives_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [json.loads(run_with(monkeypatch, "--json", "--documents", "200", "--seed", "3")[1]) for _ in range(2)]

    for answer in answers:
        del answer["seconds"], answer["documents_per_second"]
    assert answers[0] == answers[1]
    assert min(answers[0]["routes"].values()) > 20


def test_a_worker_that_dies_costs_its_batch_and_its_index_but_no_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_with(monkeypatch, "--documents", "1000", fatal=7)

    assert code == 0
    assert "accounted for: 950 analysed + 50 skipped = 1,000 of 1,000" in out
    assert "50 because worker" in out
    assert "replaced: pid 11" in out
    assert "does not add up" not in err


class Deaf(InlineSystem):
    """Workers die when they are asked, so many times."""

    times = 0

    def call_each(self, executor: Any, **options: Any) -> list[Any]:
        if Deaf.times:
            Deaf.times -= 1
            raise slither.WorkerCrashed("worker-1", 11, "SIGKILL")
        return super().call_each(executor, **options)


@pytest.mark.parametrize("times", [2, 3])
def test_a_worker_that_dies_while_it_is_asked_is_asked_again_but_not_for_ever(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Deaf, "times", times)
    from slither_actors.examples.text_analysis.main import ask_workers

    with Deaf(pools={"default": 1}) as system:
        if times == 3:
            with pytest.raises(slither.WorkerCrashed):
                ask_workers(system)
        else:
            assert len(ask_workers(system)) == 1


def test_counts_that_do_not_agree_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work.WorkerIndex, "add", lambda self, frequencies: None)

    code, _, err = run_with(monkeypatch, "--documents", "100")

    assert code == 1
    assert err.splitlines()[-1] == "does not add up: the workers counted 0 documents, 100 came out"
