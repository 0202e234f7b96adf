"""The error tree: listed, drawn, picklable, and saying something useful."""

import functools
import pickle
import re
import signal
import traceback

import attrs
import pytest

from slither_actors import errors
from slither_actors._describe import message_of, shorten
from slither_actors.item import Item

REMOTE = errors.RemoteError("ValueError", "bad input", "Traceback ...\nValueError: bad input", ("builtins.ValueError",))
ENDED = Item(7, "x", {"error": REMOTE, "stage": "predict", "attempts": 1})

SAMPLES: dict[str, tuple[errors.SlitherError, str]] = {
    "SlitherError": (errors.SlitherError("anything"), "anything"),
    "TransportError": (errors.TransportError("anything"), "anything"),
    "ItemError": (errors.ItemError("anything"), "anything"),
    "InvalidOption": (
        errors.InvalidOption("Pool", "size", "0", "a whole number of at least 1"),
        "Pool: size is 0; allowed: a whole number of at least 1",
    ),
    "InvalidSpec": (
        errors.InvalidSpec("ChildSpec", "shutdown_s", "-1", "a number of seconds, 0 or more", "invalid_shutdown"),
        "ChildSpec: shutdown_s is -1; allowed: a number of seconds, 0 or more (invalid_shutdown)",
    ),
    "DefinitionError": (
        errors.DefinitionError("pipe Score", "there are two stages 'a'", "one of each name"),
        "pipe Score: there are two stages 'a'; allowed: one of each name",
    ),
    "NotImportable": (errors.NotImportable("a:b", "there is no module 'a'"), "cannot import 'a:b': there is no"),
    "NotPicklable": (errors.NotPicklable("a lock", "TypeError"), "a lock cannot be sent to another process: TypeError"),
    "NotDecodable": (
        errors.NotDecodable("args of child x", "KeyError: 1"),
        "args of child x cannot be read in the process that received it: KeyError: 1",
    ),
    "UnknownPool": (
        errors.UnknownPool("gpu", ("default", "io")),
        "no pool is called 'gpu'; this system has: default, io",
    ),
    "NoProcess": (errors.NoProcess("store/x"), "no process is registered as 'store/x'"),
    "CallTimeout": (errors.CallTimeout("store/x", 1.5), "store/x did not answer within 1.5 s"),
    "StartError": (errors.StartError("store X", "load raised"), "store X did not start: load raised"),
    "ChildRefused": (
        errors.ChildRefused("children/a", "not_found", "there is none"),
        "child children/a: not_found (there is none)",
    ),
    "StreamBusy": (errors.StreamBusy(), "take turns, or give each thread a stream of its own"),
    "KeyTooLong": (errors.KeyTooLong("t", "'kkk'", 500, 480), "the key 'kkk' takes 500 bytes, and at most 480"),
    "UnknownStore": (errors.UnknownStore("eu", ("us",)), "no store is called 'eu'; this system has: us"),
    "StoreUnavailable": (errors.StoreUnavailable("s", "it is gone"), "store s cannot be used: it is gone"),
    "StoreFull": (errors.StoreFull("s", "no space left"), "store s has no room for the write"),
    "StoreConflict": (errors.StoreConflict("t", "'k'", 100), "key 'k' was changed by others at each of 100 attempts"),
    "StoreLoadError": (errors.StoreLoadError("s", "KeyError: 1"), "load failed, and nothing was changed: KeyError: 1"),
    "SnapshotExpired": (errors.SnapshotExpired("s", 30), "it was open for longer than 30 s, or its block has ended"),
    "SystemDown": (
        errors.SystemDown("s", ("budget spent", "KeyError: 1")),
        "is down: budget spent, because KeyError: 1",
    ),
    "SystemNotFound": (errors.SystemNotFound("x", ("a", "b")), "no system called 'x' is running; running now: a, b"),
    "SystemStopping": (errors.SystemStopping("s"), "system 's' is stopping: it begins nothing new"),
    "ForkedSystem": (errors.ForkedSystem("s", (), 4711), "belongs to process 4711, of which this is a fork"),
    "Drained": (errors.Drained("system s", 640), "system s was stopped: the source was read up to item 640"),
    "UnsupportedPlatform": (errors.UnsupportedPlatform("win32"), "win32 is not supported"),
    "RunDirectoryError": (errors.RunDirectoryError("/run/x", "not writable"), "run directory /run/x: not writable"),
    "SendQueueFull": (errors.SendQueueFull("worker 1", 5_000, 4_000), "5,000 bytes wait for worker 1"),
    "RemoteError": (REMOTE, "ValueError: bad input"),
    "ResultCountMismatch": (errors.ResultCountMismatch("m:f", 3, 2), "m:f got 3 items and gave 2 results"),
    "WorkerCrashed": (errors.WorkerCrashed("w-1", 42, "SIGKILL"), "worker w-1 (pid 42) died with SIGKILL"),
    "BatchTimeout": (errors.BatchTimeout(30, "w-1"), "timeout_s=30 and worker w-1 was killed"),
    "WriteInDoubt": (errors.WriteInDoubt("Features", "it died"), "may or may not have been carried out: it died"),
    "UnknownView": (errors.UnknownView("look", ("find",)), "no view is called 'look' here; there are: find"),
    "DuplicateView": (
        errors.DuplicateView("find", ("A", "B")),
        "several stores have a view 'find'; call one of: 'A.find', 'B.find'",
    ),
    "ViewTimeout": (errors.ViewTimeout("A", "find", 5.0), "view find of store A took longer than timeout_s=5"),
    "PoolQuarantined": (errors.PoolQuarantined("gpu", 2, "killed: SIGSEGV"), "pool 'gpu' has no worker: all 2 of it"),
    "SessionLimit": (errors.SessionLimit("gpu", 5), "pool 'gpu' has 5 sessions open"),
    "SessionLost": (errors.SessionLost("s", "w", 2, "it fell"), "session 's' is lost in its epoch 2"),
    "WorkerBusy": (errors.WorkerBusy("s", "w"), "worker w is busy"),
    "QueueTimeout": (errors.QueueTimeout(2.5, "gpu"), "longer than queue_timeout_s=2.5, and pool 'gpu' had no worker"),
    "DeadlineExceeded": (errors.DeadlineExceeded(60), "the run took longer than deadline_s=60"),
    "EndsFileError": (errors.EndsFileError("/ends", "cannot be written"), "ends file /ends cannot be written"),
    "StageDown": (errors.StageDown("prepare", "exit code 3"), "stage 'prepare' died with exit code 3"),
    "StrategyError": (errors.StrategyError("Mine", "lost 2 of its items"), "Mine lost 2 of its items"),
    "InvalidOutcome": (errors.InvalidOutcome("prepare", "no output 'x'"), "prepare gave an answer"),
    "DispatchError": (
        errors.DispatchError(REMOTE, 7, [1, 2]),
        "batch 7 failed, 2 items are in partial_results: ValueError: bad input",
    ),
    "PipeError": (
        errors.PipeError("Score", "predict", REMOTE, {"default": [1], "accept": [2, 3]}),
        "stage 'predict' of pipe Score failed, 3 items are in partial_results: ValueError: bad input",
    ),
    "PipeFull": (errors.PipeFull("Score", 100), "pipe Score has 100 items waiting, as many as it may have"),
    "PipeStopped": (errors.PipeStopped("Score"), "pipe Score was stopped"),
    "ItemEnded": (
        errors.ItemEnded("Score", ENDED, []),
        "an item has ended in stage 'predict' of pipe Score",
    ),
    "ItemSkipped": (errors.ItemSkipped("Score", ENDED, []), "an item was skipped in stage 'predict' of pipe Score"),
    "ItemDropped": (errors.ItemDropped("Score", ENDED, []), "an item was dropped in stage 'predict' of pipe Score"),
    "ItemDead": (errors.ItemDead("Score", ENDED, []), "an item was given up in stage 'predict' of pipe Score"),
}


