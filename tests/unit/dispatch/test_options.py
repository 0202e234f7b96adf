"""Options, policies and strategies: what is allowed, and what is said about the rest."""

import pickle

import pytest

from slither_actors import (
    BatchTimeout,
    DispatchConfig,
    DispatchOptions,
    FixedBatch,
    Halt,
    InvalidOption,
    KeyPartition,
    Retry,
    Route,
    Skip,
    Strategy,
    WeightedBatch,
)
from slither_actors.policy import Verdict, as_policy, verdict, way_out

DEFAULTS = DispatchConfig()


def options(**given):
    return DispatchOptions.of(given, DEFAULTS, "dispatch")


def test_the_defaults_are_those_of_the_documents():
    made = options()
    assert (made.pool, made.batch_size, made.max_in_flight, made.ordering) == ("default", 64, 8, "preserve")
    assert (made.on_error, made.timeout_s, made.size) == (Halt(), 30.0, 64)


def test_none_means_the_configured_default_and_a_given_value_wins():
    config = DispatchConfig(default_batch_size=3, default_ordering="as_completed", default_on_error="skip")
    made = DispatchOptions.of({"batch_size": None, "ordering": "preserve"}, config, "dispatch")
    assert (made.batch_size, made.ordering, made.on_error) == (3, "preserve", Skip())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"batch_size": 0}, "dispatch: batch_size is 0; allowed: a whole number of at least 1"),
        ({"batch_size": True}, "dispatch: batch_size is True; allowed: a whole number of at least 1"),
        ({"batch_size": "8"}, "dispatch: batch_size is '8'; allowed: a whole number of at least 1"),
        ({"max_in_flight": -1}, "dispatch: max_in_flight is -1; allowed: a whole number of at least 1"),
        ({"max_in_flight": 2.0}, "dispatch: max_in_flight is 2.0; allowed: a whole number of at least 1"),
        ({"ordering": "asap"}, "dispatch: ordering is 'asap'; allowed: 'preserve', 'as_completed'"),
        (
            {"on_error": "skp"},
            'dispatch: on_error is \'skp\'; allowed: "halt", "skip", Halt(), Skip(), Retry() or Route(...)',
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(given, text):
    with pytest.raises(InvalidOption) as caught:
        options(**given)
    assert str(caught.value).startswith(text.partition("; allowed: ")[0])
    if "on_error" not in given:
        assert str(caught.value) == text
    else:
        assert '"halt", "skip"' in str(caught.value), "policies may become more, these two stay"


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("inf"), float("nan"), True, "3"])
def test_a_time_limit_is_a_finite_number_of_seconds(timeout_s):
    with pytest.raises(InvalidOption, match=r"timeout_s .* a finite number of seconds above 0"):
        options(timeout_s=timeout_s)


@pytest.mark.parametrize("pool", ["", "../x", "a b", 3])
def test_a_pool_has_a_name(pool):
    with pytest.raises(InvalidOption, match="pool"):
        options(pool=pool)


def test_an_unknown_option_is_told_the_nearest_one():
    with pytest.raises(InvalidOption) as caught:
        options(batchsize=8)
    assert str(caught.value).startswith("dispatch: batchsize is not an option; allowed: batch_size, ")
    assert str(caught.value).endswith("did you mean 'batch_size'?")


@pytest.mark.parametrize(("given", "policy"), [("halt", Halt()), ("skip", Skip()), (Halt(), Halt()), (Skip(), Skip())])
def test_policies_by_name_or_as_objects(given, policy):
    assert as_policy(given, "here") == policy


@pytest.mark.parametrize("wrong", ["", "HALT", None, 3, Skip, ["skip"], {}])
def test_what_is_no_policy_is_refused_by_name(wrong):
    with pytest.raises(InvalidOption) as caught:
        as_policy(wrong, "pipe P", "on_error")
    assert caught.value.where == "pipe P"
    assert caught.value.option == "on_error"


def test_credit_by_weight_needs_a_strategy_with_weights():
    weighted = WeightedBatch(5, len)
    given = {"max_in_flight_weight": 8, "strategy": weighted}
    assert DispatchOptions.of(given, DispatchConfig(), "dispatch").max_in_flight_weight == 8
    for strategy in (None, FixedBatch(3), KeyPartition(len)):
        with pytest.raises(InvalidOption, match=r"max_in_flight_weight is 8; allowed: None, unless strategy=Weighted"):
            DispatchOptions.of(given | {"strategy": strategy}, DispatchConfig(), "dispatch")


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), True, "5"])
def test_credit_by_weight_is_a_number(wrong):
    with pytest.raises(InvalidOption, match=r"max_in_flight_weight is .*; allowed: None, or a finite number above 0"):
        options(max_in_flight_weight=wrong, strategy=WeightedBatch(5, len))


