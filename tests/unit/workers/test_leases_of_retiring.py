"""Leases while the workers of a pool change: who gets what of one that retires, and what is answered meanwhile."""

from slither_actors.errors import PoolQuarantined
from slither_actors.otp.ref import Ref
from slither_actors.workers._leases import SUPERVISOR, LeaseBook

OUT = PoolQuarantined("default", 1, "killed: SIGSEGV")


def worker(number, incarnation=1):
    return Ref(f"workers/worker-{number}", incarnation, f"/run/{number}.{incarnation}", 1000 * incarnation + number)


ONE, TWO, THREE = (worker(number) for number in (1, 2, 3))


def a_book(*workers, lived_in=()):
    book = LeaseBook(lambda ref: ref in lived_in)
    for ref in workers:
        book.worker_up(ref)
        book.vacated(ref, "")
    return book


def told(actions):
    return [
        (to, type(news).__name__, getattr(news, "worker", None) or getattr(news, "want", None)) for to, news in actions
    ]


def test_who_asks_again_keeps_its_place_in_line():
    book = a_book(ONE)
    book.request("anna", 1)
    book.request("ben", 1)
    book.request("cleo", 1)
    book.request("ben", 2)

    assert ("ben", "LeaseGranted", ONE) in told(book.give_back("anna", ONE))


def test_who_wanted_none_for_a_while_stands_at_the_end():
    book = a_book(ONE)
    for holder in ("anna", "ben", "cleo"):
        book.request(holder, 1)
    book.request("ben", 0)
    book.request("ben", 1)

    assert ("cleo", "LeaseGranted", ONE) in told(book.give_back("anna", ONE))


def test_who_has_all_it_wants_is_answered_while_a_worker_is_missing():
    book = a_book(ONE, TWO)
    book.worker_down(TWO)

    assert told(book.request("anna", 1)) == [("anna", "LeaseGranted", ONE), ("anna", "LeaseAnswer", 1)]
    assert told(book.request("anna", 2)) == [], "the other one will be back in a moment"
    assert book.keeps_somebody_waiting


def test_all_are_answered_with_what_there_is_when_a_missing_worker_takes_its_time():
    book = a_book(ONE, TWO)
    book.worker_down(TWO)
    book.request("anna", 2)
    book.request("ben", 1)

    assert told(book.stop_waiting()) == [("anna", "LeaseAnswer", 2), ("ben", "LeaseAnswer", 1)]
    assert not book.keeps_somebody_waiting
    assert told(book.request("cleo", 1)) == [("cleo", "LeaseAnswer", 1)]


def test_nobody_waits_for_one_in_quarantine():
    book = a_book(ONE, TWO)
    book.worker_down(TWO)
    book.request("anna", 2)

    assert told(book.staff((), [TWO.name])) == [("anna", "LeaseAnswer", 2)]


def test_nobody_waits_for_one_whose_quarantine_was_told_before_its_death():
    book = a_book(ONE, TWO)
    book.staff((), [TWO.name])
    book.worker_down(TWO)

    assert told(book.request("anna", 2))[-1] == ("anna", "LeaseAnswer", 2)


def test_one_that_retires_and_is_free_leaves_at_once():
    book = a_book(ONE, TWO)

    assert told(book.staff([ONE])) == [(SUPERVISOR, "WorkerEmpty", ONE)]
    assert book.workers == (TWO,)
    assert told(book.staff([ONE])) == [], "it is told once"
    assert told(book.request("anna", 2)) == [("anna", "LeaseGranted", TWO), ("anna", "LeaseAnswer", 2)]


def test_one_that_retires_and_is_held_is_recalled_once_and_leaves_when_it_is_given_back():
    book = a_book(ONE)
    book.request("anna", 1)

    assert told(book.staff([ONE])) == [("anna", "LeaseRecalled", ONE)]
    assert told(book.staff([ONE])) == []
    assert told(book.give_back("anna", ONE)) == [(SUPERVISOR, "WorkerEmpty", ONE)]


