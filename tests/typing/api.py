"""The public names as a strict project uses them. Never run: `tox run -e typing` has mypy read it.

A line that mypy refuses here is refused in the projects of users, and `assert_type` says where they would see `Any`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, assert_type

import attrs

import slither_actors as slither
from slither_actors import errors, telemetry
from slither_actors.dispatch.strategy import FlushReason
from slither_actors.otp import (
    IGNORE,
    LATER,
    Backoff,
    Caller,
    ChildInfo,
    ChildSpec,
    ExitReason,
    Ref,
    Restart,
    Server,
    Supervisor,
    SupervisorOptions,
    handles,
)
from slither_actors.testing import (
    Chaos,
    ChaosReport,
    Execution,
    FakeClock,
    Hit,
    InlineSystem,
    RecordedBatch,
    RecordingExecutor,
    Simulation,
    check_executor,
    check_many,
    check_stage,
    check_store,
    check_strategy,
)

# -- what runs in workers


def count_words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def with_context(texts: list[str], ctx: slither.Context) -> list[int]:
    ctx.state["seen"] = ctx.state.get("seen", 0) + len(texts)
    assert_type(ctx.session_id, str | None)
    assert_type(ctx.metadata, dict[str, Any])
    return count_words(texts)


def warm_up(ctx: slither.Context) -> str | None:
    return ctx.run_id


class Tag(slither.Executor):
    def execute_batch(self, items: list[slither.Item], ctx: slither.Context) -> list[slither.Item]:
        return [item.with_meta(run=ctx.run_id).with_route("tagged") for item in items]


class Model(slither.Adapter):
    def setup(self) -> None:
        self.calls = 0

    def score(self, payloads: list[float], ctx: slither.Context) -> list[float]:
        self.calls += 1
        return payloads

    def figures(self) -> int:
        return self.calls


class Pairs(slither.Strategy):
    def start(self, batch_size: int) -> None:
        self.items: list[slither.Item] = []

    def push(self, item: slither.Item) -> list[list[slither.Item]]:
        self.items.append(item)
        return self.flush("ceiling") if len(self.items) == 2 else []

    def flush(self, reason: FlushReason) -> list[list[slither.Item]]:
        batch, self.items = self.items, []
        return [batch]


# -- pipes


class Longest(slither.Stage):
    @attrs.frozen
    class Options:
        at_least: int = 1

    options: Options

    def setup(self, ctx: slither.Context) -> None:
        self.place = (ctx.pipe, ctx.stage)

    def handle_item(self, item: slither.Item, ctx: slither.Context) -> slither.Drop | int:
        longest = max(ctx.state.get("longest", 0), len(item.payload))
        assert_type(self.options.at_least, int)
        return longest if longest >= self.options.at_least else slither.Drop("too short")

    def teardown(self) -> None:
        print(self.place)


class Whole(slither.Stage):
    def handle_batch(self, items: Sequence[slither.Item], ctx: slither.Context) -> list[Any]:
        return [item.payload for item in items]


class Review(slither.Pipe):
    @slither.local
    def clean(item: slither.Item) -> str:
        return str(item.payload).strip()

    @slither.local(many=True, then="count", on_error=slither.Skip(), replicas=2, ordered=False, rate=100)
    def split(item: slither.Item, ctx: slither.Context) -> Iterator[str]:
        yield from item.payload.split()

    count = slither.worker(
        count_words,
        pool="default",
        batch_size=32,
        max_in_flight=4,
        timeout_s=5,
        on_error="skip",
        rate=slither.Rate(10, burst=64),
    )
    tag = slither.worker(Tag, ordering="as_completed", strategy=slither.FixedBatch(8), then="longest")
    path = slither.worker("my_model:predict_batch")
    named = slither.worker(slither.Call(with_context))
    scored = slither.worker(slither.Command("score"), pool="gpu")
    longest = slither.stage(Longest, at_least=3, replicas=3, rate=0.5)
    sort = slither.router(
        (lambda item: item.payload > 3, "long"), (lambda item: item.route == "tagged", "tagged"), replicas=2
    )
    outputs = ["long", "tagged"]
    on_error = {"clean": "skip", "path": slither.Halt(), "*": "halt"}


class Patient(Review):
    outputs = ["long", "tagged", "later"]
    on_error = {"*": "skip"}


class Short(slither.Pipe):
    step = slither.local(lambda item: item.payload)
    outputs = ("long",)
    on_error = "skip"


def every_answer(item: slither.Item) -> slither.Emit | slither.RouteTo | slither.Drop | slither.Fail:
    match item.payload:
        case 0:
            return slither.Emit([item, 1, slither.RouteTo("long", 2)])
        case 1:
            return slither.RouteTo("long", item.payload)
        case 2:
            return slither.Drop()
    return slither.Fail(ValueError("no"))


def in_a_unit_test() -> None:
    answer = Longest(at_least=3).handle_item(slither.Item.wrap("word"), slither.Context())
    assert_type(answer, slither.Drop | int)
    Review.clean(slither.Item.wrap(" word "))


# -- actors of the user's own


@attrs.frozen
class Greet:
    name: str


class Greeter(Server):
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def init(self) -> None:
        self.start_timer(1.0, lambda: self.post(self.address, Greet("world")))

    @handles(Greet)
    def on_greet(self, message: Greet, sender: str) -> None:
        self.post(sender, f"{self.greeting}, {message.name}")

    def handle_call(self, request: Any, caller: Caller) -> Any:
        return LATER if request is None else f"{self.greeting}, {request}"

    def terminate(self, reason: ExitReason) -> None:
        print(reason.is_normal)


# -- the service


def on_event(event: tuple[str, ...], measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
    print(event, measurements, metadata)


def on_end(item: slither.Item, end: str) -> None:
    print(item.id, end)


def picture(pipe: type[slither.Pipe]) -> str:
    return pipe.describe() + pipe.describe(format="mermaid")


def settings() -> slither.Config:
    loaded = slither.Config.load({"dispatch": {"default_batch_size": 3}}, file="slither.toml", environ={})
    where: str = slither.Config.load(Path("slither.toml")).sources["queue_limit_bytes"]
    slither.start(config=Path(where)).stop()
    slither.start(config=loaded).stop()
    slither.Config.of({"dispatch": {"default_batch_size": 256}})
    slither.Config(dispatch={"default_on_error": "skip"}, bridge=slither.BridgeConfig(default_scope="global"))
    return slither.Config(dispatch=slither.DispatchConfig(default_max_in_flight=4, default_on_error=slither.Halt()))


def patient() -> slither.Quarantine:
    return slither.Quarantine(crashes=5, within_s=60, pause_s=1.5)


def start() -> slither.System:
    return slither.start(
        name="shop",
        pools={
            "default": 2,
            "gpu": slither.PoolOptions(1, adapter=Model, warm_up=warm_up, environment={"OMP_NUM_THREADS": "1"}),
            "leaky": slither.PoolOptions(2, recycle=slither.Recycle(batches=100, rss_mb=500), quarantine=patient()),
        },
        pipes=[Review],
        children=[ChildSpec("greeter", Greeter, ("hello",), restart=Restart.TRANSIENT)],
        config=settings(),
    )


def resize(system: slither.System) -> None:
    system.resize_pool("leaky", 4, timeout_s=10)


def slow_down(system: slither.System) -> None:
    system.set_rate(Review, "count", 10)
    system.set_rate(Review, "count", slither.Rate(0.5, burst=64))
    system.set_rate(Review, "count", None)


def dispatch(system: slither.System) -> None:
    results = system.dispatch(["a"], count_words, batch_size=2, ordering="preserve", on_error="skip", on_end=on_end)
    assert_type(results, slither.Results)
    assert_type(results[0], slither.Item)
    assert_type([item.payload for item in results], list[Any])
    assert_type([item.meta["error"] for item in results.skipped], list[Any])
    assert_type(results.skipped.total + results.dropped.total + len(results.dead), int)
    heavy = slither.WeightedBatch(1e6, lambda item: len(item.payload), max_size=100, max_wait_s=0.5)
    system.dispatch(range(3), Tag, strategy=heavy, max_in_flight_weight=5e6)
    keyed = slither.KeyPartition(lambda item: item.payload["user"], max_size=10, max_wait_s=0.5)
    system.stream(range(3), Tag, strategy=keyed, ordering="as_completed")
    try:
        system.dispatch(range(3), Tag, strategy=Pairs())
    except slither.StrategyError:
        pass
    system.dispatch(
        range(3),
        Tag,
        strategy=slither.FixedBatch(5, max_wait_s=1),
        context=slither.Context(metadata={"run": "nightly"}),
    )
    system.dispatch(range(3), "my_model:predict_batch", on_error=slither.Skip(), timeout_s=5)
    system.dispatch(range(3), "my_model:predict_batch", on_error=slither.Skip(isolate=True))
    system.dispatch(
        range(3), "my_model:predict_batch", on_error=slither.Retry(max_attempts=5, on=(KeyError, OSError), then="skip")
    )
    system.dispatch(
        range(3), "my_model:predict_batch", on_error=slither.Route(lambda item, reason: item.payload, isolate=True)
    )
    system.dispatch(
        range(3), "my_model:predict_batch", on_error=slither.Retry(on=KeyError, then=slither.Halt(), isolate=True)
    )
    assert_type(system.call_batch([1, 2], slither.Call("my_model:predict_batch")), list[slither.Item])
    assert_type(system.call_each(warm_up, timeout_s=1), list[Any])
    assert_type(system.call_each(slither.Command("figures"), pool="gpu"), list[Any])


def stream(system: slither.System) -> None:
    with system.stream(iter(int, 1), lambda numbers: numbers, max_in_flight=2) as stream:
        assert_type(stream, slither.Stream)
        assert_type(next(stream), slither.Item)
        for item in stream:
            assert_type(item, slither.Item)
            print(item.id, item.payload, item.route, item.parent_id, item.index)
            break
        assert_type(stream.skipped.total, int)
    stream.close()


def pipes(system: slither.System) -> None:
    with system.start_pipe(Review, max_queued=10, max_wait_s=0.1, idle_stop_s=60) as running:
        assert_type(running, slither.StartedPipe)
        assert_type(
            running.submit("a", session_id="s", metadata={"user": 1}, deadline_s=1.0, timeout_s=1.0), Future[Any]
        )
        assert_type(running.accounting, slither.Accounting)
        assert_type(running.stop(drain=False), slither.DrainReport)
    try:
        running.submit("b", timeout_s=0).result()
    except (slither.ItemSkipped, slither.ItemDropped, slither.ItemDead) as ended:
        assert_type(ended.item, slither.Item)
    except slither.ItemEnded as ended:
        assert_type(ended.reason, slither.SlitherError)
        assert_type(ended.partial_results, list[slither.Item])
    except (slither.PipeFull, slither.PipeStopped) as refused:
        assert_type(refused.pipe, str)
    for record in slither.read_ends("ends.jsonl"):
        assert_type(record, slither.EndRecord)
        assert_type(record.item(), slither.Item)
        assert_type(record.reason, str | None)
    system.dispatch(["a"], count_words, ends_file="ends.jsonl")
    outputs = system.run_pipe(Review, ["a"], session_id="s-1", metadata={"run": 1}, on_end=on_end)
    assert_type(outputs, slither.Outputs)
    assert_type(outputs.accounting, slither.Accounting)
    assert_type(outputs.accounting.abandoned, int)
    assert_type(outputs.long, list[slither.Item])
    assert_type(outputs["long"], list[slither.Item])
    assert_type(dict(outputs), dict[str, list[slither.Item]])
    assert_type(outputs.dropped.total, int)
    with system.stream_pipe(Patient, ["a"]) as stream:
        assert_type([item.route for item in stream], list[str])
    report = system.stop_pipe(Review)
    assert_type(report, slither.DrainReport)
    assert_type(report.runs, tuple[slither.RunReport, ...])
    assert_type(report.abandoned, slither.IdTally)
    assert_type(report.complete, bool)


def looking(system: slither.System) -> None:
    assert_type(system.name, str)
    assert_type(system.config.dispatch.default_batch_size, int)
    assert_type(system.topology(), dict[str, Any])
    assert_type(system.statistics(), dict[str, Any])
    assert_type(system.incidents(), tuple[slither.Incident, ...])
    for incident in system.incidents():
        assert_type(incident.name + incident.kind + incident.reason + incident.exit + incident.summary, str)
        assert_type(incident.items, tuple[int, ...])
        assert_type(incident.last_lines + incident.together, tuple[str, ...])
        assert_type(incident.out_of_memory, bool)
    assert_type(slither.__version__, str)
    assert_type(slither.DispatchOptions(batch_size=3).size, int)
    telemetry.attach("print", ("slither", "pipe"), on_event)
    with telemetry.capture("slither.dispatch") as events:
        print([event.measurements for event in events])
    assert_type(events.one("slither.dispatch.run.stop").metadata, dict[str, Any])
    assert_type(events.named(("slither",)), list[telemetry.Event])
    print([kind.doc for kind in telemetry.EVENTS])
    slither.telemetry.detach("print")


class Branch(Supervisor):
    def init(self) -> tuple[SupervisorOptions, list[ChildSpec]]:
        return SupervisorOptions(dynamic=True), [ChildSpec("one", Linked)]


class Linked(Server):
    def init(self) -> Any:
        self.link("children/greeter")
        self.continue_with("more")
        return IGNORE

    def handle_continue(self, what: Any) -> None:
        self.unlink("children/greeter")

    def handle_exit(self, ref: Ref, reason: ExitReason) -> None:
        self.exit(reason)


def actors(system: slither.System) -> None:
    system.cast("children/greeter", 1)
    assert_type(system.call("children/greeter", "total"), Any)
    assert_type(system.whereis("children/greeter"), Ref | None)
    children = system.supervisor("children")
    assert_type(children.start_child(ChildSpec("other", Greeter, ("Hi",), backoff=Backoff(min_s=0.5))), Ref | None)
    assert_type(children.start_child((1, "two")), Ref | None)
    assert_type(children.change(SupervisorOptions(intensity=9), [ChildSpec("other", Greeter)]), None)
    assert_type(children.which_children(), tuple[ChildInfo, ...])
    assert_type(children.count_children().active, int)


def failures(system: slither.System) -> None:
    try:
        system.run_pipe(Review, ["a"])
    except slither.PipeError as error:
        assert_type(error.pipe + error.stage, str)
        assert_type(error.reason, slither.SlitherError)
        assert_type(error.partial_results, dict[str, list[slither.Item]])
    except slither.DispatchError as error:
        assert_type(error.batch_ref, int)
        assert_type(error.partial_results, list[slither.Item])
        if isinstance(error.reason, slither.EndsFileError):
            assert_type(error.reason.path + error.reason.problem, str)
        if isinstance(error.reason, slither.RemoteError):
            assert_type(error.reason.type_name + error.reason.message + error.reason.traceback, str)
        if isinstance(error.reason, slither.ItemError):
            assert_type(error.reason.kinds, tuple[str, ...])
    except (slither.WorkerCrashed, slither.StageDown) as error:
        assert_type(error.exit, str)
    except slither.BatchTimeout as error:
        assert_type(error.timeout_s, float)
    except slither.SessionLost as error:
        assert_type(error.epoch, int)
    except (slither.WorkerBusy, slither.SessionLimit):
        pass
    except slither.PoolQuarantined as error:
        assert_type(error.workers, int)
        assert_type(error.pool + error.why, str)
    except slither.QueueTimeout as error:
        assert_type(error.queue_timeout_s, float)
    except slither.DeadlineExceeded as error:
        assert_type(error.deadline_s, float)
    except slither.CallTimeout as error:
        assert_type(error.target, str)
    except slither.ResultCountMismatch as error:
        assert_type(error.expected - error.got, int)
    except slither.InvalidOutcome as error:
        assert_type(error.stage + error.problem, str)
    except slither.InvalidOption as error:
        assert_type(error.where + error.option + error.got + error.allowed, str)
    except slither.DefinitionError as error:
        assert_type(error.where + error.problem + error.allowed, str)
    except slither.NotImportable as error:
        assert_type(error.path + error.why, str)
    except (slither.NotPicklable, slither.NotDecodable) as error:
        assert_type(error.what + error.why, str)
    except slither.UnknownPool as error:
        assert_type(error.known, tuple[str, ...])
    except slither.NoProcess as error:
        assert_type(error.name, str)
    except slither.StartError as error:
        assert_type(error.what + error.reason, str)
    except slither.ChildRefused as error:
        assert_type(error.why, str)
    except slither.ForkedSystem as error:
        assert_type(error.owner, int)
    except slither.SystemStopping as error:
        assert_type(error.system, str)
    except slither.Drained as error:
        assert_type(error.pulled, int)
    except slither.SystemDown as error:
        assert_type(error.causes, tuple[str, ...])
    except slither.StreamBusy as error:
        print(error)
    except errors.SendQueueFull as error:
        assert_type(error.queued_bytes, int)
    except slither.SlitherError as error:
        print(error)


def mistakes(system: slither.System) -> None:
    """What a type checker finds too; an ignore that is not needed would be an error."""
    system.dispatch([1], count_words, batchsize=8)  # type: ignore[call-arg]
    system.stream([1], 8)  # type: ignore[arg-type]
    system.run_pipe(int, [1])  # type: ignore[arg-type]
    slither.worker(count_words, batchsize=8)  # type: ignore[call-arg]
    slither.worker(count_words, ordering="random")  # type: ignore[arg-type]
    slither.router((lambda item: True, 8))  # type: ignore[arg-type]
    slither.stage(int)  # type: ignore[arg-type]
    slither.start(pipes=[int])  # type: ignore[list-item]


def simulations() -> None:
    simulation = Simulation(seed=1, workers=2, seconds=lambda payloads: 0.1, crashes=0.1)
    assert_type(simulation.dispatch([1], count_words, batch_size=3, leave_after=2), slither.Results)
    assert_type(simulation.run_pipe(Review, ["a"]), slither.Outputs)
    if simulation.report is not None:
        assert_type(simulation.report.attempts(1), int)
        assert_type(simulation.report.executions, tuple[Execution, ...])
    assert_type(check_many(lambda simulation: simulation.sleep(1), seeds=3, crashes=0.1).deaths, int)


def chaos(system: slither.System) -> None:
    with Chaos(system, seed=1, rate=2.0, kinds=("kill", "stop"), targets=("workers",), settle_s=1.0) as block:
        assert_type(block.seed, int)
    assert_type(block.report, ChaosReport)
    assert_type(block.report.hits, tuple[Hit, ...])
    assert_type(Chaos("name", duration_s=1.0, longest_stop_s=0.1, spare_budgets=False).run(), ChaosReport)


class Features(slither.Store):
    features = slither.Table(kind="ordered_set", codec="json")
    tags = slither.Table(kind="bag")

    def load(self, tables: Any) -> None:
        tables.features.put("user:42", {"tier": "gold"})

    @slither.view
    def look(self, params: dict[str, Any], ctx: slither.Context) -> Any:
        return self.features.get(params["key"])

    @slither.view(mode="batch", scope="global", timeout_s=1.5)
    def look_all(self, params: list[dict[str, Any]], ctx: slither.Context) -> list[Any]:
        return [self.features.get(one["key"]) for one in params]


class Scored(slither.Pipe):
    stores = [Features, Features.named("eu", "/var/lib/eu")]

    @slither.local
    def look(item: slither.Item, ctx: slither.Context) -> Any:
        ctx.store(Features).features.put(item.payload, 1)
        assert_type(ctx.view_batch("look_all", [{"key": 1}]), list[Any])
        assert_type(ctx.views("session"), tuple[str, ...])
        return ctx.view("look", key=item.payload)


def stores(system: slither.System) -> None:
    store = system.store(Features)
    assert_type(store, slither.StoreHandle)
    assert_type(store.features.size(), int)
    assert_type(store.features.insert_new("a", 1), bool)
    assert_type(store.features.bulk_insert([("a", 1)]), int)
    for key, value in store.features.match(("user", slither.ANY)):
        print(key, value)
    with store.transaction() as writes:
        writes.features.increment("count", default=0)
    with store.snapshot(limit_s=1.0) as moment:
        assert_type(moment.version, int)
        moment.tags.get_all("a")
    assert_type(store.reload(), int)
    assert_type(store.within(1.0), slither.StoreHandle)
    try:
        store.features.put("a", 1)
    except slither.WriteInDoubt as error:
        assert_type(error.store, str)
    except (slither.StoreUnavailable, slither.StoreFull, slither.StoreConflict, slither.KeyTooLong):
        pass
    except (slither.StoreLoadError, slither.SnapshotExpired, slither.UnknownStore):
        pass
    except (slither.UnknownView, slither.DuplicateView, slither.ViewTimeout):
        pass


def testing() -> None:
    clock = FakeClock(5.0)
    record = RecordingExecutor(lambda values: [len(values)] * len(values), fails=None)
    with InlineSystem(stores=[Features], pools={"default": 1}, seconds=0.1, clock=clock) as inline:
        assert_type(inline, InlineSystem)
        assert_type(inline.dispatch(["a"], record), slither.Results)
        pipes(inline)
    assert_type(record.batches, list[RecordedBatch])
    assert_type(clock.now, float)
    assert_type(check_executor(count_words, ["a", "b"]), list[Any])
    assert_type(check_strategy(slither.FixedBatch(2), ["a"]), list[list[Any]])
    check_store(Features, lambda store: store.version)
    check_stage(Longest, ["a"], outputs=["other"])


def main() -> None:
    testing()
    with slither.start(stores=[Features, Features.named("eu")]) as with_stores:
        stores(with_stores)
    with start() as system:
        dispatch(system)
        stream(system)
        pipes(system)
        looking(system)
        actors(system)
        failures(system)
    assert_type(slither.start(handle_signals=False, stop_timeout_s=20.0).stop(), slither.DrainReport)
    system.stop(timeout_s=1, drain=False)


def in_a_session(system: slither.System) -> None:
    slither.Config(sessions=slither.SessionConfig(default_ttl_s=60.0))
    slither.SessionOptions(mode="hint")
    with system.session("s-1", mode="wait", on_loss="rebuild", ttl_s=5.0, session_start=warm_up) as session:
        assert_type(session, slither.Session)
        assert_type(session.submit("a b", count_words), Future[Any])
        assert_type(session.dispatch(["a"], count_words), slither.Results)
        assert_type(session.run_pipe(Review, ["a"]), slither.Outputs)
