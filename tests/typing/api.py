"""The public names as a strict project uses them. Never run: `tox run -e typing` has mypy read it.

A line that mypy refuses here is refused in the projects of users, and `assert_type` says where they would see `Any`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, assert_type

import attrs

import slither_actors as slither
from slither_actors import errors, telemetry
from slither_actors.otp import LATER, Caller, ChildInfo, ChildSpec, ExitReason, Ref, Restart, Server, handles
from slither_actors.testing import Execution, Simulation, check_many

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

    @slither.local(many=True, then="count", on_error=slither.Skip())
    def split(item: slither.Item, ctx: slither.Context) -> Iterator[str]:
        yield from item.payload.split()

    count = slither.worker(count_words, pool="default", batch_size=32, max_in_flight=4, timeout_s=5, on_error="skip")
    tag = slither.worker(Tag, ordering="as_completed", strategy=slither.FixedBatch(8), then="longest")
    path = slither.worker("my_model:predict_batch")
    named = slither.worker(slither.Call(with_context))
    scored = slither.worker(slither.Command("score"), pool="gpu")
    longest = slither.stage(Longest, at_least=3)
    sort = slither.router((lambda item: item.payload > 3, "long"), (lambda item: item.route == "tagged", "tagged"))
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


def settings() -> slither.Config:
    slither.Config.of({"dispatch": {"default_batch_size": 256}})
    slither.Config(dispatch={"default_on_error": "skip"}, bridge=slither.BridgeConfig(default_scope="global"))
    return slither.Config(dispatch=slither.DispatchConfig(default_max_in_flight=4, default_on_error=slither.Halt()))


def start() -> slither.System:
    return slither.start(
        name="shop",
        pools={
            "default": 2,
            "gpu": slither.PoolOptions(1, adapter=Model, warm_up=warm_up, environment={"OMP_NUM_THREADS": "1"}),
        },
        pipes=[Review],
        children=[ChildSpec("greeter", Greeter, ("hello",), restart=Restart.TRANSIENT)],
        config=settings(),
    )


def dispatch(system: slither.System) -> None:
    results = system.dispatch(["a"], count_words, batch_size=2, ordering="preserve", on_error="skip", on_end=on_end)
    assert_type(results, slither.Results)
    assert_type(results[0], slither.Item)
    assert_type([item.payload for item in results], list[Any])
    assert_type([item.meta["error"] for item in results.skipped], list[Any])
    assert_type(results.skipped.total + results.dropped.total + len(results.dead), int)
    heavy = slither.WeightedBatch(1e6, lambda item: len(item.payload), max_size=100, max_wait_s=0.5)
    system.dispatch(range(3), Tag, strategy=heavy)
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
            print(item.id, item.payload, item.route, item.parent_id)
            break
        assert_type(stream.skipped.total, int)
    stream.close()


def pipes(system: slither.System) -> None:
    system.start_pipe(Review)
    for record in slither.read_ends("ends.jsonl"):
        assert_type(record, slither.EndRecord)
        assert_type(record.item(), slither.Item)
        assert_type(record.reason, str | None)
    system.dispatch(["a"], count_words, ends_file="ends.jsonl")
    outputs = system.run_pipe(Review, ["a"], session_id="s-1", metadata={"run": 1}, on_end=on_end)
    assert_type(outputs, slither.Outputs)
    assert_type(outputs.long, list[slither.Item])
    assert_type(outputs["long"], list[slither.Item])
    assert_type(dict(outputs), dict[str, list[slither.Item]])
    assert_type(outputs.dropped.total, int)
    with system.stream_pipe(Patient, ["a"]) as stream:
        assert_type([item.route for item in stream], list[str])
    assert_type(system.stop_pipe(Review), slither.DrainReport)


def looking(system: slither.System) -> None:
    assert_type(system.name, str)
    assert_type(system.config.dispatch.default_batch_size, int)
    assert_type(system.topology(), dict[str, Any])
    assert_type(system.statistics(), dict[str, Any])
    assert_type(slither.__version__, str)
    assert_type(slither.DispatchOptions(batch_size=3).size, int)
    telemetry.attach("print", ("slither", "pipe"), on_event)
    with telemetry.capture("slither.dispatch") as events:
        print([event.measurements for event in events])
    slither.telemetry.detach("print")


def actors(system: slither.System) -> None:
    system.cast("children/greeter", 1)
    assert_type(system.call("children/greeter", "total"), Any)
    assert_type(system.whereis("children/greeter"), Ref | None)
    children = system.supervisor("children")
    assert_type(children.start_child(ChildSpec("other", Greeter, ("Hi",))), Ref)
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


def main() -> None:
    with start() as system:
        dispatch(system)
        stream(system)
        pipes(system)
        looking(system)
        actors(system)
        failures(system)
    system.stop(timeout_s=1)


def in_a_session(system: slither.System) -> None:
    slither.Config(sessions=slither.SessionConfig(default_ttl_s=60.0))
    slither.SessionOptions(mode="hint")
    with system.session("s-1", mode="wait", on_loss="rebuild", ttl_s=5.0, session_start=warm_up) as session:
        assert_type(session, slither.Session)
        assert_type(session.submit("a b", count_words), Future[Any])
        assert_type(session.dispatch(["a"], count_words), slither.Results)
        assert_type(session.run_pipe(Review, ["a"]), slither.Outputs)
