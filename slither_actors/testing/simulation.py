"""`Simulation`: the library's own dispatchers, pools, workers and stages on a virtual clock and network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from slither_actors._codec import path_of
from slither_actors._keywords import known_keywords
from slither_actors._validators import check_known
from slither_actors.config import Config
from slither_actors.context import Context
from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch.ends import OnEnd
from slither_actors.dispatch.options import DispatchOptions, Ordering
from slither_actors.dispatch.source import Source
from slither_actors.dispatch.strategy import AnyStrategy
from slither_actors.errors import DispatchError, InvalidOption, PipeError, shorten
from slither_actors.pipe.declarations import stage as declare_stage
from slither_actors.pipe.outputs import Outputs
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.pipe.stage import Stage
from slither_actors.policy import AnyPolicy
from slither_actors.system._pipe_checks import checked
from slither_actors.system._runs import (
    by_output,
    check_session,
    dispatch_failure,
    end_log,
    given_limits,
    pipe_failure,
)
from slither_actors.system.results import Results
from slither_actors.testing._faults import Faults, Seconds
from slither_actors.testing._outcome_rules import RunLog
from slither_actors.testing._play import Play, playing
from slither_actors.testing.report import SimulationReport
from slither_actors.workers.executor import AnyExecutor, code_of

__all__ = ["CheckReport", "Simulation", "check_many"]


class Simulation:
    """Runs dispatches and pipes as a `System` does, in this process and without waiting. What happens, and in which
    order, is the seed's: the same seed is the same run, to the last message.

    The actors are the library's own; sockets, processes and clocks are played. Your code runs for real, in this
    process: executors in simulated workers, which lose their state when they die, stages in simulated processes,
    `items` and `on_end` on the side of the service. Functions and classes travel as they would, so what is not
    importable is copied. Module state is shared by all simulated processes, which is the one thing that real ones do
    not do. Each call is a world of its own, which all rules of the flow protocol look at; docs/testing.md lists them.

    Args:
        seed: decides everything that is left to chance, also the `random` module while the simulation runs.
        workers: how many workers each pool has.
        seconds: how long a batch takes by the virtual clock: a number, the least and the most, or a function of the
            list of payloads.
        crashes: chance that a batch's worker dies before, while or right after it runs it.
        hangs: chance that a batch hangs until its worker is killed for it.
        pool_crashes: chance, for each message that a pool handles, that the pool dies, and with it the dispatcher of
            plain dispatches: a dispatch ends with `StageDown` then. At most 0.5.
        node_crashes: the same for each dispatcher and each stage.
        recycles: chance, for each batch, that its worker is worn out then: a successor is started, and the worker ends
            when it has done what it has.
        repeats: chance that a message arrives twice, where the protocol allows for it.
        refusals: chance that the queue for a batch's receiver is full: the run ends with `SendQueueFull` then.
        laziness: how seldom the service takes what is there. At most 0.99.
        config: as for `slither_actors.start`.

    Attributes:
        report: what happened in the last call, also if it raised; `None` before the first one.

    Raises:
        InvalidOption: an option has a value that is not allowed.
    """

    @known_keywords
    def __init__(
        self,
        *,
        seed: int = 0,
        workers: int = 2,
        seconds: Seconds = (0.001, 0.02),
        crashes: float = 0.0,
        hangs: float = 0.0,
        pool_crashes: float = 0.0,
        node_crashes: float = 0.0,
        recycles: float = 0.0,
        repeats: float = 0.02,
        refusals: float = 0.0,
        laziness: float = 0.2,
        config: Config | Mapping[str, Any] | None = None,
    ) -> None:
        given: Any = seed  # not every caller asks a type checker
        if not isinstance(given, int) or isinstance(given, bool):
            raise InvalidOption("Simulation", "seed", shorten(seed), "a whole number")
        self.seed = seed
        self.report: SimulationReport | None = None
        self._config = Config.of(config)
        self._playing: Play | None = None
        try:
            self._faults = Faults(
                workers=workers,
                seconds=seconds,
                crashes=crashes,
                hangs=hangs,
                pool_crashes=pool_crashes,
                node_crashes=node_crashes,
                recycles=recycles,
                repeats=repeats,
                refusals=refusals,
                laziness=laziness,
            )
        except InvalidOption as error:
            raise InvalidOption("Simulation", error.option, error.got, error.allowed) from None

    def __repr__(self) -> str:
        return f"<Simulation seed={self.seed}>"

    @known_keywords
    def dispatch(
        self,
        items: Iterable[Any],
        executor: AnyExecutor,
        *,
        pool: str = "default",
        strategy: AnyStrategy | None = None,
        batch_size: int | None = None,
        max_in_flight: int | None = None,
        max_in_flight_weight: float | None = None,
        ordering: Ordering | None = None,
        on_error: AnyPolicy | None = None,
        timeout_s: float = 30.0,
        queue_timeout_s: float | None = None,
        deadline_s: float | None = None,
        context: Context | None = None,
        on_end: OnEnd | None = None,
        leave_after: int | None = None,
    ) -> Results:
        """`System.dispatch`, simulated: the same options, results and errors. There is a pool of every name.

        Args:
            leave_after: end the run when there are so many results, as `Stream.close` does; `items` may be endless.

        Raises:
            InvariantBroken: a rule of the flow protocol does not hold.
            DispatchError, InvalidOption, NotImportable, NotPicklable, NotDecodable: as `System.dispatch`; what the
                iterable raises comes through.
        """
        limits = given_limits(batch_size, max_in_flight, max_in_flight_weight, timeout_s, queue_timeout_s)
        given = limits | {"pool": pool, "strategy": strategy, "ordering": ordering, "on_error": on_error}
        options = DispatchOptions.of(given, self._config.dispatch, "dispatch")
        code = code_of(executor, "dispatch")
        source = Source(items, "dispatch")
        deadline = _virtual("dispatch", deadline_s)
        _check_count("dispatch", leave_after)
        end_log("dispatch", on_end)

        def add(play: Play) -> RunLog:
            more: Any = {"context": context, "deadline": deadline, "leave_after": leave_after, "on_end": on_end}
            return play.dispatch(source, code, options, **more)

        log = self._play(add)
        if log.refusal is not None:
            raise log.refusal
        if log.halt is not None:
            error = dispatch_failure(log.halt, log.got)
            raise error from error.__cause__
        return Results(log.got, log.ends)

    @known_keywords
    def run_pipe(
        self,
        pipe: type[Pipe],
        inputs: Iterable[Any],
        *,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline_s: float | None = None,
        on_end: OnEnd | None = None,
        leave_after: int | None = None,
    ) -> Outputs:
        """`System.run_pipe`, simulated: the same outputs and errors.

        Args:
            leave_after: end the run when so many items have reached outputs; `inputs` may be endless.

        Raises:
            InvariantBroken: a rule of the flow protocol does not hold.
            PipeError, InvalidOption, NotPicklable, NotDecodable, StartError: as `System.run_pipe`.
        """
        kind = checked(pipe)
        check_session(session_id)
        context = Context(session_id=session_id, metadata=metadata)
        source = Source(inputs, "run_pipe")
        deadline = _virtual("pipe run", deadline_s)
        _check_count("run_pipe", leave_after)
        end_log("run_pipe", on_end)
        more: Any = {"deadline": deadline, "leave_after": leave_after, "on_end": on_end}
        log = self._play(lambda play: play.pipe(kind, source, context, **more))
        order = {one: place for place, one in enumerate(log.pulled)}
        if log.halt is not None:
            error = pipe_failure(kind.definition, log.halt, log.got, order)
            raise error from error.__cause__
        return Outputs(by_output(kind.definition.outputs, log.got, order), log.ends)

    def run_stage(
        self,
        stage: type[Stage],
        inputs: Iterable[Any],
        *,
        outputs: Sequence[str] = (),
        on_error: AnyPolicy | None = None,
        **options: Any,
    ) -> Outputs:
        """Run inputs through one stage of your own, in a pipe that has no other.

        Args:
            stage: a subclass of `Stage`.
            inputs: payloads and items.
            outputs: where the stage routes to, beside "default".
            on_error: its error policy.
            options: those of the class's `Options`.

        Raises:
            DefinitionError, InvalidOption: as for the declaration in a pipe. Others: as `run_pipe`.
        """
        declared = declare_stage(stage, on_error=on_error, **options)
        body = {"stage": declared, "outputs": list(outputs), "__module__": stage.__module__}
        return self.run_pipe(PipeType(f"Only{stage.__name__}", (Pipe,), body), inputs)  # type: ignore[arg-type]

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass; for the iterable that is being pulled, and for `on_end`.

        Raises:
            RuntimeError: nothing is being simulated.
        """
        if self._playing is None:
            raise RuntimeError("sleep() is for what the simulation calls: the iterable, and on_end")
        self._playing.sleep(seconds)

    def _play(self, add: Callable[[Play], RunLog]) -> RunLog:
        with playing(self.seed, self._faults, self._config) as play:
            self._playing = play
            try:
                log = add(play)
                play.go()
            finally:
                self._playing = None
                self.report = play.report()
        return log


