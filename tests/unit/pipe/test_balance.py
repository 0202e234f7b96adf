"""How a balancer divides what comes in among replicas, and puts together what they make. Without any actor."""

import pytest

from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    CloseRun,
    Complete,
    Failed,
    OpenRun,
    OutPort,
    RunRefused,
    Surrender,
    Surrendered,
)
from slither_actors.errors import RemoteError, SendQueueFull, StageDown
from slither_actors.item import Item
from slither_actors.pipe._balance_core import SURRENDER_S
from slither_actors.pipe._balance_plan import EDGE_ITEMS, MOST_REPLICAS, REPLICA_WINDOW
from slither_actors.pipe._stage_plan import ForgetRuns
from slither_actors.workers.parcel import pack_items, unpack_items
from tests.unit.pipe.playing_replicas import BALANCER, SERVICE, SOURCE, WORKERS, Bench, replica_ref, ticket

BOOM = RemoteError("ValueError", "boom", "", ("builtins.ValueError", "builtins.Exception"))


class TestDivision:
    def test_few_items_are_spread_over_all_replicas(self):
        bench = Bench(3)
        bench.feed(1, 2, 3)
        assert [bench.given(number) for number in range(3)] == [[[1]], [[2]], [[3]]]

    def test_a_replica_that_settles_nothing_gets_no_more_than_its_window_and_others_all_the_rest(self):
        bench = Bench(2)
        bench.feed(*range(8))
        slow, quick = bench.given(0), bench.given(1)
        while True:
            bench.settle(1, len(quick[-REPLICA_WINDOW:]))
            more = bench.given(1)
            if not more:
                break
            quick += more
        assert len(slow) == REPLICA_WINDOW
        assert sorted(item for piece in (*slow, *quick) for item in piece) == [*range(8)]

    def test_pieces_grow_where_items_are_quick_and_stay_small_where_they_are_slow(self):
        quick, slow = Bench(2), Bench(2)
        for bench, item_s in ((quick, 0.0001), (slow, 0.1)):
            for _ in range(4):
                bench.feed(*range(16))
            sizes = []
            for _ in range(6):
                for number in range(2):
                    pieces = bench.given(number)
                    bench.now += item_s * sum(map(len, pieces))
                    if pieces:
                        bench.settle(number, len(pieces))
                    sizes += map(len, pieces)
            assert (max(sizes) > 4) == (bench is quick)

    def test_what_came_in_counts_as_settled_when_all_replicas_have_done_their_part(self):
        bench = Bench(2, window=4)
        bench.feed(1, 2)
        bench.settle(0)
        assert not bench.take(SOURCE, Ask)
        bench.settle(1)
        assert [ask.limit for ask in bench.take(SOURCE, Ask)] == [5]

    @pytest.mark.parametrize("replicas", range(1, MOST_REPLICAS + 1))
    def test_however_many_replicas_there_are_their_edges_hold_no_more(self, replicas):
        bench = Bench(replicas, stages={"next": OutPort(2, WORKERS, 2, 32)})
        plans = [bench.plans[replica_ref(number).address] for number in range(replicas)]
        assert sum(plan.sink.window * plan.sink.batch_size for plan in plans) <= EDGE_ITEMS
        assert sum(plan.stages["next"].window * plan.stages["next"].batch_size for plan in plans) <= EDGE_ITEMS

    def test_runs_take_turns_and_a_replica_that_is_busy_with_one_gets_less_of_the_other(self):
        bench = Bench(2)
        bench.feed(1)
        bench.core.open_run("other", bench.plan, SERVICE, 0.0)
        for number in range(2):
            bench.core.opened("other", replica_ref(number).address, 0.0)
        bench.core.batch(Batch("other", 1, 1, (pack_items([Item.wrap(2)]),), ()), SOURCE, 0.0)
        bench.collect()
        assert [bench.given(0), bench.given(1)] == [[[1]], [[2]]]


