"""Error policies: what they take, and what they mean for one failure."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.errors import (
    BatchTimeout,
    InvalidOption,
    ItemError,
    NotImportable,
    RemoteError,
    SlitherError,
    WorkerCrashed,
)
from slither_actors.policy import LONGEST_PAUSE_S, Halt, Retry, Skip, Verdict, as_policy, skips, verdict


class Busy(OSError):
    """Lives in a module of the user's."""


def raised(exception):
    try:
        raise exception
    except Exception as error:
        return RemoteError.of(error)


CRASH = WorkerCrashed("worker-1", 7, "SIGKILL")
LATE = BatchTimeout(1.0, "worker-1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Retry(max_attempts=0), "Retry: max_attempts is 0; allowed: a whole number of at least 1"),
        (lambda: Retry(max_attempts=True), "Retry: max_attempts is True"),
        (lambda: Retry(backoff_s=-1), "Retry: backoff_s is -1; allowed: a finite number of seconds, at least 0"),
        (lambda: Retry(factor=0.5), "Retry: factor is 0.5; allowed: a number from 1 to 1000"),
        (lambda: Retry(factor=float("nan")), "Retry: factor is nan"),
        (lambda: Retry(jitter=1.5), "Retry: jitter is 1.5; allowed: a number from 0 to 1"),
        (lambda: Retry(on=3), "Retry: on is 3; allowed: exception classes, or their full names"),
        (lambda: Retry(on=(ValueError, int)), "Retry: on is .*int.*; allowed: exception classes"),
        (lambda: Retry(on="ValueError"), "Retry: on is 'ValueError'; allowed: .*\"builtins.OSError\""),
        (lambda: Retry(on=("builtins.OSError", "")), "Retry: on is ''"),
        (lambda: Retry(on=()), r"Retry: on is \(\); allowed: exception classes, .*at least one"),
        (
            lambda: Retry(then="retry"),
            'Retry: then is \'retry\'; allowed: "halt", "skip", Halt\\(\\), Skip\\(\\) or Route',
        ),
        (lambda: Retry(then=Retry()), "Retry: then is Retry"),
        (lambda: Retry(then=Skip(isolate=True)), r"Retry: then is Skip\(isolate=True\)"),
        (lambda: Retry(isolate="yes"), "Retry: isolate is 'yes'; allowed: True or False"),
        (lambda: Skip(isolate=1), "Skip: isolate is 1; allowed: True or False"),
        (lambda: Retry(attempts=3), "Retry: attempts .*max_attempts"),
        (lambda: Skip(isolated=True), "Skip: isolated .*isolate"),
        (lambda: as_policy("retry", "dispatch"), "dispatch: on_error is 'retry'; allowed: .*Retry"),
        (lambda: as_policy(Retry, "dispatch"), "dispatch: on_error is .*Retry"),
    ],
)
def test_what_means_nothing_is_refused(make, message):
    with pytest.raises(InvalidOption, match=message):
        make()


def test_a_policy_travels_without_the_classes_it_names():
    policy = Retry(on=(Busy, KeyError), then="skip")
    assert b"test_policy" in pickle.dumps(policy), "by name, which is all that is kept"
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.on == (f"{__name__}.Busy", "builtins.KeyError")


@pytest.mark.parametrize(
    ("on", "error", "covered"),
    [
        (Exception, raised(ValueError("x")), True),
        (Exception, CRASH, True),
        (Exception, LATE, True),
        (OSError, raised(Busy("x")), True),
        (Busy, raised(Busy("x")), True),
        (Busy, raised(OSError("x")), False),
        ((KeyError, Busy), raised(Busy("x")), True),
        (WorkerCrashed, CRASH, True),
        (WorkerCrashed, LATE, False),
        (ItemError, LATE, True),
        (RemoteError, raised(Busy("x")), True),
        (RemoteError, CRASH, False),
        (SlitherError, raised(Busy("x")), True),
        ("builtins.OSError", raised(Busy("x")), True),
        (Exception, RemoteError.of(SystemExit(3)), True),
        (SystemExit, RemoteError.of(SystemExit(3)), True),
        (SystemExit, raised(Busy("x")), False),
        (ValueError, CRASH, False),
        (Exception, NotImportable("nowhere:f", "there is no such module"), False),
    ],
)
def test_classes_cover_what_is_derived_from_them(on, error, covered):
    assert Retry(on=on).covers(error) is covered


