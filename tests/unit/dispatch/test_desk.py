"""The workers that a dispatcher has leased, and what each of them has to do."""

import pytest

from slither_actors.dispatch._desk import LONG_S, SLOTS, TURN_BATCHES, TURN_S, Desk, Task
from slither_actors.otp.ref import Ref


def worker(number):
    return Ref(f"worker-{number}", 1, f"w{number}", 100 + number)


def task(number, run="run"):
    return Task(run, number, (), None, number=number)


@pytest.fixture
def desk():
    desk = Desk()
    desk.seat(worker(1))
    desk.seat(worker(2))
    return desk


def fill(desk):
    """The workers, in the order in which they get tasks."""
    order = []
    while (free := desk.free_worker(0.0)) is not None:
        desk.assign(free, task(len(order) + 1), now=0.0)
        order.append(free.address)
    return order


def test_idle_workers_come_first_and_each_gets_one_task_beyond_the_running_one(desk):
    order = fill(desk)
    assert len(order) == 2 * SLOTS
    assert set(order[:2]) == {"w1", "w2"}


def test_nothing_is_put_behind_a_batch_that_has_run_for_long(desk):
    """Nobody knows how long it goes on, and the other worker may be free before."""
    desk.assign(worker(1), task(1), 0.0)
    desk.assign(worker(2), task(2), LONG_S)
    assert desk.free_worker(LONG_S) == worker(2), "it has just begun"
    assert desk.free_worker(2 * LONG_S) is None
    desk.finish("w2", 2, 6.0)
    assert desk.free_worker(6.0) == worker(2)


def work(desk, address, seconds, batches=99):
    """What the worker gets, one after the other, until nobody gives it anything more: how many batches."""
    given = 0
    while given < batches and (free := desk.free_worker(0.0)) is not None and free.address == address:
        given += 1
        desk.assign(free, task(given), now=0.0)
        desk.finish(address, given, 0.0, seconds)
    return given


def test_a_recalled_worker_goes_when_there_is_nothing_for_it_to_do(desk):
    desk.assign(worker(1), task(1), 0.0)
    desk.recall(worker(1), turn=True)
    assert desk.someone_leaves
    assert desk.take_idle(recalled_only=True) == []
    assert desk.finish("w1", 1, 1.0)[0].number == 1
    assert desk.take_idle(recalled_only=True) == [worker(1)]
    assert len(desk) == 1
    assert not desk.someone_leaves


@pytest.mark.parametrize(
    ("seconds", "batches"), [(0.0, TURN_BATCHES), (TURN_S, 1), (TURN_S / 4, 4)], ids=["light", "heavy", "between"]
)
def test_a_recalled_worker_has_its_turn_while_there_is_work(desk, seconds, batches):
    """To hand it over for each batch would cost more than light batches do; nobody waits for a second heavy one."""
    desk.remove("w2")
    desk.recall(worker(1), turn=True)
    assert work(desk, "w1", seconds) == batches
    assert desk.free_worker(0.0) is None
    assert desk.take_idle(recalled_only=True) == [worker(1)]


def test_who_has_had_a_worker_for_long_gives_it_up_at_once(desk):
    desk.remove("w2")
    work(desk, "w1", 0.0, TURN_BATCHES)
    assert desk.free_worker(0.0) == worker(1), "while nobody wants it"
    desk.recall(worker(1), turn=True)
    assert desk.free_worker(0.0) is None


def test_each_lease_is_a_turn_of_its_own(desk):
    desk.remove("w2")
    for _ in range(2):
        desk.recall(worker(1), turn=True)
        assert work(desk, "w1", 0.0) == TURN_BATCHES
        desk.take_idle(recalled_only=True)
        desk.seat(worker(1))


@pytest.mark.parametrize("turn", [True, False])
def test_nothing_is_put_behind_the_first_batch_of_who_is_wanted_elsewhere(desk, turn):
    """It may be a heavy one, and who waits would wait for two."""
    desk.remove("w2")
    desk.assign(worker(1), task(1), 0.0)
    desk.recall(worker(1), turn=turn)
    assert desk.free_worker(0.0) is None
    desk.finish("w1", 1, 0.0, 0.0)
    assert (desk.free_worker(0.0) is not None) == turn
    if turn:
        desk.assign(worker(1), task(2), 0.0)
        assert desk.free_worker(0.0) == worker(1), "what it has run was light"


