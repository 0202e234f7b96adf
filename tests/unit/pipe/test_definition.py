"""What a pipe class may declare. Every refusal names the culprit, and what is allowed in its place."""

import json

import pytest

import slither_actors as slither
from slither_actors import (
    DefinitionError,
    DispatchConfig,
    FixedBatch,
    Halt,
    InvalidOption,
    NotImportable,
    Skip,
    WeightedBatch,
)
from slither_actors._codec import to_json
from slither_actors.pipe.declarations import takes_context
from tests.helpers import jobs


def same(payloads):
    return payloads


def declared(outputs=(), on_error=None, **stages):
    """A pipe called P, made without a class statement."""
    body = {"outputs": list(outputs), "on_error": on_error or {}, **stages}
    return type(slither.Pipe)("P", (slither.Pipe,), body)


def refusal(**declaration):
    with pytest.raises(DefinitionError) as caught:
        declared(**declaration)
    return str(caught.value)


def keep(item):
    return item


def test_the_pipe_of_the_readme_is_defined_as_it_reads():
    class ScorePipe(slither.Pipe):
        @slither.local
        def prepare(item, ctx):
            return {"text": item.payload}

        predict = slither.worker("my_model:predict_batch", pool="default", batch_size=32, max_in_flight=4)

        route = slither.router(
            (lambda item: item.payload["score"] >= 0.8, "accept"),
            (lambda item: item.payload["score"] >= 0.4, "review"),
        )

        outputs = ["accept", "review"]
        on_error = {"predict": "skip", "*": "halt"}

    definition = ScorePipe.definition
    assert definition.name == "ScorePipe"
    assert [(stage.name, stage.declaration.kind, stage.next) for stage in definition.stages] == [
        ("prepare", "local", "predict"),
        ("predict", "worker", "route"),
        ("route", "router", "default"),
    ]
    assert definition.outputs == ("default", "accept", "review")
    assert definition.on_error == {"predict": Skip(), "*": Halt()}
    assert definition.dispatch_options(definition.stage("predict"), DispatchConfig()).batch_size == 32
    assert ScorePipe.prepare.function(slither.Item.wrap(1), None) == {"text": 1}
    assert ScorePipe.prepare(slither.Item.wrap(1), None) == {"text": 1}, "still callable in a test"
    assert "prepare" in json.loads(to_json(definition))["stages"][0].values()


def test_a_stage_declared_twice_is_noticed_where_the_second_one_stands():
    with pytest.raises(DefinitionError) as caught:

        class P(slither.Pipe):
            step = slither.local(keep)

            @slither.local
            def step(item):  # noqa: F811
                return item

    assert str(caught.value) == "pipe P, stage step: this name is used twice; allowed: each name once"


def test_a_stage_and_something_else_of_one_name_are_noticed_too():
    with pytest.raises(DefinitionError, match="pipe P, stage step: this name is used twice"):

        class P(slither.Pipe):
            step = slither.local(keep)
            step = None  # noqa: PIE794


def test_ordinary_names_may_be_bound_twice():
    class P(slither.Pipe):
        limit = 1
        limit = limit + 1
        step = slither.local(keep)

    assert P.limit == 2


def test_a_pipe_without_stages_is_refused():
    assert refusal() == "pipe P: it has no stage; allowed: local, worker, router and stage declare one"


@pytest.mark.parametrize(
    ("destination", "hint"),
    [("acept", " (did you mean 'accept'?)"), ("Review", " (did you mean 'review'?)"), ("xyz", "")],
)
def test_a_destination_that_nobody_declared_is_told_the_nearest_one(destination, hint):
    text = refusal(
        outputs=["accept", "review"], first=slither.local(keep), route=slither.router((lambda item: True, destination))
    )
    assert text == (
        f"pipe P, stage route: destination {destination!r} is not declared{hint}; "
        "allowed: a later stage or an output: default, accept, review"
    )


