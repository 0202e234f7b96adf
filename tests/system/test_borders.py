"""What a user hands in, on its way to other processes: read there, refused here, or an error at once. Never a hang."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import attrs
import pytest

import slither_actors as slither
from slither_actors import InvalidOption, NotDecodable, NotPicklable, StartError
from slither_actors.otp import ChildSpec, Server, Supervisor, SupervisorOptions
from tests.helpers import jobs
from tests.helpers.patience import AT_ONCE_S, PATIENCE_S

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def soon():
    """A lost message costs 30 seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE_S


@pytest.fixture
def ran(base, tmp_path):
    """Runs a program to its end; returns what it printed."""

    def run(*parts):
        file = tmp_path / "program.py"
        file.write_text("".join(textwrap.dedent(part) for part in parts))
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-W", "error", str(file)],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            timeout=PATIENCE_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run


def payloads(items):
    return [item.payload for item in items]


# -- programs whose classes nobody else can import

OWN = """
import enum, functools, os, threading
import attrs
import slither_actors as slither
from slither_actors.otp import ChildSpec, Server, Supervisor, SupervisorOptions

class Own:
    def __init__(self, n):
        self.n = n

class Kind(enum.Enum):
    GOOD = 1

KNOWN = {"own": Own(3), "f": lambda n: n + 1, "kind": Kind.GOOD}

def told(ctx):
    assert isinstance(ctx.metadata["own"], Own) and ctx.metadata["kind"] is Kind.GOOD
    return ctx.metadata["f"](ctx.metadata["own"].n)

def work(payloads, ctx):
    return [payload + [told(ctx)] for payload in payloads]
"""


def test_metadata_may_hold_what_the_program_itself_defines(ran):
    assert ran(
        OWN,
        """
        class Custom(slither.Stage):
            def handle_item(self, item, ctx):
                return item.payload + [told(ctx)]

        class All(slither.Pipe):
            step = slither.local(lambda item, ctx: item.payload + [told(ctx)])
            work = slither.worker(work)
            custom = slither.stage(Custom)

        context = slither.Context(metadata=KNOWN, session_id="mine")
        with slither.start(pools={"default": 1}) as system:
            print([item.payload for item in system.run_pipe(All, [[]], metadata=KNOWN).default])
            print([item.payload for item in system.stream_pipe(All, [[]], metadata=KNOWN)])
            print([item.payload for item in system.dispatch([[]], work, context=context)])
            print([item.payload for item in system.stream([[]], work, context=context)])
            print([item.payload for item in system.call_batch([[]], work, context=context)])
            print(system.call_each(lambda ctx: told(ctx), context=context))
        """,
    ) == ["[[4, 4, 4]]", "[[4, 4, 4]]", "[[4]]", "[[4]]", "[[4]]", "[4]"]


def test_options_of_stages_and_arguments_of_children_may_be_what_the_program_itself_defines(ran):
    assert ran(
        OWN,
        """
        class Custom(slither.Stage):
            @attrs.frozen
            class Options:
                own: Own
                f: object

            def handle_item(self, item, ctx):
                assert isinstance(self.options.own, Own)
                return self.options.f(self.options.own.n)

        class P(slither.Pipe):
            custom = slither.stage(Custom, **{key: KNOWN[key] for key in ("own", "f")})

        class Answering(Server):
            def __init__(self, own, f):
                assert isinstance(own, Own)
                self.answer = f(own.n)

            def init(self):
                print(self.answer, flush=True)

        class Above(Supervisor):
            pass

        os.dup2(1, 2)  # where prints of actors go
        own = (KNOWN["own"], KNOWN["f"])
        nested = ChildSpec("above", Above, (SupervisorOptions(), [ChildSpec("below", Answering, own)]),
                           type="supervisor")
        with slither.start(pools={"default": 1}, children=[ChildSpec("mine", Answering, own), nested]) as system:
            print([item.payload for item in system.run_pipe(P, [1]).default], flush=True)
        """,
    ) == ["4", "4", "[4]"]