class TestOrder:
    def test_what_later_items_became_waits_for_the_first_ones(self):
        bench = Bench(2)
        bench.feed(1, 2, 3)  # 1 and 3 here, 2 there
        assert (bench.given(0), bench.given(1)) == ([[1], [3]], [[2]])
        bench.make(1, "two")
        bench.settle(1)
        assert bench.results() == []
        bench.make(0, "one")
        assert bench.results() == [["one"]], "what is first waits for nothing"
        bench.settle(0)
        assert bench.results() == [["two"]]
        bench.make(0, "three")
        assert bench.results() == [["three"]]

    def test_what_a_replica_sends_before_it_settles_belongs_to_the_piece_before(self):
        bench = Bench(2)
        bench.feed(1, 2, 3)
        bench.make(0, "one")
        bench.settle(0)
        bench.make(0, "three")
        bench.make(1, "two")
        assert bench.results() == [["one"], ["two"]]
        bench.settle(1)
        assert bench.results() == [["three"]]

    def test_a_replica_that_is_early_is_held_up_by_its_credit(self):
        bench = Bench(2)
        bench.feed(1, 2)
        for number in range(REPLICA_WINDOW):
            bench.make(1, number)
        assert not bench.take(replica_ref(1).address, Ask), "nothing of it is settled"
        bench.settle(0)
        assert bench.results() == [[0], [1]]

    def test_without_order_nothing_waits(self):
        bench = Bench(2, ordered=False)
        bench.feed(1, 2)
        bench.make(1, "two")
        assert bench.results() == [["two"]]

    def test_what_comes_when_all_is_settled_goes_on(self):
        """As what a strategy has held back."""
        bench = Bench(2)
        bench.feed(1, 2)
        bench.settle(0)
        bench.settle(1)
        bench.make(1, "late")
        assert bench.results() == [["late"]]


class TestTheEnd:
    def test_it_is_told_behind_the_last_result(self):
        bench = Bench(2)
        bench.feed(1, 2)
        bench.end()
        bench.settle(0)
        assert not bench.take(replica_ref(0).address, Complete), "its Asks would cease, which tell what is done"
        bench.make(1, "two")
        bench.settle(1)
        bench.finish(0)
        assert not bench.take(SERVICE, Complete)
        bench.finish(1)
        assert [last.last_seq for last in bench.take(SERVICE, Complete)] == [1]
        assert not bench.core.runs

    def test_a_run_that_ends_in_another_way_is_forgotten_by_all(self):
        bench = Bench(2)
        bench.feed(1, 2, 3)
        bench.core.close_run("r", 0.0)
        bench.collect()
        assert all(bench.take(replica_ref(number).address, CloseRun) for number in range(2))
        bench.make(0, "late")
        assert not bench.core.outbox
        assert not bench.core.runs

    def test_a_stage_behind_that_wants_full_batches_gets_them_and_the_rest_after_its_time(self):
        bench = Bench(2, stages={"next": OutPort(2, WORKERS, 8, 3, wants_full=True, max_wait_s=0.5)})
        bench.feed(1, 2, 3, 4)
        for number in (0, 1, 0, 1):
            bench.make(number, "made", way="next")
            bench.settle(number)
        assert bench.results(WORKERS) == [["made"] * 3]
        bench.later(0.4)
        assert bench.results(WORKERS) == []
        bench.later(0.2)
        assert bench.results(WORKERS) == [["made"]]


class TestRate:
    def test_no_more_goes_than_the_rate_lets_through_also_as_part_of_a_batch(self):
        bench = Bench(1, rate=ticket(10.0, 3))
        bench.feed(*range(8))
        sent = []
        for _ in range(12):
            pieces = bench.given(0)
            sent += [(bench.now, len(piece)) for piece in pieces]
            if pieces:
                bench.settle(0, len(pieces))
            bench.later(0.05)
        assert sum(items for _, items in sent) == 3 + 5
        for end, (until, _) in enumerate(sent):
            assert sum(items for _, items in sent[: end + 1]) <= 3 + 10 * until + 1e-6

    def test_the_limit_is_that_of_all_replicas_together(self):
        bench = Bench(4, rate=ticket(1.0, 2))
        bench.feed(*range(8))
        assert sum(len(bench.given(number)) for number in range(4)) == 2

    def test_what_is_held_back_is_not_settled_so_nothing_more_comes(self):
        bench = Bench(1, rate=ticket(1.0, 1), window=4)
        bench.feed(1, 2)
        bench.settle(0)
        assert not bench.take(SOURCE, Ask)

    def test_another_limit_holds_at_once(self):
        bench = Bench(1, rate=ticket(0.001, 1))
        bench.feed(*range(4))
        assert len(bench.given(0)) == 1
        bench.settle(0)
        bench.core.set_rate(ticket(float("inf"), 1, version=1), bench.now)
        bench.collect()
        assert bench.given(0)

    def test_a_run_that_was_planned_before_the_change_does_not_undo_it(self):
        bench = Bench(1, rate=ticket(1.0, 1))
        bench.core.set_rate(ticket(1000.0, 8, version=2), 0.0)
        bench.core.open_run("other", bench.plan, SERVICE, 0.0)
        bench.later(1.0)
        bench.feed(*range(4))
        bench.settle(0, len(bench.given(0)))
        assert bench.given(0)


