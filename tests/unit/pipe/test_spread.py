"""`replicas`, `ordered` and `rate` of stages: what is declared, what it is refused for, and what it plans."""

import attrs
import pytest

import slither_actors as slither
from slither_actors import DefinitionError, InvalidOption, KeyPartition, Pipe, Rate
from slither_actors.config import DispatchConfig
from slither_actors.context import Context, SealedContext
from slither_actors.dispatch._deadline import Deadline
from slither_actors.otp.ref import Ref
from slither_actors.pipe._balance_plan import BalancePlan
from slither_actors.pipe.pipe import PipeType
from slither_actors.pipe.plan import STAGE_BATCH, WINDOW, pipe_spec, process_of, run_plan


class Own(slither.Stage):
    @attrs.frozen
    class Options:
        factor: int = 1

    def handle_item(self, item, ctx):
        return item


def pipe(**stages):
    return PipeType("Spread", (Pipe,), {"outputs": ["out"], "__module__": __name__, **stages}).definition


def same(values):
    return values


DECLARE = {
    "local": lambda **options: slither.local(**options)(lambda item: item),
    "router": lambda **options: slither.router((bool, "out"), **options),
    "stage": lambda **options: slither.stage(Own, **options),
}


@pytest.mark.parametrize("kind", DECLARE)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("replicas", 0),
        ("replicas", 33),
        ("replicas", True),
        ("replicas", 2.0),
        ("ordered", 1),
        ("rate", 0),
        ("rate", "1"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_declared(kind, option, value):
    with pytest.raises(InvalidOption, match=rf"^{kind}.*{option}"):
        DECLARE[kind](**{option: value})


@pytest.mark.parametrize("kind", DECLARE)
def test_a_stage_is_told_what_was_declared(kind):
    declaration = DECLARE[kind](replicas=4, ordered=False, rate=5)
    assert (declaration.replicas, declaration.ordered, declaration.rate) == (4, False, Rate(5.0))
    plain = DECLARE[kind]()
    assert (plain.replicas, plain.ordered, plain.rate, plain.has_balancer) == (1, True, None, False)


def test_workers_have_a_rate_and_no_replicas_since_that_is_the_size_of_their_pool():
    assert slither.worker(same, rate=0.5).rate == Rate(0.5)
    with pytest.raises(InvalidOption, match="rate"):
        slither.worker(same, rate=-1)
    with pytest.raises(DefinitionError, match="replicas"):
        pipe(work=slither.worker(same, replicas=2))


def test_no_batch_of_a_worker_stage_is_larger_than_the_burst_of_its_rate():
    named = pipe(work=slither.worker(same, rate=Rate(1, burst=5)))
    assert named.batch_size(named.stages[0], DispatchConfig()) == 5
    assert named.batch_size(named.stages[0], DispatchConfig(default_batch_size=3)) == 3
    for options in ({"batch_size": 6}, {"strategy": slither.FixedBatch(6)}):
        with pytest.raises(DefinitionError, match="at most 5, the burst of its rate"):
            pipe(work=slither.worker(same, rate=Rate(1, burst=5), **options))
    assert pipe(work=slither.worker(same, rate=1, batch_size=600)), "the burst grows with the batch where none is named"


@pytest.mark.parametrize("way", ["next", "route", "policy"])
def test_batches_by_key_or_weight_cannot_be_formed_behind_replicas(way):
    formed = slither.worker(same, strategy=KeyPartition(lambda item: 1))
    stages = {
        "next": {"spread": slither.local(replicas=2)(same), "work": formed},
        "route": {"spread": slither.router((bool, "work"), replicas=2), "then": slither.local(same), "work": formed},
        "policy": {
            "spread": slither.local(replicas=2, ordered=False, on_error=slither.Route("work"))(same),
            "then": slither.local(same),
            "work": formed,
        },
    }[way]
    with pytest.raises(DefinitionError, match=r"strategy is KeyPartition.*behind replicas of stage 'spread'"):
        pipe(**stages)


def test_a_rate_alone_leaves_one_process_that_forms_them():
    assert pipe(paced=slither.local(rate=1)(same), work=slither.worker(same, strategy=KeyPartition(lambda item: 1)))


@pytest.mark.parametrize("name", ["replicas", "ordered", "rate", "then", "handle_timeout_s"])
def test_an_option_of_a_stage_class_that_could_never_be_given_is_refused(name):
    options = attrs.make_class("Options", [name])
    with pytest.raises(DefinitionError, match=f"{name}.*another name in Options"):
        slither.stage(
            type("Taken", (slither.Stage,), {"Options": options, "handle_item": lambda self, item, ctx: item})
        )


@pytest.mark.parametrize("name", ["replicas", "ordered", "rate"])
def test_an_option_of_a_stage_in_the_body_of_a_pipe_is_refused(name):
    with pytest.raises(DefinitionError, match="option of a stage"):
        pipe(step=slither.local(same), **{name: 2})


def test_a_description_shows_them():
    kind = PipeType(
        "Shown",
        (Pipe,),
        {
            "__module__": __name__,
            "many": slither.local(replicas=3)(same),
            "any": slither.stage(Own, replicas=2, ordered=False, rate=Rate(2.5, burst=4)),
            "work": slither.worker("m:f", rate=100),
        },
    )
    text = kind.describe()
    assert "\n      replicas=3\n" in text
    assert "\n      replicas=2, ordered=False, rate=2.5/s (burst 4)\n" in text
    assert "\n      pool=default, rate=100/s\n" in text
    assert "replicas=3" in kind.describe("mermaid")


SPREAD = pipe(
    first=slither.local(same),
    many=slither.local(replicas=4)(same),
    work=slither.worker(same, batch_size=10),
    slow=slither.local(replicas=2, rate=3)(same),
)


def test_replicas_and_their_balancer_are_children_of_a_supervisor_of_their_own():
    spec = pipe_spec("Spread-1", SPREAD, None, DispatchConfig())
    _, children = spec.args
    below = {child.id: [one.id for one in child.args[1]] for child in children if child.type == "supervisor"}
    assert below == {
        "many": ["balancer", "replica-1", "replica-2", "replica-3", "replica-4"],
        "slow": ["balancer", "replica-1", "replica-2"],
    }
    assert [process_of(stage) for stage in SPREAD.stages] == ["first", "many/balancer", "work", "slow/balancer"]


def test_an_edge_to_replicas_holds_as_many_items_as_one_to_a_single_process():
    refs = {stage.name: Ref(stage.name, 1, f"/run/{stage.name}", 1) for stage in SPREAD.stages}
    sealed = SealedContext.of(Context())
    plan = run_plan("r", SPREAD, refs, "/run/service", sealed, DispatchConfig(), Deadline())
    first, many, work, slow = (node.plan for node in plan.nodes)
    assert isinstance(many, BalancePlan)
    assert isinstance(slow, BalancePlan)
    to_many = first.stages["many"]
    assert (to_many.window, to_many.batch_size) == (8, 8)
    assert to_many.window * to_many.batch_size == WINDOW * STAGE_BATCH
    assert work.output.window == WINDOW, "whose batches are not cut"
    numbers = [port.edge for node in plan.nodes for port in (*node.plan.inputs, node.plan.sink)]
    for balance in (many, slow):
        inner = range(balance.first, balance.first + balance.edges_per_replica * balance.replicas)
        assert all(balance.owns(edge) for edge in inner)
        assert not set(inner) & set(numbers), "an edge has a number of its own"
        numbers += inner