def test_whatever_the_program_can_call_may_be_run_by_others(ran):
    assert ran(
        OWN,
        """
        @functools.lru_cache
        def cached(n):
            return n + 1

        class Adding:
            def __init__(self, n):
                self.n = n

            def add(self, payloads):
                return [cached(payload) + self.n for payload in payloads]

            def __call__(self, payloads):
                return self.add(payloads)

        def scale(factor, payloads):
            return [factor * cached(payload) for payload in payloads]

        @functools.lru_cache
        def once():
            return cached(1)

        class P(slither.Pipe):
            step = slither.local(functools.lru_cache(lambda item: cached(item.payload)))
            many = slither.local(functools.partial(lambda n, item: item.payload + n, 10))

        with slither.start(pools={"default": 1}) as system:
            for executor in (Adding(5), Adding(5).add, functools.partial(scale, 3)):
                print([item.payload for item in system.dispatch([1], executor)])
            print(system.call_each(once), [item.payload for item in system.run_pipe(P, [1]).default])
        """,
    ) == ["[7]", "[7]", "[6]", "[2] [12]"]


# -- what no other process can read


class Elsewhere:
    """An object of a class that only this process can import."""

    def __reduce__(self):
        return sys.modules["only_here"].make, ()


@pytest.fixture
def foreign(monkeypatch):
    module = types.ModuleType("only_here")
    exec("def make():\n    return 1", vars(module))
    monkeypatch.setitem(sys.modules, "only_here", module)
    return Elsewhere()


class Fixed(slither.Stage):
    @attrs.frozen
    class Options:
        first: object = 1
        second: object = 2

    def handle_item(self, item, ctx):
        return [*item.payload, (ctx.pipe, ctx.stage, ctx.run_id)]


def told(values, ctx):
    return [[*value, (ctx.pipe, ctx.stage, ctx.run_id)] for value in values]


class Line(slither.Pipe):
    work = slither.worker(told)
    fixed = slither.stage(Fixed)
    last = slither.local(lambda item, ctx: [*item.payload, (ctx.pipe, ctx.stage, ctx.run_id)])


class Batches(slither.Pipe):
    work = slither.worker(jobs.same)


class Idle(Server):
    def __init__(self, *args):
        pass


@pytest.mark.failure
@pytest.mark.parametrize(
    "call",
    [
        lambda s, metadata: s.run_pipe(Line, [1], metadata=metadata),
        lambda s, metadata: s.run_pipe(Batches, [1], metadata=metadata),
        lambda s, metadata: list(s.stream_pipe(Line, [1], metadata=metadata)),
        lambda s, metadata: s.dispatch([1], jobs.same, context=slither.Context(metadata=metadata)),
        lambda s, metadata: s.call_batch([1], jobs.same, context=slither.Context(metadata=metadata)),
        lambda s, metadata: s.call_each(os.getpid, context=slither.Context(metadata=metadata)),
    ],
)
def test_metadata_that_nobody_there_can_read_are_an_error_at_once(system, foreign, soon, call):
    with pytest.raises(NotDecodable, match=r"metadata.*only_here"):
        call(system, {"tenant": foreign})
    with pytest.raises(NotPicklable, match=r"^metadata\['lock'\] cannot be sent to another process"):
        call(system, {"tenant": 1, "lock": threading.Lock()})
    assert payloads(system.dispatch([1], jobs.double)) == [2]


def test_an_option_that_cannot_be_read_in_the_stage_is_a_failed_start_at_once(system, foreign, soon):
    class Odd(slither.Pipe):
        fixed = slither.stage(Fixed, second=foreign)

    with pytest.raises(StartError, match=r"fixed.*cannot be read in the process that received it.*only_here"):
        system.run_pipe(Odd, [1])


class Importable(slither.Pipe):
    fixed = slither.stage(Fixed, second=threading.Lock())


def not_importable():
    class Hidden(slither.Pipe):
        fixed = slither.stage(Fixed, second=threading.Lock())

    return Hidden


@pytest.mark.parametrize("pipe", [Importable, not_importable()])
def test_an_option_that_cannot_travel_is_named_with_its_stage(system, soon, pipe):
    with pytest.raises(NotPicklable, match=rf"^option second of stage fixed of pipe {pipe.__name__} cannot be sent"):
        system.start_pipe(pipe)


