"""Large buffers travel in shared memory, and nothing of that is left when they are gone."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from slither_actors import Skip
from tests.system.running import a_system, nothing_left_behind
from tests.system.waiting import eventually

pytestmark = pytest.mark.system

SIZE = 1 << 20


class Array:
    """Carries its bytes out of band, as arrays do."""

    def __init__(self, data):
        self.data = memoryview(data)

    def __reduce_ex__(self, protocol):
        return Array, (pickle.PickleBuffer(self.data),)

    def __bytes__(self):
        return bytes(self.data)


@pytest.fixture(scope="module")
def system(base):
    with nothing_left_behind(base), a_system(pools={"default": 2}) as running:
        yield running


def change_in_place(arrays):
    for array in arrays:
        array.data[:1] = b"!"
    return arrays


def die_of_the_fifth(arrays):
    if any(array.data[0] == 5 for array in arrays):
        array = arrays[0]
        array.data[:2] = b"??"
        os.kill(os.getpid(), 9)
    return change_in_place(arrays)


def numbered(count):
    return (Array(bytearray([number]) * SIZE) for number in range(count))


def segments_held():
    """How many descriptors of shared memory this process has."""
    links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if os.path.islink(entry)]
    return sum("memfd:slither" in link for link in links)


def test_what_workers_change_in_place_comes_back_and_stays_apart(system):
    given = list(numbered(40))
    results = [bytes(item.payload) for item in system.stream(given, change_in_place, batch_size=2)]
    assert results == [b"!" + bytes([number]) * (SIZE - 1) for number in range(40)]
    assert [bytes(array) for array in given] == [bytes([number]) * SIZE for number in range(40)]


def test_results_that_are_kept_are_never_overwritten(system):
    kept = list(system.stream(numbered(60), "tests.system.test_large_buffers:change_in_place", batch_size=1))
    assert [bytes(item.payload)[1] for item in kept] == list(range(60))


def test_a_killed_worker_takes_nothing_but_its_batch_along(system):
    results = system.dispatch(numbered(12), die_of_the_fifth, batch_size=1, on_error=Skip())
    assert [bytes(item.payload)[1] for item in results] == [number for number in range(12) if number != 5]
    (skipped,) = results.skipped
    assert bytes(skipped.payload) == bytes([5]) * SIZE, "what the dead worker changed is seen by nobody"


def test_no_segment_is_held_when_the_results_are_gone(system):
    assert any(segments_held() for _ in system.stream(numbered(20), change_in_place, batch_size=2))
    assert len(system.dispatch(numbered(20), change_in_place, batch_size=2)) == 20
    eventually(lambda: segments_held() == 0, "the service holds segments still")
