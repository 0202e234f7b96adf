"""The same index over the same documents, in five ways."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any, Final

from .documents import generate
from .lexicon import STOP_WORDS
from .work import measure, normalise, tokens

SIZE: Final = 6_000
WORK: Final = ("documents", "lexicon", "work")

Document = dict[str, Any]


def make(size: int) -> list[Document]:
    """The inputs."""
    return list(generate(size, seed=1948))


def judge(expected: dict[str, int], got: dict[str, int]) -> str:
    """What is wrong with a result; nothing where it is the same."""
    missing = expected["words"] - got["words"]
    if missing:
        return f"WRONG: {missing:,} of {expected['words']:,} words are not in the index"
    return "" if got == expected else "WRONG: other counts"


def _analysed(document: Document) -> Counter[str]:
    """What the workers of the example do with one document; its word counts."""
    text = normalise(document["text"])
    words = tokens(text)
    frequency = Counter(words)
    measure(text, words, frequency, [word for word in frequency if word not in STOP_WORDS], 5)
    return frequency


def _figures(documents: int, index: Counter[str]) -> dict[str, int]:
    return {"documents": documents, "words": index.total(), "vocabulary": len(index)}


def plain_loop(inputs: list[Document], workers: int) -> dict[str, int]:
    """One after another."""
    index: Counter[str] = Counter()
    for document in inputs:
        index.update(_analysed(document))
    return _figures(len(inputs), index)


def _in_threads(inputs: list[Document], workers: int, work: Callable[[list[Document]], None]) -> None:
    threads = [threading.Thread(target=work, args=(inputs[number::workers],)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def naive_threads(inputs: list[Document], workers: int) -> dict[str, int]:
    """All threads count in one index: read a number, add, write it back."""
    index: dict[str, int] = {}

    def work(part: list[Document]) -> None:
        for document in part:
            for word, times in _analysed(document).items():
                index[word] = index.get(word, 0) + times

    _in_threads(inputs, workers, work)
    return _figures(len(inputs), Counter(index))


def careful_threads(inputs: list[Document], workers: int) -> dict[str, int]:
    """Each document is counted in under a lock."""
    index: Counter[str] = Counter()
    lock = threading.Lock()

    def work(part: list[Document]) -> None:
        for document in part:
            frequency = _analysed(document)
            with lock:
                index.update(frequency)

    _in_threads(inputs, workers, work)
    return _figures(len(inputs), index)


def _batches(inputs: list[Document]) -> Iterator[list[Document]]:
    rest = iter(inputs)
    while batch := list(islice(rest, 50)):
        yield batch


def _in_process(batch: list[Document]) -> Counter[str]:
    """The counts of a batch, which travel back: processes share nothing."""
    index: Counter[str] = Counter()
    for document in batch:
        index.update(_analysed(document))
    return index


def process_pool(inputs: list[Document], workers: int) -> dict[str, int]:
    """Batches to processes, and their counts added up here."""
    index: Counter[str] = Counter()
    with ProcessPoolExecutor(workers) as pool:
        for counted in pool.map(_in_process, _batches(inputs)):
            index.update(counted)
    return _figures(len(inputs), index)


def with_slither(inputs: list[Document], workers: int) -> dict[str, int]:
    """The example: each worker keeps an index of its own, and is asked for it at the end."""
    import slither_actors as slither

    from .pipe import TextPipe
    from .store import Lexicon

    with slither.start(stores=[Lexicon], pools={"default": workers}) as system:
        with system.stream_pipe(TextPipe, inputs) as stream:
            documents = sum(1 for _ in stream)
        shares = system.call_each("slither_actors.examples.text_analysis.work:statistics")
        return _figures(documents, sum((Counter(one["word_totals"]) for one in shares), Counter()))
