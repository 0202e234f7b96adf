"""Timers without a clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slither_actors.otp._life import Life, Tick
from slither_actors.otp._timers import Timer, Timers


def nothing() -> None:
    pass


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans())), st.integers(-1, 21))
def test_due_are_those_of_the_past_in_order_without_the_cancelled(plan: list[tuple[int, bool]], now: int) -> None:
    timers = Timers()
    started = [(timers.start(deadline, nothing), cancelled) for deadline, cancelled in plan]
    for timer, cancelled in started:
        if cancelled:
            timer.cancel()
    living = sorted((timer for timer, cancelled in started if not cancelled), key=lambda timer: timer.deadline)

    assert timers.next_deadline() == (living[0].deadline if living else None)
    assert timers.take_due(now) == [timer for timer in living if timer.deadline <= now]
    later = [timer.deadline for timer in living if timer.deadline > now]
    assert timers.next_deadline() == (later[0] if later else None)


def test_a_timer_falls_due_once() -> None:
    timers = Timers()
    timer = timers.start(1.0, nothing)

    assert timers.take_due(1.0) == [timer]
    assert timers.take_due(2.0) == []


def test_a_timer_may_be_cancelled_twice_and_after_its_time() -> None:
    timers = Timers()
    first, second = timers.start(1.0, nothing), timers.start(2.0, nothing)
    timers.take_due(1.0)

    first.cancel()
    first.cancel()

    assert timers.next_deadline() == 2.0
    assert timers.take_due(2.0) == [second]


def test_deadlines_that_are_never_reached_do_not_pile_up() -> None:
    timers = Timers()
    last = timers.start(5.0, nothing)
    for number in range(10_000):
        timers.start(30.0 + number, nothing).cancel()

    assert len(timers) < 200
    assert timers.take_due(100_000.0) == [last]


class _Transport:
    """Keeps what would be Thespian's timers."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []

    def addWakeup(self, period: object, tick: Tick) -> None:
        self.ticks.append(tick)


def make_life() -> tuple[Life, _Transport]:
    life = object.__new__(Life)
    transport = life.transport = _Transport()
    life._timers, life._armed = Timers(), []
    return life, transport


def test_short_timers_do_not_multiply_the_wake_ups_of_a_long_one() -> None:
    life, transport = make_life()
    fired: list[int] = []
    life.start_timer(3600.0, nothing)
    for number in range(50):
        life.start_timer(-1.0, lambda number=number: fired.append(number))  # type: ignore[misc]
        life.run_timers(transport.ticks.pop())

    assert fired == list(range(50))
    assert len(transport.ticks) == 1


def test_timers_of_later_deadlines_need_no_wake_up_of_their_own() -> None:
    life, transport = make_life()
    for delay_s in range(100, 150):
        life.start_timer(float(delay_s), nothing)

    assert len(transport.ticks) == 1


def test_a_timer_cancelled_by_an_earlier_one_does_not_fire() -> None:
    life, transport = make_life()
    fired: list[str] = []
    second: list[Timer] = []

    def first() -> None:
        fired.append("first")
        second[0].cancel()

    life.start_timer(-1.0, first)
    second.append(life.start_timer(-0.5, lambda: fired.append("second")))

    life.run_timers(transport.ticks[0])

    assert fired == ["first"]
