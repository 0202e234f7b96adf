"""Whoever dies, and however: within a second nothing is left that should not be, and nobody is there twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.patience import AT_ONCE_S, PATIENCE_S
from tests.system.conftest import Service
from tests.system.waiting import eventually, living, wait_for_end

pytestmark = [pytest.mark.system, pytest.mark.thorough]

NAMES = {"root", "registry", "sup", "sup/one", "sup/inner", "sup/inner/two", "guests"}
AROUND = {"service", "host", "admin"}


def restarted(service: Service, *names: str) -> dict[str, int]:
    """Who is who, once all names are up again and these have new processes."""

    def look() -> dict[str, int]:
        now: dict[str, int] = service.ask("who").get("who", {})
        fresh = all(now.get(name, service.who[name]) != service.who[name] for name in names)
        return now if fresh and now.keys() == NAMES | AROUND else {}

    return eventually(look, f"{names} came back")


def test_the_tree_is_there_and_nobody_else(service: Service) -> None:
    assert service.who.keys() == NAMES | AROUND
    assert service.living() == set(service.who.values())
    assert Counter(service.who.values()).most_common(1)[0][1] == 1
    assert service.directory.is_dir()


@pytest.mark.parametrize("victim", ["service", "host", "admin", "root"])
def test_when_one_of_those_above_is_killed_nothing_is_left(service: Service, victim: str) -> None:
    service.kill(victim)

    service.wait_until_nothing_is_left(service.who["service"])
    if victim == "host":  # nobody is left inside to do it; the service does
        service.ask("stop")
    eventually(lambda: not service.directory.exists(), "the run directory is removed")


@pytest.mark.failure
@pytest.mark.parametrize("victim", ["host", "admin", "root"])
def test_the_service_learns_that_its_tree_is_gone(service: Service, victim: str) -> None:
    service.kill(victim)
    wait_for_end(service.who["root"])

    assert service.ask("who")["error"] in ("SystemDown", "NoProcess")
    eventually(lambda: service.ask("who")["error"] == "SystemDown", "SystemDown is raised")


@pytest.mark.parametrize(
    ("victim", "below"),
    [("sup/one", ()), ("sup/inner/two", ()), ("sup/inner", ("sup/inner/two",)), ("guests", ())],
)
def test_who_is_killed_comes_back_with_all_below_and_nobody_twice(
    service: Service, victim: str, below: tuple[str, ...]
) -> None:
    service.kill(victim)

    now = restarted(service, victim, *below)

    untouched = NAMES - {victim, *below}
    assert {name: now[name] for name in untouched} == {name: service.who[name] for name in untouched}
    eventually(lambda: service.living() == set(now.values()), "no doubles, no orphans")


def test_a_killed_supervisor_in_the_middle_comes_back_with_its_whole_branch(service: Service) -> None:
    service.kill("sup")

    # rest for one: the guests were started after it
    now = restarted(service, "sup", "sup/one", "sup/inner", "sup/inner/two", "guests")

    assert now["registry"] == service.who["registry"]
    eventually(lambda: service.living() == set(now.values()), "no doubles, no orphans")

    def sockets() -> set[str]:
        known = {"admin", "cookie", "incidents", "lock"}
        return {path.name.partition(".")[0] for path in service.directory.iterdir()} - known

    eventually(lambda: sockets() <= {str(pid) for pid in now.values()}, "the dead leave no sockets")


def test_ten_kills_in_a_row_leave_no_double_and_no_zombie(service: Service) -> None:
    for turn in range(5):
        for victim in ("sup/inner", "sup/one"):
            service.kill(victim)
            service.who = restarted(service, victim)
        assert service.living() == set(service.who.values()), turn

    def zombies() -> list[int]:
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if fields[0] == "Z" and int(fields[1]) in service.who.values():
                    found.append(int(entry))
        return found

    eventually(lambda: not zombies(), "all dead were reaped")


@pytest.mark.failure
@pytest.mark.parametrize("end", ["raise", "exit", "vanish", "return"])
def test_when_the_service_ends_without_a_word_nothing_is_left(service: Service, end: str) -> None:
    service.tell(end)
    wait_for_end(service.who["service"])

    service.wait_until_nothing_is_left()
    eventually(lambda: not service.directory.exists(), "the run directory is removed")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_when_a_signal_ends_the_service_nothing_is_left(service: Service, signum: signal.Signals) -> None:
    os.kill(service.who["service"], signum)
    wait_for_end(service.who["service"])

    service.wait_until_nothing_is_left()
    eventually(lambda: not service.directory.exists(), "the run directory is removed")


def test_a_signal_to_the_group_of_the_service_does_not_reach_the_tree(service: Service) -> None:
    groups = {name: os.getpgid(pid) for name, pid in service.who.items()}

    assert groups["service"] not in {group for name, group in groups.items() if name != "service"}
    for name in NAMES:
        assert groups[name] == service.who[name], f"{name} leads its own group"


def test_a_forked_child_of_the_service_does_not_keep_the_tree_from_ending(service: Service) -> None:
    service.ask("fork")

    assert service.ask("stop")["seconds"] < AT_ONCE_S

    forked = service.living() - {service.who["service"]}
    assert len(forked) == 1
    assert not forked & set(service.who.values())
    assert not service.directory.exists()


def test_a_forked_child_of_a_dead_service_does_not_keep_the_tree_alive(service: Service) -> None:
    service.ask("fork")  # it holds the pipe whose end the host waits for
    forked = service.living() - set(service.who.values())

    service.kill("service")

    service.wait_until_nothing_is_left(*forked)
    assert living(forked)


@pytest.fixture
def start_program(service: Service) -> Iterator[Callable[[str], int]]:
    """Lets an actor start a program of its own; ends what the test has left of it."""
    started: list[int] = []

    def start(how: str = "") -> int:
        started.append(service.ask(f"call sup/one start_program {how}")["answer"])
        assert living(started)
        return started[-1]

    yield start
    for pid in living(started):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["sup/one", "sup", "root", "admin", "service"])
def test_programs_that_an_actor_started_die_with_it(
    service: Service, start_program: Callable[[str], int], victim: str
) -> None:
    program = start_program("")

    service.kill(victim)

    eventually(lambda: not living({program}), "the program is gone")


@pytest.mark.parametrize("how", ["", "bare", "detached"])
def test_programs_that_an_actor_started_die_when_the_service_sees_that_the_host_is_dead(
    service: Service, start_program: Callable[[str], int], how: str
) -> None:
    """With an environment of their own, or in a session of their own, they are known by the other."""
    program = start_program(how)
    service.kill("host")

    service.ask("stop")

    eventually(lambda: not living({program}), "the program is gone")
    assert service.living() == {service.who["service"]}


@pytest.mark.parametrize("how", ["", "detached"])
def test_programs_that_host_and_service_left_behind_together_are_reaped(
    service: Service, start_program: Callable[[str], int], how: str
) -> None:
    program = start_program(how)
    os.kill(service.who["service"], signal.SIGSTOP)  # so that it sees nothing
    service.kill("host")
    wait_for_end(service.who["sup/one"])
    service.kill("service")
    assert living({program})

    command = [sys.executable, "-P", "-m", "slither_actors", "reap", "--json"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)

    assert str(service.directory) in json.loads(done.stdout)["removed"]
    assert not living({program})


def test_an_orderly_stop_leaves_nothing(service: Service) -> None:
    service.ask("stop")

    assert service.living() == {service.who["service"]}
    assert not service.directory.exists()