def test_a_worker_that_retires_gets_nothing_more_in_the_middle_of_a_turn_either(desk):
    desk.remove("w2")
    desk.recall(worker(1), turn=True)
    assert work(desk, "w1", 0.0, batches=2) == 2
    desk.recall(worker(1))
    assert desk.free_worker(0.0) is None


def test_a_lease_that_means_nothing_any_more_has_no_turn(desk):
    desk.recall_all()
    assert desk.free_worker(0.0) is None


def test_all_idle_workers_can_be_taken_back_and_busy_ones_stay(desk):
    desk.assign(worker(2), task(1), 0.0)
    assert desk.take_idle(recalled_only=False) == [worker(1)]
    assert len(desk) == 1


def test_an_idle_worker_goes_in_the_place_of_a_busy_one_that_was_recalled(desk):
    """Whoever wants one would wait for the end of a batch, beside a worker that does nothing."""
    desk.assign(worker(1), task(1), 0.0)
    desk.recall(worker(1), turn=True)
    assert desk.give_up(recalled_only=True) == [(worker(2), worker(1))]
    assert not desk.someone_leaves
    desk.finish("w1", 1, 0.0)
    assert desk.give_up(recalled_only=True) == []
    assert desk.free_worker(0.0) == worker(1), "it stays"


def test_who_is_wanted_by_name_has_nobody_to_go_in_its_place(desk):
    desk.assign(worker(1), task(1), 0.0)
    desk.recall(worker(1))
    assert desk.give_up(recalled_only=True) == []
    desk.finish("w1", 1, 1.0)
    assert desk.give_up(recalled_only=True) == [(worker(1), None)]


def test_the_next_task_begins_when_the_one_before_it_ends(desk):
    assert desk.assign(worker(1), task(1), now=5.0)
    assert not desk.assign(worker(1), task(2), now=6.0)
    assert desk.running() == [(worker(1), desk._seats["w1"].tasks[0])]
    assert desk.running()[0][1].began == 5.0
    done, begun = desk.finish("w1", 1, now=8.0)
    assert (done.number, begun.number) == (1, 2)
    ((_, running),) = desk.running()
    assert (running.number, running.began) == (2, 8.0)


def test_when_the_first_task_is_taken_back_the_next_one_counts_as_begun(desk):
    """Or nobody would see that it takes too long."""
    desk.assign(worker(1), task(1), now=5.0)
    desk.assign(worker(1), task(2), now=6.0)
    desk.take_back("w1", 1)
    ((_, running),) = desk.running()
    assert (running.number, running.began) == (2, 5.0)


@pytest.mark.parametrize(("address", "number"), [("w1", 2), ("w1", 99), ("w9", 1)])
def test_answers_that_nobody_waits_for_change_nothing(desk, address, number):
    desk.assign(worker(1), task(1), 0.0)
    desk.assign(worker(1), task(2), 0.0)
    assert desk.finish(address, number, 1.0) == (None, None)
    assert [one.number for one in desk.remove("w1")] == [1, 2]


def test_the_tasks_of_a_dead_worker_are_handed_back_in_order(desk):
    desk.assign(worker(1), task(1), 0.0)
    desk.assign(worker(1), task(2), 0.0)
    assert [one.number for one in desk.remove("w1")] == [1, 2]
    assert desk.remove("w1") is None
    assert len(desk) == 1


def test_a_second_lease_for_the_same_worker_forgets_no_task(desk):
    desk.assign(worker(1), task(1), 0.0)
    desk.recall_all()
    desk.seat(worker(1))
    assert desk.finish("w1", 1, 1.0)[0].number == 1
    assert desk.free_worker(0.0) == worker(1), "it stays"


def test_a_task_that_did_not_arrive_is_taken_back_alone(desk):
    desk.assign(worker(1), task(1), 0.0)
    desk.assign(worker(1), task(2), 0.0)
    assert desk.take_back("w1", 2).number == 2
    assert desk.take_back("w1", 2) is None
    assert desk.take_back("w9", 1) is None
    assert [one.number for one in desk.remove("w1")] == [1]


def test_it_knows_what_a_run_has_out(desk):
    first = task(1, run="a")
    desk.assign(worker(1), first, 0.0)
    assert desk.tasks_of("a") == [first]
    assert desk.tasks_of("b") == []
    desk.finish("w1", 1, 1.0)
    assert desk.tasks_of("a") == []
