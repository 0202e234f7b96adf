"""Readers in several processes while tables are reloaded and their owner is killed: never torn, empty or stale."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading

import pytest

import slither_actors as slither
from tests.helpers import stores
from tests.helpers.stores import Storm
from tests.system.running import a_system, pid_of

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stores")]

# As many restarts as its supervisor takes: one more within five seconds would be the end of the system.
BETWEEN_KILLS_S = 5.0 / 3 + 0.1


class Killer(threading.Thread):
    """Kills the owner again and again, at any moment of its work."""

    def __init__(self, system, kills, seed):
        super().__init__(daemon=True)
        self.system, self.kills, self.random = system, kills, random.Random(seed)
        self.left = threading.Event()

    def run(self):
        for _ in range(self.kills):
            if self.left.wait(BETWEEN_KILLS_S * self.random.uniform(1.0, 1.2)):
                return
            with contextlib.suppress(ValueError, OSError):  # it is just being restarted
                os.kill(pid_of(self.system, "stores/Storm"), signal.SIGKILL)


def storm(base, readers, reloads, kills, seed):
    (base / "acknowledged").write_bytes(bytes(8))
    said, lost_loads, counted = stores.acknowledged(), 0, 0
    with a_system(stores=[Storm], pools={"default": readers}) as system:
        store = system.store(Storm)
        found = []
        watching = threading.Thread(
            target=lambda: found.extend(
                system.dispatch(range(readers), stores.watch, batch_size=1, max_in_flight=readers, timeout_s=900)
            )
        )
        watching.start()
        killer = Killer(system, kills, seed)
        killer.start()
        done = number = 0
        while done < reloads or killer.is_alive():
            number += 1
            with store.transaction() as writes:
                writes.features.put("number", number)
                writes.mirror.put("number", number)
            said[0] = number
            counted += 1
            assert store.features.increment("count") == counted
            try:
                store.reload()
                done += 1
            except slither.StoreLoadError:
                lost_loads += 1  # it was killed in the middle of one
        store.features.put("enough", True)
        watching.join(60.0)
        assert [item.payload for item in found] == [({}, True)] * readers
        assert (store.version, store.features["load"]) == (done + 1, done + 1)
        assert store.features["count"] == counted
        assert lost_loads <= kills
    said.release()
    (base / "acknowledged").unlink()


def test_readers_see_whole_states_alone_through_reloads_and_deaths_of_the_owner(tidy_each, base):
    storm(base, readers=2, reloads=20, kills=1, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_four_readers_through_a_thousand_reloads_and_a_hundred_deaths(tidy_each, base):
    storm(base, readers=4, reloads=1000, kills=100, seed=2)