class TestReplicas:
    def test_a_run_is_open_when_all_replicas_are_ready_also_those_that_come_up_later(self):
        bench = Bench(2, up=[0])
        assert not bench.is_open()
        bench.core.replica_up(1, replica_ref(1))
        bench.collect()
        assert bench.is_open()

    def test_one_that_comes_up_forgets_what_a_former_balancer_told_it(self):
        bench = Bench(1)
        first, *_ = bench.take(replica_ref(0).address, object)
        assert isinstance(first, ForgetRuns)

    def test_one_that_cannot_take_part_is_reported_and_the_others_forget_the_run(self):
        bench = Bench(2, up=[0])
        bench.core.refused("r", BOOM, 0.0)
        bench.collect()
        assert [refusal.error for refusal in bench.take(SERVICE, RunRefused)] == [BOOM]
        assert bench.take(replica_ref(0).address, CloseRun)

    def test_what_a_dead_replica_had_ends_the_run_with_all_that_was_finished(self):
        bench = Bench(3)
        bench.feed(1, 2, 3)
        bench.make(1, "two")
        bench.make(2, "three")
        bench.core.replica_down(replica_ref(0), "killed (SIGKILL)", 0.0)
        bench.collect()
        (failed,) = bench.take(SERVICE, Failed)
        assert failed.stage == "stage"
        assert isinstance(failed.error, StageDown)
        assert (failed.error.name, failed.error.exit) == ("pipes/P-1/stage/replica-1", "killed (SIGKILL)")
        assert [i.payload for batch in failed.finished for i in unpack_items(batch.parcels)] == ["two", "three"]
        assert {batch.edge for batch in failed.finished} == {3}, "the edge that the service knows"
        assert all(bench.take(replica_ref(number).address, CloseRun) for number in (1, 2))

    def test_one_that_had_nothing_of_the_run_takes_nothing_along_and_its_successor_joins(self):
        bench = Bench(2)
        bench.feed(1)
        assert bench.given(0) == [[1]]
        bench.core.replica_down(replica_ref(1), "killed", 0.0)
        bench.collect()
        assert not bench.take(SERVICE, Failed)
        bench.core.replica_up(1, replica_ref(1, 2))
        bench.collect()
        bench.feed(2)
        assert bench.given(1, 2) == [[2]]

    def test_one_that_dies_before_all_were_ready_is_waited_for(self):
        bench = Bench(2, up=[0])
        bench.core.replica_down(replica_ref(0), "killed", 0.0)
        bench.core.replica_up(1, replica_ref(1))
        bench.collect()
        assert not bench.is_open()
        bench.core.replica_up(0, replica_ref(0, 2))
        bench.collect()
        assert bench.is_open()

    def test_one_that_had_done_its_part_may_die(self):
        bench = Bench(2)
        bench.feed(1, 2)
        bench.end()
        bench.settle(0)
        bench.settle(1)
        bench.finish(0)
        bench.core.replica_down(replica_ref(0), "killed", 0.0)
        bench.finish(1)
        assert not bench.take(SERVICE, Failed)
        assert bench.take(SERVICE, Complete)

    def test_the_end_of_a_run_by_a_replica_is_passed_on_in_order(self):
        bench = Bench(2)
        bench.feed(1, 2)
        bench.make(1, "two")
        sink = bench.plans[replica_ref(0).address].sink
        finished = (Batch("r", sink.edge, 1, (pack_items([Item.wrap("one")]),), ()),)
        bench.core.failed(Failed("r", "stage", BOOM, 0, finished), replica_ref(0).address, 0.0)
        bench.collect()
        (failed,) = bench.take(SERVICE, Failed)
        assert (failed.stage, failed.error) == ("stage", BOOM)
        assert [i.payload for batch in failed.finished for i in unpack_items(batch.parcels)] == ["one", "two"]

    def test_a_word_that_did_not_reach_a_dead_replica_ends_nothing_and_one_to_a_neighbour_does(self):
        bench = Bench(1)
        edge = bench.plans[replica_ref(0).address].inputs[0].edge
        bench.core.undelivered(Complete("r", edge, 0), 0.0)
        assert bench.core.runs
        bench.core.undelivered(Batch("r", 3, 1, (), ()), 0.0)
        assert not bench.core.runs