@pytest.mark.parametrize("destination", ["first", "second"])
def test_an_earlier_stage_or_itself_is_no_destination(destination):
    text = refusal(first=slither.local(keep), second=slither.local(then=destination)(keep), third=slither.local(keep))
    assert text.startswith(f"pipe P, stage second: destination {destination!r} is not declared")
    assert text.endswith("allowed: a later stage or an output: third, default")


@pytest.mark.parametrize("then", [5, "", ["default"], b"default"])
def test_a_destination_is_a_name(then):
    assert refusal(step=slither.local(then=then)(keep)).startswith("pipe P, stage step: destination ")


def test_a_jump_to_a_later_stage_or_an_output_is_taken():
    pipe = declared(
        outputs=["out"],
        a=slither.local(then="c")(keep),
        b=slither.worker(same, then="out"),
        c=slither.router((lambda item: True, "d"), then="out"),
        d=slither.local(keep),
    )
    assert [stage.next for stage in pipe.definition.stages] == ["c", "out", "out", "default"]


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: slither.worker(same, batchsize=8), "batchsize is not an option; allowed: batch_size, max_in_flight"),
        (lambda: slither.worker(same, batchsize=8), "did you mean 'batch_size'?"),
        (lambda: slither.worker(same, many=True), "many is not an option"),
        (lambda: slither.worker(same, pol="x"), "did you mean 'pool'?"),
        (lambda: slither.worker(same, batch_size=0), "batch_size is 0; allowed: a whole number of at least 1"),
        (lambda: slither.worker(same, batch_size=True), "batch_size is True; allowed: a whole number of at least 1"),
        (lambda: slither.worker(same, batch_size="8"), "batch_size is '8'; allowed: a whole number of at least 1"),
        (lambda: slither.worker(same, max_in_flight=0), "max_in_flight is 0"),
        (lambda: slither.worker(same, ordering="asap"), "ordering is 'asap'; allowed: 'preserve', 'as_completed'"),
        (lambda: slither.worker(same, timeout_s=0), "timeout_s is 0; allowed: a finite number of seconds above 0"),
        (lambda: slither.worker(same, on_error="skp"), "on_error is 'skp'"),
        (lambda: slither.local(on_error=5)(keep), "on_error is 5"),
        (lambda: slither.router((keep, "default"), on_error="ignore"), "on_error is 'ignore'"),
    ],
)
def test_a_wrong_option_is_told_with_pipe_and_stage(declare, text):
    message = refusal(step=declare())
    assert message.startswith("pipe P, stage step: ")
    assert text in message


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (
            lambda: slither.local(mny=True),
            "local: mny is not an option; allowed: handle_timeout_s, many, ",
        ),
        (lambda: slither.local(many=1)(keep), "local: many is 1; allowed: True or False"),
        (lambda: slither.local(5), "local: function is 5; allowed: a function of (item, ctx) or (item)"),
        (lambda: slither.local(lambda: 1), "a function of (item, ctx) or (item)"),
        (lambda: slither.local(lambda a, b, c: 1), "a function of (item, ctx) or (item)"),
        (lambda: slither.local(lambda *, item: 1), "a function of (item, ctx) or (item)"),
        (lambda: slither.local(lambda item, *, more: 1), "a function of (item, ctx) or (item)"),
        (lambda: slither.router(), "router: routes is nothing; allowed: at least one (predicate, destination)"),
        (lambda: slither.router(keep), "router: route 1 is <function keep"),
        (lambda: slither.router((keep, "a"), ("b", keep)), "router: route 2 is ('b', <function keep"),
        (lambda: slither.router((keep, "a", "b")), "router: route 1 is "),
        (lambda: slither.router([keep, "a"]), "router: route 1 is "),
        (lambda: slither.router((keep, 5)), "router: route 1 is "),
        (lambda: slither.router((lambda: True, "a")), "router: route 1 is "),
        (lambda: slither.router((lambda a, b: True, "a")), "router: route 1 is "),
        (lambda: slither.worker(3), "worker: executor is 3"),
        (lambda: slither.worker(f"{jobs.__name__}:two_parameters"), "parameters (payloads, other)"),
        (lambda: slither.worker(lambda a, b: a), "parameters (a, b)"),
        (lambda: slither.stage(5), "stage: class is 5; allowed: a subclass of Stage"),
        (lambda: slither.stage(dict), "a subclass of Stage"),
    ],
)
def test_what_is_wrong_without_a_pipe_is_told_at_once(declare, text):
    with pytest.raises(InvalidOption) as caught:
        declare()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (
            lambda: slither.local(lambda self, item: item),
            "local: <lambda> has the parameters (self, item), and no object to give as self; "
            "allowed: (item) or (item, ctx)",
        ),
        (lambda: slither.local(many=True)(lambda cls: []), "(cls), and no object to give as cls; allowed: (item) or ("),
        (lambda: slither.router((keep, "a"), (lambda self: True, "b")), "router, route 2: <lambda> has the parameters"),
        (lambda: slither.worker(lambda self: self), "allowed: (payloads) or (payloads, ctx)"),
        (
            lambda: slither.worker(slither.Call(lambda self, ctx: self)),
            "worker: <lambda> has the parameters (self, ctx)",
        ),
    ],
)
def test_a_function_that_is_written_like_a_method_is_refused(declare, text):
    with pytest.raises(DefinitionError) as caught:
        declare()
    assert text in str(caught.value)


