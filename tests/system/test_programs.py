"""Whole programs in processes of their own: everything in one file, signals, exits, forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.waiting import eventually, marked

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy")]


# Everything that a user may define, in the very file that is run.
DEFINITIONS = """
import os, sys, threading, time
import attrs
import slither_actors as slither

class Payload:
    def __init__(self, n):
        self.n = n

def double(payloads):
    return [Payload(2 * p.n) for p in payloads]

class Tagging(slither.Executor):
    def execute_batch(self, items, ctx):
        return [item.with_meta(tag="x") for item in items]

class Adding(slither.Stage):
    @attrs.frozen
    class Options:
        amount: int = 1

    def setup(self, ctx):
        self.amount = self.options.amount

    def handle_item(self, item, ctx):
        return Payload(item.payload.n + self.amount)

class Everything(slither.Pipe):
    @slither.local
    def wrap(item, ctx):
        return Payload(item.payload)

    work = slither.worker(double, batch_size=4)
    tag = slither.worker(Tagging)
    add = slither.stage(Adding, amount=3)
    route = slither.router((lambda item: item.payload.n > 10, "big"))
    outputs = ["big"]

def use(system):
    outputs = system.run_pipe(Everything, range(10))
    print([item.payload.n for item in outputs.default], [item.payload.n for item in outputs.big])
    print([item.payload.n for item in system.dispatch(map(Payload, range(3)), double)])
"""
EXPECTED = "[3, 5, 7, 9] [11, 13, 15, 17, 19, 21]\n[0, 2, 4]\n"

ENDLESS = """
import itertools, os, sys, threading, time
import slither_actors as slither

def same(payloads):
    return payloads
"""


@pytest.fixture
def program(base, tmp_path):
    """Starts a program from text; all programs and what they started are ended afterwards."""
    started = []

    def start(*parts, cwd=None):
        file = tmp_path / f"program{len(started)}.py"
        file.write_text("".join(textwrap.dedent(part) for part in parts))
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            cwd=cwd or tmp_path,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    eventually(lambda: not marked(str(base)), "processes of a program are left")


def finish(process, limit_s=PATIENCE_S):
    out, err = process.communicate(timeout=limit_s)
    return process.returncode, out, err


def await_line(process, text):
    """Read lines until one says this."""
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"the program ended: {process.stderr.read()}")


def test_everything_may_be_defined_in_the_program_itself_without_a_main_guard(program):
    process = program(DEFINITIONS, 'with slither.start(pools={"default": 2}) as system:\n    use(system)\n')
    assert finish(process) == (0, EXPECTED, "")


def test_actors_their_arguments_requests_answers_and_errors_may_be_defined_in_the_program_itself(program):
    process = program(
        DEFINITIONS,
        """
        from slither_actors.otp import ChildSpec, Server, Supervisor, SupervisorOptions

        class TooMuch(slither.SlitherError):
            pass

        class Counter(Server):
            def __init__(self, start):
                self.total = start.n

            def handle_call(self, request, caller):
                if request.n > 10:
                    raise TooMuch("no more")
                return Payload(self.total + request.n)

            def handle_cast(self, request):
                self.total += request.n

        class Adding(slither.Stage):
            @attrs.frozen
            class Options:
                more: Payload

            def handle_item(self, item, ctx):
                return item.payload + self.options.more.n

        class Sum(slither.Pipe):
            add = slither.stage(Adding, more=Payload(3))

        inner = (SupervisorOptions(), (ChildSpec("count", Counter, (Payload(1),)),))
        children = [ChildSpec("inner", Supervisor, inner, type="supervisor")]
        with slither.start(pools={"default": 1}, children=children) as system:
            system.supervisor("children/inner").start_child(ChildSpec("more", Counter, (Payload(5),)))
            for name in ("count", "more"):
                system.cast(f"children/inner/{name}", Payload(2))
                print(system.call(f"children/inner/{name}", Payload(3)).n)
            try:
                system.call("children/inner/count", Payload(11))
            except TooMuch as error:
                print(error)
            print([item.payload for item in system.run_pipe(Sum, [1]).default])
        """,
    )
    assert finish(process) == (0, "6\n10\nno more\n[4]\n", "")


def test_a_system_may_be_started_used_and_stopped_in_any_thread(program):
    process = program(
        DEFINITIONS,
        """
        box = []
        def begin():
            box.append(slither.start(pools={"default": 2}))
        for target in (begin, lambda: use(box[0]), lambda: use(box[0]), lambda: box[0].stop()):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        """,
    )
    assert finish(process) == (0, 2 * EXPECTED, "")


def test_it_works_from_another_working_directory_and_keeps_it(program, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = program(
        DEFINITIONS,
        """
        with slither.start(pools={"default": 2}) as system:
            use(system)
            print(set(system.call_each(os.getcwd)))
        """,
        cwd=elsewhere,
    )
    assert finish(process) == (0, EXPECTED + f"{{{str(elsewhere)!r}}}\n", "")


def test_a_module_beside_the_program_can_be_imported_by_workers(program, tmp_path):
    (tmp_path / "beside.py").write_text("def triple(payloads):\n    return [3 * p for p in payloads]\n")
    process = program(
        DEFINITIONS,
        """
        with slither.start(pools={"default": 1}) as system:
            print([item.payload for item in system.dispatch([1, 2], "beside:triple")])
        """,
        cwd="/",
    )
    assert finish(process) == (0, "[3, 6]\n", "")


def test_prints_of_workers_go_to_standard_error_and_their_records_to_the_loggers(program):
    process = program(
        """
        import logging, sys
        import slither_actors as slither
        logging.basicConfig(level=logging.INFO, format="%(name)s says %(message)s", stream=sys.stdout)

        def talk(payloads):
            print("printed")
            logging.getLogger("mine").info("logged")
            return payloads

        with slither.start(pools={"default": 1}) as system:
            system.dispatch([1], talk)
        """
    )
    code, out, err = finish(process)
    assert (code, out, err) == (0, "mine says logged\n", "printed\n")


STREAMING = """
with slither.start(pools={"default": 2}, stop_timeout_s=60) as system:
    print("ready")
    for number, item in enumerate(system.stream(itertools.count(), same, batch_size=4)):
        if number == 1000:
            print("streaming")
