"""Telemetry: who hears what, and what a broken listener may not break."""

import logging
import threading

import pytest

from slither_actors import telemetry
from slither_actors.errors import InvalidOption
from slither_actors.telemetry import Bus
from tests.helpers.patience import PATIENCE_S

STOP = ("slither", "dispatch", "run", "stop")
MINE = ("shop", "order")


@pytest.fixture
def bus():
    return Bus()


@pytest.mark.parametrize(
    ("prefix", "heard"),
    [
        ((), True),
        ("", True),
        (("slither",), True),
        ("slither.dispatch", True),
        (telemetry.DISPATCH_RUN, True),
        (STOP, True),
        (("shop", *STOP), False),
        ("slither.pipe", False),
    ],
)
def test_a_handler_hears_what_begins_with_its_prefix(bus, prefix, heard):
    with bus.capture(prefix) as events:
        bus.emit(STOP, {"items_in": 3}, {"pool": "default"})
    assert events == ([(STOP, {"items_in": 3}, {"pool": "default"})] if heard else [])


def test_handlers_are_called_in_the_order_they_attached(bus):
    heard = []
    bus.attach("b", (), lambda *event: heard.append("b"))
    bus.attach("a", "slither", lambda *event: heard.append("a"))
    bus.emit(STOP, {}, {})
    assert heard == ["b", "a"]


def test_a_detached_handler_hears_nothing_more(bus):
    heard = []
    bus.attach("a", (), lambda *event: heard.append(event))
    assert bus.detach("a") is True
    assert bus.detach("a") is False
    bus.emit(STOP, {}, {})
    assert heard == []


def test_an_id_cannot_be_attached_twice_until_it_is_detached(bus):
    bus.attach("mine", (), print)
    with pytest.raises(InvalidOption, match="handler_id is 'mine'"):
        bus.attach("mine", "other", print)
    bus.detach("mine")
    bus.attach("mine", "other", print)
    assert bus.listening(("other",))


def test_a_handler_that_raises_is_detached_with_one_warning_and_harms_no_other(bus, caplog):
    heard = []

    def broken(event, measurements, metadata):
        raise RuntimeError("broken handler")

    bus.attach("broken", (), broken)
    bus.attach("good", (), lambda *event: heard.append(event[0]))
    with caplog.at_level(logging.WARNING):
        bus.emit(STOP, {}, {})
        bus.emit(STOP, {}, {})
    assert heard == [STOP, STOP]
    assert [record.getMessage() for record in caplog.records] == ["telemetry handler 'broken' raised and is detached"]
    assert "broken handler" in caplog.text


def test_a_handler_that_replaces_itself_and_then_raises_does_not_take_its_successor_along(bus, caplog):
    heard = []

    def first(*event):
        bus.detach("x")
        bus.attach("x", (), lambda *event: heard.append(event))
        raise RuntimeError("late")

    bus.attach("x", (), first)
    bus.emit(STOP, {}, {})
    bus.emit(STOP, {}, {})
    assert len(heard) == 1
    assert caplog.records == []


def test_a_handler_may_detach_itself(bus):
    heard = []

    def once(*event):
        heard.append(event)
        bus.detach("once")

    bus.attach("once", (), once)
    bus.emit(STOP, {}, {})
    bus.emit(STOP, {}, {})
    assert len(heard) == 1


def test_listening_looks_both_up_and_down(bus):
    assert not bus.listening(("slither",))
    bus.attach("a", STOP, print)
    assert bus.listening(("slither",))
    assert bus.listening(telemetry.DISPATCH_RUN)
    assert bus.listening(STOP)
    assert bus.listening((*STOP, "more"))
    assert not bus.listening(telemetry.PIPE_RUN)


def test_a_span_reports_start_and_stop_with_what_the_block_adds(bus):
    with bus.capture() as events, bus.span(telemetry.PIPE_RUN, {"pipe": "Score"}) as span:
        span.measurements["items_out"] = 3
        span.metadata["run_id"] = "r-1"
    (start, started, about_start), (stop, stopped, about_stop) = events
    assert (start, stop) == ((*telemetry.PIPE_RUN, "start"), (*telemetry.PIPE_RUN, "stop"))
    assert started.keys() == {"time_s"}
    assert about_start == {"pipe": "Score"}
    assert stopped.pop("duration_s") >= 0
    assert stopped == {"items_out": 3}
    assert about_stop == {"pipe": "Score", "run_id": "r-1", "outcome": "ok"}


