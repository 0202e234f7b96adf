"""A balancer's decisions, without an actor, a socket or a clock.

Events come in as method calls; what has to be sent collects in `outbox` as (address, message).
"""

from __future__ import annotations

import math

import attrs

from slither_actors.dispatch._token_bucket import RateTicket, TokenBucket
from slither_actors.dispatch.messages import (
    Ask,
    Batch,
    CloseRun,
    Complete,
    Failed,
    OpenRun,
    RunOpened,
    RunRefused,
    Surrender,
    Surrendered,
)
from slither_actors.errors import SlitherError, StageDown
from slither_actors.otp.ref import Ref
from slither_actors.pipe._balance_plan import BalancePlan
from slither_actors.pipe._balance_run import BalanceRun, Message, Replica
from slither_actors.pipe._stage_plan import ForgetRuns

# At a rate at which items come thicker than this they go in pieces of as many as come meanwhile.
_STEP_S = 0.01

# How long replicas have to say what is finished, of a run for which there is no time left. Less than the service waits.
SURRENDER_S = 0.25


@attrs.define
class _Surrender:
    """A run that is being given up: who wants to know, until when replicas are waited for, and what they say."""

    to: str
    until: float
    silent: set[str]
    words: list[tuple[str, tuple[Batch, ...]]] = attrs.field(factory=list)


