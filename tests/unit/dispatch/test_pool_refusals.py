"""What dispatchers do when their pool has no worker and will have none for a while, and when one of them retires."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchPlan, SessionPart
from slither_actors.dispatch._session_core import SessionCore
from slither_actors.dispatch.messages import Batch, Failed, InPort, Origin, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import PoolQuarantined
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.policy import Skip
from slither_actors.workers.messages import Job, LeaseRequest, RunBatch, WorkerRequest
from slither_actors.workers.parcel import pack_items
from slither_actors.workers.sessions import SessionTicket

ONE, TWO = (Ref(f"workers/worker-{number}", 1, f"/run/w{number}", 1000 + number) for number in (1, 2))
SERVICE, POOL = "/run/service", "/run/pool"
OUT = PoolQuarantined("default", 2, "killed: SIGSEGV")


def plan(part: SessionPart | None = None) -> DispatchPlan:
    out = OutPort(2, SERVICE, 8, 1)
    inputs = (InPort(1, SERVICE, 8, Origin(None, Skip()), back=2),)
    options = DispatchOptions(batch_size=1, on_error="skip")
    return DispatchPlan(inputs, out, out, Job(Code.of("a:b"), None), options, session=part)  # type: ignore[arg-type]


def parcels() -> Any:
    return (pack_items([Item.wrap(1)]),)


def sent(core: DispatchCore, kind: type) -> list[tuple[str, Any]]:
    found = [(to, message) for to, message in core.outbox if isinstance(message, kind)]
    core.outbox.clear()
    return found


def wanted(core: DispatchCore) -> list[tuple[str, int]]:
    return [(to, message.want) for to, message in sent(core, LeaseRequest)]


def asked(core: DispatchCore) -> list[Ref]:
    return [message.worker for _, message in sent(core, WorkerRequest)]


def a_core(*runs: str) -> DispatchCore:
    core = DispatchCore()
    core.pool_up(POOL)
    for run in runs:
        core.open_run(run, plan())
    return core


def test_runs_that_wait_for_a_worker_end_with_the_reason_and_others_go_on() -> None:
    core = a_core("waits", "idles")
    core.batch("waits", Batch("waits", 1, 1, parcels(), ()), 0.0)
    core.outbox.clear()
    core.pool_refuses(OUT, 1.0)

    failed = [message for _, message in sent(core, Failed)]
    assert [(one.run, one.error) for one in failed] == [("waits", OUT)]
    assert list(core._runs) == ["idles"]


def test_what_was_finished_before_goes_out_with_the_refusal() -> None:
    core = a_core("r")
    for number in (1, 2):
        core.batch("r", Batch("r", 1, number, parcels(), ()), 0.0)
    core.granted(ONE, 0.0)
    core.answered(8, 0.0)
    numbers = [message.number for _, message in sent(core, RunBatch)]
    core.done(ONE.address, numbers[0], parcels(), 1.0)
    core.outbox.clear()
    core.worker_down(ONE, 0, "SIGSEGV", 2.0)
    core.pool_refuses(OUT, 2.0)

    ((_, failed),) = sent(core, Failed)
    assert failed.error == OUT
    assert core._desk.running() == []


def test_the_next_batch_asks_the_pool_anew() -> None:
    core = a_core("r", "s")
    core.batch("r", Batch("r", 1, 1, parcels(), ()), 0.0)
    core.pool_refuses(OUT, 1.0)
    core.outbox.clear()
    core.batch("s", Batch("s", 1, 1, parcels(), ()), 2.0)

    ((to, request),) = sent(core, LeaseRequest)
    assert (to, request.want) == (POOL, 8)
    core.granted(ONE, 3.0)
    assert len(sent(core, RunBatch)) == 1


# -- sessions


def a_session_core(*names: str) -> SessionCore:
    core = SessionCore("default", 10)
    core.pool_up(POOL)
    for name in names:
        ticket = SessionTicket(name)
        ticket = ticket.with_token(core.begin_session(ticket, 0.0))
        core.enter_run(name, plan(SessionPart(ticket, None, True)), 0.0)
    core.outbox.clear()
    return core


def feed(core: SessionCore, name: str, number: int = 1) -> None:
    core.batch(core.keys.consumer(name, 1), Batch(name, 1, number, parcels(), ()), 0.0)


def test_a_session_that_waits_for_any_worker_has_the_pool_asked_once() -> None:
    core = a_session_core("s", "t")
    feed(core, "s")
    feed(core, "t")
    assert wanted(core) == [(POOL, 1)]

    core.worker_up(ONE, 1.0)
    assert wanted(core) == [(POOL, 0)]


def test_a_new_pool_is_asked_too() -> None:
    core = a_session_core("s")
    feed(core, "s")
    core.outbox.clear()
    core.pool_up("/run/pool-2")
    assert wanted(core) == [("/run/pool-2", 1)]


def test_sessions_that_wait_for_any_worker_are_refused_and_may_try_again() -> None:
    core = a_session_core("s", "t")
    feed(core, "s")
    core.outbox.clear()
    core.pool_refuses(OUT, 1.0)
    assert [message.error for _, message in sent(core, Failed)] == [OUT]

    feed(core, "t")
    assert wanted(core) == [(POOL, 1)], "asked anew"
    core.worker_up(ONE, 2.0)
    assert asked(core) == [ONE]


def test_a_session_that_has_begun_nothing_leaves_a_worker_that_retires() -> None:
    core = a_session_core("s")
    core.worker_up(ONE, 0.0)
    feed(core, "s")
    core.worker_up(TWO, 0.0)
    assert asked(core) == [ONE]
    core.worker_retires(ONE, 1.0)

    assert asked(core) == [TWO]
    core.granted(TWO, 1.0)
    assert [to for to, _ in sent(core, RunBatch)] == [TWO.address]


def test_a_session_that_has_begun_stays_and_new_ones_go_elsewhere() -> None:
    core = a_session_core("s", "t")
    core.worker_up(ONE, 0.0)
    feed(core, "s")
    core.granted(ONE, 0.0)
    ((_, batch),) = sent(core, RunBatch)
    core.worker_up(TWO, 0.0)
    core.worker_retires(ONE, 0.5)
    core.done(ONE.address, batch.number, parcels(), 1.0)
    assert [message.seq for _, message in sent(core, Batch)] == [1]

    feed(core, "s", 2)
    feed(core, "t")
    assert [to for to, _ in sent(core, RunBatch)] == [ONE.address]
    core.granted(TWO, 2.0)
    assert [to for to, _ in sent(core, RunBatch)] == [TWO.address]


def test_news_of_a_worker_that_nobody_knows_does_no_harm() -> None:
    core = a_session_core("s")
    core.worker_retires(ONE, 0.0)
    core.worker_up(ONE, 0.0)
    feed(core, "s")
    assert asked(core) == [ONE]
