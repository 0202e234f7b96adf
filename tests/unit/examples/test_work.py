"""The functions that run in the workers, called like the plain functions they are."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import slither_actors as slither
from slither_actors.examples.text_analysis import work
from tests.unit.examples.words import bound


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> work.WorkerIndex:
    """An index as it is in a new worker."""
    fresh = work.WorkerIndex()
    monkeypatch.setattr(work, "_index", fresh)
    return fresh


def analyse(*texts: str, **metadata: object) -> list[dict[str, object]]:
    documents = [{"id": number, "text": text} for number, text in enumerate(texts)]
    return work.analyse(documents, bound(slither.Context(metadata=metadata)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat.", ["the", "cat"]),
        ("Don't stop!", ["don't", "stop"]),
        ("'quoted' words", ["quoted", "words"]),
        ("3 of 4", ["of"]),
        ("", []),
    ],
)
def test_words_are_in_lower_case_and_keep_their_apostrophe(text: str, words: list[str]) -> None:
    assert work.tokens(text) == words


@pytest.mark.parametrize(
    ("text", "sentences"), [("One. Two! Three?", 3), ("Really?! Yes...", 2), ("no mark at all", 1), ("", 1)]
)
def test_sentences_end_with_a_mark(text: str, sentences: int) -> None:
    assert work.sentence_count(text) == sentences


@pytest.mark.parametrize(
    ("word", "syllables"),
    [("b", 1), ("the", 1), ("bridge", 1), ("garden", 2), ("table", 2), ("beautiful", 3), ("organisation", 5)],
)
def test_syllables_are_groups_of_vowels(word: str, syllables: int) -> None:
    assert work.syllables(word) == syllables


def test_the_reading_ease_is_flesch_s() -> None:
    # 6 words, 1 sentence, 6 syllables: 206.835 - 1.015 * 6 - 84.6 * 1
    assert work.reading_ease(work.tokens("The cat sat on the mat."), 1) == pytest.approx(116.145)
    # 4 words, 2 sentences, 9 syllables: 206.835 - 1.015 * 2 - 84.6 * 9 / 4
    assert work.reading_ease(["organisation", "garden", "cat", "the"], 2) == pytest.approx(14.455)


def test_a_text_without_words_reads_as_zero() -> None:
    assert work.reading_ease([], 1) == 0.0


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [("good and lovely", 1.0), ("bad", -1.0), ("good good bad", 1 / 3), ("a book", 0.0), ("good, bad", 0.0)],
)
def test_the_sentiment_is_praise_against_blame(text: str, sentiment: float) -> None:
    assert work.sentiment_of(Counter(work.tokens(text))) == pytest.approx(sentiment)


@pytest.mark.usefixtures("index")
def test_a_batch_gives_one_result_per_document_in_order() -> None:
    results = analyse("A good book. A good film!", "The bad film.", "The film.")

    assert [result["id"] for result in results] == [0, 1, 2]
    assert [result["label"] for result in results] == ["positive", "negative", "neutral"]
    assert results[0] == {
        "id": 0,
        "words": 6,
        "sentences": 2,
        "top_words": [("good", 2), ("book", 1), ("film", 1)],
        "readability": pytest.approx(206.835 - 1.015 * 3 - 84.6),
        "sentiment": 1.0,
        "label": "positive",
    }


@pytest.mark.usefixtures("index")
def test_the_run_s_metadata_says_how_many_top_words() -> None:
    [result] = analyse("good book, good film", top_words=1)

    assert result["top_words"] == [("good", 2)]


@pytest.mark.usefixtures("index")
def test_an_empty_batch_gives_nothing() -> None:
    assert analyse() == []
    assert work.statistics()["documents"] == 0


@pytest.mark.usefixtures("index")
def test_a_worker_remembers_what_it_saw() -> None:
    analyse("A good book.", "A film.")
    analyse("The book.")

    assert work.statistics() == {
        "worker": os.getpid(),
        "documents": 3,
        "words": 7,
        "vocabulary": 5,
        "word_totals": {"a": 2, "good": 1, "book": 2, "film": 1, "the": 1},
    }


@pytest.mark.usefixtures("index")
def test_a_batch_that_fails_leaves_no_trace_in_the_index() -> None:
    with pytest.raises(KeyError):
        work.analyse([{"id": 0, "text": "A good book."}, {"id": 1}], bound(slither.Context()))

    assert work.statistics()["documents"] == 0
