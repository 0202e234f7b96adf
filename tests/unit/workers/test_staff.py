"""Which workers a pool has while it is resized and while worn ones are replaced, under any order of events."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from slither_actors.workers._staff import Dismiss, Hire, Staff


def nothing_to_lose(worker):
    return 0


class World:
    """Plays the supervisor and the pool: starts and ends whom it is told to, and objects to what cannot be."""

    def __init__(self, size, makes_room=lambda worn: worn):
        self.staff = Staff("worker", size, makes_room)
        self.starting = set()
        self.up = set()
        self.down = set()
        self.dismissed = set()
        self.seen = set()
        for worker in self.staff.ids:
            self.seen.add(worker)
            self.up.add(worker)
            assert self.staff.up(worker) == []

    def obey(self, orders):
        for order in orders:
            if isinstance(order, Hire):
                assert order.worker not in self.seen, "an id is used twice"
                self.seen.add(order.worker)
                self.starting.add(order.worker)
            else:
                assert isinstance(order, Dismiss)
                assert order.worker in self.starting | self.up | self.down, f"{order} does not live"
                assert order.worker not in self.dismissed, f"{order} twice"
                assert order.worker in self.staff.retiring
                self.dismissed.add(order.worker)

    def comes_up(self, worker):
        for known in (self.starting, self.down):
            known.discard(worker)
        self.up.add(worker)
        self.obey(self.staff.up(worker))

    def fails(self, worker):
        self.starting.discard(worker)
        self.dismissed.discard(worker)
        self.obey(self.staff.not_started(worker))

    def dies(self, worker):
        self.up.discard(worker)
        self.down.add(worker)
        self.obey(self.staff.down(worker))

    def ends(self, worker):
        for known in (self.starting, self.up, self.down, self.dismissed):
            known.discard(worker)
        self.staff.gone(worker)

    @property
    def places(self):
        """Those that serve the pool: not in their start, not on their way out."""
        return (self.up | self.down) - set(self.staff.retiring)


class AnyOrder(RuleBasedStateMachine):
    @initialize(size=st.integers(1, 4))
    def begin(self, size):
        self.world = World(size)
        self.worn = None  # who is being replaced, as far as can be seen
        self.most = size

    def pick(self, data, among):
        return data.draw(st.sampled_from(sorted(among, key=lambda name: (len(name), name))))

    @precondition(lambda self: self.world.starting)
    @rule(data=st.data())
    def one_comes_up(self, data):
        before = set(self.world.staff.retiring)
        worker = self.pick(data, self.world.starting)
        self.world.comes_up(worker)
        new = set(self.world.staff.retiring) - before
        assert len(new) <= 1, "one comes, one goes"

    @precondition(lambda self: self.world.starting)
    @rule(data=st.data())
    def one_does_not_start(self, data):
        self.world.fails(self.pick(data, self.world.starting))

    @precondition(lambda self: self.world.up - self.world.dismissed)
    @rule(data=st.data())
    def one_dies(self, data):
        self.world.dies(self.pick(data, self.world.up - self.world.dismissed))

    @precondition(lambda self: self.world.down - self.world.dismissed)
    @rule(data=st.data())
    def one_comes_back(self, data):
        self.world.comes_up(self.pick(data, self.world.down - self.world.dismissed))

    @precondition(lambda self: self.world.dismissed)
    @rule(data=st.data())
    def one_that_was_dismissed_ends(self, data):
        self.world.ends(self.pick(data, self.world.dismissed))

    @precondition(lambda self: set(self.world.staff.retiring) - self.world.dismissed)
    @rule(data=st.data())
    def one_that_retires_is_empty(self, data):
        self.world.obey(self.world.staff.empty(self.pick(data, set(self.world.staff.retiring) - self.world.dismissed)))

    @rule(data=st.data())
    def one_is_worn(self, data):
        staff, up = self.world.staff, self.world.up
        worker = self.pick(data, self.world.seen)
        was_possible = staff.may_recycle and worker in up and worker not in staff.retiring
        orders = staff.recycle(worker)
        assert bool(orders) == was_possible
        assert worker not in staff.retiring or not orders, "its successor is not up yet"
        self.world.obey(orders)

    @precondition(lambda self: not self.world.staff.is_growing)
    @rule(size=st.integers(1, 5), data=st.data())
    def it_is_resized(self, size, data):
        staff = self.world.staff
        before = set(staff.retiring)
        burdens = {worker: data.draw(st.integers(0, 2)) for worker in sorted(self.world.up)}
        self.world.obey(staff.resize(size, lambda worker: burdens.get(worker, 0)))
        assert staff.size == size
        went = set(staff.retiring) - before
        up_before = self.world.up - before
        # who stays has more to lose than who goes, but for the one that is worn
        kept = up_before - set(staff.retiring)
        lighter = [w for w in went & up_before if kept and burdens[w] > min(burdens[k] for k in kept)]
        assert len(lighter) <= 1

    @invariant()
    def there_are_never_fewer_places_than_the_size_unless_it_grows(self):
        staff = self.world.staff
        short = staff.size - len(self.world.places)
        assert short <= len(staff._growing)

    @invariant()
    def there_is_no_more_than_the_size_and_one_successor(self):
        staff = self.world.staff
        coming = self.world.starting - set(staff.retiring)
        successors = coming - staff._growing
        assert len(successors) <= 1
        assert len(self.world.places) + len(coming) == staff.size + len(successors)

    @invariant()
    def at_most_one_is_being_replaced(self):
        staff = self.world.staff
        assert not (staff._worn and staff._retired)
        assert bool(staff._worn) == bool(staff._successor)
        assert staff._worn not in staff.retiring

    @invariant()
    def the_staff_knows_exactly_those_that_are_there(self):
        assert set(self.world.staff.ids) == self.world.starting | self.world.up | self.world.down

    @invariant()
    def one_that_retires_and_is_not_up_is_dismissed_at_once(self):
        going = set(self.world.staff.retiring)
        assert going & (self.world.down | self.world.starting) <= self.world.dismissed

    def teardown(self):
        if not hasattr(self, "world"):
            return
        world = self.world
        for worker in sorted(world.starting - world.dismissed) + sorted(world.down - world.dismissed):
            world.comes_up(worker)
        for worker in world.staff.retiring:
            world.obey(world.staff.empty(worker))
        for worker in sorted(world.dismissed):
            world.ends(worker)
        assert len(world.up) == world.staff.size == len(world.staff.ids)
        assert world.staff.may_recycle, "nothing is left of the last one that was replaced"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_worn_worker_retires_when_its_successor_is_up_and_is_ended_when_it_is_empty():
    world = World(2)
    staff = world.staff
    world.obey(staff.recycle("worker-1"))
    assert world.starting == {"worker-3"}
    assert staff.retiring == []
    assert staff.recycle("worker-2") == [], "one at a time"

    world.comes_up("worker-3")
    assert staff.retiring == ["worker-1"]
    assert world.dismissed == set()
    assert staff.recycle("worker-2") == []

    world.obey(staff.empty("worker-1"))
    assert world.dismissed == {"worker-1"}
    world.ends("worker-1")
    assert staff.recycled == 1
    assert staff.recycle("worker-2") == [Hire("worker-4")]


def test_a_successor_that_does_not_start_changes_nothing():
    world = World(1)
    world.obey(world.staff.recycle("worker-1"))
    world.fails("worker-2")

    assert world.staff.serving == ["worker-1"]
    assert world.staff.recycled == 0
    assert world.staff.recycle("worker-1") == [Hire("worker-3")]


def test_a_worn_worker_that_dies_before_its_successor_is_up_is_not_waited_for():
    world = World(1)
    world.obey(world.staff.recycle("worker-1"))
    world.dies("worker-1")
    world.comes_up("worker-2")

    assert world.dismissed == {"worker-1"}, "instead of being restarted"


def test_a_growth_that_fails_is_undone():
    world = World(2)
    world.obey(world.staff.resize(4, nothing_to_lose))
    assert world.staff.is_growing
    world.comes_up("worker-3")
    world.fails("worker-4")

    assert world.staff.size == 2
    assert world.staff.retiring == ["worker-3"]
    assert not world.staff.is_growing


def test_those_with_the_least_to_lose_go_first_and_the_newest_of_them():
    world = World(4)
    world.obey(world.staff.resize(2, {"worker-1": 0, "worker-2": 0, "worker-3": 0, "worker-4": 1}.__getitem__))
    assert world.staff.retiring == ["worker-2", "worker-3"]


def test_one_that_is_dead_goes_before_all_others():
    world = World(3)
    world.dies("worker-1")
    world.obey(world.staff.resize(2, nothing_to_lose))
    assert world.dismissed == {"worker-1"}


def test_a_pool_that_shrinks_lets_the_worn_one_go_without_its_successor():
    world = World(2)
    world.obey(world.staff.recycle("worker-1"))
    world.obey(world.staff.resize(1, nothing_to_lose))

    assert world.dismissed == {"worker-3"}
    assert set(world.staff.retiring) == {"worker-1", "worker-3"}
    assert world.staff.serving == ["worker-2"]


def test_another_one_may_make_room_for_a_successor():
    world = World(2, lambda worn: "worker-2")
    world.obey(world.staff.recycle("worker-1"))
    world.comes_up("worker-3")

    assert world.staff.retiring == ["worker-2"]
    assert world.staff.recycled == 1


def test_a_successor_that_nobody_makes_room_for_goes_again():
    world = World(1, lambda worn: "")
    world.obey(world.staff.recycle("worker-1"))
    world.comes_up("worker-2")

    assert world.staff.retiring == ["worker-2"]
    assert world.staff.recycled == 0
    world.obey(world.staff.empty("worker-2"))
    world.ends("worker-2")
    assert world.staff.may_recycle


def test_one_that_takes_too_long_to_be_empty_does_not_hold_up_others():
    world = World(2)
    world.obey(world.staff.recycle("worker-1"))
    world.comes_up("worker-3")
    assert world.staff.awaited == "worker-1"
    world.staff.await_no_longer()

    assert world.staff.recycle("worker-2") == [Hire("worker-4")]
    assert world.staff.retiring == ["worker-1"]
