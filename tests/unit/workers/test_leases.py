"""Who may use which worker, under any order of events."""

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.otp.ref import Ref
from slither_actors.workers._leases import SUPERVISOR, LeaseBook
from slither_actors.workers.messages import LeaseAnswer, LeaseGranted, LeaseRecalled, WorkerEmpty
from tests.unit.counting import Steps

HOLDERS = ("anna", "ben", "cleo", "dora")


def worker(number, incarnation=1):
    return Ref(f"workers/worker-{number}", incarnation, f"/run/{number}.{incarnation}", 1000 * incarnation + number)


class Holders:
    """Plays all holders: believes what it is told, and objects to what cannot be."""

    def __init__(self):
        self.book = LeaseBook(lambda ref: ref in self.lived_in)
        self.alive = set()
        self.held = {}
        self.leaving = {}
        self.claimed = {}
        self.awaited = set()
        self.retiring = set()
        self.lived_in = set()
        self.gone = set()
        self.recalled = set()
        self.in_turn = set()  # of these, those that may have more to do before
        self.wants = {}
        self.unanswered = {}
        self.granted_to = []

    def count(self, holder):
        return sum(1 for ref, who in self.held.items() if who == holder and ref not in self.retiring)

    def short(self):
        return [holder for holder, want in self.wants.items() if self.count(holder) < want]

    def take(self, actions):
        for holder, news in actions:
            if isinstance(news, LeaseGranted):
                assert news.worker in self.alive, f"{news.worker} is granted but dead"
                assert news.worker not in self.held, f"{news.worker} is granted twice"
                assert news.worker not in self.leaving, f"{news.worker} is still at work for one who is dead"
                assert news.worker not in self.retiring, f"{news.worker} retires and is granted to who did not name it"
                assert self.count(holder) < self.wants.get(holder, 0), f"{holder} gets more than it wants"
                self.held[news.worker] = holder
                self.granted_to.append(holder)
            elif isinstance(news, LeaseAnswer):
                lacks = self.count(holder) < news.want
                assert not (self.awaited and lacks), f"{holder} hears that nothing more comes, beside {self.awaited}"
                assert self.unanswered.pop(holder) == news.want
            elif isinstance(news, WorkerEmpty):
                assert holder == SUPERVISOR
                assert news.worker in self.retiring
                assert news.worker not in self.held.keys() | self.leaving.keys() | self.lived_in | self.gone
                self.gone.add(news.worker)
            else:
                assert isinstance(news, LeaseRecalled)
                assert self.held.get(news.worker) == holder, f"{news.worker} is recalled from one who lacks it"
                again = news.worker in self.recalled
                assert not again or (news.worker in self.in_turn and not news.turn), f"{news.worker} is recalled twice"
                self.recalled.add(news.worker)
                (self.in_turn.add if news.turn else self.in_turn.discard)(news.worker)

    def up(self, ref, busy=False):
        self.alive.add(ref)
        self.awaited.add(ref.name)
        self.leaving[ref] = ""
        self.book.worker_up(ref)
        if not busy:
            self.vacate(ref, "")

    def vacate(self, ref, holder):
        if self.leaving.get(ref) == holder:
            del self.leaving[ref]
            self.claimed.pop(ref, None)
            self.awaited.discard(ref.name)
        self.take(self.book.vacated(ref, holder))

    def down(self, ref):
        if ref in self.alive - self.gone:
            (self.awaited.discard if ref in self.retiring else self.awaited.add)(ref.name)
        for known in (self.alive, self.retiring, self.lived_in, self.gone):
            known.discard(ref)
        self.held.pop(ref, None)
        self.leaving.pop(ref, None)
        self.claimed.pop(ref, None)
        self.recalled.discard(ref)
        self.take(self.book.worker_down(ref))

    def request(self, holder, want):
        self.wants[holder] = self.unanswered[holder] = want
        self.take(self.book.request(holder, want))

    def give_back(self, ref, want=None, instead=None):
        holder = self.held.pop(ref)
        self.recalled -= {ref, instead}
        if want is not None:
            self.wants[holder] = want
            self.unanswered.pop(holder, None)
        self.take(self.book.give_back(holder, ref, want, instead))

    def die(self, holder):
        self.wants.pop(holder, None)
        self.unanswered.pop(holder, None)
        had = [ref for ref, who in self.held.items() if who == holder]
        for ref in had:
            del self.held[ref]
            self.recalled.discard(ref)
            self.leaving[ref] = holder
        had += [ref for ref, who in self.claimed.items() if who == holder and self.leaving.get(ref) == ""]
        self.leaving |= dict.fromkeys(had, holder)
        self.claimed = {ref: who for ref, who in self.claimed.items() if who != holder}
        self.awaited |= {ref.name for ref in had}
        assert self.book.holder_down(holder) == had
        assert all(self.book.is_left_by(ref, holder) for ref in had)

    def claim(self, holder, ref):
        self.book.claim(holder, ref)
        if self.leaving.get(ref) == "":
            self.claimed[ref] = holder
        self.look_at_claims()

    def look_at_claims(self):
        """Who is at work there for somebody who lives is not taken for an orphan, and all others that do not answer
        are."""
        unknown = [ref for ref, holder in self.leaving.items() if holder == "" and self.book.is_left_by(ref, "")]
        assert set(unknown) == {ref for ref, who in self.leaving.items() if who == ""} - self.claimed.keys()
        assert self.book._claimed == self.claimed, "a claim outlives what it is for"

    def retire(self, ref):
        self.retiring.add(ref)
        self.take(self.book.staff(self.retiring))

    def obey_recalls(self):
        for ref in sorted(self.recalled, key=lambda ref: ref.name):
            self.give_back(ref)