def fields_of(error: BaseException) -> dict[str, object]:
    if not attrs.has(type(error)):
        return {"args": error.args}
    values = {field.name: getattr(error, field.name) for field in attrs.fields(type(error))}  # type: ignore[arg-type]
    return {name: repr(value) if isinstance(value, Exception | Item) else value for name, value in values.items()}


def test_every_error_class_is_listed_and_has_a_sample():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SlitherError) and value.__module__ == errors.__name__
    }
    assert sorted(errors.__all__) == sorted(defined) == sorted(SAMPLES)


def test_the_drawn_tree_is_the_real_one():
    drawn, stack = {}, ["SlitherError"]
    for indent, name in re.findall(r"^    ( *)- (\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 2 + 1
        drawn[name] = stack[depth - 1]
        stack[depth:] = [name]
    real = {name: getattr(errors, name).__mro__[1].__name__ for name in errors.__all__ if name != "SlitherError"}
    assert drawn == real


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_error_survives_pickling(name, protocol):
    sample, _ = SAMPLES[name]
    received = pickle.loads(pickle.dumps(sample, protocol))
    assert type(received) is type(sample)
    assert str(received) == str(sample)
    assert fields_of(received) == fields_of(sample)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_error_says_what_happened(name):
    sample, text = SAMPLES[name]
    assert text in str(sample)
    assert repr(sample).startswith(f"<{name}: ")


def test_parts_that_may_be_empty_leave_no_gap_in_the_text():
    assert str(errors.DefinitionError("pipe P", "it has no stage")) == "pipe P: it has no stage"
    assert str(errors.UnknownPool("gpu", ())).endswith("this system has: none")
    assert str(errors.SystemDown("s", ())) == "system 's' is down: it was stopped"
    assert str(errors.RemoteError("KeyError", "", "", ())) == "KeyError"


def test_errors_can_be_caught_as_the_builtins_they_are():
    assert isinstance(SAMPLES["InvalidOption"][0], ValueError)
    assert isinstance(SAMPLES["DefinitionError"][0], ValueError)
    assert isinstance(SAMPLES["UnknownPool"][0], LookupError)
    assert isinstance(SAMPLES["CallTimeout"][0], TimeoutError)


def test_a_repr_stays_short_however_much_was_finished():
    assert len(repr(errors.DispatchError(errors.ItemError("x" * 5_000), 1, list(range(10_000))))) < 500


def test_the_reason_of_a_halted_run_is_its_cause_also_after_pickling():
    halted = (errors.DispatchError(REMOTE, 1, []), errors.PipeError("P", "s", REMOTE, {}))
    for error in (*halted, errors.ItemSkipped("P", ENDED, [])):
        received = pickle.loads(pickle.dumps(error))
        assert received.__cause__ is received.reason
        assert "ValueError: bad input" in "".join(traceback.format_exception(received))


def test_notes_travel_with_an_error_and_are_not_doubled():
    error = errors.RemoteError("E", "m", "the remote traceback", ())
    error.add_note("mine")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["the remote traceback", "mine"]


class Custom(LookupError):
    pass


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_remote_error_holds_type_message_traceback_and_kinds():
    error = errors.RemoteError.of(raised(Custom("no such row")))
    assert (error.type_name, error.message, str(error)) == ("Custom", "no such row", "Custom: no such row")
    assert error.traceback.startswith("Traceback (most recent call last):")
    assert "raise error" in error.traceback
    assert error.kinds[0] == f"{__name__}.Custom"
    assert error.kinds[1:] == ("builtins.LookupError", "builtins.Exception", "builtins.BaseException")


def test_the_remote_traceback_is_shown_where_the_error_is_printed_but_not_in_its_str():
    error = errors.RemoteError.of(raised(Custom("no such row")))
    assert "\n" not in str(error)
    assert "raise error" in "".join(traceback.format_exception(pickle.loads(pickle.dumps(error))))


def test_the_cause_of_a_remote_error_is_in_its_traceback():
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise Custom("outer") from inner
    except Custom as outer:
        error = errors.RemoteError.of(outer)
    assert "KeyError: 'inner'" in error.traceback
    assert "direct cause" in error.traceback


def test_frames_of_the_library_at_the_top_are_left_out():
    namespace: dict[str, object] = {}
    inside = errors.__file__.replace("errors.py", "worker/shell.py")
    exec(compile("def call(function):\n    function()\n", inside, "exec"), namespace)

    def users_function():
        raise Custom("bad")

    try:
        namespace["call"](users_function)  # type: ignore[operator]
    except Custom as caught:
        caught = caught.with_traceback(caught.__traceback__.tb_next)  # type: ignore[union-attr]  # the frame of this test
        text = errors.RemoteError.of(caught).traceback
    assert "shell.py" not in text
    assert "users_function" in text


def test_the_frames_of_an_example_are_a_users_and_stay():
    example = errors.__file__.replace("errors.py", "examples/shop/work.py")
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("def price():\n    1 / 0\nprice()\n", example, "exec"), {})
    ours = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]

    assert "in price" in errors.RemoteError.of(ours).traceback