class TestNoRoom:
    def test_a_batch_that_finds_no_room_ends_its_run(self):
        bench = Bench(1)
        error = SendQueueFull("replica", 2, 1)
        bench.core.not_sent(replica_ref(0).address, Batch("r", 100, 1, (), ()), error, 0.0)
        bench.collect()
        assert [failed.error for failed in bench.take(SERVICE, Failed)] == [error]
        assert not bench.core.runs

    def test_last_words_that_find_none_are_said_without_the_results(self):
        bench = Bench(1)
        bench.core.not_sent(SERVICE, Failed("r", "stage", BOOM, 0, ("finished",)), SendQueueFull("service", 2, 1), 0.0)
        bench.collect()
        assert [failed.finished for failed in bench.take(SERVICE, Failed)] == [()]

    def test_what_belongs_to_no_run_is_the_callers(self):
        with pytest.raises(SendQueueFull):
            Bench(1).core.not_sent("nobody", OpenRun("r", None), SendQueueFull("nobody", 2, 1), 0.0)


class TestNoTime:
    def test_all_say_what_they_have(self):
        bench = Bench(2)
        bench.feed(1, 2, 3, 4, 5)
        bench.make(1, "two")
        bench.core.surrender("r", SERVICE, 0.0)
        bench.collect()
        assert all(bench.take(replica_ref(number).address, Surrender) for number in range(2))
        sink = bench.plans[replica_ref(0).address].sink
        finished = (Batch("r", sink.edge, 1, (pack_items([Item.wrap("one")]),), ()),)
        bench.core.surrendered(Surrendered("r", (), finished), replica_ref(0).address, 0.0)
        assert not bench.core.outbox, "the other one has not spoken"
        bench.core.surrendered(Surrendered("r", (), ()), replica_ref(1).address, 0.0)
        bench.collect()
        (words,) = bench.take(SERVICE, Surrendered)
        assert [i.payload for batch in words.finished for i in unpack_items(batch.parcels)] == ["one", "two"]
        places = [(place, [i.payload for i in unpack_items(parcels)]) for place, parcels in words.held if parcels]
        assert places == [
            ("pipes/P-1/stage/balancer", [5]),
            ("pipes/P-1/stage/replica-1", [1]),
            ("pipes/P-1/stage/replica-1", [3]),
            ("pipes/P-1/stage/replica-2", [2]),
            ("pipes/P-1/stage/replica-2", [4]),
        ]

    def test_one_that_is_stuck_is_not_waited_for(self):
        bench = Bench(2)
        bench.feed(1, 2)
        bench.core.surrender("r", SERVICE, 0.0)
        bench.later(SURRENDER_S)
        (words,) = bench.take(SERVICE, Surrendered)
        assert [place for place, parcels in words.held if parcels] == [
            "pipes/P-1/stage/replica-1",
            "pipes/P-1/stage/replica-2",
        ]
        assert bench.is_idle
        assert not bench.core.runs

    def test_one_that_dies_meanwhile_is_not_waited_for_either(self):
        bench = Bench(1)
        bench.feed(1)
        bench.core.surrender("r", SERVICE, 0.0)
        bench.core.replica_down(replica_ref(0), "killed", 0.0)
        bench.collect()
        assert bench.take(SERVICE, Surrendered)
        assert not bench.take(SERVICE, Failed)

    def test_of_a_run_that_is_over_there_is_nothing_to_say(self):
        bench = Bench(1)
        bench.core.surrender("other", SERVICE, 0.0)
        bench.collect()
        (words,) = bench.take(SERVICE, Surrendered)
        assert (words.held, words.finished) == ((), ())


def test_the_address_of_the_balancer_is_where_replicas_send_to():
    bench = Bench(1, stages={"next": OutPort(2, WORKERS, 2, 32)})
    plan = bench.plans[replica_ref(0).address]
    assert {plan.sink.consumer, plan.stages["next"].consumer, plan.inputs[0].producer} == {BALANCER}
    assert plan.settles_last