def test_methods_of_an_object_and_other_names_are_taken():
    class Known:
        def one(self, item):
            return item

        def __call__(self, item):
            return item

    for function in (Known().one, Known(), lambda this, self: this, lambda klass: klass):
        assert slither.local(function).function is function


def test_a_malformed_path_is_told_at_once():
    with pytest.raises(NotImportable, match=r"'my_model'.*package\.module:function"):
        slither.worker("my_model")


@pytest.mark.parametrize("function", [keep, lambda item, ctx: 1, lambda item, ctx=None: 1, lambda *args: 1, str.upper])
def test_functions_of_one_or_two_parameters_are_local_stages(function):
    assert declared(step=slither.local(function)).definition.stage("step").declaration.function is function


@pytest.mark.parametrize(
    ("function", "taken"),
    [(keep, False), (lambda item, ctx=None: 1, True), (lambda a, b: 1, True), (lambda *args: 1, True), (str, False)],
)
def test_a_function_that_says_nothing_of_its_parameters_gets_the_item_alone(function, taken):
    assert takes_context(function) is taken


@pytest.mark.parametrize(
    ("on_error", "text"),
    [
        (
            {"predct": "skip"},
            "pipe P, on_error: there is no stage 'predct' (did you mean 'predict'?); allowed: predict",
        ),
        ({5: "skip"}, "pipe P, on_error: there is no stage 5; allowed: predict"),
        ({"default": "skip"}, "pipe P, on_error: there is no stage 'default'"),
        ({"predict": "skp"}, "pipe P, on_error: predict is 'skp'"),
        ({"*": None}, "pipe P, on_error: * is None"),
        (["skip"], "pipe P, on_error: got ['skip']; allowed: a mapping of stage name, or '*', to policy"),
        ("ignore", "pipe P, on_error: * is 'ignore'"),
    ],
)
def test_an_error_policy_that_means_nothing_is_refused(on_error, text):
    assert refusal(on_error=on_error, predict=slither.worker(same)).startswith(text)


def test_the_policy_of_a_stage_is_its_own_then_the_pipes_then_for_all_then_the_configured_one():
    pipe = declared(
        on_error={"named": "skip", "*": "halt"},
        own=slither.worker(same, on_error="skip"),
        named=slither.worker(same),
        other=slither.local(keep),
    )
    definition = pipe.definition
    policies = [definition.policy(stage, "skip") for stage in definition.stages]
    assert policies == [Skip(), Skip(), Halt()]
    bare = declared(only=slither.local(keep)).definition
    assert [bare.policy(bare.stages[0], default) for default in ("skip", "halt")] == [Skip(), Halt()]
    overruled = declared(on_error={"a": "skip"}, a=slither.local(on_error="halt")(keep)).definition
    assert overruled.policy(overruled.stages[0], "skip") == Halt()


