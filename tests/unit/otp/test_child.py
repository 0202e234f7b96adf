"""Specs and options check themselves. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pickle
import threading

import attrs
import pytest

from slither_actors._code import Code
from slither_actors.errors import InvalidOption, NotPicklable
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp.child import (
    ChildSpec,
    ExitReason,
    Restart,
    Strategy,
    SupervisorOptions,
    check_childspecs,
)


def test_defaults_of_a_spec_are_filled_in_and_can_be_read_back_from_the_supervisor():
    """10"""
    spec = ChildSpec("a", "start", type="worker")
    assert (spec.args, spec.restart, spec.shutdown_s, spec.start_timeout_s) == ((), Restart.PERMANENT, 5.0, 30.0)
    above = ChildSpec("a", "start", type="supervisor")
    assert (above.shutdown_s, above.start_timeout_s) == (None, None)
    given = ChildSpec("b", "start", ("x",), type="supervisor", shutdown_s=0, restart=Restart.TRANSIENT)
    assert given.shutdown_s == 0
    core = SupervisorCore(SupervisorOptions(), (spec, given))
    assert core.get_childspec("a") == spec
    assert core.get_childspec("b") == given


def test_defaults_of_the_options_are_three_restarts_in_five_seconds_one_for_one():
    options = SupervisorOptions()
    assert (options.strategy, options.intensity, options.period_s) == (Strategy.ONE_FOR_ONE, 3, 5.0)
    assert (options.parallel_start, options.dynamic) == (False, False)


@pytest.mark.parametrize(("given", "missing"), [({"start": "s"}, "id"), ({"id": "a"}, "start")])
def test_a_spec_without_id_or_start_is_refused(given, missing):
    """11"""
    with pytest.raises(TypeError, match=missing):
        ChildSpec(**given)


def test_something_that_is_no_spec_is_refused_as_a_child():
    """11"""
    with pytest.raises(InvalidOption) as caught:
        SupervisorCore(SupervisorOptions(), ({"id": "a", "start": "s"},))
    assert caught.value.option == "children"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("start", None),
        ("args", ["x"]),
        ("restart", "permanent"),
        ("type", "boss"),
        ("shutdown_s", -1),
        ("shutdown_s", True),
        ("shutdown_s", float("inf")),
        ("shutdown_s", "5"),
        ("start_timeout_s", 0),
        ("start_timeout_s", float("inf")),
    ],
)
def test_a_faulty_value_of_a_spec_is_refused_by_the_name_of_its_field(option, value):
    """12"""
    with pytest.raises(InvalidOption) as caught:
        ChildSpec(**{"id": "a", "start": "s", option: value})
    assert (caught.value.where, caught.value.option) == ("ChildSpec", option)


def test_two_children_of_one_id_are_refused_by_that_id():
    """12"""
    with pytest.raises(InvalidOption, match="'twin'"):
        check_childspecs(SupervisorOptions(), [ChildSpec("twin", 1), ChildSpec("other", 1), ChildSpec("twin", 2)])


@pytest.mark.parametrize(
    ("options", "specs"),
    [
        (SupervisorOptions(), (ChildSpec("a", 1), ChildSpec("b", 1))),
        (SupervisorOptions(), (ChildSpec("a", 1), ChildSpec("a", 1))),
        (SupervisorOptions(), ("a",)),
        (SupervisorOptions(dynamic=True), ()),
        (SupervisorOptions(dynamic=True), (ChildSpec("a", 1),)),
    ],
)
def test_check_childspecs_agrees_with_the_start_of_a_supervisor(options, specs):
    """13"""

    def verdict(check):
        try:
            check(options, specs)
        except InvalidOption as error:
            return str(error)
        return "fine"

    assert verdict(check_childspecs) == verdict(SupervisorCore)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("strategy", "one_for_one"),
        ("intensity", -1),
        ("intensity", 1.5),
        ("intensity", True),
        ("period_s", 0),
        ("period_s", float("inf")),
        ("parallel_start", 1),
        ("dynamic", "yes"),
    ],
)
def test_a_faulty_option_is_refused_by_its_name(option, value):
    """14"""
    with pytest.raises(InvalidOption) as caught:
        SupervisorOptions(**{option: value})
    assert (caught.value.where, caught.value.option) == ("SupervisorOptions", option)


def test_a_dynamic_supervisor_refuses_initial_children_and_group_strategies():
    """15"""
    with pytest.raises(InvalidOption, match="start_child"):
        SupervisorCore(SupervisorOptions(dynamic=True), (ChildSpec("a", 1),))
    for strategy in (Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE):
        with pytest.raises(InvalidOption, match="dynamic"):
            SupervisorOptions(dynamic=True, strategy=strategy)


@pytest.mark.parametrize(
    ("kind", "normal"),
    [
        ("normal", True),
        ("shutdown", True),
        ("crash", False),
        ("killed", False),
        ("start_failed", False),
        ("unknown", False),
    ],
)
def test_only_normal_and_shutdown_are_normal_exits(kind, normal):
    """58 for "unknown": a death that nobody announced"""
    reason = ExitReason(kind, "why")
    assert reason.is_normal is normal
    assert Restart.PERMANENT.revives(reason)
    assert Restart.TRANSIENT.revives(reason) is not normal
    assert not Restart.TEMPORARY.revives(reason)
    assert str(reason) == f"{kind}: why"


def test_an_exit_reason_of_no_known_kind_is_refused():
    with pytest.raises(InvalidOption) as caught:
        ExitReason("bored")
    assert caught.value.option == "kind"


def test_a_sealed_spec_travels_with_what_only_its_child_reads():
    sealed = pickle.loads(pickle.dumps(ChildSpec("a", dict, (1, lambda: 2))))
    assert sealed.start.load() is dict
    one, function = sealed.args.decode()
    assert (one, function()) == (1, 2)
    assert sealed.sealed().args is sealed.args, "encoded once"
    assert sealed.without_args().args == ()


def test_arguments_that_cannot_travel_are_named_by_their_child():
    with pytest.raises(NotPicklable, match=r"^args of child a cannot be sent to another process: TypeError"):
        pickle.dumps(ChildSpec("a", dict, (threading.Lock(),)))


@pytest.mark.parametrize(
    "value",
    [
        ExitReason("crash", "ValueError"),
        SupervisorOptions(strategy=Strategy.REST_FOR_ONE),
    ],
)
def test_declarations_survive_pickling(value):
    assert pickle.loads(pickle.dumps(value)) == value


class Actor:
    """What a child runs."""


def test_what_a_child_runs_and_its_arguments_travel_in_a_form_that_supervisors_need_not_import():
    spec = ChildSpec("a", Actor, (Actor, 2), restart=Restart.TEMPORARY, shutdown_s=1.0)
    once = pickle.loads(pickle.dumps(spec))
    twice = pickle.loads(pickle.dumps(once))
    for travelled in (once, twice):
        assert travelled.start == Code.of(Actor)
        assert travelled.args.decode() == (Actor, 2)
        assert attrs.evolve(travelled, start=Actor, args=(Actor, 2)) == spec
