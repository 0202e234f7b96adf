"""What processes of a tree answer, hold, say and leave behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slither_actors._codec import encode
from slither_actors.errors import CallTimeout, NoProcess, NotDecodable, StartError
from slither_actors.otp.child import Strategy
from slither_actors.otp.logs import replay
from slither_actors.otp.messages import Call, Exiting, LogLine, Shutdown
from slither_actors.transport.hub import Undelivered
from tests.helpers.descriptors import open_descriptors
from tests.system.leaves import Leaf, Unreadable
from tests.system.trees import LIMIT_S, Tree, child, lines, supervisor
from tests.system.waiting import eventually, living, wait_for_end

pytestmark = pytest.mark.system

MakeTree = Callable[..., Tree]


def log_of(tree: Tree, part: str) -> LogLine:
    return tree.wait_for(LogLine, lambda line: part in line.text)  # type: ignore[no-any-return]


def test_a_call_to_the_dead_fails_at_once(tree: Tree) -> None:
    tree.subscribe("guests/")
    ref = tree.start("gone", Leaf)
    tree.endpoint.post(ref.address, Shutdown())
    tree.end_of(ref)

    before = time.monotonic()
    with pytest.raises(NoProcess):
        tree.endpoint.call(ref.address, ("echo", 1), LIMIT_S)
    assert time.monotonic() - before < LIMIT_S


def test_a_call_that_is_killed_while_it_runs_fails_at_once(tree: Tree) -> None:
    ref = tree.start("busy", Leaf)
    killer = threading.Timer(0.1, os.kill, (ref.pid, 9))
    killer.start()

    before = time.monotonic()
    with pytest.raises(NoProcess):
        tree.endpoint.call(ref.address, ("hang",), LIMIT_S)
    assert time.monotonic() - before < LIMIT_S
    killer.join()


def test_a_late_answer_is_not_taken_for_the_next_one(tree: Tree) -> None:
    for number in range(3):
        with pytest.raises(CallTimeout, match="sup/one did not answer within"):
            tree.call("sup/one", "echo_slowly", "late", timeout_s=0.001)
        assert tree.call("sup/one", "echo", number) == number


def test_an_answer_given_just_before_death_counts(tree: Tree) -> None:
    for _ in range(10):
        ref = tree.start("brief", Leaf)
        assert tree.endpoint.call(ref.address, ("stop", "normal", ""), LIMIT_S) == "stopping"
        wait_for_end(ref.pid)


def test_a_message_that_cannot_be_read_is_logged_and_nobody_dies(tree: Tree) -> None:
    ref = tree.ref("sup/one")

    tree.endpoint.post(ref.address, Unreadable())

    assert "no such message class here" in log_of(tree, "cannot be read").text
    assert tree.call("sup/one", "echo", "alive") == "alive"
    assert tree.ref("sup/one") == ref


def test_a_call_that_cannot_be_read_is_an_error_at_once(tree: Tree) -> None:
    before = time.monotonic()
    with pytest.raises(NotDecodable, match=r"the request to sup/one cannot be read .*no such message class here"):
        tree.endpoint.call(tree.ref("sup/one").address, Unreadable(), LIMIT_S, "sup/one")
    with pytest.raises(NotDecodable, match=r"the answer of sup/one cannot be read .*no such message class here"):
        tree.call("sup/one", "answer_unreadably")
    assert time.monotonic() - before < LIMIT_S
    assert tree.call("sup/one", "echo", "alive") == "alive"


def test_a_message_to_the_dead_comes_back(tree: Tree) -> None:
    dead = str(tree.directory / "1.0.dead")

    tree.endpoint.post(dead, "hello")

    report = tree.wait_for(Undelivered, lambda report: report.to == dead)
    assert report.original == "hello"


def test_timers_fire_in_the_order_of_their_deadlines(tree: Tree) -> None:
    address = tree.start("timed", Leaf).address
    tree.endpoint.call(address, ("start_timers",), LIMIT_S)

    def seen() -> list[str]:
        return tree.endpoint.call(address, ("seen",), LIMIT_S)  # type: ignore[no-any-return]

    eventually(lambda: len(seen()) == 3, "three timers have fired")
    assert seen() == ["timer 1", "timer 2", "timer 3"]
    tree.endpoint.post(address, Shutdown())


def test_log_records_reach_the_service_under_their_own_name(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    tree.call("sup/one", "log", "all is well")

    line = log_of(tree, "all is well")
    assert (line.logger, line.level, line.process, line.pid) == (
        "leaves",
        logging.WARNING,
        "sup/one",
        tree.ref("sup/one").pid,
    )
    replay(line, "s")
    [record] = [record for record in caplog.records if record.name == "leaves"]
    assert (record.getMessage(), record.processName, record.created) == ("all is well", "sup/one", line.created)


def test_a_crash_is_logged_once_without_its_traceback(tree: Tree) -> None:
    tree.subscribe("guests/")
    ref = tree.start("crashing", Leaf)
    tree.endpoint.post(ref.address, Call(900_000, encode(("raise",))))
    tree.end_of(ref)

    assert log_of(tree, f"{ref.name} crashed").text.endswith("Told: as you wish")
    tree.call("sup/one", "echo", 1)
    assert not [line for line in tree.drain() if isinstance(line, LogLine) and "crashed" in line.text]


def test_what_an_actor_prints_shows_at_once_on_the_service_s_standard_error(
    make_tree: MakeTree, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    tree = make_tree(supervisor("sup", child("one", Leaf)))

    tree.call("sup/one", "print", "hello from below")

    eventually(lambda: "hello from below\n" in capfd.readouterr().err, "the print shows")


def test_a_leaf_holds_only_its_own_descriptors(tree: Tree) -> None:
    held: dict[int, str] = tree.call("sup/inner/two", "descriptors")
    own = set(tree.call("sup/inner/two", "hub"))

    rest = {fd: target for fd, target in held.items() if fd not in own | {0, 1, 2}}

    # the one more is multiprocessing's: it becomes readable when the creator dies
    assert len(rest) <= 1, rest
    assert all(target.startswith("pipe:") for target in rest.values())
    assert held[0] == "/dev/null"


def test_nobody_listens_on_a_network_port(tree: Tree) -> None:
    # those that stay: a guest of another test may be about to end
    staying = {info.ref.pid for info in tree.processes().values() if not info.ref.name.startswith("guests/")}
    pids = staying | {tree.host.pid, tree.host.admin}
    sockets = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(fd)
                if target.startswith("socket:["):
                    sockets.add(target[len("socket:[") : -1])
    network = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path(f"/proc/{tree.host.pid}/net/{table}")
        if path.exists():
            network |= {line.split()[9] for line in path.read_text().splitlines()[1:]}

    assert len(sockets) > len(pids)
    assert not sockets & network


def test_thespian_leaves_no_log_file(base: Path, make_tree: MakeTree, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        patch.delenv("THESPLOG_FILE", raising=False)
        tree = make_tree(supervisor("sup", child("one", Leaf)))
    os.kill(tree.ref("sup/one").pid, signal.SIGUSR2)  # a signal is something that Thespian writes down
    tree.call("sup/one", "echo", 1)
    tree.stop()

    assert list(tmp_path.iterdir()) == []


def test_processes_are_titled_and_lead_their_group(tree: Tree) -> None:
    group, title = tree.call("sup/inner/two", "group")

    assert group == tree.ref("sup/inner/two").pid
    assert title == "two"


def test_the_run_directory_is_private(tree: Tree) -> None:
    assert tree.directory.stat().st_mode & 0o077 == 0


def test_two_trees_in_one_process_never_meet(make_tree: MakeTree, tree: Tree) -> None:
    other = make_tree(supervisor("sup", child("one", Leaf)))
    there = {info.ref.pid for info in other.processes().values()}
    here = {info.ref.pid for info in tree.processes().values()}

    assert not there & here
    assert other.ref("sup/one") != tree.ref("sup/one")
    other.stop()
    assert tree.call("sup/one", "echo", "still here") == "still here"
    assert not living(there)


def test_a_name_that_is_taken_is_an_error_and_leaves_the_other_alone(tree: Tree) -> None:
    with pytest.raises(StartError, match="a system of this name is running"):
        Tree(tree.name)

    assert tree.call("sup/one", "echo", "alive") == "alive"


def test_a_host_that_dies_without_a_word_is_an_error(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.system.conftest import unique_name

    monkeypatch.setattr("sys.executable", "/bin/false")

    with pytest.raises(StartError, match="exit code 1"):
        Tree(unique_name())


def test_an_executable_that_is_missing_is_an_error_and_leaves_no_descriptor(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(open_descriptors())
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(StartError, match="/nowhere/python cannot be run"):
        Tree("unseen")

    assert len(open_descriptors()) == before


def test_an_orderly_end_cleans_up_newest_first_and_leaves_nothing(make_tree: MakeTree, diary: Path) -> None:
    before = len(open_descriptors())
    tree = make_tree(supervisor("sup", child("one", Leaf, str(diary)), child("two", Leaf, str(diary))))
    pids = {info.ref.pid for info in tree.processes().values()} | {tree.host.pid, tree.host.admin}

    reason = tree.stop()

    assert reason.kind == "shutdown"
    assert lines(diary) == ["terminate shutdown", "terminate shutdown"]
    assert not living(pids)
    assert not tree.directory.exists()
    assert len(open_descriptors()) == before
    tree.end()  # once more does no harm


def test_the_end_of_the_root_is_heard_before_that_of_the_host(make_tree: MakeTree) -> None:
    tree = make_tree(supervisor("sup", child("one", Leaf)))

    tree.endpoint.post(tree.host.root, Shutdown())
    wait_for_end(tree.host.pid)

    assert tree.wait_for(Exiting, lambda message: message.name == "").reason.kind == "shutdown"


def test_wake_ends_a_receive_in_another_thread(tree: Tree) -> None:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(tree.endpoint.receive(None)))
    thread.start()

    tree.endpoint.wake()

    thread.join(LIMIT_S)
    assert got == [None]


def test_whoever_is_stopped_for_another_is_told_of_it_however_deep_it_is(make_tree: MakeTree) -> None:
    inner = supervisor("inner", child("two", Leaf))
    tree = make_tree(supervisor("sup", child("one", Leaf), inner, strategy=Strategy.REST_FOR_ONE))
    tree.subscribe("sup/")
    bystander = tree.ref("sup/inner/two")
    tree.endpoint.post(tree.ref("sup/one").address, Call(900_000, encode(("vanish", 9))))

    assert str(tree.end_of(bystander)) == "shutdown: sup/one: crash: exit code 9"