class BalanceCore:
    """All runs of one balancer.

    Args:
        stage: how errors call the stage.
        name: of the balancer's process.
        address: of it.
    """

    def __init__(self, stage: str, name: str, address: str) -> None:
        self.outbox: list[Message] = []
        self.earliest = math.inf  # when there is something to do though nothing happens
        self._stage = stage
        self._name = name
        self._address = address
        self._replicas: dict[int, Replica] = {}
        self._runs: dict[str, BalanceRun] = {}
        self._surrenders: dict[str, _Surrender] = {}
        self._bucket: TokenBucket | None = None
        self._turn = 0

    @property
    def runs(self) -> dict[str, BalanceRun]:
        return self._runs

    # -- replicas

    def replica_up(self, number: int, ref: Ref) -> None:
        """It may have worked for another balancer before this one."""
        replica = self._replicas[number] = Replica(number, ref)
        self.outbox.append((ref.address, ForgetRuns()))
        for run in self._runs.values():
            if not run.fed:
                self._open_at(run, replica)

    def replica_down(self, ref: Ref, exit_text: str, now: float) -> None:
        """Runs that had given it something are over, since what it had and its state are lost; others go on."""
        replica = next((one for one in self._replicas.values() if one.ref == ref), None)
        if replica is None:
            return
        del self._replicas[replica.number]
        for run in list(self._runs.values()):
            if (surrender := self._surrenders.get(run.id)) is not None:
                self._has_spoken(run, surrender, ref.address, now)
            elif run.stand_up(replica):
                self._halt(run, StageDown(ref.name, exit_text), self._stage, now)
            else:
                self._flush(run, now)

    # -- the begin and the end of runs

    def open_run(self, run_id: str, plan: BalancePlan, opener: str, now: float) -> None:
        if plan.rate is not None:
            self.set_rate(plan.rate, now)
        run = self._runs[run_id] = BalanceRun(run_id, plan, self._address, opener)
        for replica in self._replicas.values():
            self._open_at(run, replica)

    def _open_at(self, run: BalanceRun, replica: Replica) -> None:
        seat = run.sit_down(replica)
        self.outbox.append((seat.address, OpenRun(run.id, seat.plan)))

    def opened(self, run_id: str, replica: str, now: float) -> None:
        run = self._runs.get(run_id)
        seat = run.seat_at(replica) if run is not None else None
        if run is None or seat is None:
            return
        seat.opened = True
        if run.opener is not None and run.ready:
            self.outbox.append((run.opener, RunOpened(run_id)))
            run.opener = None
        self._flush(run, now)
        self._assign(now)

    def refused(self, run_id: str, error: SlitherError, now: float) -> None:
        """A replica cannot take part."""
        run = self._runs.get(run_id)
        if run is not None and run.opener is not None:
            self.outbox.append((run.opener, RunRefused(run_id, error)))
            self.close_run(run_id, now)
        elif run is not None:
            self._halt(run, error, self._stage, now)

    def close_run(self, run_id: str, now: float) -> None:
        """The run is over for whoever asked."""
        run = self._runs.pop(run_id, None)
        self._surrenders.pop(run_id, None)
        if run is not None:
            for seat in run.seats.values():
                seat.leave()
                self.outbox.append((seat.address, CloseRun(run_id)))
            self._assign(now)

    def _halt(
        self,
        run: BalanceRun,
        error: SlitherError,
        stage: str | None,
        now: float,
        finished: tuple[tuple[str, tuple[Batch, ...]], ...] = (),
    ) -> None:
        failed = Failed(run.id, stage, error, 0, run.last_words(finished))
        self.outbox.append((run.plan.sink.consumer, failed))
        self.close_run(run.id, now)

    # -- what comes along edges

    def batch(self, message: Batch, sender: str, now: float) -> None:
        run = self._runs.get(message.run)
        if run is None:
            return
        if not run.plan.owns(message.edge):
            run.batch(message.edge, message.seq, message.parcels)
        elif (seat := run.seat_at(sender)) is not None:
            run.made(seat, message)
        self._go_on(run, now)

    def ask(self, message: Ask, sender: str, now: float) -> None:
        run = self._runs.get(message.run)
        if run is None:
            return
        if not run.plan.owns(message.edge):
            for out in run.edges:
                if out.port.edge == message.edge:
                    out.ask(message.limit)
        elif (seat := run.seat_at(sender)) is not None:
            run.settle(seat, message.edge, message.limit, now)
        self._go_on(run, now)

    def complete(self, message: Complete, sender: str, now: float) -> None:
        run = self._runs.get(message.run)
        if run is None:
            return
        if not run.plan.owns(message.edge):
            run.inputs[message.edge].last_seq = message.last_seq
        elif (seat := run.seat_at(sender)) is not None:
            seat.outs[message.edge][0].last_seq = message.last_seq
        self._go_on(run, now)

    def failed(self, message: Failed, sender: str, now: float) -> None:
        """A replica has halted the run."""
        run = self._runs.get(message.run)
        if run is not None:
            self._halt(run, message.error, message.stage, now, ((sender, message.finished),))

    def lost(self, run_id: str, error: SlitherError, now: float) -> None:
        """Something of a run did not arrive here."""
        run = self._runs.get(run_id)
        if run is not None:
            self._halt(run, error, self._stage, now)

    def not_sent(self, to: str, message: object, error: SlitherError, now: float) -> None:
        """The transport did not take a message, since too much waits for its receiver. The run that it belongs to is
        over, and no other one.

        Raises:
            TransportError: it belongs to no run, or is the word of its end.
        """
        if isinstance(message, Failed) and message.finished:  # the word without the results then
            self.outbox.append((to, Failed(message.run, message.stage, message.error, 0, ())))
        elif not isinstance(message, Batch | Ask | Complete):
            raise error
        elif (run := self._runs.get(message.run)) is not None:
            self.outbox.append((run.plan.sink.consumer, Failed(run.id, self._stage, error, 0, ())))
            self.close_run(run.id, now)

    def undelivered(self, message: Batch | Ask | Complete | Failed, now: float) -> None:
        """Whoever takes part has left the run without a word. The end of a replica is told, with its reason."""
        run = self._runs.get(message.run)
        if run is not None and (isinstance(message, Failed) or not run.plan.owns(message.edge)):
            self.close_run(message.run, now)

    # -- the end of a run for which there is no time left

    def surrender(self, run_id: str, to: str, now: float) -> None:
        run = self._runs.get(run_id)
        if run is None:
            self.outbox.append((to, Surrendered(run_id, (), ())))
            return
        silent = {seat.address for seat in run.seats.values() if seat.opened and not seat.done}
        surrender = self._surrenders[run_id] = _Surrender(to, now + SURRENDER_S, silent)
        self.outbox.extend((address, Surrender(run_id)) for address in sorted(silent))
        self._has_spoken(run, surrender, None, now)

    def surrendered(self, message: Surrendered, sender: str, now: float) -> None:
        """A replica has given up the run."""
        run, surrender = self._runs.get(message.run), self._surrenders.get(message.run)
        if run is not None and surrender is not None:
            surrender.words.append((sender, message.finished))
            self._has_spoken(run, surrender, sender, now)

    def _has_spoken(self, run: BalanceRun, surrender: _Surrender, replica: str | None, now: float) -> None:
        if replica is not None:
            surrender.silent.discard(replica)
        if surrender.silent and now < surrender.until:
            self.earliest = min(self.earliest, surrender.until)
            return
        held = tuple(run.held(self._name))
        self.outbox.append((surrender.to, Surrendered(run.id, held, run.last_words(surrender.words))))
        self.close_run(run.id, now)

    # -- time and rates

    def set_rate(self, ticket: RateTicket, now: float) -> None:
        """This limit holds from now on, unless a newer one was told already."""
        if self._bucket is None:
            self._bucket = TokenBucket(ticket)
        elif self._bucket.change(ticket, now):
            self._assign(now)

    def expire(self, now: float) -> None:
        """Do what is due. To be called at `earliest`."""
        self.earliest = math.inf
        for run in list(self._runs.values()):
            if (surrender := self._surrenders.get(run.id)) is not None:
                self._has_spoken(run, surrender, None, now)
            elif run.filling:
                run.let_go(now)
                self._flush(run, now)
        self._assign(now)

    # -- who is next

    def _go_on(self, run: BalanceRun, now: float) -> None:
        self._flush(run, now)
        self._assign(now)

    def _assign(self, now: float) -> None:
        """Give replicas what waits, one run after the other in turn."""
        progress = True
        while progress:
            progress = False
            for run in list(self._runs.values()):
                following = run.next_piece() if run.id not in self._surrenders else None
                if following is None:
                    continue
                items = self._allowed(following[1], now)
                if not items:
                    return
                self._turn += 1
                self.outbox.append(run.give(following[0], items, self._turn, now))
                progress = True
                if len(self._runs) > 1:  # to the end of the line
                    self._runs[run.id] = self._runs.pop(run.id)

    def _allowed(self, items: int, now: float) -> int:
        """How many of so many may go now, by the rate limit; they are counted as gone."""
        if self._bucket is None:
            return items
        ticket = self._bucket.ticket
        step = min(items, ticket.burst, max(1, math.floor(min(ticket.per_second * _STEP_S, ticket.burst))))
        allowed_at = self._bucket.allowed_at(step)
        if allowed_at > now:
            self.earliest = min(self.earliest, allowed_at)
            return 0
        allowed = self._bucket.allowed(items, now)
        self._bucket.take(allowed, now)
        return allowed

    def _flush(self, run: BalanceRun, now: float) -> None:
        """Send what credit allows; a run whose last word is sent is forgotten."""
        self.outbox.extend(run.flush())
        if run.filling:
            self.earliest = min(self.earliest, run.due(now))
        if run.over and run.id not in self._surrenders:
            del self._runs[run.id]