class AnyOrder(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.holders = Holders()
        self.numbers = 0

    @rule(busy=st.booleans())
    def a_worker_comes(self, busy):
        if len(self.holders.alive) < 5:
            self.numbers += 1
            self.holders.up(worker(self.numbers), busy)

    @precondition(lambda self: self.holders.alive - self.holders.gone)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS))
    def a_worker_is_claimed(self, data, holder):
        self.holders.claim(holder, data.draw(st.sampled_from(sorted(self.holders.alive - self.holders.gone, key=str))))

    @precondition(lambda self: self.holders.awaited - {ref.name for ref in self.holders.alive})
    @rule(data=st.data())
    def a_worker_comes_back(self, data):
        dead = self.holders.awaited - {ref.name for ref in self.holders.alive}
        name = data.draw(st.sampled_from(sorted(dead)))
        self.numbers += 1
        self.holders.up(attrs.evolve(worker(self.numbers, 2), name=name))

    @precondition(lambda self: self.holders.alive)
    @rule(data=st.data())
    def a_worker_dies(self, data):
        self.holders.down(data.draw(st.sampled_from(sorted(self.holders.alive, key=str))))

    @rule(holder=st.sampled_from(HOLDERS), want=st.integers(0, 4))
    def a_holder_asks(self, holder, want):
        self.holders.request(holder, want)

    @precondition(lambda self: self.holders.held)
    @rule(data=st.data(), want=st.none() | st.integers(0, 4))
    def a_holder_gives_back(self, data, want):
        self.holders.give_back(data.draw(st.sampled_from(sorted(self.holders.held, key=str))), want)

    @precondition(lambda self: self.holders.recalled & self.holders.in_turn)
    @rule(data=st.data())
    def a_holder_gives_back_another_one(self, data):
        late = self.holders.recalled & self.holders.in_turn
        instead = data.draw(st.sampled_from(sorted(late, key=str)))
        owner = self.holders.held[instead]
        others = [ref for ref, holder in self.holders.held.items() if holder == owner and ref != instead]
        if others:
            self.holders.give_back(data.draw(st.sampled_from(sorted(others, key=str))), instead=instead)

    @precondition(lambda self: self.holders.held)
    @rule(data=st.data(), liar=st.sampled_from(HOLDERS))
    def somebody_gives_back_what_is_not_theirs(self, data, liar):
        ref = data.draw(st.sampled_from(sorted(self.holders.held, key=str)))
        if self.holders.held[ref] != liar:
            self.holders.take(self.holders.book.give_back(liar, ref))

    @rule(holder=st.sampled_from(HOLDERS))
    def a_holder_dies(self, holder):
        self.holders.die(holder)

    @precondition(lambda self: self.holders.leaving)
    @rule(data=st.data(), right=st.booleans())
    def a_worker_is_done_with_a_dead_holder(self, data, right):
        ref = data.draw(st.sampled_from(sorted(self.holders.leaving, key=str)))
        self.holders.vacate(ref, self.holders.leaving[ref] if right else "somebody else")

    @precondition(lambda self: self.holders.alive - self.holders.retiring)
    @rule(data=st.data(), lived_in=st.booleans())
    def a_worker_retires(self, data, lived_in):
        holders = self.holders
        ref = data.draw(st.sampled_from(sorted(holders.alive - holders.retiring, key=str)))
        if lived_in:
            holders.lived_in.add(ref)
        holders.retire(ref)

    @precondition(lambda self: self.holders.lived_in)
    @rule(data=st.data())
    def what_lived_in_a_worker_is_over(self, data):
        self.holders.lived_in.discard(data.draw(st.sampled_from(sorted(self.holders.lived_in, key=str))))
        self.holders.take(self.holders.book.look())

    @rule()
    def nobody_waits_any_longer(self):
        self.holders.awaited.clear()
        self.holders.take(self.holders.book.stop_waiting())

    @rule()
    def all_holders_obey(self):
        self.holders.obey_recalls()

    @invariant()
    def no_worker_is_idle_while_somebody_waits(self):
        free = self.holders.alive - self.holders.held.keys() - self.holders.leaving.keys() - self.holders.retiring
        assert not (free and self.holders.short()), f"{free} idle, {self.holders.short()} wait"

    @invariant()
    def who_is_not_answered_lacks_a_worker_that_may_still_come(self):
        holders = self.holders
        satisfied = [holder for holder, want in holders.unanswered.items() if holders.count(holder) >= want]
        assert not satisfied
        assert holders.awaited or not holders.unanswered

    @invariant()
    def one_that_retires_leaves_as_soon_as_it_is_empty(self):
        holders = self.holders
        assert holders.retiring - holders.gone <= holders.held.keys() | holders.leaving.keys() | holders.lived_in

    @invariant()
    def only_what_nobody_claims_is_an_orphan(self):
        self.holders.look_at_claims()

    @invariant()
    def the_book_knows_exactly_the_living(self):
        assert set(self.holders.book.workers) == self.holders.alive - self.holders.gone

    @invariant()
    def somebody_without_any_is_being_served(self):
        empty = [holder for holder in self.holders.short() if not self.holders.count(holder)]
        others = len(self.holders.held.keys() - self.holders.retiring)
        coming = len(self.holders.recalled - self.holders.retiring) + len(self.holders.leaving)
        assert coming >= min(len(empty), others), f"{empty} wait and nothing is coming"

    def teardown(self):
        if not hasattr(self, "holders"):
            return
        for ref, holder in list(self.holders.leaving.items()):
            self.holders.vacate(ref, holder)
        for _ in range(3 * len(HOLDERS)):
            waiting = set(self.holders.short())
            self.holders.granted_to.clear()
            for _ in HOLDERS:
                self.holders.obey_recalls()
            if self.holders.alive - self.holders.retiring:
                hungry = {holder for holder in waiting if not self.holders.count(holder)}
                assert hungry <= set(self.holders.granted_to), f"{hungry - set(self.holders.granted_to)} starve"
        useful = self.holders.alive - self.holders.retiring
        if len([want for want in self.holders.wants.values() if want]) <= len(useful):
            self.check_shares()

    def check_shares(self):
        for poor in self.holders.short():
            for rich in self.holders.wants:
                assert self.holders.count(rich) <= self.holders.count(poor) + 1, f"{rich} has more than {poor}"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_shares_differ_by_at_most_one_once_recalls_are_obeyed(workers, wants):
    holders = Holders()
    for number in range(workers):
        holders.up(worker(number))
    for holder, want in zip(HOLDERS, wants, strict=False):
        holders.request(holder, want)
    for _ in range(20):
        holders.obey_recalls()
    if len(wants) <= workers:
        AnyOrder.check_shares(type("State", (), {"holders": holders}))


