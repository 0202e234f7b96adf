"""The part of the handle of a system that starts pipes, changes them and stops them."""

from __future__ import annotations

import time
from collections.abc import Callable

from slither_actors import telemetry
from slither_actors._keywords import known_keywords
from slither_actors._validators import check_bool
from slither_actors.config import Config
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._former import Former
from slither_actors.dispatch._run_events import RunEvents
from slither_actors.dispatch.drain import DrainReport
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.run import Run
from slither_actors.dispatch.source import Source
from slither_actors.dispatch.strategy import FixedBatch
from slither_actors.pipe._per_item import PerItem
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.rate import AnyRate
from slither_actors.system._feeder import Feeder, Ledger
from slither_actors.system._feeders import Feed
from slither_actors.system._pipe_checks import checked
from slither_actors.system._runs import loss_by
from slither_actors.system._submissions import Submissions
from slither_actors.system.client import Client
from slither_actors.system.pipes import Pipes
from slither_actors.system.started import SESSION_IDLE_S, FeedOptions, StartedPipe


class PipeCalls:
    """Pipes of a system, started and stopped."""

    name: str
    config: Config
    _client: Client
    _pipes: Pipes
    _run_id: Callable[[], str]

    @known_keywords
    def start_pipe(
        self,
        pipe: type[Pipe],
        *,
        max_queued: int = 1000,
        max_wait_s: float = 0.01,
        idle_stop_s: float | None = None,
    ) -> StartedPipe:
        """Start the processes of a pipe and keep them running between runs.

        Args:
            pipe: the pipe class.
            max_queued: items that may wait until the pipe takes them, of those that are submitted.
            max_wait_s: seconds that one of them may wait for others, so that a worker stage gets a full batch; what the
                stage's own strategy says comes first.
            idle_stop_s: seconds without a run after which the pipe is stopped, to start again with the next one;
                never by default. Where several calls say something else, the longest holds.

        Returns:
            A handle, to which items can be submitted one by one. Each call gives one of its own, all with the same
            processes.

        Raises:
            StartError: a stage did not start; the error says which and why.
            InvalidOption: an option is not allowed. SystemDown: the system is stopped, or gave up.
        """
        self._client.check_admission()
        checked(pipe)
        options = FeedOptions(max_queued=max_queued, max_wait_s=max_wait_s, idle_stop_s=idle_stop_s)
        self._pipes.start(pipe, idle_stop_s)
        ledger = Ledger()
        return StartedPipe(
            self._client, self._pipes, pipe, lambda session_id: self._feeder(pipe, options, ledger, session_id), ledger
        )

    @known_keywords
    def stop_pipe(self, pipe: type[Pipe], drain: bool = True, *, timeout_s: float = 30.0) -> DrainReport:
        """Stop the processes of a pipe, and say what became of its runs. A run that begins from now on starts it anew;
        one that is not over in time ends with a `PipeError` whose reason is `StageDown`.

        Args:
            pipe: the pipe class.
            drain: let what open runs have read, and what was submitted, come to its end first, as `stop` does.
            timeout_s: how many seconds that may take.

        Raises:
            InvalidOption: `drain` is no bool, or `timeout_s` no time. SystemDown: the system is stopped, or gave up.
        """
        self._client.check_process()
        check_bool("stop_pipe", "drain", drain)
        return self._pipes.stop(pipe, timeout_s if drain else 0.0)

    @known_keywords
    def set_rate(self, pipe: type[Pipe], stage: str, rate: AnyRate | None) -> None:
        """Change the rate limit of a stage, also while runs go through it. It holds for all runs of this system from
        when this returns, and until it is changed again or the system ends, also if the pipe is stopped meanwhile.

        Args:
            pipe: the pipe class.
            stage: name of a stage that declares a `rate`.
            rate: items per second, or a `Rate`; `None` for no limit.

        Raises:
            InvalidOption: the stage has no rate, or could not have this one.
        """
        self._client.check_admission()
        self._pipes.set_rate(pipe, stage, rate)

    def _feeder(self, pipe: PipeType, options: FeedOptions, ledger: Ledger, session_id: str | None) -> Feeder:
        config, pipes, run_ids, system = self.config.dispatch, self._pipes, self._run_id, self.name
        per_item = PerItem.of(pipe.definition, config.default_on_error)
        definition, entry = per_item.definition, per_item.definition.stages[0]
        feed = Feed(definition, options.max_wait_s, options.idle_stop_s)
        takes_batches = isinstance(entry.declaration, WorkerDeclaration)
        size = definition.dispatch_options(entry, config).size if takes_batches else 0

        def open_run(source: Source, log: EndLog) -> Run:
            run_id = run_ids()
            context = SealedContext.of(Context(definition.name, None, session_id or run_id, run_id), definition.stores)
            events = RunEvents(telemetry.PIPE_RUN, {"system": system, "run": run_id, "pipe": definition.name})
            return pipes.open(run_id, pipe, source, log, context, Deadline(), events, session_id, feed)

        def former(log: EndLog) -> Former | None:
            if not takes_batches:
                return None
            on_loss = loss_by(definition.policy(entry, config.default_on_error), entry.name, log)
            strategy = entry.strategy or FixedBatch(size, options.max_wait_s)
            return Former(strategy, size, on_loss, time.monotonic, max_wait_s=options.max_wait_s)

        submissions = Submissions(definition.name, options.max_queued)
        idle_s = options.idle_stop_s if session_id is None else SESSION_IDLE_S
        return Feeder(per_item, submissions, open_run, former, size, idle_s, ledger)
