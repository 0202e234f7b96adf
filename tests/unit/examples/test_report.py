"""The sums, and what is said where they do not agree."""

from __future__ import annotations

from typing import Any

import pytest

from slither_actors.examples.text_analysis.report import Index, Report, Tally, lost_workers


def statistics(worker: int, documents: int, **words: int) -> dict[str, Any]:
    total = sum(words.values())
    return {"worker": worker, "documents": documents, "words": total, "vocabulary": len(words), "word_totals": words}


def report(**changes: Any) -> Report:
    """A run of 100 documents by two workers, in which all went well."""
    plain: dict[str, Any] = {
        "documents": 100,
        "seconds": 0.5,
        "routes": {"positive": 50, "negative": 30, "default": 20},
        "skipped": 0,
        "dropped": 0,
        "dead": 0,
        "readability": 61.25,
        "index": Index.merge([statistics(11, 40, book=3, the=9), statistics(12, 60, book=4, film=2)], {"the"}),
        "lost_workers": [],
        "reasons": [],
    }
    return Report(**{**plain, **changes})


def test_the_indexes_of_all_workers_are_added_up() -> None:
    index = Index.merge([statistics(11, 40, book=3, the=9), statistics(12, 60, book=4, film=2)], {"the"})

    assert (index.documents, index.words, index.vocabulary) == (100, 18, 3)
    assert index.top_words == [("book", 7), ("film", 2)]
    assert [(share.worker, share.documents, share.vocabulary) for share in index.shares] == [(12, 60, 2), (11, 40, 2)]


def test_no_worker_at_all_adds_up_to_nothing() -> None:
    assert Index.merge([], ()) == Index(documents=0, words=0, vocabulary=0, top_words=[], shares=[])


def test_the_tally_counts_routes_and_averages_readability() -> None:
    tally = Tally()
    assert tally.readability == 0.0

    tally.add("positive", {"readability": 60.0})
    tally.add("default", {"readability": 30.0})

    assert tally.routes == {"positive": 1, "default": 1}
    assert tally.readability == 45.0


def test_a_run_in_which_all_went_well_has_no_problems() -> None:
    assert report().problems == []
    assert (report().classified, report().accounted) == (100, 100)


def test_a_document_without_an_end_is_a_problem() -> None:
    lost = report(routes={"positive": 99}, index=Index.merge([statistics(11, 99)], ()))

    assert lost.problems == ["99 documents are accounted for, 100 went in"]


@pytest.mark.parametrize("counted", [99, 101])
def test_workers_that_counted_something_else_are_a_problem(counted: int) -> None:
    assert report(index=Index.merge([statistics(11, counted)], ())).problems == [
        f"the workers counted {counted} documents, 100 came out"
    ]


@pytest.mark.parametrize("end", ["skipped", "dropped", "dead"])
def test_failed_documents_are_a_problem_where_no_worker_was_lost(end: str) -> None:
    failed = report(routes={"positive": 90}, index=Index.merge([statistics(11, 90)], ()), **{end: 10})

    assert failed.problems == ["10 documents failed although no worker was lost"]


def test_after_a_lost_worker_only_the_accounting_counts() -> None:
    survived = report(
        routes={"positive": 50}, skipped=50, index=Index.merge([statistics(12, 20)], ()), lost_workers=[11]
    )

    assert survived.problems == []


def test_after_a_lost_worker_a_document_without_an_end_is_still_a_problem() -> None:
    lost = report(routes={"positive": 50}, skipped=49, lost_workers=[11])

    assert lost.problems == ["99 documents are accounted for, 100 went in"]


def test_a_worker_that_is_not_there_at_the_end_was_lost() -> None:
    before = [statistics(11, 0), statistics(12, 0)]

    assert lost_workers(before, [statistics(12, 0), statistics(13, 0)]) == [11]
    assert lost_workers(before, before) == []


def test_equal_reasons_are_counted_together() -> None:
    tally = Tally()
    for error in (ValueError("a"), ValueError("b"), ValueError("b")):
        tally.add_failure(error)

    assert tally.reasons == ["2 because b", "1 because a"]


def test_the_page_of_a_run_in_which_all_went_well() -> None:
    assert list(report().lines()) == [
        "100 documents in 0.50 s (200 documents/s)",
        "",
        "  positive            50   50.0%",
        "  negative            30   30.0%",
        "  neutral             20   20.0%",
        "",
        "readability  61.2 on average (Flesch reading ease)",
        "vocabulary   3 words, 18 in all",
        "top words    book 7, film 2",
        "",
        "each worker's own index",
        "  pid 12              60   60.0%",
        "  pid 11              40   40.0%",
        "",
        "accounted for: 100 analysed + 0 skipped = 100 of 100",
        "the workers' own counts add up to the same 100",
    ]


def test_the_page_of_a_run_that_lost_a_worker_says_what_is_gone() -> None:
    lines = list(
        report(
            routes={"positive": 50},
            skipped=50,
            index=Index.merge([statistics(12, 50)], ()),
            lost_workers=[11],
            reasons=["50 because worker died"],
        ).lines()
    )

    assert "  skipped             50   50.0%" in lines
    assert lines[-3:] == [
        "accounted for: 50 analysed + 50 skipped = 100 of 100",
        "  50 because worker died",
        "replaced: pid 11; the statistics of a lost worker are gone with its process",
    ]


def test_a_page_with_a_problem_does_not_say_that_all_adds_up() -> None:
    assert not any("add up" in line for line in report(index=Index.merge([statistics(11, 99)], ())).lines())


def test_as_json_it_has_the_figures_and_the_verdict() -> None:
    answer = report(skipped=1).as_dict()

    assert answer["documents_per_second"] == 200.0
    assert (answer["classified"], answer["accounted"], answer["ok"]) == (100, 101, False)
    assert answer["index"]["shares"][0] == {"worker": 12, "documents": 60, "words": 6, "vocabulary": 2}
