"""The whole run against a system that works in this process and may lose a worker."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, Self

import pytest

import slither_actors as slither
from slither_actors.cli._console import Console
from slither_actors.dispatch.ends import EndedItems, OnEnd
from slither_actors.examples.text_analysis import add_options, pipe, run, work
from slither_actors.examples.text_analysis.lexicon import STOP_WORDS
from slither_actors.examples.text_analysis.store import Lexicon
from tests.unit.examples.words import bound


class Worker:
    """A worker's process: a process id and an index."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.index = work.WorkerIndex()

    def statistics(self) -> dict[str, Any]:
        return {**self.index.as_dict(), "worker": self.pid}


class Stream:
    """Batches of 50 to the workers in turn; the batch numbered `fatal` kills its worker, and is skipped."""

    def __init__(
        self, workers: list[Worker], inputs: Iterable[Any], ctx: slither.Context, fatal: int | None, on_end: OnEnd
    ) -> None:
        self.skipped = EndedItems(keep=20)
        self.dropped = EndedItems(keep=20)
        self.dead = EndedItems(keep=20)
        self._workers = workers
        self._inputs = list(inputs)
        self._ctx = ctx
        self._fatal = fatal
        self._on_end = on_end

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._inputs = []

    def __iter__(self) -> Iterator[slither.Item]:
        for number, start in enumerate(range(0, len(self._inputs), 50)):
            batch = self._inputs[start : start + 50]
            seat = number % len(self._workers)
            if number == self._fatal:
                error = slither.WorkerCrashed("default-0", self._workers[seat].pid, "SIGKILL")
                for payload in batch:
                    item = slither.Item.wrap(payload).with_meta(error=error)
                    self.skipped.note(item)
                    self._on_end(item, "skipped")
                self._workers[seat] = Worker(self._workers[seat].pid + 100)
                continue
            work._index = self._workers[seat].index
            clean = [{**document, "text": pipe.normalise(document["text"])} for document in batch]
            for payload in work.analyse(clean, self._ctx):
                item = slither.Item.wrap(payload)
                route = "positive" if pipe.is_positive(item) else "negative" if pipe.is_negative(item) else "default"
                yield item.with_route(route)


class System:
    """What the example uses of a system."""

    def __init__(self, workers: int, *, fatal: int | None, deaf: int) -> None:
        self.closed = False
        self._workers = [Worker(11 + number) for number in range(workers)]
        self._fatal = fatal
        self._deaf = deaf

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def stream_pipe(self, cls: type, inputs: Iterable[Any], *, metadata: dict[str, Any], on_end: OnEnd) -> Stream:
        assert cls is pipe.TextPipe
        return Stream(self._workers, inputs, bound(slither.Context(metadata=metadata)), self._fatal, on_end)

    def store(self, cls: type) -> Any:
        assert cls is Lexicon
        return SimpleNamespace(stop_words=SimpleNamespace(select=lambda: [(word, True) for word in STOP_WORDS]))

    def call_each(self, executor: str, *, pool: str) -> list[dict[str, Any]]:
        assert (executor, pool) == ("slither_actors.examples.text_analysis.work:statistics", "default")
        if self._deaf:
            self._deaf -= 1
            raise slither.WorkerCrashed("default-0", 11, "SIGKILL")
        return [worker.statistics() for worker in self._workers]


def run_with(
    monkeypatch: pytest.MonkeyPatch, *argv: str, fatal: int | None = None, deaf: int = 0
) -> tuple[int, str, str]:
    """Exit code, results and notes of the example on a made-up system."""
    systems: list[System] = []

    def start(*, stores: list[type], pools: dict[str, int]) -> System:
        assert stores == [Lexicon]
        systems.append(System(pools["default"], fatal=fatal, deaf=deaf))
        return systems[0]

    monkeypatch.setattr(slither, "start", start)
    monkeypatch.setattr(work, "_index", work.WorkerIndex())
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    add_options(parser)
    out, err = io.StringIO(), io.StringIO()
    code = run(parser.parse_args(argv), Console(out, err))
    assert systems[0].closed
    return code, out.getvalue(), err.getvalue()


def test_every_document_is_classified_and_counted_by_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_with(monkeypatch, "--documents", "1000", "--workers", "3")

    assert code == 0
    assert "accounted for: 1,000 analysed + 0 skipped = 1,000 of 1,000" in out
    assert out.endswith("the workers' own counts add up to the same 1,000\n")
    assert out.count("pid ") == 3
    assert err.splitlines()[-1] == "analysing: 1,000 of 1,000 (100 %)"


def test_without_options_there_are_5000_documents_and_2_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run_with(monkeypatch, "--json")

    answer = json.loads(out)
    assert (code, answer["ok"], answer["documents"], answer["accounted"]) == (0, True, 5000, 5000)
    assert [share["documents"] for share in answer["index"]["shares"]] == [2500, 2500]
    assert min(answer["routes"].values()) > 500


def test_the_same_seed_gives_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [json.loads(run_with(monkeypatch, "--json", "--documents", "200", "--seed", "3")[1]) for _ in range(2)]

    for answer in answers:
        del answer["seconds"], answer["documents_per_second"]
    assert answers[0] == answers[1]


def test_a_worker_that_dies_costs_its_batch_and_its_index_but_no_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run_with(monkeypatch, "--documents", "1000", fatal=7)

    assert code == 0
    assert "accounted for: 950 analysed + 50 skipped = 1,000 of 1,000" in out
    assert "50 because worker default-0 (pid 12) died with SIGKILL while it ran the batch" in out
    assert "replaced: pid 12" in out
    assert "does not add up" not in err


def test_a_worker_that_dies_while_it_is_asked_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, "--documents", "100", deaf=2)[0] == 0


def test_workers_that_die_whenever_they_are_asked_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(slither.WorkerCrashed):
        run_with(monkeypatch, "--documents", "100", deaf=3)


def test_counts_that_do_not_agree_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work.WorkerIndex, "add", lambda self, frequencies: None)

    code, _, err = run_with(monkeypatch, "--documents", "100")

    assert code == 1
    assert err.splitlines()[-1] == "does not add up: the workers counted 0 documents, 100 came out"
