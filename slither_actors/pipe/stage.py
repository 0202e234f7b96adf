"""`Stage`: the actor behind every stage that is not a dispatcher, and the class that plug-ins subclass."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import attrs

from slither_actors._message import message
from slither_actors._validators import check_known
from slither_actors.context import Context
from slither_actors.dispatch.messages import Ask, Batch, CloseRun, Complete, Failed, OpenRun, RunOpened, RunRefused
from slither_actors.errors import DefinitionError, NotDecodable, ResultCountMismatch, SlitherError, TransportError
from slither_actors.item import Item
from slither_actors.otp._timers import Timer
from slither_actors.otp.child import ExitReason
from slither_actors.otp.server import Server, handles
from slither_actors.pipe._stage_plan import StageSetting
from slither_actors.pipe._stage_run import RunHalted, StageRun
from slither_actors.policy import Verdict
from slither_actors.workers.executor import item_error
from slither_actors.workers.messages import EndSession
from slither_actors.workers.sessions import SessionStates

# How long a stage works for one run before it looks what else has come. An item that becomes many may go on for ever.
_TURN_S = 0.01

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

    def __init__(self, setting: StageSetting | None = None, /, **options: Any) -> None:
        self._setting = setting
        self._runs: dict[str, StageRun] = {}
        self._pauses: dict[str, Timer] = {}  # of runs that wait before another attempt
        self._sessions = SessionStates()
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
        setting = self._setting
        self.setup(Context(pipe=setting.pipe, stage=setting.name) if setting else Context())

    def terminate(self, reason: ExitReason) -> None:
        for run_id in list(self._runs):
            self._forget(run_id)
        self.teardown()

    @handles(OpenRun)
    def _on_open(self, message: OpenRun, sender: str) -> None:
        stage = self._setting.name if self._setting else type(self).__name__
        try:
            ticket = message.plan.session
            state = None if ticket is None else self._sessions.enter("", ticket, Context())
            self._runs[message.run] = StageRun(message.run, stage, message.plan, state)
        except NotDecodable as error:
            self.post(sender, RunRefused(message.run, error))
        else:
            self.post(sender, RunOpened(message.run))

    @handles(EndSession)
    def _on_end_session(self, message: EndSession, sender: str) -> None:
        self._sessions.end("", message.key)

    @handles(CloseRun)
    def _on_close(self, message: CloseRun, sender: str) -> None:
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
            self._work(run)

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

    def _work(self, run: StageRun) -> None:
        """Work for a turn. What is left then comes after whatever has arrived meanwhile."""
        end = self._clock() + _TURN_S
        try:
            self._send_all(run.flush())
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
                self._send_all(run.flush())
        except RunHalted as halt:
            self._end(run, halt.error, halt.stage)
        except TransportError as error:  # without its traceback, for the reason in dispatch/_outbox.py
            self._end(run, error.with_traceback(None), finished=False)
        else:
            if run.over:
                self._forget(run.id)

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
        try:
            self.post(run.plan.sink.consumer, Failed(run.id, stage or run.stage, error, 0, last_words))
        except TransportError:
            if not finished:
                raise
            self._end(run, error, stage, finished=False)
        else:
            self._forget(run.id)

    def handle_undelivered(self, message: Any, to: str) -> None:
        if isinstance(message, Batch | Ask | Complete | Failed):  # whoever takes part has left the run without a word
            self._forget(message.run)

    def _forget(self, run_id: str) -> None:
        run = self._runs.pop(run_id, None)
        pause = self._pauses.pop(run_id, None)
        if pause is not None:
            pause.cancel()
        if not self._runs:
            self.rest()
        if run is not None:
            try:
                run.close()
            except BaseException:
                _log.exception("%s: what an item was becoming could not be closed", self.name)

    def _handle(self, run: StageRun, items: list[Item]) -> Iterator[float]:
        """Handles items; yields, behind each and before each further attempt, how many seconds to wait then."""
        if type(self).handle_batch is not Stage.handle_batch:
            if items:
                yield from self._handle_together(run, items)
            return
        for item in items:
            attempts = 1
            while self._handle_one(run, item, attempts) is Verdict.RETRY:
                yield run.pause_after(attempts)
                attempts += 1
            yield 0.0

    def _handle_one(self, run: StageRun, item: Item, attempts: int) -> Verdict | None:
        try:
            answer = self.handle_item(item, run.context)
        except BaseException as error:
            return run.failure([item], item_error(error), attempts)
        return run.outcome(item, answer, attempts)

    def _handle_together(self, run: StageRun, items: list[Item]) -> Iterator[float]:
        """The same in one call, and in further ones as the policy says."""
        todo: deque[tuple[list[Item], list[Any] | None, int]] = deque([(items, None, 1)])
        while todo:
            part, answers, attempts = todo.popleft()
            decision = None
            if answers is None:
                try:
                    answers = self._answers(run, part)
                except BaseException as error:
                    decision = run.failure(part, item_error(error), attempts)
            if decision is Verdict.SPLIT:
                half = len(part) // 2
                todo.extendleft([(part[half:], None, 1), (part[:half], None, 1)])
            elif decision is Verdict.RETRY:
                todo.appendleft((part, None, attempts + 1))
            if answers is None:
                yield run.pause_after(attempts) if decision is Verdict.RETRY else 0.0
                continue
            for done, (item, answer) in enumerate(zip(part, answers, strict=True), 1):
                if run.outcome(item, answer, attempts) is Verdict.RETRY:
                    todo.extendleft([(part[done:], answers[done:], attempts), ([item], None, attempts + 1)])
                    yield run.pause_after(attempts)
                    break
                yield 0.0

    def _answers(self, run: StageRun, items: list[Item]) -> list[Any]:
        answers = list(self.handle_batch(list(items), run.context))  # it may use its list up, and we still need ours
        if len(answers) != len(items):
            raise ResultCountMismatch(f"{type(self).__name__}.handle_batch", len(items), len(answers))
        return answers

    def _send_all(self, messages: list[tuple[str, Any]]) -> None:
        for address, news in messages:
            self.post(address, news)