def test_a_span_whose_block_raises_reports_the_exception_and_lets_it_through(bus):
    with bus.capture() as events, pytest.raises(KeyError), bus.span(telemetry.PIPE_RUN):
        raise KeyError("gone")
    assert [event.name[-1] for event in events] == ["start", "exception"]
    assert events[1].metadata == {"outcome": "error", "error": "KeyError: 'gone'"}
    assert events[1].measurements.keys() == {"duration_s"}


def test_the_block_of_a_span_may_name_the_outcome(bus):
    with bus.capture() as events, bus.span(telemetry.PIPE_RUN) as span:
        span.metadata["outcome"] = "skipped"
    assert events[-1].metadata == {"outcome": "skipped"}


def test_a_span_that_began_unheard_has_no_end_either(bus):
    with bus.span(telemetry.PIPE_RUN):
        bus.attach("late", (), lambda *event: pytest.fail(f"heard {event}"))


def test_a_span_does_not_change_the_metadata_it_was_given(bus):
    given = {"pipe": "Score"}
    with bus.capture(), bus.span(telemetry.PIPE_RUN, given):
        pass
    assert given == {"pipe": "Score"}


def test_capture_ends_with_its_block_even_if_that_raises(bus):
    with pytest.raises(ZeroDivisionError), bus.capture() as events:
        raise ZeroDivisionError
    bus.emit(STOP, {}, {})
    assert events == []


def test_what_was_captured_is_found_by_name(bus):
    with bus.capture() as events:
        for name in (("a",), ("a", "b"), ("a", "c"), ("ab",)):
            bus.emit(name, {}, {})
    assert [event.name for event in events.named("a")] == [("a",), ("a", "b"), ("a", "c")]
    assert events.named("a.d") == []
    assert events.one(("a", "b")) is events[1]
    with pytest.raises(AssertionError, match=r"3 events begin with 'a', of these: a, a\.b, a\.c, ab"):
        events.one("a")
    with bus.capture() as none, pytest.raises(AssertionError, match="0 events begin with 'a', of these: none"):
        none.one("a")


def test_captures_may_nest(bus):
    with bus.capture() as outer, bus.capture() as inner:
        bus.emit(STOP, {}, {})
    assert outer == inner
    assert len(outer) == 1


def test_many_threads_may_emit_attach_and_detach_at_once(bus):
    failures, heard = [], []
    bus.attach("steady", (), lambda *event: heard.append(event))

    def work(number: int) -> None:
        try:
            for turn in range(100):
                bus.attach(f"{number}", (), lambda *event: None)
                bus.emit(STOP, {"turn": turn}, {})
                bus.detach(f"{number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failures == []
    assert len(heard) == 400


def test_a_broken_handler_of_many_threads_is_warned_about_once(bus, caplog):
    barrier = threading.Barrier(4)

    def broken(*event):
        barrier.wait(PATIENCE_S)
        raise RuntimeError("all at once")

    bus.attach("broken", (), broken)
    threads = [threading.Thread(target=bus.emit, args=(STOP, {}, {})) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(caplog.records) == 1


def test_the_functions_of_the_module_share_one_bus():
    heard = []
    telemetry.attach("test", "shop.order", lambda *event: heard.append(event[0][-1]))
    try:
        assert telemetry.listening(MINE)
        telemetry.emit((*MINE, "lost"), {}, {})
        with telemetry.capture(MINE) as events, telemetry.span(MINE):
            pass
    finally:
        assert telemetry.detach("test")
    assert heard == ["lost", "start", "stop"]
    assert [event.name[-1] for event in events] == ["start", "stop"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a", STOP, 3), "handler is 3; allowed: a function of (event, measurements, metadata)"),
        (("a", STOP, lambda: 1), "allowed: a function of (event, measurements, metadata)"),
        (("a", 2, print), "prefix is 2; allowed: a tuple of names"),
        (("a", ("x", 2), print), "allowed: a tuple of names"),
        (
            ("a", (*STOP, "more"), print),
            "prefix is 'slither.dispatch.run.stop.more'; allowed: what one of telemetry.EVENTS",
        ),
        (("a", "slither.dispach", print), "did you mean 'slither.dispatch'?"),
    ],
)
def test_what_cannot_be_attached_is_refused_at_once(bus, arguments, text):
    with pytest.raises(InvalidOption) as caught:
        bus.attach(*arguments)
    assert text in str(caught.value)
    assert not bus.listening(())
