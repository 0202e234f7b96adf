"""The supervisor of the workers of one pool: restarts, and on top of them recycling, resizing and quarantine."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from slither_actors._record import record
from slither_actors.errors import PoolQuarantined, StartError
from slither_actors.logs import about
from slither_actors.otp import _actions as act
from slither_actors.otp._children import Process
from slither_actors.otp._inquest import Work
from slither_actors.otp.child import ChildSpec, ExitReason, SupervisorOptions, last_line
from slither_actors.otp.ref import Ref
from slither_actors.otp.server import LATER, Caller, handles
from slither_actors.otp.supervisor import Supervisor
from slither_actors.workers._page import Figures, read, resident_bytes, running, take_last, work_of
from slither_actors.workers._reported import WorkerEvents
from slither_actors.workers._staff import Hire, Order, Staff, confined
from slither_actors.workers.messages import (
    CountWorkers,
    ListWorkers,
    ResizePool,
    Staffing,
    WatchStaff,
    WorkerEmpty,
)
from slither_actors.workers.quarantine import CrashBook, Quarantine
from slither_actors.workers.recycle import Limits, Recycle

# How often workers are looked at, where some may be worn out.
LOOK_S = 0.5

# After a successor that did not start, nothing is recycled for so long.
_SECOND_TRY_S = 10.0

_log = logging.getLogger(__name__)


@attrs.frozen
class StaffOptions:
    """What the supervisor is told of its pool, beside its first workers."""

    pool: str
    recycle: Recycle | None = None
    quarantine: Quarantine | None = None


@record
class _Ticket:
    """The core's token for what this supervisor wants itself: the order, and whether its worker is to be forgotten."""

    order: Order
    forgets: bool = False


@attrs.define
class _Growth:
    caller: Caller
    error: StartError | None = None


