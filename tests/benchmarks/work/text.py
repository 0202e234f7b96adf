"""Work for a processor: statistics of small documents, 100 to 300 microseconds each."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from itertools import pairwise
from typing import Any

from tests.benchmarks.work.jobs import Job

PRAISE = frozenset({"good", "bright", "calm", "kind", "brave", "fresh", "warm"})
BLAME = frozenset({"bad", "dull", "loud", "cruel", "weak", "stale", "cold"})
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?")
SENTENCE = re.compile(r"[.!?]+")
VOWELS = re.compile(r"[aeiouy]+")
SYLLABLES = ("ba", "cen", "dor", "el", "fi", "gra", "hu", "in", "jo", "kel", "lu", "mar", "ne", "os", "pri", "tu")


def analyse(document: str) -> dict[str, Any]:
    """Sizes, readability, sentiment, the most frequent words and pairs, and the entropy of the characters."""
    words = TOKEN.findall(document.lower())
    sentences = len(SENTENCE.findall(document)) or 1
    syllables = sum(len(VOWELS.findall(word)) or 1 for word in words)
    count = len(words) or 1
    frequency = Counter(words)
    grams = Counter(document[at : at + 3] for at in range(len(document) - 2))
    return {
        "words": count,
        "sentences": sentences,
        "reading_ease": 206.835 - 1.015 * count / sentences - 84.6 * syllables / count,
        "sentiment": sum((word in PRAISE) - (word in BLAME) for word in words) / count,
        "top": frequency.most_common(5),
        "pairs": Counter(pairwise(words)).most_common(3),
        "trigrams": len(grams),
        "entropy": entropy(Counter(document)),
        "rhymes": Counter(word[-2:] for word in words).most_common(2),
    }


def entropy(counts: Counter[str]) -> float:
    """Bits per character."""
    total = counts.total() or 1
    return -sum(count / total * math.log2(count / total) for count in counts.values())


def analyse_all(documents: list[str]) -> list[dict[str, Any]]:
    """The batch form by a name of its own, for those who want one."""
    return [analyse(document) for document in documents]


TEXT = Job(analyse, analyse_all)


def documents(number: int, seed: int = 20) -> list[str]:
    """Documents of 20 to 60 words; the same ones for the same seed."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(1500)]
    words += [*PRAISE, *BLAME] * 15
    return [_document(chance, words) for _ in range(number)]


def _document(chance: random.Random, words: list[str]) -> str:
    sentences = []
    for _ in range(chance.randint(3, 6)):
        sentence = " ".join(chance.choices(words, k=chance.randint(7, 10)))
        sentences.append(sentence.capitalize() + chance.choice(".!?"))
    return " ".join(sentences)