def test_where_holders_outnumber_workers_the_worker_goes_round():
    holders = Holders()
    holders.up(worker(1))
    for holder in HOLDERS:
        holders.request(holder, 1)
    for _ in range(8):
        holders.obey_recalls()
    assert holders.granted_to == [*HOLDERS, *HOLDERS, "anna"]


def test_a_lone_holder_is_never_asked_for_anything():
    holders = Holders()
    for number in range(4):
        holders.up(worker(number))
    holders.request("anna", 9)
    assert holders.count("anna") == 4
    assert not holders.recalled


def test_among_equally_rich_holders_the_one_that_has_had_its_worker_longest_gives_it_up():
    holders = Holders()
    holders.request("zoe", 1)
    holders.request("anna", 1)
    holders.up(worker(1))
    holders.up(worker(2))
    holders.request("ben", 1)
    assert holders.recalled == {worker(1)}
    assert holders.held[worker(1)] == "zoe"


def test_what_a_dead_holder_had_goes_to_those_who_wait():
    holders = Holders()
    holders.up(worker(1))
    holders.request("anna", 1)
    holders.request("ben", 1)
    holders.die("anna")
    assert holders.held == {}, "it may still be at work for her"
    holders.vacate(worker(1), "anna")
    assert holders.held == {worker(1): "ben"}
    assert not holders.recalled


