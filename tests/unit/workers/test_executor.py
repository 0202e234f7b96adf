"""Every form of executor, and every wrong one."""

import functools
import inspect
import pickle
import sys

import pytest

from slither_actors import (
    Call,
    Context,
    Drop,
    Emit,
    Executor,
    Fail,
    InvalidOption,
    InvalidOutcome,
    NotImportable,
    ResultCountMismatch,
    RouteTo,
    Skip,
)
from slither_actors._code import Code
from slither_actors.errors import DispatchError, ItemError, RemoteError
from slither_actors.item import Item, columns
from slither_actors.workers.executor import batch_runner, code_of, item_error, once_runner, sendable
from tests.helpers import jobs

JOBS = "tests.helpers.jobs"


def run(executor, payloads, ctx=None):
    """The results of a batch, the way of a worker: after a trip through pickle."""
    code = pickle.loads(pickle.dumps(code_of(executor)))
    rows = columns(Item.wrap_many(payloads))
    return list(batch_runner(code)(rows, ctx or Context(run_id="7", stage="s"))[1])


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (f"{JOBS}:double", [2, 4]),
        (jobs.double, [2, 4]),
        (Call(f"{JOBS}:double"), [2, 4]),
        (Call(jobs.double), [2, 4]),
        (lambda payloads: [payload + 1 for payload in payloads], [2, 3]),
        (functools.partial(jobs.scaled, 3), [3, 6]),
        (jobs.with_context, [(1, True), (2, True)]),
        (jobs.keyword_context, [(1, "s"), (2, "s")]),
        (jobs.Tagging, [(1, 1), (2, 1)]),
        (f"{JOBS}:Tagging", [(1, 1), (2, 1)]),
        (lambda *payloads: payloads[0], [1, 2]),
        (lambda payloads, more=(): [*payloads, *more], [1, 2]),
        (lambda payloads: (payload for payload in payloads), [1, 2]),
        (lambda payloads: tuple(payloads), [1, 2]),
        (sorted, [1, 2]),
    ],
)
def test_every_form_of_executor_runs(executor, expected):
    assert run(executor, [1, 2]) == expected


def test_an_executor_class_is_made_once_and_keeps_what_it_notes():
    runner = batch_runner(code_of(jobs.Tagging))
    rows = columns(Item.wrap_many([1]))
    assert [runner(rows, Context())[1] for _ in range(3)] == [[(1, 1)], [(1, 2)], [(1, 3)]]


def test_an_executor_class_may_change_meta_and_keeps_ids():
    items = Item.wrap_many([1, 2])
    ids, _, metas, routes, births = batch_runner(code_of(jobs.Tagging))(columns(items), Context())
    assert list(ids) == [item.id for item in items]
    assert metas == [{"by": "Tagging"}] * 2
    assert (routes, births) == (None, None)


def test_items_that_an_executor_makes_itself_name_their_parents():
    items = Item.wrap_many([1, 2])
    ids, _, _, _, births = batch_runner(code_of(jobs.Renaming))(columns(items), Context())
    assert births == [(item.id, 0) for item in items]
    assert not set(ids) & {item.id for item in items}


class Emptying(Executor):
    """Does to the list that it is given whatever it likes."""

    def execute_batch(self, items, ctx):
        taken = list(items)
        items.clear()
        return taken


def test_an_executor_may_empty_the_list_that_it_is_given():
    assert run(Emptying, [1, 2]) == [1, 2]


@pytest.mark.parametrize(
    ("executor", "got"),
    [
        (jobs.two_parameters, "payloads, other"),
        (jobs.no_parameter, ""),
        (lambda *, payloads: payloads, "payloads"),
        (lambda ctx: [], "ctx"),
        (lambda ctx, payloads: [], "ctx, payloads"),
        (lambda a, b, ctx: [], "a, b, ctx"),
    ],
)
def test_wrong_parameters_are_named_before_anything_is_sent(executor, got):
    with pytest.raises(InvalidOption) as caught:
        code_of(executor)
    assert f"parameters ({got})" in str(caught.value)
    assert "one parameter for the list of payloads, and optionally one named ctx" in str(caught.value)