"""
IN_A_PIPE = """
class P(slither.Pipe):
    step = slither.local(lambda item: item)
    work = slither.worker(same)

with slither.start(pools={"default": 2}, stop_timeout_s=60) as system:
    for number, item in enumerate(system.stream_pipe(P, itertools.count())):
        if number == 1000:
            print("streaming")
"""
IN_A_CALL = """
def wait(payloads):
    open(payloads[0], "w").close()
    time.sleep(60)

def watch(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    print("streaming")

with slither.start(pools={"default": 2}, stop_timeout_s=60) as system:
    threading.Thread(target=watch, args=[__file__ + ".begun"], daemon=True).start()
    system.dispatch([__file__ + ".begun"], wait)
"""


@pytest.mark.parametrize("body", [STREAMING, IN_A_PIPE, IN_A_CALL], ids=["stream", "pipe", "call"])
def test_control_c_ends_the_program_as_python_does_and_everything_with_it(program, base, body):
    """The terminal signals the whole foreground group."""
    process = program(ENDLESS, body)
    await_line(process, "streaming")
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code in (130, -signal.SIGINT)
    assert time.monotonic() - began < AT_ONCE_S
    assert err.count("Traceback") == 1, f"Python's own, and no soup: {err}"
    assert err.rstrip().endswith("KeyboardInterrupt")
    eventually(lambda: not marked(str(base)), "processes are left")


# A call that takes a minute has ten seconds after a SIGTERM: see test_signals.py.
@pytest.mark.parametrize(
    ("body", "how"),
    [(STREAMING, signal.SIGTERM), (STREAMING, signal.SIGKILL), (IN_A_CALL, signal.SIGKILL)],
    ids=["stream-15", "stream-9", "call-9"],
)
def test_a_program_that_is_killed_takes_everything_along_within_a_second(program, base, body, how):
    process = program(ENDLESS, body)
    await_line(process, "streaming")
    process.send_signal(how)
    process.wait(PATIENCE_S)
    eventually(lambda: not marked(str(base)), "processes are left")
    eventually(lambda: not list(base.glob("slither-*")), "the run directory is left")


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(0)", "stream = system.stream(itertools.count(), same)\nnext(stream)\n"]
)
def test_a_program_may_end_without_stopping_its_system(program, base, ending):
    process = program(ENDLESS, 'system = slither.start(pools={"default": 2})\nprint("up")\n', ending)
    assert finish(process) == (0, "up\n", "")
    eventually(lambda: not marked(str(base)), "processes are left")
    assert not list(base.glob("slither-*"))


def test_stages_are_torn_down_at_the_end_of_a_program_that_does_not_stop_its_system(program, tmp_path):
    note = tmp_path / "note"
    process = program(
        f"""
        import slither_actors as slither

        class Noting(slither.Stage):
            def handle_item(self, item, ctx):
                return item
            def teardown(self):
                open({str(note)!r}, "w").close()

        class P(slither.Pipe):
            step = slither.stage(Noting)

        system = slither.start(pools={{"default": 1}})
        print(len(system.run_pipe(P, [1]).default))
        """
    )
    assert finish(process) == (0, "1\n", "")
    assert note.exists()


def test_an_exception_in_the_block_comes_out_and_the_system_is_stopped_in_a_hurry(program, base):
    process = program(
        ENDLESS,
        """
        def wait(payloads):
            time.sleep(60)
        with slither.start(pools={"default": 2}, stop_timeout_s=60) as system:
            threading.Thread(target=lambda: system.dispatch([1], wait), daemon=True).start()
            time.sleep(0.2)
            began = time.monotonic()
            try:
                raise KeyError("mine")
            except KeyError:
                system.__exit__(*sys.exc_info())
                print(time.monotonic() - began < 25.0)
                os._exit(7)
        """,
    )
    code, out, _ = finish(process)
    assert (code, out) == (7, "True\n")
    eventually(lambda: not marked(str(base)), "processes are left")


CHILDREN = {
    "_exit": "os._exit(0)",
    "exit": "sys.exit(0)",
    "uses it": "signal.alarm(5); print(refused(lambda: system.dispatch([1], same)), flush=True)",
    "stops it": "system.stop(); os._exit(0)",
    "dies": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("child", list(CHILDREN))
def test_a_fork_of_the_service_does_not_harm_the_system(program, base, child):
    process = program(
        ENDLESS,
        f"""
        import signal
        def refused(call):
            try:
                call()
            except slither.SystemDown as error:
                return "of which this is a fork" in str(error)
        system = slither.start(pools={{"default": 2}})
        stream = system.stream(itertools.count(), same, batch_size=2)
        next(stream)
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            {CHILDREN[child]}
            os._exit(0)
        os.waitpid(pid, 0)
        print([item.payload for item in system.dispatch(range(3), same)])
        print([next(stream).payload for _ in range(100)] == list(range(1, 101)))
        system.stop()
        print("stopped")
        """,
    )
    code, out, err = finish(process)
    told = "True\n" if child == "uses it" else ""
    assert (code, out, err) == (0, told + "[0, 1, 2]\nTrue\nstopped\n", "")


def test_two_programs_at_once_do_not_meet(program):
    both = [program(DEFINITIONS, 'with slither.start(pools={"default": 1}) as s:\n    use(s)\n') for _ in range(2)]
    assert [finish(process) for process in both] == [(0, EXPECTED, "")] * 2


def test_an_error_of_the_workers_function_shows_the_users_own_lines(program):
    process = program(
        """
        import slither_actors as slither

        def broken(payloads):
            return payloads[0]["missing"]

        with slither.start(pools={"default": 1}) as system:
            system.dispatch([{}], broken)
        """
    )
    code, _, err = finish(process)
    assert code == 1
    assert 'return payloads[0]["missing"]' in err
    assert "KeyError: 'missing'" in err
    assert err.rstrip().splitlines()[-1].startswith("slither_actors.errors.DispatchError: batch 1 failed") or (
        "DispatchError: batch 1 failed" in err
    )


STORES = """
import os, pickle, subprocess, sys
import slither_actors as slither

class Words(slither.Store):
    words = slither.Table()

    def load(self, tables):
        tables.words.put("answer", 42)

    @slither.view
    def find(self, params, ctx):
        return self.words.get(params["word"])

def find(words, ctx):
    ctx.store(Words).words.increment("found", len(words), default=0)
    return [ctx.view("find", word=word) for word in words]

class Finding(slither.Pipe):
    stores = [Words]

    @slither.local
    def prepare(item, ctx):
        return item.payload if ctx.view("find", word="answer") == 42 else "?"

    work = slither.worker(find)
"""


def test_a_store_may_be_defined_in_the_program_itself(program):
    process = program(
        STORES,
        """
        with slither.start(stores=[Words], pools={"default": 2}) as system:
            print([item.payload for item in system.run_pipe(Finding, ["answer", "question"]).default])
            store = system.store(Words)
            print(store.words["found"], store.reload(), store.words.get("found"))
        """,
    )
    assert finish(process) == (0, "[42, None]\n2 2 None\n", "")


def test_another_process_of_the_machine_and_a_forked_child_read_and_write_through_a_handle(program):
    process = program(
        STORES,
        """
        read = "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s.words.increment('answer')); s.close()"
        elsewhere = [sys.executable, "-W", "error", "-c", read]
        with slither.start(stores=[Words], pools={"default": 1}) as system:
            store = system.store(Words)
            store.words.put("answer", store.words["answer"])
            done = subprocess.run(elsewhere, input=pickle.dumps(store), capture_output=True)
            print(done.stdout.decode().strip(), done.stderr.decode(), store.words["answer"])
            handle = pickle.dumps(store)
            child = os.fork()
            if not child:
                mine = pickle.loads(handle)
                print(mine.words.increment("answer"), store.words["answer"], flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            print(store.words["answer"], store.words.increment("answer"))
        late = subprocess.run(elsewhere, input=handle, capture_output=True)
        print(late.stderr.decode().splitlines()[-1])
        """,
    )
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == ["43  43", "44 44", "44 45"]
    assert "StoreUnavailable: store Words cannot be used: its system is over" in out.splitlines()[3]
