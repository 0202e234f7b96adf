"""Pipes, strategies and stores of the examples, with the library's own kit for tests."""

from __future__ import annotations

import pytest

from slither_actors import System
from slither_actors.examples.batch_stats.data import generate
from slither_actors.examples.batch_stats.main import PIPES, is_poison
from slither_actors.examples.batch_stats.pipe import ByNumber
from slither_actors.examples.text_analysis.lexicon import STOP_WORDS
from slither_actors.examples.text_analysis.store import Lexicon
from slither_actors.telemetry import Captured
from slither_actors.testing import check_store, check_strategy

DATA = list(generate(120, 4, seed=3, deadly=0))
POISON = {one["id"] for one in DATA if is_poison(one)}


@pytest.mark.parametrize("pipe", PIPES.values())
def test_only_the_poison_is_lost_however_batches_are_cut(
    pipe: type[ByNumber], slither_system: System, slither_events: Captured
) -> None:
    outputs = slither_system.run_pipe(pipe, DATA)

    good = [item.payload for items in outputs.values() for item in items]
    assert {item.payload["id"] for item in outputs.skipped} == POISON
    assert {one["id"] for one in good} == {one["id"] for one in DATA} - POISON
    assert all(pipe.is_kept(one["batch"]) for one in good)
    assert slither_events.one("slither.pipe.run.stop").measurements["items_out"] == len(good)


@pytest.mark.parametrize("pipe", PIPES.values())
def test_batches_are_cut_as_strategies_have_to(pipe: type[ByNumber]) -> None:
    check_strategy(pipe.CUT, DATA)


def test_stop_words_are_loaded_again_as_they_were() -> None:
    check_store(Lexicon, lambda store: sorted(word for word, _ in store.stop_words.select()) == sorted(STOP_WORDS))