@attrs.frozen
class CheckReport:
    """What `check_many` has seen.

    Attributes:
        seeds: how many simulations ran. halted: in how many of them an error policy, or a death, ended the run.
        executions: batches that workers began. deaths: processes that died. messages: what was sent.
    """

    seeds: int
    halted: int
    executions: int
    deaths: int
    messages: int


def check_many(
    scenario: Callable[[Simulation], object], *, seeds: int = 1000, first: int = 0, **options: Any
) -> CheckReport:
    """Play a scenario with many seeds.

    Args:
        scenario: gets a `Simulation` and uses it; may assert what it likes. A run that ends with `DispatchError` or
            `PipeError` is a proper end.
        seeds: how many. first: the first of them.
        options: of `Simulation`.

    Raises:
        InvariantBroken: a rule of the flow protocol does not hold. Whatever the scenario raises comes through too; a
            note at each says the seed, and the command that plays it again.
    """
    if not callable(scenario):
        raise InvalidOption("check_many", "scenario", shorten(scenario), "a function of a Simulation")
    check_known("check_many", options, attrs.fields_dict(Faults).keys() | {"config"})
    halted = executions = deaths = messages = 0
    for seed in range(first, first + seeds):
        simulation = Simulation(seed=seed, **options)
        try:
            scenario(simulation)
        except (DispatchError, PipeError):
            halted += 1
        except BaseException as error:
            error.add_note(f"seed {seed}; to play it again: {_command(scenario, seed, options)}")
            raise
        if simulation.report is not None:
            executions += len(simulation.report.executions)
            deaths += len(simulation.report.deaths)
            messages += simulation.report.messages
    return CheckReport(seeds, halted, executions, deaths, messages)


def _command(scenario: Callable[[Simulation], object], seed: int, options: Mapping[str, Any]) -> str:
    path = path_of(scenario)
    if path is None or not all(isinstance(value, int | float) for value in options.values()):
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        return f"scenario(Simulation(seed={seed}{given}))"
    given = "".join(f" --{name.replace('_', '-')} {value!r}" for name, value in options.items())
    return f"{sys.executable} -m slither_actors.testing {path} --seed {seed}{given}"


def _virtual(where: str, deadline_s: Any) -> Deadline:
    """A deadline on the simulated clock, which begins at 0."""
    given_s = Deadline.of(where, deadline_s).given_s
    return Deadline(given_s, given_s)


def _check_count(where: str, value: Any) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidOption(where, "leave_after", shorten(value), "None, or a whole number of at least 1")
