"""What a dispatcher does with batches while a worker that it had is being restarted."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch._core import DispatchCore
from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch.messages import Batch, InPort, OutPort
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.item import Item
from slither_actors.otp.ref import Ref
from slither_actors.workers.messages import LeaseRequest, RunBatch
from slither_actors.workers.parcel import pack_items

ONE, TWO = (Ref(f"workers/worker-{number}", 1, f"/run/w{number}", 1000 + number) for number in (1, 2))
SERVICE, POOL = "/run/service", "/run/pool"


def begun() -> DispatchCore:
    """Two workers, each with one batch of the run "r" in work; the pool has said that nothing more comes."""
    core = DispatchCore()
    core.pool_up(POOL)
    out = OutPort(2, SERVICE, 8, 1)
    options = DispatchOptions(batch_size=1, on_error="skip")
    core.open_run("r", DispatchPlan((InPort(1, SERVICE, 8),), out, out, None, options))  # type: ignore[arg-type]
    feed(core, 1)
    core.granted(ONE, 0.0)
    feed(core, 2)
    core.granted(TWO, 0.0)
    core.answered(options.max_in_flight, 0.0)
    core.outbox.clear()
    return core


def feed(core: DispatchCore, number: int) -> None:
    core.batch("r", Batch("r", 1, number, (pack_items([Item.wrap(number)]),), ()), 0.0)


def sent(core: DispatchCore, kind: type) -> list[tuple[str, Any]]:
    found = [(to, message) for to, message in core.outbox if isinstance(message, kind)]
    core.outbox.clear()
    return found


def test_with_all_workers_up_the_next_batch_waits_at_a_busy_one() -> None:
    core = begun()
    feed(core, 3)
    assert [to for to, _ in sent(core, RunBatch)] == [ONE.address]


def test_nothing_is_put_behind_a_busy_worker_while_a_lost_one_comes_back() -> None:
    """Else it would wait for as long as the busy one takes, with an idle one beside it."""
    core = begun()
    core.worker_down(ONE, 0, "SIGKILL", 1.0)
    ((to, request),) = sent(core, LeaseRequest)
    assert (to, request.want, request.lost) == (POOL, 8, ONE)
    feed(core, 3)
    assert sent(core, RunBatch) == []

    back = Ref(ONE.name, 2, "/run/w3", 1003)
    core.granted(back, 2.0)
    assert [to for to, _ in sent(core, RunBatch)] == [back.address], "the batch of the dead one, which had not begun"
    core.answered(8, 2.0)
    assert len(sent(core, RunBatch)) == 1, "all are back: the third waits behind another"


def test_the_loss_of_a_worker_that_was_not_leased_asks_for_nothing() -> None:
    core = begun()
    core.worker_down(Ref("workers/worker-3", 1, "/run/w9", 1009), 0, "SIGKILL", 1.0)
    assert not core.outbox