def test_its_replacement_is_granted_before_it_is_given_back():
    book = a_book(ONE)
    book.request("anna", 1)
    book.staff([ONE])
    book.worker_up(TWO)

    assert told(book.vacated(TWO, "")) == [("anna", "LeaseGranted", TWO)]


def test_one_that_retires_is_not_what_others_wait_for():
    book = a_book(ONE, TWO)
    book.request("anna", 2)
    book.staff([ONE])

    assert ("anna", "LeaseRecalled", TWO) in told(book.request("ben", 1)), "the other one is theirs to share"


def test_one_that_is_new_and_retires_leaves_when_it_is_vacated():
    book = LeaseBook()
    book.worker_up(ONE)

    assert told(book.staff([ONE])) == []
    assert told(book.vacated(ONE, "")) == [(SUPERVISOR, "WorkerEmpty", ONE)]


def test_one_that_was_told_to_retire_before_it_was_known_does():
    book = LeaseBook()
    book.staff([ONE])
    book.worker_up(ONE)

    assert told(book.vacated(ONE, "")) == [(SUPERVISOR, "WorkerEmpty", ONE)]


def test_one_that_something_lives_in_stays_for_those_who_name_it_until_that_is_over():
    lived_in = {ONE}
    book = a_book(ONE, lived_in=lived_in)
    assert told(book.staff([ONE])) == []
    assert book.has_resting

    assert told(book.request("ben", 1)) == [("ben", "LeaseAnswer", 1)]
    assert told(book.request_worker("anna", ONE)) == [("anna", "WorkerRetires", ONE), ("anna", "LeaseGranted", ONE)]
    assert told(book.give_back("anna", ONE)) == []
    lived_in.clear()
    assert told(book.look()) == [(SUPERVISOR, "WorkerEmpty", ONE)]
    assert not book.has_resting


def test_who_waits_by_name_for_one_that_is_empty_does_not_keep_it():
    book = a_book(ONE)
    book.request("ben", 1)
    book.request_worker("anna", ONE)
    told_anna = told(book.staff([ONE]))

    assert told_anna == [("anna", "WorkerRetires", ONE)]
    assert told(book.give_back("ben", ONE)) == [(SUPERVISOR, "WorkerEmpty", ONE)]
    assert book._by_name == {}


def test_the_death_of_one_that_retires_keeps_nobody_waiting():
    book = a_book(ONE, TWO)
    book.request("anna", 2)
    book.staff([ONE])
    book.worker_down(ONE)

    assert told(book.request("ben", 1))[-1] == ("ben", "LeaseAnswer", 1)


def test_what_the_supervisor_lists_no_more_is_forgotten():
    book = a_book(ONE)
    book.staff([ONE, TWO])
    book.staff([])
    assert book._retiring == set()


def test_whoever_wants_a_worker_is_told_when_all_are_in_quarantine():
    book = a_book(ONE)
    book.request("anna", 1)
    book.request("ben", 1)
    book.request("cleo", 0)
    book.worker_down(ONE)

    assert told(book.staff((), [ONE.name], OUT)) == [("anna", "LeaseRefused", None), ("ben", "LeaseRefused", None)]
    assert told(book.request("ben", 1)) == [("ben", "LeaseRefused", None)]
    assert told(book.request("cleo", 0)) == [("cleo", "LeaseAnswer", 0)]


def test_after_a_quarantine_workers_are_granted_to_those_who_ask_then():
    book = a_book(ONE)
    book.request("anna", 1)
    book.worker_down(ONE)
    book.staff((), [ONE.name], OUT)
    book.staff(())
    back = worker(1, 2)
    book.worker_up(back)

    assert told(book.vacated(back, "")) == [], "anna was refused, and has to ask again"
    assert told(book.request("anna", 1)) == [("anna", "LeaseGranted", back), ("anna", "LeaseAnswer", 1)]