@pytest.mark.parametrize("text", ["skip", "halt"])
def test_one_policy_for_all_may_be_given_by_its_name_alone(text):
    assert declared(on_error=text, a=slither.local(keep)).definition.on_error.keys() == {"*"}


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        (["step"], "'step' is the name of a stage too; allowed: names that no stage has"),
        (["a", "a"], "'a' stands twice; allowed: each name once"),
        (["a b"], "'a b' is no output name; allowed: identifiers that begin with a letter"),
        (["_a"], "'_a' is no output name"),
        (["class"], "'class' is no output name"),
        ([5], "5 is no output name"),
        ([""], "'' is no output name"),
    ],
)
def test_an_output_has_a_name_of_its_own(outputs, text):
    assert refusal(outputs=outputs, step=slither.local(keep)).startswith(f"pipe P, outputs: {text}")


@pytest.mark.parametrize("name", ["skipped", "dropped", "dead", "keys", "values", "items", "get", "__len__", "_ends"])
def test_an_output_may_not_hide_an_attribute_of_the_results(name):
    text = refusal(outputs=[name], step=slither.local(keep))
    assert text.startswith(f"pipe P, outputs: {name!r} is ")


@pytest.mark.parametrize("outputs", ["accept", 5, None])
def test_outputs_are_a_list(outputs):
    with pytest.raises(DefinitionError, match=r"pipe P, outputs: got .*allowed: a list of names"):
        type(slither.Pipe)("P", (slither.Pipe,), {"outputs": outputs, "step": slither.local(keep)})


def test_the_default_output_may_be_declared_and_stands_once():
    assert declared(outputs=["a", "default"], step=slither.local(keep)).definition.outputs == ("default", "a")


@pytest.mark.parametrize("name", ["outputs", "on_error", "stores", "definition"])
def test_a_stage_may_not_have_a_name_that_means_something_else(name):
    with pytest.raises(DefinitionError) as caught:
        type(slither.Pipe)("P", (slither.Pipe,), {name: slither.local(keep)})
    assert f"pipe P, stage {name}" in str(caught.value)
    assert "means something else" in str(caught.value)


def test_a_stage_may_not_be_called_as_the_default_output():
    assert "default" in refusal(default=slither.local(keep))


@pytest.mark.parametrize("name", ["a" * 65, "ä"])
def test_a_stage_has_a_name_that_a_process_can_have(name):
    """It becomes part of a process name."""
    text = refusal(**{name: slither.local(keep)})
    assert text.startswith(f"pipe P, stage {name}")


def test_a_decorated_method_with_parentheses_and_without_declares_the_same():
    class P(slither.Pipe):
        @slither.local
        def a(item):
            return item

        @slither.local()
        def b(item):
            return item

        @slither.local(many=True, then="default", on_error="skip")
        def c(item):
            return [item]

    a, b, c = P.definition.stages
    assert (a.declaration.many, b.declaration.many, c.declaration.many) == (False, False, True)
    assert (c.next, P.definition.policy(c, "halt")) == ("default", Skip())


def test_errors_come_out_bare_from_the_class_statement():
    """Not wrapped in a RuntimeError, as an error in __set_name__ would be on Python 3.11."""
    with pytest.raises(DefinitionError) as caught:

        class P(slither.Pipe):
            outputs = ["skipped"]
            step = slither.local(keep)

    assert caught.value.__cause__ is None


