"""Starts a system, streams the documents through the pipe, asks every worker for its index, and reports."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any, Final

import slither_actors as slither
from slither_actors.examples.contract import Display, conclude

from .documents import generate
from .pipe import TextPipe
from .report import Index, Report, Tally, lost_workers
from .store import Lexicon

_STATISTICS: Final = "slither_actors.examples.text_analysis.work:statistics"
_ATTEMPTS: Final = 3
_TOP_WORDS: Final = 5


@dataclass(frozen=True)
class Options:
    """How much work, and for how many."""

    documents: int
    workers: int
    seed: int


def run(args: argparse.Namespace, console: Display) -> int:
    """Run the example and print its report.

    Returns:
        0, or 1 where a document is not accounted for or the workers' counts do not add up.
    """
    report = main(Options(documents=args.documents, workers=args.workers, seed=args.seed), console)

    def show() -> None:
        for line in report.lines():
            console.write(line)

    return conclude(report, console, args.json, show)


def main(options: Options, display: Display) -> Report:
    """Analyse the documents and give the figures; `display` shows how far it is."""
    tally = Tally()
    with slither.start(stores=[Lexicon], pools={"default": options.workers}) as system:
        stop_words = {word for word, _ in system.store(Lexicon).stop_words.select()}
        at_start = ask_workers(system)
        documents = generate(options.documents, options.seed)
        started = time.perf_counter()
        with (
            system.stream_pipe(
                TextPipe,
                documents,
                metadata={"top_words": _TOP_WORDS},
                # The stream counts all that were set aside, but keeps only the newest of them; this sees every one.
                on_end=lambda item, end: tally.add_failure(item.meta["error"]),
            ) as stream,
            display.progress("analysing", options.documents) as meter,
        ):
            # The first results come while most documents are not made yet: this loop's pace is the generator's.
            for item in stream:
                tally.add(item.route, item.payload)
                meter.advance()
        seconds = time.perf_counter() - started
        at_end = ask_workers(system)
    return Report(
        documents=options.documents,
        seconds=seconds,
        routes=dict(tally.routes),
        skipped=stream.skipped.total,
        dropped=stream.dropped.total,
        dead=stream.dead.total,
        readability=tally.readability,
        index=Index.merge(at_end, stop_words),
        lost_workers=lost_workers(at_start, at_end),
        reasons=tally.reasons,
    )


def ask_workers(system: slither.System) -> list[dict[str, Any]]:
    """The index of every worker. One that dies while it is asked is replaced, so asking again finds its successor."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return list(system.call_each(_STATISTICS, pool="default"))
        except slither.WorkerCrashed:
            continue
    return list(system.call_each(_STATISTICS, pool="default"))