def test_wrong_parameters_behind_a_path_are_named_at_once_where_its_module_is_imported_anyway():
    with pytest.raises(InvalidOption, match=rf"{JOBS}:two_parameters is parameters \(payloads, other\)"):
        code_of(f"{JOBS}:two_parameters")
    with pytest.raises(InvalidOption, match=r"call_each: .*:same is parameters \(payloads\)"):
        code_of(f"{JOBS}:same", once=True)


def test_a_path_is_not_imported_to_look_at_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    code = code_of("this:rot13")
    assert "this" not in sys.modules
    assert code.path == "this:rot13"


def test_wrong_parameters_behind_a_path_are_found_in_the_worker():
    with pytest.raises(InvalidOption, match="payloads, other"):
        batch_runner(Code(f"{JOBS}:two_parameters", None, "work"))


def test_a_context_that_cannot_be_given_by_name_is_refused():
    with pytest.raises(InvalidOption, match=r"parameters \(payloads, ctx\)"):
        code_of(lambda payloads, ctx, /: payloads)


class NoMethod(Executor):
    pass


class NoContext(Executor):
    def execute_batch(self, items):
        return items


class WithArguments(Executor):
    def __init__(self, model):
        self.model = model

    def execute_batch(self, items, ctx):
        return items


@pytest.mark.parametrize(
    ("executor", "got"),
    [
        (NoMethod, "worker: NoMethod is without execute_batch"),
        (NoContext, "worker: NoContext is with execute_batch(self, items)"),
        (WithArguments, "worker: WithArguments is made with (model)"),
        (f"{__name__}:WithArguments", "worker: WithArguments is made with (model)"),
    ],
)
def test_an_executor_class_that_cannot_be_used_is_refused_at_once(executor, got):
    with pytest.raises(InvalidOption) as caught:
        code_of(executor, "worker")
    assert str(caught.value) == f"{got}; allowed: a class with execute_batch(self, items, ctx), made without arguments"


class Static(Executor):
    @staticmethod
    def execute_batch(items, ctx):
        return items


def test_a_static_method_of_two_parameters_is_an_executors_too():
    assert run(Static, [1]) == [1]


def test_what_is_called_once_per_worker_is_no_executor_class():
    with pytest.raises(InvalidOption, match=r"call_each: executor is .*; allowed: a function with no parameter"):
        code_of(Static, "call_each", once=True)


@pytest.mark.parametrize("executor", [3, None, [], object()])
def test_what_cannot_be_called_is_no_executor(executor):
    with pytest.raises(InvalidOption) as caught:
        code_of(executor)
    assert str(caught.value).startswith("dispatch: executor is ")
    assert '"module:function", a function, Call(...), Command(...), or a subclass of Executor' in str(caught.value)


@pytest.mark.parametrize("executor", [int, Item, Exception])
def test_a_class_that_is_no_executor_class_is_refused(executor):
    with pytest.raises(InvalidOption, match="a class only if it subclasses Executor"):
        code_of(executor)


@pytest.mark.parametrize("path", ["os", "os:", ":getpid", "os.path.join", "a b:c", "__main__:f", ""])
def test_a_malformed_path_is_refused_at_once(path):
    with pytest.raises(NotImportable):
        code_of(path)


@pytest.mark.parametrize("path", ["no_such_module_at_all:f", "os:no_such_function", f"{JOBS}:Tagging.nothing"])
def test_a_path_into_nowhere_is_found_in_the_worker(path):
    with pytest.raises(NotImportable) as caught:
        batch_runner(code_of(path))
    assert path in str(caught.value)


def test_a_path_to_something_that_is_no_function_is_refused():
    with pytest.raises(InvalidOption, match="a function or a subclass of Executor"):
        batch_runner(code_of(f"{JOBS}:MISHAPS"))