def test_an_exception_never_raised_and_one_raised_by_the_library_have_text_too():
    assert errors.RemoteError.of(Custom("x")).traceback.endswith("Custom: x")
    with pytest.raises(NotImplementedError) as caught:
        exec(compile("raise NotImplementedError('ours')", errors.__file__, "exec"), {})
    ours = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]
    assert "errors.py" in errors.RemoteError.of(ours).traceback


def test_a_remote_error_is_not_wrapped_again():
    assert errors.RemoteError.of(REMOTE) is REMOTE


def test_an_exception_whose_str_raises_is_still_reported():
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    error = errors.RemoteError.of(raised(Broken()))
    assert error.message == "<the str of which raises RuntimeError>"
    assert "Traceback" in error.traceback


def test_the_text_of_a_remote_error_is_bounded():
    error = errors.RemoteError.of(raised(Custom("x" * 1_000_000)))
    assert len(error.message) == 2_000
    assert len(error.traceback) <= 20_000
    assert message_of(Custom("short")) == "short"


def test_a_remote_exit_keeps_its_kind():
    assert errors.RemoteError.of(raised(SystemExit(3))).kinds[0] == "builtins.SystemExit"


def test_kinds_of_library_errors_are_their_classes():
    crashed = errors.WorkerCrashed("w", 1, "SIGSEGV")
    assert crashed.kinds[:3] == (
        "slither_actors.errors.WorkerCrashed",
        "slither_actors.errors.ItemError",
        "slither_actors.errors.SlitherError",
    )
    assert pickle.loads(pickle.dumps(crashed)).kinds == crashed.kinds == errors.kinds_of(errors.WorkerCrashed)