class Incomplete(Strategy):
    def push(self, item):
        return []


@pytest.mark.parametrize("wrong", [Incomplete(), Strategy()])
def test_a_strategy_overrides_both_hooks(wrong):
    with pytest.raises(InvalidOption, match=r"strategy is .*; allowed: \w+ must override push and flush"):
        options(strategy=wrong)


class Shouting(KeyPartition):
    def push(self, item):
        return super().push(item)


class Waiting(FixedBatch):
    def deadline(self):
        return 1.0


class Flushing(WeightedBatch):
    def flush(self, reason):
        return []


@pytest.mark.parametrize(
    ("strategy", "hook"), [(Shouting(len), "push"), (Waiting(3), "deadline"), (Flushing(3, len), "flush")]
)
def test_an_override_that_would_never_be_called_is_refused(strategy, hook):
    base = type(strategy).__bases__[0].__name__
    said = f"{type(strategy).__name__}, which overrides {hook}; .*a subclass of Strategy itself, since {base} does not"
    with pytest.raises(InvalidOption, match=said):
        options(strategy=strategy)


def test_a_subclass_that_adds_other_things_is_a_strategy():
    class Named(KeyPartition):
        def size_within(self, batch_size):
            return 2

    assert options(strategy=Named(len)).size == 2


def test_a_strategy_says_the_size():
    assert options(strategy=FixedBatch(5), batch_size=9).size == 5
    assert options(strategy=None, batch_size=9).size == 9


@pytest.mark.parametrize("size", [0, -1, True, "5", 1.5, None])
def test_a_fixed_batch_has_a_size(size):
    with pytest.raises(InvalidOption, match="size"):
        FixedBatch(size)


@pytest.mark.parametrize("wrong", ["fixed", 5, FixedBatch])
def test_what_is_no_strategy_is_refused(wrong):
    with pytest.raises(InvalidOption, match=r"strategy .*FixedBatch"):
        options(strategy=wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *[
            (lambda wrong=wrong: WeightedBatch(wrong, len), "WeightedBatch: max_weight is .*; allowed: a finite number")
            for wrong in (0, -1, float("nan"), float("inf"), True, "5", None)
        ],
        (lambda: WeightedBatch(5, 3), "WeightedBatch: weight is 3; allowed: a function of the item"),
        (lambda: WeightedBatch(5, lambda a, b: 1), "WeightedBatch: weight is .*; allowed: a function of the item"),
        (lambda: KeyPartition(3), "KeyPartition: key is 3; allowed: a function of the item that gives its key"),
        (lambda: KeyPartition(len, 0), "KeyPartition: max_size is 0; allowed: None, or a whole number"),
        (lambda: KeyPartition(len, max_wait_s=0), "KeyPartition: max_wait_s is 0; allowed: None, or a finite"),
        (lambda: WeightedBatch(5, len, 0), "WeightedBatch: max_size is 0; allowed: None, or a whole number"),
        (lambda: WeightedBatch(5, len, max_wait_s=0), "WeightedBatch: max_wait_s is 0; allowed: None, or a finite"),
        (lambda: FixedBatch(5, max_wait_s=-1), "FixedBatch: max_wait_s is -1"),
        (lambda: WeightedBatch(5, len, max_siz=3), "WeightedBatch: max_siz .*max_size"),
        (lambda: options(strategy=len), r"strategy is .*; allowed: None, FixedBatch\(size\), WeightedBatch"),
    ],
)
def test_strategies_refuse_what_means_nothing(make, message):
    with pytest.raises(InvalidOption, match=message):
        make()


def test_a_weighted_batch_has_as_many_items_as_it_says_or_as_the_dispatch_does():
    assert options(strategy=WeightedBatch(5, len), batch_size=9).size == 9
    assert options(strategy=WeightedBatch(5, len, 4), batch_size=9).size == 4


def test_what_goes_to_the_dispatcher_names_no_function():
    policy = Retry(then=Route(lambda item, reason: 1))
    sent = options(strategy=WeightedBatch(5, lambda item: 1, 4), batch_size=9, on_error=policy).for_dispatcher()
    assert (sent.strategy, sent.batch_size) == (None, 4)
    assert not callable(way_out(sent.on_error))
    assert verdict(sent.on_error, BatchTimeout(1.0, "w"), 3, 1) is Verdict.ROUTED
    assert pickle.loads(pickle.dumps(sent)) == sent
