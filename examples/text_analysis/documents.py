"""A seeded source of small documents: the same seed gives the same documents, however many are taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from .lexicon import DETERMINERS, LINKS, NEGATIVE, NOUNS, PLAIN, POSITIVE, VERBS

MIN_WORDS: Final = 15
MAX_WORDS: Final = 65

_MIN_SENTENCE: Final = 5
_MAX_SENTENCE: Final = 14

# What a document's adjectives are drawn from, and how often: its own tone, plain words, a little of the other tone.
_TONES: Final = (
    ((POSITIVE, PLAIN, NEGATIVE), (70, 22, 8)),
    ((NEGATIVE, PLAIN, POSITIVE), (70, 22, 8)),
    ((PLAIN, POSITIVE, NEGATIVE), (96, 2, 2)),
)
_TONE_WEIGHTS: Final = (40, 35, 25)

# Stray white space, as in text copied from elsewhere.
_GAPS: Final = (" ", "  ", "\n", "\N{NO-BREAK SPACE}")
_GAP_WEIGHTS: Final = (92, 3, 3, 2)


def generate(total: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `total` documents, one at a time: nothing is made before it is asked for.

    Args:
        total: how many.
        seed: what they are drawn from.
    """
    random = Random(seed)
    for number in range(total):
        yield {"id": number, "text": _text(random)}


def _text(random: Random) -> str:
    adjectives, weights = random.choices(_TONES, _TONE_WEIGHTS)[0]
    words: list[str] = []
    for length in _sentence_lengths(random, random.randint(MIN_WORDS, MAX_WORDS)):
        # Determiner, adjective, noun, verb, determiner, noun, link, and round again; a noun ends it.
        slots = [*itertools.islice(itertools.cycle("DANVDNL"), length - 1), "N"]
        sentence = [_word(random, slot, adjectives, weights) for slot in slots]
        sentence[0] = sentence[0].capitalize()
        sentence[-1] += random.choices(".!?", (80, 12, 8))[0]
        words += sentence
    gaps = random.choices(_GAPS, _GAP_WEIGHTS, k=len(words))
    return "".join(itertools.chain.from_iterable(zip(words, gaps, strict=True))).rstrip()


def _sentence_lengths(random: Random, words: int) -> Iterator[int]:
    while words:
        length = random.randint(_MIN_SENTENCE, _MAX_SENTENCE)
        if words - length < _MIN_SENTENCE:
            length = words
        yield length
        words -= length


def _word(random: Random, slot: str, adjectives: tuple[tuple[str, ...], ...], weights: tuple[int, ...]) -> str:
    match slot:
        case "D":
            return random.choice(DETERMINERS)
        case "A":
            return random.choice(random.choices(adjectives, weights)[0])
        case "N":
            return random.choice(NOUNS)
        case "V":
            return random.choice(VERBS)
        case _:
            return random.choice(LINKS)