def test_the_death_of_a_recalled_worker_has_another_one_recalled():
    holders = Holders()
    holders.up(worker(1))
    holders.up(worker(2))
    holders.request("anna", 2)
    holders.request("ben", 1)
    (going,) = holders.recalled
    holders.down(going)
    assert holders.count("anna") == 1
    assert len(holders.recalled) == 1, "ben waits, and anna's last worker goes round"


def test_a_dead_worker_and_a_dead_holder_leave_nothing_behind():
    book = LeaseBook()
    book.worker_up(worker(1))
    book.vacated(worker(1), "")
    book.request("anna", 3)
    book.request("ben", 3)
    book.holder_down("anna")
    book.holder_down("ben")
    book.worker_down(worker(1))
    book.worker_down(worker(1))
    book.worker_up(worker(1, 2))
    book.worker_down(worker(1))
    assert book.workers == (worker(1, 2),)
    book.vacated(worker(1, 2), "")
    rest = {name: value for name, value in vars(book).items() if name not in ("_free", "_lives_in")}
    assert not any(rest.values()), rest


def test_who_gave_another_worker_is_asked_again_for_the_next_who_waits():
    holders = Holders()
    for number in (1, 2, 3, 4):
        holders.up(worker(number))
    holders.request("anna", 4)
    holders.request("ben", 1)
    (late,) = holders.recalled
    holders.give_back(worker(4), instead=late)
    assert (holders.count("anna"), holders.count("ben"), holders.recalled) == (3, 1, set())
    holders.request("cleo", 1)
    assert holders.recalled == {late}


def test_unknown_names_do_no_harm():
    book = LeaseBook()
    assert book.worker_down(worker(1)) == []
    assert book.give_back("anna", worker(1)) == []
    assert book.holder_down("anna") == []
    assert book.vacated(worker(1), "anna") == []
    assert book.workers == ()
    [(holder, answer)] = book.request("anna", 0)
    assert (holder, answer.want) == ("anna", 0)


def test_workers_are_listed_in_the_order_of_their_numbers():
    book = LeaseBook()
    for number in (10, 2, 1):
        book.worker_up(worker(number))
    book.vacated(worker(2), "")
    book.request("anna", 1)
    assert [ref.name for ref in book.workers] == [f"workers/worker-{number}" for number in (1, 2, 10)]


@pytest.mark.parametrize("want", [2, 5])
def test_asking_again_for_more_is_no_second_holder(want):
    holders = Holders()
    holders.up(worker(1))
    holders.up(worker(2))
    holders.request("anna", 1)
    holders.request("anna", want)
    assert holders.count("anna") == 2
    holders.request("anna", 0)
    holders.give_back(worker(1))
    assert holders.count("anna") == 1, "who wants none any more gets none"


def test_who_gives_one_back_and_wants_none_any_more_is_not_next():
    holders = Holders()
    holders.up(worker(1))
    for holder in HOLDERS[:3]:
        holders.request(holder, 1)
    holders.give_back(worker(1), 0)
    for _ in range(3):
        holders.obey_recalls()
    assert holders.granted_to == ["anna", "ben", "cleo", "ben", "cleo"]


