"""The source of documents is reproducible, lazy, and as varied as the example needs it."""

from __future__ import annotations

import itertools
from collections import Counter

from slither_actors.examples.text_analysis.documents import MAX_WORDS, MIN_WORDS, generate
from slither_actors.examples.text_analysis.lexicon import NEGATIVE, NOUNS, PLAIN, POSITIVE, STOP_WORDS, VERBS
from slither_actors.examples.text_analysis.pipe import normalise
from slither_actors.examples.text_analysis.work import sentiment_of, tokens


def test_the_same_seed_gives_the_same_documents() -> None:
    assert list(generate(50, 7)) == list(generate(50, 7))


def test_another_seed_gives_other_documents() -> None:
    assert list(generate(50, 7)) != list(generate(50, 8))


def test_fewer_documents_are_the_first_of_more() -> None:
    assert list(generate(5, 7)) == list(generate(50, 7))[:5]


def test_documents_have_15_to_65_words_and_numbers_of_their_own() -> None:
    documents = list(generate(2000, 7))
    lengths = {len(document["text"].split()) for document in documents}

    assert (MIN_WORDS, MAX_WORDS) == (15, 65)
    assert lengths == set(range(15, 66))
    assert [document["id"] for document in documents] == list(range(2000))


def test_the_worker_finds_as_many_words_as_were_written() -> None:
    for document in generate(200, 7):
        assert len(tokens(normalise(document["text"]))) == len(document["text"].split())


def test_every_document_ends_with_a_sentence_mark() -> None:
    assert {document["text"][-1] for document in generate(500, 7)} == {".", "!", "?"}


def test_every_sentiment_occurs_often() -> None:
    signs = Counter(
        (score > 0) - (score < 0)
        for document in generate(1000, 7)
        for score in [sentiment_of(Counter(tokens(document["text"])))]
    )

    assert min(signs[-1], signs[0], signs[1]) > 100


def test_nothing_is_made_before_it_is_asked_for() -> None:
    assert len(list(itertools.islice(generate(10**12, 7), 3))) == 3


def test_no_word_stands_in_two_lists() -> None:
    lists = [POSITIVE, NEGATIVE, PLAIN, NOUNS, VERBS, sorted(STOP_WORDS)]
    words = [word for one in lists for word in one]

    assert len(words) == len(set(words))
