"""`Stage`: the actor behind every stage that is not a dispatcher, and the class that plug-ins subclass."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from slither_actors._hooks import check_hooks
from slither_actors._message import message
from slither_actors._validators import check_known
from slither_actors.context import Context
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, Failed, OpenRun, RunOpened, RunRefused
from slither_actors.dispatch.strategy import Strategy
from slither_actors.errors import (
    DefinitionError,
    NotDecodable,
    SlitherError,
    StrategyError,
    TransportError,
)
from slither_actors.item import Item
from slither_actors.logs import about
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ExitReason
from slither_actors.otp.reports import Reports, reports_of
from slither_actors.otp.server import Server, handles
from slither_actors.pipe._handling import singly, together
from slither_actors.pipe._measured_stage_run import new_run
from slither_actors.pipe._stage_plan import ForgetRuns, StagePlan, StageSetting, strategy_of
from slither_actors.pipe._stage_run import RunHalted, StageRun
from slither_actors.pipe._surrender import Surrender, surrendered
from slither_actors.store.access import stores_of_actor
from slither_actors.transport.hub import Unread
from slither_actors.workers.messages import EndSession
from slither_actors.workers.sessions import KeptSession, SessionStates

if TYPE_CHECKING:
    from slither_actors.store.views import ProcessStores

# How long a stage works for one run before it looks what else has come. An item that becomes many may go on for ever.
_TURN_S = 0.01

# A strategy that is late, and gives nothing all the same, is asked again no sooner than this.
_SOONEST_S = 0.001

_HOOKS = {
    "setup": "setup(self, ctx)",
    "handle_item": "handle_item(self, item, ctx)",
    "handle_batch": "handle_batch(self, items, ctx)",
    "teardown": "teardown(self)",
}

_log = logging.getLogger(__name__)


@message
class _GoOn:
    """A note to self: this run has more to do."""

    run: str


@attrs.frozen
class NoOptions:
    """The options of a stage that has none."""


def names_of_options(cls: type[Stage]) -> list[str]:
    """What the `Options` of a stage class can be made with."""
    return [field.alias or field.name for field in attrs.fields(cls.Options)]


class Stage(Server):
    """Base of stages. Override `handle_item` or `handle_batch`, and `setup` and `teardown` where you need them.

    A stage is an actor in a process of its own. It is made once per start of its pipe and serves many runs, also at the
    same time: what hangs on `self` is shared by all of them, `ctx.state` belongs to one, or to one session.
    Made by hand, as `MyStage(**options)`, it touches no process, so its hooks can be called in a plain unit test.

    Options are declared in a nested frozen attrs class `Options` and read as `self.options`.
    """

    Options: ClassVar[type] = NoOptions
    _stores: ProcessStores | None = None
    _reports: Reports | None = None
    _at: StageRun | None = None  # the run that it works for at this moment

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("slither_actors.pipe."):
            return
        for name in ("__init__", "receiveMessage"):
            if name in vars(cls):
                problem = f"it overrides {name}, which belongs to the library"
                raise DefinitionError(f"stage {cls.__name__}", problem, "setup(ctx) prepares; Options holds settings")
        if not attrs.has(cls.Options):
            raise DefinitionError(f"stage {cls.__name__}", "Options is no attrs class", "@attrs.frozen class Options")
        check_hooks(f"stage {cls.__name__}", cls, Stage, _HOOKS, mark="_handled")

    def __init__(self, setting: StageSetting | None = None, /, **options: Any) -> None:
        self._setting = setting
        self._runs: dict[str, StageRun] = {}
        self._pauses: dict[str, Timer] = {}  # of runs that wait before another attempt
        self._sessions = SessionStates()
        self._late: dict[str, Timer] = {}  # of runs with batches that go out at their time, full or not
        self._strategies: dict[str, Strategy] = {}
        self._going_on: set[str] = set()  # runs that have more to do, and a note to self that says so
        self.options: Any = self.make_options(setting.options if setting else options)

    @classmethod
    def make_options(cls, given: dict[str, Any]) -> Any:
        """The checked options.

        Raises:
            InvalidOption: an unknown name; what the validators of `Options` raise comes through.
        """
        check_known(f"stage {cls.__name__}", given, names_of_options(cls))
        return cls.Options(**given)

    # -- what plug-ins override; all of it runs in the stage's process

    def setup(self, ctx: Context) -> None:
        """Called once per start of the process, before the first item. What it raises is a failed start."""

    def handle_item(self, item: Item, ctx: Context) -> Any:
        """Called for each item, unless `handle_batch` is overridden.

        Returns a payload, an `Item`, `Emit`, `RouteTo`, `Drop` or `Fail`. What it raises follows the error policy.
        """
        raise NotImplementedError

    def handle_batch(self, items: Sequence[Item], ctx: Context) -> Sequence[Any]:
        """Called for each batch; returns one answer per item, as `handle_item` does.

        What it raises follows the error policy, for all items of the batch.
        """
        raise NotImplementedError

    def teardown(self) -> None:
        """Called before the process ends, unless it is killed. What it raises is logged."""

    # -- the actor

    def init(self) -> None:
        self._reports = reports_of(self)
        self.life.log_scope.ids = lambda: {} if self._at is None else self._at.plan.context.ids
        self._stores = stores_of_actor(self.life)
        self._sessions = SessionStates(self._stores)
        setting = self._setting
        if setting is not None:
            self._strategies = {name: strategy_of(code.load(), name) for name, code in setting.strategies.items()}
        context = Context(pipe=setting.pipe, stage=setting.name) if setting else Context()
        self.setup(context if self._stores is None else context.bind({}, self._stores.run((), {})))
        self._report()

    def terminate(self, reason: ExitReason) -> None:
        for run_id in list(self._runs):
            self._forget(run_id)
        self.teardown()
        self._report()

    @handles(OpenRun)
    def _on_open(self, message: OpenRun, sender: str) -> None:
        stage = self._setting.name if self._setting else type(self).__name__
        try:
            ticket = message.plan.session
            kept = None if ticket is None else self._sessions.enter("", ticket, Context())
            context = self._bound(message.plan, kept)
            run = new_run(self._reports, message.run, stage, message.plan, self._strategies, context, self._clock)
            self._runs[message.run] = run
        except (NotDecodable, StrategyError) as error:
            self.post(sender, RunRefused(message.run, error))
        else:
            self.post(sender, RunOpened(message.run))

    def _bound(self, plan: StagePlan, kept: KeptSession | None) -> Context:
        """The context of a run in this process."""
        state, views = ({}, {}) if kept is None else (kept.context.state, kept.views)
        stores = None if self._stores is None else self._stores.run_of(plan.context, views)
        return plan.context.open().bind(state, stores)

    @handles(EndSession)
    def _on_end_session(self, message: EndSession, sender: str) -> None:
        self._sessions.end("", message.key)
        self._report()

    @handles(CloseRun)
    def _on_close(self, message: CloseRun, sender: str) -> None:
        self._forget(message.run)

    @handles(ForgetRuns)
    def _on_forget_runs(self, message: ForgetRuns, sender: str) -> None:
        for run_id in list(self._runs):
            self._forget(run_id)

    @handles(Surrender)
    def _on_surrender(self, message: Surrender, sender: str) -> None:
        run = self._runs.get(message.run)
        if run is not None:
            words = surrendered(run, self.name)
            self._report()
            self.post(sender, words)
            self._forget(message.run)

    @handles(_GoOn)
    def _on_go_on(self, message: _GoOn, sender: str) -> None:
        self._going_on.discard(message.run)
        run = self._runs.get(message.run)
        if run is not None:
            self._work(run)

    @handles(Batch)
    def _on_batch(self, message: Batch, sender: str) -> None:
        run = self._runs.get(message.run)
        if run is not None:
            run.batch(message.edge, message.seq, message.parcels)
            self._work(run, sends_first=False)

    @handles(Ask)
    def _on_ask(self, message: Ask, sender: str) -> None:
        run = self._runs.get(message.run)
        if run is not None:
            run.ask(message.edge, message.limit)
            self._work(run)

    @handles(Complete)
    def _on_complete(self, message: Complete, sender: str) -> None:
        run = self._runs.get(message.run)
        if run is not None:
            run.complete(message.edge, message.last_seq)
            self._work(run)

    def _work(self, run: StageRun, *, sends_first: bool = True) -> None:
        """Work for a turn. What is left then comes after whatever has arrived meanwhile. Before that there may be
        something to send, unless all that happened is that a batch came."""
        end = self._clock() + _TURN_S
        self._at = run
        try:
            if sends_first:
                self._flush(run)
            while run.ready:
                if self._clock() > end:
                    if run.id not in self._going_on:
                        self._going_on.add(run.id)
                        self.post(self.address, _GoOn(run.id))
                    return
                items = run.next_batch()
                if items is not None:
                    run.begin(self._handle(run, items))
                while run.step() and self._clock() <= end:
                    pass
                if run.pause_s:
                    self._pauses[run.id] = self.start_timer(run.pause_s, functools.partial(self._resume, run.id))
                self._flush(run)
        except RunHalted as halt:
            self._end(run, halt.error, halt.stage)
        except TransportError as error:  # without its traceback, for the reason in dispatch/_outbox.py
            self._end(run, error.with_traceback(None), finished=False)
        else:
            if run.over:
                self._forget(run.id)
        finally:
            self._at = None

    def _resume(self, run_id: str) -> None:
        """The pause before another attempt is over."""
        del self._pauses[run_id]
        run = self._runs[run_id]
        run.pause_s = 0.0
        self._work(run)

    def _end(self, run: StageRun, error: SlitherError, stage: str | None = None, *, finished: bool = True) -> None:
        """The run ends here, by the fault of `stage` or of this one, with what is finished on its way to the service if
        there is room for it."""
        last_words = run.last_words() if finished else ()
        self._report()
        try:
            self.post(run.plan.sink.consumer, Failed(run.id, stage or run.stage, error, 0, last_words))
        except TransportError:
            if not finished:
                raise
            self._end(run, error, stage, finished=False)
        else:
            self._forget(run.id)

    @handles(Unread)
    def _on_unread(self, message: Unread, sender: str) -> None:
        """For want of memory. What travelled is lost, and somebody waits for it."""
        self._receive_other(message, sender)
        run = self._runs.get(str(message.head[1])) if len(message.head) > 1 else None
        if run is not None:
            self._end(run, NotDecodable("a message of the run", message.error))

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, RunOpened | Batch | Ask | Complete | Failed):  # whoever takes part has left
            self._forget(message.run)

    def _forget(self, run_id: str) -> None:
        run = self._runs.pop(run_id, None)
        for timers in (self._pauses, self._late):
            timer = timers.pop(run_id, None)
            if timer is not None:
                timer.cancel()
        if not self._runs:
            self.rest()
        if run is not None:
            try:
                run.close()
            except BaseException:
                ids = about(**run.plan.context.ids)
                _log.exception("%s: what an item was becoming could not be closed", self.name, extra=ids)
            self._report()

    def _handle(self, run: StageRun, items: list[Item]) -> Iterator[float]:
        """Handles items; yields, behind each and before each further attempt, how many seconds to wait then."""
        if type(self).handle_batch is not Stage.handle_batch:
            return together(self.handle_batch, f"{type(self).__name__}.handle_batch", run, items)
        return singly(self.handle_item, run, items)

    def _report(self) -> None:
        """Events come before the news of what they are a part of."""
        if self._stores is not None:
            self._stores.report()

    def _flush(self, run: StageRun) -> None:
        self._report()
        for address, news in run.flush():
            self.post(address, news)
        if self._strategies or run.plan.keeps_ids:
            self._watch_time(run)

    def _watch_time(self, run: StageRun) -> None:
        timer = self._late.pop(run.id, None)
        if timer is not None:
            timer.cancel()
        due_s = run.due_s
        if due_s is not None:
            self._late[run.id] = self.start_timer(max(due_s, _SOONEST_S), functools.partial(self._on_late, run.id))

    def _on_late(self, run_id: str) -> None:
        """A batch that is not full has waited long enough."""
        del self._late[run_id]
        self._work(self._runs[run_id])
