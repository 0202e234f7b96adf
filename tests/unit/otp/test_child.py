"""Specs and options check themselves. Numbers in docstrings: the conformance list of OTP's supervisor suite."""

import pickle
import threading

import attrs
import pytest

from slither_actors._code import Code
from slither_actors.errors import InvalidOption, InvalidSpec, NotPicklable
from slither_actors.otp._restarts import SupervisorCore
from slither_actors.otp.child import (
    ChildSpec,
    ExitReason,
    Restart,
    Strategy,
    SupervisorOptions,
    check_childspecs,
    checked_plan,
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
    with pytest.raises(InvalidSpec) as caught:
        ChildSpec(**given)
    assert caught.value.why == f"missing_{missing}"


def test_other_wrong_calls_are_pythons_own_errors():
    with pytest.raises(TypeError, match="positional"):
        ChildSpec("a", "s", (), "permanent")


def test_something_that_is_no_spec_is_refused_as_a_child():
    """11"""
    with pytest.raises(InvalidSpec) as caught:
        SupervisorCore(SupervisorOptions(), ({"id": "a", "start": "s"},))
    assert (caught.value.option, caught.value.why) == ("children", "invalid_child_spec")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("id", "", "invalid_id"),
        ("id", 7, "invalid_id"),
        ("start", None, "invalid_mfa"),
        ("args", ["x"], "invalid_mfa"),
        ("restart", "permanent", "invalid_restart_type"),
        ("type", "boss", "invalid_child_type"),
        ("shutdown_s", -1, "invalid_shutdown"),
        ("shutdown_s", True, "invalid_shutdown"),
        ("shutdown_s", float("inf"), "invalid_shutdown"),
        ("shutdown_s", "5", "invalid_shutdown"),
        ("start_timeout_s", 0, "invalid_start_timeout_s"),
        ("start_timeout_s", float("inf"), "invalid_start_timeout_s"),
        ("backoff", 1.0, "invalid_backoff"),
    ],
)
def test_a_faulty_value_of_a_spec_is_refused_by_the_name_of_its_field_and_otps_word(option, value, why):
    """12"""
    with pytest.raises(InvalidSpec) as caught:
        ChildSpec(**{"id": "a", "start": "s", option: value})
    assert (caught.value.where, caught.value.option, caught.value.why) == ("ChildSpec", option, why)


def test_a_field_that_no_spec_has_is_refused_with_the_nearest_one():
    """11, where OTP takes what it does not know"""
    with pytest.raises(InvalidSpec, match="restart"):
        ChildSpec("a", "s", restrat=Restart.PERMANENT)


def test_two_children_of_one_id_are_refused_by_that_id():
    """12"""
    with pytest.raises(InvalidSpec, match=r"'twin'.*duplicate_child_name"):
        check_childspecs(SupervisorOptions(), [ChildSpec("twin", 1), ChildSpec("other", 1), ChildSpec("twin", 2)])


@pytest.mark.parametrize(
    ("options", "specs"),
    [
        (SupervisorOptions(), (ChildSpec("a", 1), ChildSpec("b", 1))),
        (SupervisorOptions(), (ChildSpec("a", 1), ChildSpec("a", 1))),
        (SupervisorOptions(), ("a",)),
        (SupervisorOptions(dynamic=True), ()),
        (SupervisorOptions(dynamic=True), (ChildSpec("a", 1),)),
        (SupervisorOptions(dynamic=True), (ChildSpec("a", 1), ChildSpec("b", 1))),
    ],
)
def test_check_childspecs_agrees_with_the_start_of_a_supervisor(options, specs):
    """13"""

    def verdict(check):
        try:
            check(options, specs)
        except InvalidSpec as error:
            return str(error)
        return "fine"

    assert verdict(check_childspecs) == verdict(SupervisorCore)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("strategy", "one_for_one", "invalid_strategy"),
        ("intensity", -1, "invalid_intensity"),
        ("intensity", 1.5, "invalid_intensity"),
        ("intensity", True, "invalid_intensity"),
        ("period_s", 0, "invalid_period"),
        ("period_s", float("inf"), "invalid_period"),
        ("parallel_start", 1, "invalid_parallel_start"),
        ("dynamic", "yes", "invalid_dynamic"),
        ("revive_stopped", None, "invalid_revive_stopped"),
        ("stratgy", None, "invalid_stratgy"),
    ],
)
def test_a_faulty_option_is_refused_by_its_name_and_otps_word(option, value, why):
    """14"""
    with pytest.raises(InvalidSpec) as caught:
        SupervisorOptions(**{option: value})
    assert (caught.value.where, caught.value.option, caught.value.why) == ("SupervisorOptions", option, why)


def test_a_dynamic_supervisor_refuses_more_than_one_template_and_group_strategies():
    """15"""
    with pytest.raises(InvalidSpec, match=r"one template at most.*bad_start_spec"):
        SupervisorCore(SupervisorOptions(dynamic=True), (ChildSpec("a", 1), ChildSpec("b", 1)))
    for strategy in (Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE):
        with pytest.raises(InvalidSpec, match="dynamic"):
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


@pytest.mark.parametrize(
    "plan",
    [
        42,
        None,
        (),
        (SupervisorOptions(),),
        (SupervisorOptions(), (), ()),
        (SupervisorOptions(), None),
        ([ChildSpec("a", 1)], SupervisorOptions()),
        [SupervisorOptions(), []],
    ],
)
def test_what_the_init_of_a_supervisor_must_not_answer_is_refused_by_the_name_of_its_class(plan):
    """7"""
    with pytest.raises(InvalidOption, match=r"^init of Shop: answer is .*; allowed: \(SupervisorOptions"):
        checked_plan("Shop", plan)


def test_the_children_in_the_plan_of_a_supervisor_are_checked_and_may_be_made_one_by_one():
    options, specs = checked_plan("Shop", (SupervisorOptions(), (ChildSpec(name, 1) for name in "ab")))
    assert (options, [spec.id for spec in specs]) == (SupervisorOptions(), ["a", "b"])
    with pytest.raises(InvalidSpec, match="duplicate_child_name"):
        checked_plan("Shop", (SupervisorOptions(), [ChildSpec("a", 1), ChildSpec("a", 1)]))