class WorkerSupervisor(Supervisor):
    """Supervises the workers of one pool. A worker that dies under a batch is the batch's fault: it is restarted, and
    the restart budget stays as it was.

    Args:
        options: strategy, restart budget.
        specs: the first workers, all alike.
        plan: what else the pool is.
    """

    def __init__(self, options: SupervisorOptions, specs: Iterable[ChildSpec], plan: StaffOptions) -> None:
        specs = tuple(specs)
        super().__init__(options, specs)
        self._options = options
        self._pool_plan = plan
        self._model = specs[0]
        self._size = len(specs)
        self._staff = Staff("worker", 0)
        self._crashes = CrashBook(plan.quarantine) if plan.quarantine is not None else None
        self._events = WorkerEvents(self, plan.pool)
        self._pool: str | None = None
        self._watching = 0  # its incarnation
        self._told_pool: tuple[Any, ...] | None = None
        self._since: dict[str, float] = {}  # by id: when it came up
        self._limits: dict[str, Limits] = {}
        self._restarts = 0
        self._last_death = ""
        self._not_before = 0.0
        self._resizes: deque[tuple[int, Caller]] = deque()
        self._growth: _Growth | None = None

    def init(self) -> Any:
        # an earlier incarnation may have been resized
        with contextlib.suppress(OSError, ValueError):
            self._size = int(self._size_file.read_text())
        self._staff = Staff("worker", self._size, self._makes_room)
        specs = [attrs.evolve(self._model, id=worker) for worker in self._staff.ids]
        if self._pool_plan.recycle is not None:
            self.start_timer(LOOK_S, self._look)
        return self._options, specs

    @property
    def _size_file(self) -> Path:
        return Path(self.life.surroundings.directory, f"{self._pool_plan.pool}.size")

    # -- deaths and restarts

    def last_work(self, ref: Ref) -> Work:
        return work_of(self.surroundings.directory, ref.pid)

    def autopsy(self, ref: Ref) -> int:
        return take_last(self.surroundings.directory, ref.pid)

    def at_work(self, ref: Ref) -> int:
        return running(self.surroundings.directory, ref.pid)

    def charges(self, ref: Ref | None, reason: ExitReason, finding: Any) -> bool:
        return not finding

    def child_up(self, ref: Ref, info: Any) -> None:
        worker = _id(ref)
        self._events.up(ref, self._find(ref.name, ref.incarnation))
        self._restarts += worker in self._since
        self._since[worker] = time.monotonic()
        if self._pool_plan.recycle is not None:
            self._limits[worker] = self._pool_plan.recycle.limits(random.random())
        self._follow(self._staff.up(worker))
        self._end_growth()
        self._tell_pool()

    def child_down(self, process: Process, reason: ExitReason) -> None:
        self._events.down(process, reason, self._page(process.ref).batches if process.ref else 0)

    def _bury(self, process: Process) -> None:
        if process.ref is not None:
            self._follow(self._staff.down(process.spec.id))  # one that retires is not to be restarted
        super()._bury(process)
        self._tell_pool()

    def uncharged_s(self, worker: str, reason: ExitReason, now: float) -> float | None:
        if self._crashes is None:
            return None
        self._last_death = self._told_of(worker, reason)
        pause_s = self._crashes.died(worker, now)
        if pause_s:
            name = self._child_name(worker)
            text = "%s is in quarantine for %g s, since it keeps dying: %s"
            _log.warning(text, name, pause_s, self._last_death, extra=about(child=name, pool=self._pool_plan.pool))
            self._events.quarantined(name, pause_s, last_line(reason))
            for delay_s in (0.0, pause_s):
                self.start_timer(delay_s, self._tell_pool)
        return pause_s

    # -- who comes and goes

    def _follow(self, orders: Iterable[Order]) -> None:
        for order in orders:
            now = time.monotonic()
            if isinstance(order, Hire):
                spec = attrs.evolve(self._model, id=order.worker)
                self._act(self._core.start_child(spec, now, _Ticket(order)))
            else:
                self._act(self._core.terminate_child(order.worker, now, _Ticket(order)))

    def _do_reply(self, action: act.Reply) -> None:
        ticket = action.token
        if isinstance(ticket, _Ticket):  # behind what the core wants done beside it
            self.start_timer(0.0, lambda: self._answered(ticket, action.error))
        else:
            Supervisor._do_reply(self, action)

    _ACTIONS = {**Supervisor._ACTIONS, act.Reply: _do_reply}  # noqa: RUF012 - a table, never changed

    def _answered(self, ticket: _Ticket, error: act.ApiError | ExitReason | None) -> None:
        order = ticket.order
        if error is act.ApiError.SHUTDOWN:
            return
        if isinstance(order, Hire):
            if error is not None:
                self._not_hired(order.worker, error)
        elif ticket.forgets:
            self._staff.gone(order.worker)
            self._since.pop(order.worker, None)
            self._limits.pop(order.worker, None)
            if self._crashes is not None:
                self._crashes.forget(order.worker)
        else:
            self._act(self._core.delete_child(order.worker, _Ticket(order, True)))
        self._tell_pool()

    def _not_hired(self, worker: str, error: act.ApiError | ExitReason) -> None:
        text = error.text or error.kind if isinstance(error, ExitReason) else error.value
        name, ids = self._child_name(worker), about(child=self._child_name(worker), pool=self._pool_plan.pool)
        _log.warning("%s did not start: %s", name, text.strip().rpartition("\n")[2], extra=ids)
        self._not_before = time.monotonic() + _SECOND_TRY_S
        if self._growth is not None:
            self._growth.error = self._growth.error or StartError(self._child_name(worker), text)
        self._follow(self._staff.not_started(worker))
        self._end_growth()

    @handles(WorkerEmpty)
    def _on_empty(self, message: WorkerEmpty, sender: str) -> None:
        if message.worker in self.refs():
            self._follow(self._staff.empty(_id(message.worker)))

    # -- recycling

    def _look(self) -> None:
        """Replace a worker that is worn out, if none is being replaced."""
        self.start_timer(LOOK_S, self._look)
        now = time.monotonic()
        if any(_id(ref) == self._staff.awaited and self._page(ref).sessions for ref in self.refs()):
            # one began there just before, and may live for long; its worker serves it alone
            self._staff.await_no_longer()
        if not self._staff.may_recycle or now < self._not_before:
            return
        for worker, why in self._worn(now):
            name = self._child_name(worker)
            _log.info("%s is to be recycled: %s", name, why, extra=about(child=name, pool=self._pool_plan.pool))
            self._events.recycled(name, why)
            self._follow(self._staff.recycle(worker))
            return

    def _worn(self, now: float) -> Iterator[tuple[str, str]]:
        """Those that are to be recycled, and why."""
        serving = set(self._staff.serving)
        for ref in self.refs():
            why = self._why_worn(ref, now) if _id(ref) in serving else ""
            if why:
                yield _id(ref), why

    def _makes_room(self, worn: str) -> str:
        # a session may have begun in it while its successor was made ready
        others = [worker for worker, _ in self._worn(time.monotonic())]
        return worn if worn in others else next(iter(others), "")

    def _why_worn(self, ref: Ref, now: float) -> str:
        """Why a worker is worn out; empty if it is not, or if a session lives in it that would be lost."""
        figures, limits = self._page(ref), self._limits[_id(ref)]
        if figures.sessions:
            return ""
        rss_bytes = 0 if limits.rss_bytes is None else resident_bytes(ref.pid)
        return limits.worn(figures.batches, now - self._since[_id(ref)], rss_bytes)

    def _page(self, ref: Ref) -> Figures:
        return read(self.surroundings.directory, ref.pid)

    # -- resizing

    def _next_resize(self) -> None:
        while self._resizes and self._growth is None:
            size, caller = self._resizes.popleft()
            figures = {_id(ref): self._page(ref) for ref in self.refs()}

            def burden(worker: str, known: dict[str, Figures] = figures) -> int:
                return known[worker].sessions * 2 + bool(known[worker].number) if worker in known else 0

            self._growth = _Growth(caller)
            self._follow(self._staff.resize(size, burden))
            self._end_growth()
        self._tell_pool()

    def _end_growth(self) -> None:
        growth = self._growth
        if growth is not None and not self._staff.is_growing:
            self._growth = None
            if self._staff.size != self._size:
                self._size = self._staff.size
                with contextlib.suppress(
                    OSError
                ):  # of a full disk: then the next incarnation begins with the first size
                    self._size_file.write_text(str(self._size))
            self.reply(growth.caller, error=growth.error)
            self._next_resize()

    # -- who wants to know

    def handle_call(self, request: Any, caller: Caller) -> Any:
        if isinstance(request, ResizePool):
            self._resizes.append((request.size, caller))
            self._next_resize()
            return LATER
        if isinstance(request, ListWorkers):
            return self._listed()
        if isinstance(request, CountWorkers):
            return self._figures()
        return super().handle_call(request, caller)

    @handles(WatchStaff)
    def _on_watch(self, message: WatchStaff, sender: str) -> None:
        if message.incarnation >= self._watching:
            self._watching, self._pool, self._told_pool = message.incarnation, sender, None
            self._tell_pool()

    def _tell_pool(self) -> None:
        going = set(self._staff.retiring)
        retiring = tuple(ref for ref in self.refs() if _id(ref) in going)
        missed = tuple(self._child_name(worker) for worker in sorted(self._confined()))
        refusal = self._refusal()
        news = retiring, missed, refusal is None
        if self._pool is not None and news != self._told_pool:
            self._told_pool = news
            self.post(self._pool, Staffing(retiring, missed, refusal))

    def _confined(self) -> frozenset[str]:
        return frozenset() if self._crashes is None else self._crashes.confined(time.monotonic())

    def _refusal(self) -> PoolQuarantined | None:
        if not confined(self._staff, self._confined()):
            return None
        return PoolQuarantined(self._pool_plan.pool, len(self._staff.serving), self._last_death)

    def _listed(self) -> tuple[tuple[Ref, ...], tuple[str, ...]]:
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        serving = set(self._staff.serving)
        refs = sorted((ref for ref in self.refs() if _id(ref) in serving), key=lambda ref: (len(ref.name), ref.name))
        return tuple(refs), tuple(map(self._child_name, serving - self._confined()))

    def _figures(self) -> dict[str, int]:
        staff = self._staff
        return {
            "size": staff.size,
            "up": len(self.refs()),
            "restarts": self._restarts,
            "recycled": staff.recycled,
            "retiring": len(staff.retiring),
            "quarantined": len(self._confined().intersection(staff.serving)),
        }


def _id(ref: Ref) -> str:
    return ref.name.rpartition("/")[2]
