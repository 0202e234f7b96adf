"""What came out: the sums over all workers, whether they agree with what was delivered, and the printed page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

# `default` is where the router leaves what neither predicate took.
CLASSES: Final = {"positive": "positive", "negative": "negative", "default": "neutral"}
_TOP_WORDS: Final = 8
_REASONS: Final = 5


@dataclass
class Tally:
    """What the loop over the stream has seen."""

    routes: Counter[str] = field(default_factory=Counter)
    _readability: float = 0.0
    _errors: Counter[str] = field(default_factory=Counter)

    @property
    def readability(self) -> float:
        """The mean over all documents so far."""
        return self._readability / self.routes.total() if self.routes else 0.0

    def add(self, route: str, payload: Mapping[str, Any]) -> None:
        """Count one analysed document."""
        self.routes[route] += 1
        self._readability += payload["readability"]

    def add_failure(self, error: object) -> None:
        """Count one document that was set aside."""
        self._errors[str(error)] += 1

    @property
    def reasons(self) -> list[str]:
        """The most frequent of the different errors, with their numbers."""
        return [f"{times:,} because {reason}" for reason, times in self._errors.most_common(_REASONS)]


@dataclass(frozen=True)
class WorkerShare:
    """How much of the work one worker did."""

    worker: int
    documents: int
    words: int
    vocabulary: int


@dataclass(frozen=True)
class Index:
    """The indexes of all workers, merged."""

    documents: int
    words: int
    vocabulary: int
    top_words: list[tuple[str, int]]
    shares: list[WorkerShare]

    @classmethod
    def merge(cls, statistics: Iterable[Mapping[str, Any]], stop_words: Container[str]) -> Index:
        """Add up what `work.statistics` gave for each worker; `stop_words` are not among the top words."""
        totals: Counter[str] = Counter()
        shares = []
        for one in statistics:
            totals.update(one["word_totals"])
            shares.append(WorkerShare(one["worker"], one["documents"], one["words"], one["vocabulary"]))
        telling = Counter({word: times for word, times in totals.items() if word not in stop_words})
        return cls(
            documents=sum(share.documents for share in shares),
            words=totals.total(),
            vocabulary=len(totals),
            top_words=telling.most_common(_TOP_WORDS),
            shares=sorted(shares, key=lambda share: -share.documents),
        )


@dataclass(frozen=True)
class Report:
    """The whole run as plain figures."""

    documents: int
    seconds: float
    routes: dict[str, int]
    skipped: int
    dropped: int
    dead: int
    readability: float
    index: Index
    lost_workers: list[int]
    reasons: list[str]

    @property
    def classified(self) -> int:
        """How many documents came out, on whatever route."""
        return sum(self.routes.values())

    @property
    def accounted(self) -> int:
        """How many documents ended in a recorded place; all of them, or the library broke its word."""
        return self.classified + self.skipped + self.dropped + self.dead

    @property
    def problems(self) -> list[str]:
        """What does not add up, one sentence each.

        A worker that dies takes its index with it, and the batch it ran may be skipped. So the indexes are compared
        with the results only where every worker lived to the end.
        """
        found = []
        if self.accounted != self.documents:
            found.append(f"{self.accounted:,} documents are accounted for, {self.documents:,} went in")
        if not self.lost_workers and self.index.documents != self.classified:
            found.append(f"the workers counted {self.index.documents:,} documents, {self.classified:,} came out")
        if not self.lost_workers and self.classified != self.accounted:
            found.append(f"{self.accounted - self.classified:,} documents failed although no worker was lost")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        derived = {
            "documents_per_second": round(self.documents / self.seconds, 1),
            "classified": self.classified,
            "accounted": self.accounted,
            "problems": self.problems,
            "ok": not self.problems,
        }
        return {**asdict(self), **derived}

    def lines(self) -> Iterator[str]:
        """For people."""
        rate = self.documents / self.seconds
        yield f"{self.documents:,} documents in {self.seconds:.2f} s ({rate:,.0f} documents/s)"
        yield ""
        for route, name in CLASSES.items():
            yield _row(name, self.routes.get(route, 0), self.documents)
        if self.accounted != self.classified:
            yield _row("skipped", self.skipped + self.dropped + self.dead, self.documents)
        yield ""
        yield f"readability  {self.readability:.1f} on average (Flesch reading ease)"
        yield f"vocabulary   {self.index.vocabulary:,} words, {self.index.words:,} in all"
        yield f"top words    {', '.join(f'{word} {times:,}' for word, times in self.index.top_words)}"
        yield ""
        yield "each worker's own index"
        for share in self.index.shares:
            yield _row(f"pid {share.worker}", share.documents, self.index.documents)
        yield ""
        yield from self._verdict()

    def _verdict(self) -> Iterator[str]:
        ended = self.accounted - self.classified
        whole = f"{self.accounted:,} of {self.documents:,}"
        yield f"accounted for: {self.classified:,} analysed + {ended:,} skipped = {whole}"
        for reason in self.reasons:
            yield f"  {reason}"
        if self.lost_workers:
            gone = ", ".join(f"pid {worker}" for worker in self.lost_workers)
            yield f"replaced: {gone}; the statistics of a lost worker are gone with its process"
        elif not self.problems:
            yield f"the workers' own counts add up to the same {self.index.documents:,}"


def lost_workers(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[int]:
    """Workers that were there at the start and are not there at the end, by process id."""
    return sorted({one["worker"] for one in before} - {one["worker"] for one in after})


def _row(name: str, part: int, whole: int) -> str:
    return f"  {name:<12} {part:>9,}  {part / whole if whole else 0:>6.1%}"