class TestInheritance:
    def base(self):
        return declared(outputs=["a"], on_error={"*": "skip"}, one=slither.local(keep), two=slither.worker(same))

    def test_a_pipe_inherits_stages_outputs_and_policies(self):
        class Child(self.base()):
            three = slither.local(keep)

        assert [stage.name for stage in Child.definition.stages] == ["one", "two", "three"]
        assert Child.definition.outputs == ("default", "a")
        assert Child.definition.on_error == {"*": Skip()}
        assert Child.definition.name == "Child"

    def test_a_replaced_stage_keeps_its_place(self):
        class Child(self.base()):
            one = slither.worker("m:f")

        assert [(s.name, s.declaration.kind) for s in Child.definition.stages] == [("one", "worker"), ("two", "worker")]

    def test_a_stage_can_be_taken_out(self):
        class Child(self.base()):
            one = None

        assert [stage.name for stage in Child.definition.stages] == ["two"]

    def test_the_base_is_left_as_it_was(self):
        base = self.base()

        class Child(base):
            one = None
            outputs = ["b"]

        assert [stage.name for stage in base.definition.stages] == ["one", "two"]
        assert (base.definition.outputs, Child.definition.outputs) == (("default", "a"), ("default", "b"))

    def test_policies_for_inherited_stages_may_be_named(self):
        class Child(self.base()):
            on_error = {"one": "halt"}

        assert Child.definition.policy(Child.definition.stage("one"), "skip") == Halt()

    def test_the_child_is_checked_as_a_whole(self):
        with pytest.raises(DefinitionError, match="pipe Child, stage three: destination 'one' is not declared"):

            class Child(self.base()):
                three = slither.local(then="one")(keep)


class Bare(slither.Stage):
    def handle_item(self, item, ctx):
        return item


class TestCustomStages:
    def test_options_are_checked_where_the_stage_is_declared(self):
        with pytest.raises(InvalidOption) as caught:
            slither.stage(Bare, factor=2)
        assert (
            str(caught.value)
            == "stage Bare: factor is not an option; allowed: handle_timeout_s, on_error, ordered, rate, replicas, "
            "start_timeout_s, then"
        )

    def test_a_class_that_handles_nothing_is_refused(self):
        class Idle(slither.Stage):
            pass

        with pytest.raises(DefinitionError, match="stage Idle: it handles nothing; allowed: handle_item or handle_bat"):
            slither.stage(Idle)

    @pytest.mark.parametrize(
        ("hook", "wrong", "text"),
        [
            (
                "handle_item",
                lambda self, item: item,
                "handle_item has the parameters (self, item); allowed: ",
            ),
            ("handle_batch", lambda self, items: items, "allowed: handle_batch(self, items, ctx)"),
            ("setup", lambda self: None, "setup has the parameters (self); allowed: setup(self, ctx)"),
            (
                "teardown",
                lambda self, reason: None,
                "parameters (self, reason); allowed: teardown(self)",
            ),
        ],
    )
    def test_a_hook_with_other_parameters_is_refused_where_the_stage_is_declared(self, hook, wrong, text):
        with pytest.raises(DefinitionError) as caught:
            slither.stage(type("Mine", (Bare,), {hook: wrong}))
        assert str(caught.value).startswith("stage Mine: ")
        assert text in str(caught.value)

    def test_flow_options_belong_to_the_pipe_and_not_to_the_stage(self):
        pipe = declared(outputs=["out"], bare=slither.stage(Bare, then="out", on_error="skip"))
        spec = pipe.definition.stage("bare")
        assert (spec.next, spec.declaration.options) == ("out", {})
        assert pipe.definition.policy(spec, "halt") == Skip()

    def test_an_option_may_be_called_like_an_argument_of_ours(self):
        declaration = slither.stage(Bare, then="default")
        assert declaration.kind == "stage"


def test_strategies_are_taken_by_worker_stages():
    pipe = declared(step=slither.worker(same, strategy=FixedBatch(3)))
    assert pipe.definition.dispatch_options(pipe.definition.stage("step"), DispatchConfig()).size == 3


async def awaited(item):
    return item


async def awaited_several(item):
    yield item


def yielding(item):
    yield item


class Async(slither.Stage):
    async def handle_item(self, item, ctx):
        return item


class Yielding(slither.Stage):
    def handle_item(self, item, ctx):
        yield item