def test_what_a_turn_costs_grows_no_faster_than_workers_and_holders_do():
    """With as many stages as there are workers each stage would pay for all others, and all workers of these."""
    costs = []
    for size in (8, 32):
        book = a_book(*map(worker, range(size)))
        holders = [f"holder-{number}" for number in range(2 * size)]
        for holder in holders:
            book.request(holder, 4)
        with Steps() as steps:
            for ref, holder in list(book._held.items()):
                book.give_back(holder, ref)
        costs.append(steps.count / size)
    few, many = costs
    assert many <= 5 * few, costs


def test_workers_that_come_are_dealt_out_by_turns():
    holders = Holders()
    holders.request("anna", 4)
    holders.request("ben", 4)
    for number in range(4):
        holders.up(worker(number))
    assert (holders.count("anna"), holders.count("ben")) == (2, 2)
    assert len(holders.recalled) == 1, "the first one, when there was no other"


def a_book(*workers):
    book = LeaseBook()
    for ref in workers:
        book.worker_up(ref)
        book.vacated(ref, "")
    return book


def told(actions):
    return [(holder, type(news).__name__, news.worker) for holder, news in actions if not isinstance(news, LeaseAnswer)]


def test_a_worker_that_is_asked_for_by_name_is_granted_when_it_is_free():
    one, two = worker(1), worker(2)
    book = a_book(one, two)

    assert told(book.request_worker("anna", two)) == [("anna", "LeaseGranted", two)]
    assert told(book.request_worker("anna", two)) == [("anna", "LeaseGranted", two)], "who has it is told so"


def test_it_is_recalled_for_who_asks_for_it_and_granted_before_others_get_it():
    one = worker(1)
    book = a_book(one)
    book.request("ben", 1)
    asked = told(book.request_worker("anna", one))

    assert asked == [("ben", "LeaseRecalled", one), ("anna", "WorkerTaken", one)]
    given = told(book.give_back("ben", one))
    assert given == [("anna", "LeaseGranted", one), ("anna", "LeaseRecalled", one)], "ben still wants one"
    assert told(book.give_back("anna", one)) == [("ben", "LeaseGranted", one)]


def test_one_that_is_not_up_yet_is_granted_when_it_is():
    one = worker(1)
    book = LeaseBook()
    assert book.request_worker("anna", one) == []
    book.worker_up(one)

    assert told(book.vacated(one, "")) == [("anna", "LeaseGranted", one)]


def test_who_died_waits_for_no_worker():
    one = worker(1)
    book = a_book(one)
    book.request("ben", 1)
    book.request_worker("anna", one)
    book.holder_down("anna")

    assert told(book.give_back("ben", one)) == [("ben", "LeaseGranted", one)]


def test_nobody_waits_for_a_worker_that_was_replaced():
    book = a_book()
    book.request_worker("anna", worker(1))
    book.worker_up(worker(1, 2))

    assert told(book.vacated(worker(1, 2), "")) == []
    assert book._by_name == {}


def test_the_figures_say_what_each_worker_is():
    book = LeaseBook()
    assert book.figures == {"idle": 0, "leased": 0, "leaving": 0}
    for number in (1, 2, 3):
        book.worker_up(worker(number))
    book.vacated(worker(1), "")
    book.vacated(worker(2), "")
    book.request("anna", 1)
    assert book.figures == {"idle": 1, "leased": 1, "leaving": 1}


def test_a_claim_may_come_before_the_worker_is_known():
    book, early, dead = LeaseBook(), worker(1), worker(2)
    book.claim("anna", early)
    book.claim("anna", dead)
    book.worker_up(early)
    book.worker_up(worker(2, incarnation=2))
    assert not book.is_left_by(early, "")
    assert book.is_left_by(worker(2, incarnation=2), "")
    assert book.holder_down("anna") == [early]


def test_a_claim_that_comes_too_late_is_none():
    book, one = LeaseBook(), worker(1)
    book.worker_up(one)
    book.vacated(one, "")
    book.claim("anna", one)
    book.worker_down(one)
    book.claim("anna", one)
    assert book.holder_down("anna") == []
