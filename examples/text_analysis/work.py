"""What runs in the worker processes: plain functions, a list in and a list of the same length out.

Every worker process has its own `_index`. Nobody else can see it, so it needs no lock; `statistics` is how the service
asks each worker for its share.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from .lexicon import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    import slither_actors as slither

_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)*")
_SENTENCE_END: Final = re.compile(r"[.!?]+")
_VOWELS: Final = re.compile(r"[aeiouy]+")
_POSITIVE: Final = frozenset(POSITIVE)
_NEGATIVE: Final = frozenset(NEGATIVE)
_TOP_WORDS: Final = 5
_PLAIN_APOSTROPHE = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'"})


class WorkerIndex:
    """What one worker has seen so far."""

    def __init__(self) -> None:
        self.documents = 0
        self.totals: Counter[str] = Counter()

    def add(self, frequencies: Iterable[Counter[str]]) -> None:
        """Count documents in, given the word frequencies of each."""
        for words in frequencies:
            self.documents += 1
            self.totals.update(words)

    def as_dict(self) -> dict[str, Any]:
        """The index as plain data, fit to travel."""
        return {
            "worker": os.getpid(),
            "documents": self.documents,
            "words": self.totals.total(),
            "vocabulary": len(self.totals),
            "word_totals": dict(self.totals),
        }


_index = WorkerIndex()


def analyse(documents: list[dict[str, Any]], ctx: slither.Context) -> list[dict[str, Any]]:
    """Analyse a batch of documents.

    Args:
        documents: each `{"id": ..., "text": ...}`.
        ctx: its metadata may set `top_words`, how many of a document's words to report.

    Returns:
        One result per document: sizes, top words, `readability`, `sentiment` from -1 to 1, and the `label` that the
        router goes by.
    """
    top_words = ctx.metadata.get("top_words", _TOP_WORDS)
    words = [tokens(document["text"]) for document in documents]
    frequencies = [Counter(one) for one in words]
    telling = ctx.view_batch("telling", [{"words": list(frequency)} for frequency in frequencies])
    results = [
        {"id": document["id"], **measure(document["text"], tokenised, frequency, few, top_words)}
        for document, tokenised, frequency, few in zip(documents, words, frequencies, telling, strict=True)
    ]
    # Only now: a batch that fails half way comes to nothing in the index too, so the sums at the end agree.
    _index.add(frequencies)
    return results


def statistics() -> dict[str, Any]:
    """The index of the worker that runs this; sent to each worker with `call_each`."""
    return _index.as_dict()


def measure(text: str, words: list[str], frequency: Counter[str], telling: list[str], top_words: int) -> dict[str, Any]:
    """All figures about one document; `telling` are those of its words that say what it is about."""
    sentences = sentence_count(text)
    sentiment = sentiment_of(frequency)
    return {
        "words": len(words),
        "sentences": sentences,
        "top_words": Counter({word: frequency[word] for word in telling}).most_common(top_words),
        "readability": reading_ease(words, sentences),
        "sentiment": sentiment,
        "label": "positive" if sentiment > 0 else "negative" if sentiment < 0 else "neutral",
    }


def normalise(text: str) -> str:
    """One form for letters, one for apostrophes, and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_PLAIN_APOSTROPHE).split())


def tokens(text: str) -> list[str]:
    """The words of a text in lower case, in order; `don't` is one word."""
    return _WORD.findall(text.lower())


def sentence_count(text: str) -> int:
    """How many sentences end in `text`; text without any mark is one sentence."""
    return len(_SENTENCE_END.findall(text)) or 1


def reading_ease(words: list[str], sentences: int) -> float:
    """The Flesch reading ease: about 100 is very easy, below 30 very hard; 0 for a text without words.

    206.835 - 1.015 x (words / sentences) - 84.6 x (syllables / words), after Rudolf Flesch, "A new readability
    yardstick", Journal of Applied Psychology 32 (1948), 221-233, with syllables estimated from the spelling.
    """
    if not words:
        return 0.0
    return 206.835 - 1.015 * len(words) / sentences - 84.6 * sum(map(syllables, words)) / len(words)


@lru_cache(maxsize=10_000)
def syllables(word: str) -> int:
    """Groups of vowels, without a silent e at the end, and at least one."""
    groups = len(_VOWELS.findall(word))
    if word.endswith("e") and not word.endswith("le"):
        groups -= 1
    return max(groups, 1)


def sentiment_of(frequency: Counter[str]) -> float:
    """From -1 to 1: how far the words of praise outweigh the words of blame; 0 without either."""
    praise = sum(times for word, times in frequency.items() if word in _POSITIVE)
    blame = sum(times for word, times in frequency.items() if word in _NEGATIVE)
    return (praise - blame) / (praise + blame) if praise or blame else 0.0