def test_a_function_that_cannot_travel_is_named_with_its_stage(system, soon):
    lock = threading.Lock()

    class Locked(slither.Pipe):
        step = slither.local(lambda item: lock)

    with pytest.raises(NotPicklable, match=r"^stage step of pipe Locked cannot be sent"):
        system.start_pipe(Locked)


def test_arguments_of_children_are_read_in_the_child_or_refused(foreign, soon):
    with pytest.raises(StartError, match=r"args of children/mine cannot be read in the process.*only_here"):
        slither.start(pools={"default": 1}, children=[ChildSpec("mine", Idle, (foreign,))])
    with pytest.raises(NotPicklable, match=r"^args of child mine cannot be sent"):
        slither.start(pools={"default": 1}, children=[ChildSpec("mine", Idle, (threading.Lock(),))])


class Careless(Supervisor):
    """Makes up a child of its own, in its process."""

    def __init__(self):
        super().__init__(SupervisorOptions(), [ChildSpec("own", Idle, (threading.Lock(),))])


def test_a_child_that_a_supervisor_of_the_users_own_cannot_start_is_a_failed_start(soon):
    with pytest.raises(StartError, match=r"args of child own cannot be sent to another process"):
        slither.start(pools={"default": 1}, children=[ChildSpec("careless", Careless, type="supervisor")])


class Leave(slither.Skip):
    """A policy, as far as this process can tell; any other process cannot even read it."""

    def __reduce__(self):
        return sys.modules["only_here"].make, ()


class Spec(ChildSpec):
    def __reduce__(self):
        return sys.modules["only_here"].make, ()


class Leaving(slither.Pipe):
    work = slither.worker(jobs.same, on_error=Leave())


def test_a_plan_that_cannot_be_read_by_those_who_take_part_is_an_error_at_once(system, foreign, soon):
    with pytest.raises(NotDecodable, match=r"the plan of pools/default/dispatcher.*only_here"):
        system.dispatch([1], jobs.same, on_error=Leave())
    with pytest.raises(NotDecodable, match=r"the plan of pipes/Leaving-\d+/work.*only_here"):
        system.run_pipe(Leaving, [1])
    assert payloads(system.dispatch([1], jobs.double)) == [2]


def test_a_child_that_cannot_be_read_by_its_supervisor_is_a_failed_start_at_once(foreign, soon):
    with pytest.raises(StartError, match=r"args of children cannot be read in the process.*only_here"):
        slither.start(pools={"default": 1}, children=[Spec("own", Idle)])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda s: s.run_pipe(Line, [1], metadata=5), "metadata is 5; allowed: a mapping"),
        (lambda s: s.stream_pipe(Line, [1], metadata=[]), "metadata is []; allowed: a mapping"),
        (lambda s: s.run_pipe(Line, [1], on_end=3), "run_pipe: on_end is 3"),
        (lambda s: s.stream_pipe(Line, [1], on_end=3), "stream_pipe: on_end is 3"),
        (lambda s: slither.start(children=5), "start: children is 5"),
        (lambda s: slither.start(pipes="P"), "start: pipes is 'P'"),
        (lambda s: slither.start(pipes=[5]), "pipe is 5"),
    ],
)
def test_arguments_that_mean_nothing_are_refused_by_name(system, make, text):
    with pytest.raises(InvalidOption) as caught:
        make(system)
    assert text in str(caught.value)


@pytest.mark.parametrize("answer", [slither.Drop("x"), slither.Item.wrap(1)])
def test_what_only_stages_may_answer_is_refused_of_a_batch_function_by_its_policy(system, answer):
    results = system.dispatch([1, 2], lambda payloads: [answer] * len(payloads), on_error="skip")
    assert payloads(results.skipped) == [1, 2]
    assert "a batch function returns payloads" in str(results.skipped[0].meta["error"])


def test_every_stage_is_told_of_its_run(system):
    (first,), (second,) = (payloads(system.run_pipe(Line, [[]], metadata={"a": 1}).default) for _ in range(2))
    assert [place[:2] for place in first] == [("Line", stage) for stage in ("work", "fixed", "last")]
    runs = {run for _, _, run in first} | {run for _, _, run in second}
    assert len(runs) == 2
    assert None not in runs