@pytest.mark.parametrize(("mishap", "got"), [("too few", 2), ("too many", 4)])
def test_a_wrong_number_of_results_says_how_many(mishap, got):
    with pytest.raises(ResultCountMismatch) as caught:
        run(jobs.mishaps, [mishap, 1, 2])
    assert (caught.value.expected, caught.value.got) == (3, got)
    assert f"{JOBS}:mishaps" in str(caught.value)


@pytest.mark.parametrize(
    ("executor", "kind"), [(jobs.mishaps, "NoneType"), (lambda payloads: "x", "str"), (lambda payloads: {1: 2}, "dict")]
)
def test_results_that_are_no_list_are_refused_by_their_type(executor, kind):
    with pytest.raises(InvalidOutcome, match=f"not a {kind}"):
        run(executor, ["none"])


class OwnDrop(Drop):
    pass


@pytest.mark.parametrize(
    "answer", [Drop("x"), Fail("x"), Emit([1]), RouteTo("out", 1), Item.wrap(1), OwnDrop(), Skip()]
)
def test_an_answer_of_a_stage_among_the_results_is_refused_with_the_way_out(answer):
    with pytest.raises(InvalidOutcome) as caught:
        run(lambda payloads: [1, 2, answer], [1, 2, 3])
    kind = type(answer).__name__
    assert f"result 2 is of the kind {kind}, and a batch function returns payloads" in str(caught.value)
    assert "an Executor returns Items, and a stage behind it can drop or route them" in str(caught.value)


def test_an_executor_that_returns_payloads_is_told_so():
    with pytest.raises(InvalidOutcome, match="execute_batch returned a int among its items"):
        run(jobs.NotItems, [1])


@pytest.mark.parametrize(
    ("function", "expected"),
    [(lambda: 5, 5), (lambda ctx: ctx.stage, "s"), (lambda *, ctx: ctx.stage, "s"), (lambda a=1: a, 1)],
)
def test_a_function_for_each_worker_takes_nothing_or_the_context(function, expected):
    assert once_runner(code_of(function, once=True))(Context(stage="s")) == expected


@pytest.mark.parametrize("function", [jobs.same, lambda a, ctx: 1, lambda *, a: 1])
def test_a_function_for_each_worker_that_wants_more_is_refused(function):
    names = [name for name, one in inspect.signature(function).parameters.items() if one.default is one.empty]
    with pytest.raises(InvalidOption) as caught:
        code_of(function, once=True)
    assert f"parameters ({', '.join(names)})" in str(caught.value)
    assert "no parameter, or one named ctx" in str(caught.value)


def with_note(error, note):
    error.note = note
    return error


def test_an_error_class_of_the_users_own_travels_as_text():
    error = item_error(jobs.OwnError("mine"))
    assert type(error) is RemoteError
    assert (error.type_name, error.message) == ("OwnError", "mine")
    assert any(kind.endswith("ItemError") for kind in error.kinds), "a policy can still tell what it was"
    assert pickle.loads(pickle.dumps(error)).type_name == "OwnError"


class Foreign:
    """Does not travel."""

    def __reduce__(self):
        raise TypeError("it does not travel")


@pytest.mark.parametrize(
    "error",
    [
        InvalidOutcome(Foreign(), "x"),
        RemoteError("T", Foreign(), "", ()),
        DispatchError(ValueError("v"), 1, [Foreign()]),
        with_note(ResultCountMismatch("f", 1, 2), Foreign()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_library_that_holds_foreign_objects_travels_as_text(error):
    known = item_error(error)
    assert type(known) is RemoteError
    assert known.type_name == type(error).__qualname__
    assert str(pickle.loads(pickle.dumps(known))) == f"{known.type_name}: {error}"
    assert sendable(known) is known


def test_the_librarys_own_errors_travel_as_they_are():
    error = ResultCountMismatch("f", 1, 2)
    assert item_error(error) is error
    assert isinstance(item_error(SystemExit(4)), ItemError)
