"""What the bench can measure, and the loop it puts around peers that answer with futures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.benchmarks.catalogue import OF_PIPES, PEERS, TABLES, WORKLOADS, chosen_peers, chosen_workloads
from tests.benchmarks.child import load, measure
from tests.benchmarks.measures import processor
from tests.benchmarks.measures.memory import descendants
from tests.benchmarks.measures.trial import QUICK, Trial
from tests.benchmarks.peers.base import FuturesPeer, How
from tests.benchmarks.peers.slither_pipe import PipeStream
from tests.benchmarks.work.jobs import NOOP, Job
from tests.benchmarks.work.text import TEXT, analyse


def test_every_workload_leads_to_a_function() -> None:
    assert all(callable(load("measures", workload.measure)) for workload in WORKLOADS.values())


@pytest.mark.parametrize("name", [peer.name for peer in PEERS.values() if not peer.heavy])
def test_every_light_peer_leads_to_a_class_and_takes_part_in_something(name: str) -> None:
    assert load("peers", PEERS[name].address)(2).workers == 2
    assert any(PEERS[name].takes_part_in(workload) for workload in WORKLOADS)


def test_a_peer_that_is_not_installed_is_told_by_the_name_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "loky", None)

    result = measure("loky", "w6", lambda peer: Trial(peer, QUICK, 0.0, pytest.fail))

    assert result == {"status": "not installed: loky"}


@pytest.mark.parametrize("workload", sorted(TABLES))
@pytest.mark.parametrize("name", ["dict", "lmdb", "sqlite"])
def test_tables_are_measured(name: str, workload: str) -> None:
    result = measure(name, workload, lambda peer: Trial(peer, QUICK, 0.0, pytest.fail))

    assert result[WORKLOADS[workload].metric.key] > 0


def test_tables_and_work_are_apart() -> None:
    assert not PEERS["redis"].takes_part_in("w1-ordered")
    assert not PEERS["pebble"].takes_part_in("w9-hot")
    assert all(PEERS["slither_actors"].takes_part_in(workload) for workload in set(WORKLOADS) - OF_PIPES)
    assert all(PEERS["slither_pipe"].takes_part_in(workload) for workload in OF_PIPES)
    assert not PEERS["mp_pool"].takes_part_in("w10-items")


def test_a_workload_is_named_by_its_name_or_its_kind() -> None:
    assert [workload.name for workload in chosen_workloads(["w3", "w7-hang"])] == ["w3-back", "w3-sum", "w7-hang"]
    assert [workload.name for workload in chosen_workloads([])] == list(WORKLOADS)
    with pytest.raises(ValueError, match="no workload 'w'"):
        chosen_workloads(["w"])


def test_heavy_peers_take_part_only_when_asked_for() -> None:
    assert not any(peer.heavy for peer in chosen_peers([], heavy=False))
    assert {peer.name for peer in chosen_peers([], heavy=True)} == set(PEERS)
    assert [peer.name for peer in chosen_peers(["ray"], heavy=False)] == ["ray"]
    with pytest.raises(ValueError, match="no peer 'rey'"):
        chosen_peers(["rey"], heavy=True)


def test_bare_processes_do_all_that_the_pipe_does() -> None:
    texts = ["a  good\nday.", "dull, cold"]
    whole = PipeStream(2).bare(TEXT)

    praise, blame = whole.batch(texts)

    assert (praise[0], blame[0]) == ("praise", "blame")
    assert praise == whole.item(texts[0]) == ("praise", analyse("a good day."))
    assert PipeStream(2).bare(NOOP) is NOOP


def test_the_credit_of_a_pipe_is_that_of_its_edges() -> None:
    peer = PipeStream(2)
    peer.lead_through(["local", "local"])
    assert peer.credit(How(batch=64)) == 192  # as docs/architecture.md says
    peer.lead_through(["worker"])
    assert peer.credit(How(batch=64)) == 10 * 64 + 63 + 2 * 64


def test_the_processor_time_of_a_child_counts_while_it_lives_and_when_it_was_reaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processor, "family", lambda: [os.getpid(), *descendants(os.getpid())])
    burn = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
    before = processor.spent_s()
    with subprocess.Popen([sys.executable, "-c", f"{burn}print(flush=True)\ninput()"], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processor.spent_s() - before >= 0.1
        child.communicate(b"\n")
    assert processor.spent_s() - before >= 0.1


class Prompt(FuturesPeer):
    """Finishes a batch as soon as `finish` says so, and counts how many are out."""

    def __init__(self, finish: Callable[[list[int]], BaseException | None] = lambda batch: None) -> None:
        super().__init__(1)
        self.batches: list[list[int]] = []
        self.finish = finish

    def submit(self, job: Job, batch: list[Any], how: How) -> Future[list[Any]]:
        self.batches.append(batch)
        future: Future[list[Any]] = Future()
        error = self.finish(batch)
        if error:
            future.set_exception(error)
        else:
            future.set_result(batch)
        return future


@pytest.mark.parametrize("ordered", [True, False])
def test_the_loop_gives_every_item_once_and_never_has_more_out_than_allowed(ordered: bool) -> None:
    peer = Prompt()
    results = iter(peer.dispatch(NOOP, range(25), How(batch=2, in_flight=3, ordered=ordered)))

    first = next(results)

    # one of those that were submitted is with the consumer; the other loop has topped up by then
    assert len(peer.batches) == (3 if ordered else 4)
    assert sorted([first, *results]) == list(range(25))
    assert [len(batch) for batch in peer.batches] == [2] * 12 + [1]


def test_the_loop_leaves_a_failed_batch_out_only_where_that_is_wanted() -> None:
    peer = Prompt(lambda batch: ValueError("no") if 4 in batch else None)

    assert list(peer.dispatch(NOOP, range(8), How(batch=2, tolerant=True))) == [0, 1, 2, 3, 6, 7]
    with pytest.raises(ValueError, match="no"):
        list(peer.dispatch(NOOP, range(8), How(batch=2)))
