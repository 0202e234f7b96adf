"""Whether the kernel has killed for want of memory."""

from pathlib import Path

import pytest

from slither_actors.transport.oom import count_of, events_path, oom_kills

ROOT = Path("/sys/fs/cgroup")


@pytest.mark.parametrize(
    ("groups", "path"),
    [
        ("0::/user.slice/app", ROOT / "user.slice/app/memory.events"),
        ("0::/", ROOT / "memory.events"),
        ("4:cpu,memory:/a/b\n0::/", ROOT / "memory/a/b/memory.oom_control"),
        ("3:cpuset:/\n", ROOT / "memory.events"),
        ("", ROOT / "memory.events"),
    ],
)
def test_the_control_group_says_where_it_counts(groups: str, path: Path) -> None:
    assert events_path(groups) == path


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\noom 7\noom_kill 3\noom_group_kill 9\n", 3),
        ("oom_kill_disable 1\nunder_oom 0\noom_kill 2", 2),
        ("oom 7\n", 0),
        ("", 0),
    ],
)
def test_the_counter_is_read_among_its_neighbours(text: str, count: int) -> None:
    assert count_of(text) == count


def test_on_any_machine_there_is_a_number() -> None:
    assert oom_kills() >= 0