@pytest.mark.parametrize("raised", [RuntimeError, SystemExit])
def test_shorten_cuts_and_never_raises(raised):
    class Broken:
        def __repr__(self) -> str:
            raise raised("no repr")

    assert shorten("abc") == "'abc'"
    assert shorten("x" * 500) == "'" + "x" * 76 + "..."
    assert len(shorten(list(range(1000)), limit=20)) == 20
    assert f"whose repr raises {raised.__name__}" in shorten(Broken())


class Asked(Exception):
    """While its words are made, the program is asked to end."""

    def __repr__(self) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return "?"

    __str__ = __repr__


def leave(number, frame):
    raise SystemExit(143)


def leave_once(number, frame):
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(143)


def leave_by_the_way(code, number, *frames):
    raise SystemExit(code)


class Leaving:
    def __call__(self, number, frame):
        raise SystemExit(143)


HANDLERS = [leave, leave_once, lambda *given: leave(*given), functools.partial(leave_by_the_way, 143), Leaving()]


@pytest.mark.parametrize("handler", HANDLERS, ids=["function", "once", "any arguments", "partial", "object"])
@pytest.mark.parametrize("words", [shorten, message_of])
def test_a_signal_of_the_program_is_not_taken_for_a_bad_repr(words, handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(SystemExit):
            words(Asked())
    finally:
        signal.signal(signal.SIGUSR1, before)