@pytest.mark.parametrize(
    ("policy", "attempts", "count", "means"),
    [
        (Halt(), 1, 1, Verdict.HALT),
        (Halt(), 1, 9, Verdict.HALT),
        (Skip(), 1, 9, Verdict.SKIPPED),
        (Skip(isolate=True), 1, 9, Verdict.SPLIT),
        (Skip(isolate=True), 1, 1, Verdict.SKIPPED),
        (Retry(), 1, 9, Verdict.RETRY),
        (Retry(), 2, 9, Verdict.RETRY),
        (Retry(), 3, 9, Verdict.HALT),
        (Retry(then="skip"), 3, 9, Verdict.DEAD),
        (Retry(max_attempts=1, then="skip"), 1, 1, Verdict.DEAD),
        (Retry(isolate=True), 1, 9, Verdict.SPLIT),
        (Retry(isolate=True), 1, 1, Verdict.RETRY),
        (Retry(on=KeyError), 1, 9, Verdict.HALT),
        (Retry(on=KeyError, then="skip"), 1, 9, Verdict.DEAD),
        (Retry(on=KeyError, then="skip", isolate=True), 1, 9, Verdict.SPLIT),
        (Retry(on=KeyError, then="skip", isolate=True), 1, 1, Verdict.DEAD),
        (Retry(on=KeyError, isolate=True), 1, 1, Verdict.HALT),
    ],
)
def test_what_a_policy_means(policy, attempts, count, means):
    assert verdict(policy, CRASH, attempts, count) is means


def test_what_is_not_worth_another_attempt_and_cost_no_worker_its_life_is_skipped():
    assert verdict(Retry(on=KeyError, then="skip"), raised(OSError()), 1, 9) is Verdict.SKIPPED
    assert verdict(Retry(on=KeyError, then="skip"), LATE, 1, 9) is Verdict.DEAD
    assert verdict(Skip(), LATE, 1, 9) is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("policy", "means"),
    [
        (Skip(isolate=True), Verdict.SKIPPED),
        (Retry(), Verdict.HALT),
        (Retry(then="skip", isolate=True), Verdict.SKIPPED),
    ],
)
def test_what_no_other_attempt_would_mend_is_not_tried_again(policy, means):
    assert verdict(policy, raised(OSError()), 1, 9, final=True) is means


def test_what_a_run_outlives():
    assert [skips(policy) for policy in (Halt(), Skip(), Retry(), Retry(then="skip"))] == [False, True, False, True]


def test_pauses_grow_and_stray_by_their_jitter():
    policy = Retry(backoff_s=2.0, factor=3.0, jitter=0.25)
    assert [policy.pause_s(attempts, 0.5) for attempts in (1, 2, 3)] == [2.0, 6.0, 18.0]
    assert (policy.pause_s(1, 0.0), policy.pause_s(1, 1.0)) == (1.5, 2.5)
    assert Retry(backoff_s=0.0, factor=1000).pause_s(10**9, 0.5) == 0.0
    assert Retry(factor=1000).pause_s(200, 1.0) == LONGEST_PAUSE_S


@given(
    st.integers(1, 10**12),
    st.floats(0, 1e300),
    st.one_of(st.floats(1.0, 1000.0), st.integers(1, 1000)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_no_pause_is_longer_than_an_hour(attempts, backoff_s, factor, jitter, draw):
    policy = Retry(backoff_s=backoff_s, factor=factor, jitter=jitter)
    assert 0.0 <= policy.pause_s(attempts, draw) <= LONGEST_PAUSE_S