class AsyncExecutor(slither.Executor):
    async def execute_batch(self, items, ctx):
        return items


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: slither.local(awaited), "which is async; allowed: a plain function"),
        (lambda: slither.local(many=True)(awaited_several), "which is async; allowed: a plain function"),
        (lambda: slither.local(yielding), "which yields; allowed: a function that returns its answer; with many=True"),
        (lambda: slither.worker(awaited), "which is async; allowed: a plain function"),
        (lambda: slither.worker(AsyncExecutor), "which is async; allowed: a plain function"),
        (lambda: slither.router((awaited, "out")), "which is async; allowed: a plain function"),
        (lambda: slither.stage(Async), "handle_item is async; allowed: a plain function"),
        (lambda: slither.stage(Yielding), "handle_item yields; allowed: it returns its answer, Emit(...) for several"),
        (lambda: slither.local(lambda a, b, c: 1), "with (a, b, c); allowed: a function of (item, ctx) or (item)"),
        (lambda: slither.router((lambda: 1, "out")), "with (), 'out'); allowed: (predicate, destination)"),
        (
            lambda: slither.stage(Bare, on_eror="skip"),
            "on_eror is not an option; allowed: handle_timeout_s, on_error, ordered, rate, replicas, start_timeout_s, ",
        ),
        (lambda: slither.stage(Bare, start_timeout=3.0), "did you mean 'start_timeout_s'?"),
        (lambda: slither.router((bool, "out"), on_eror="skip"), "did you mean 'on_error'?"),
    ],
)
def test_functions_and_options_that_cannot_work_are_refused_where_they_are_declared(declare, text):
    with pytest.raises((InvalidOption, DefinitionError)) as caught:
        declare()
    assert text in str(caught.value)


def test_a_generator_is_a_local_stage_that_makes_many():
    assert slither.local(many=True)(yielding).many


def test_a_misspelt_option_of_all_stages_is_told_for_a_worker_too():
    with pytest.raises(DefinitionError, match=r"option on_eror is not an option; .* did you mean 'on_error'"):
        declared(step=slither.worker(same, on_eror="skip"))


def test_a_stage_that_no_item_can_reach_is_refused():
    """Behind a worker there is one way only; what goes on behind other stages may be routed anywhere."""
    text = refusal(first=slither.worker("m:f", then="default"), second=slither.local(keep))
    assert text == (
        "pipe P, stage second: no item can reach it, since the worker stage first leads to 'default'; "
        "allowed: a stage that another one leads to"
    )
    declared(first=slither.local(then="default")(keep), second=slither.local(keep))
    declared(
        route=slither.router((keep, "last")), skips=slither.worker("m:f", then="default"), last=slither.local(keep)
    )


FORMED = [WeightedBatch(10, len), FixedBatch(3, max_wait_s=1.0), slither.KeyPartition(len)]


@pytest.mark.parametrize("strategy", FORMED)
def test_a_stage_names_how_the_one_before_forms_its_batches(strategy):
    pipe = declared(first=slither.worker(same, strategy=strategy), keep=slither.local(keep), step=slither.worker(same))
    assert pipe.definition.stage("first").strategy is strategy
    assert pipe.definition.stage("step").strategy is None


@pytest.mark.parametrize("strategy", [FORMED[0], FORMED[2]])
def test_behind_a_worker_stage_nobody_can_form_batches(strategy):
    text = refusal(first=slither.worker(same), step=slither.worker(same, strategy=strategy))
    assert text.startswith("pipe P, stage step: option strategy is ")
    assert text.endswith("allowed: None or FixedBatch there; a local stage between the two can form the batches")
    assert "behind worker stage 'first'" in text
    for strategy in (FixedBatch(3), FixedBatch(3, max_wait_s=1.0)):
        declared(first=slither.worker(same), step=slither.worker(same, strategy=strategy))


def test_a_worker_stage_that_jumps_over_another_one_is_not_before_it():
    stages = {"first": slither.worker(same, then="last"), "step": slither.worker(same, strategy=FORMED[0])}
    declared(pick=slither.local(keep), **stages, last=slither.local(keep))
    assert "behind worker stage 'first'" in refusal(
        pick=slither.local(keep),
        first=slither.worker(same, then="step"),
        keep=slither.local(keep),
        step=stages["step"],
    )


def test_credit_by_weight_needs_weights_in_pipes_too():
    assert "option max_in_flight_weight is 5" in refusal(step=slither.worker(same, max_in_flight_weight=5))
    declared(step=slither.worker(same, max_in_flight_weight=5, strategy=WeightedBatch(10, len)))
