"""What systems say of themselves, as values of metrics."""

from __future__ import annotations

import pytest

from slither_actors.errors import InvalidOption, SystemDown
from slither_actors.observe._figures import Watch, readings_of
from slither_actors.testing import FakeClock

STATISTICS = {
    "system": "s",
    "processes": 12,
    "restarts": 3,
    "incidents": 2,
    "stores": {"Features": {"version": 4, "tables": {"features": 1000, "labels": 0}}},
    "pools": {"gpu": {"size": 2, "up": 1, "restarts": 3, "recycled": 0, "retiring": 0, "idle": None, "leased": None}},
    "pipes": {"Score": {"runs": 1, "kept": True}},
}


class Told:
    """A system that says what it is told to."""

    name = "s"

    def __init__(self, *answers):
        self.asked = 0
        self._answers = answers

    def statistics(self):
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def values(readings):
    return {(reading.instrument.name, *reading.labels): reading.value for reading in readings}


def test_statistics_are_values_and_what_is_not_known_is_none():
    assert values(readings_of(STATISTICS)) == {
        ("slither.system.processes", "s"): 12,
        ("slither.system.incidents", "s"): 2,
        ("slither.pool.size", "s", "gpu"): 2,
        ("slither.pool.up", "s", "gpu"): 1,
        ("slither.pool.retiring", "s", "gpu"): 0,
        ("slither.store.version", "s", "Features"): 4,
        ("slither.store.size", "s", "Features", "features"): 1000,
        ("slither.store.size", "s", "Features", "labels"): 0,
    }


@pytest.mark.parametrize("answer", [SystemDown("s", ("it was stopped",)), KeyError("pools"), {"system": "s"}])
def test_one_that_does_not_answer_is_down_and_hides_no_other(answer):
    watch = Watch("test", (Told(answer), Told(STATISTICS)))
    readings = list(watch.look())
    assert [reading.value for reading in readings if reading.instrument.name == "slither.system.up"] == [0, 1]
    assert len(readings) == 2 + len(list(readings_of(STATISTICS)))


def test_many_looks_at_once_are_one_question():
    clock = FakeClock(100.0)
    system = Told(STATISTICS, STATISTICS | {"processes": 13})
    watch = Watch("test", (system,), clock=clock)
    for _ in range(3):
        assert values(watch.look())["slither.system.processes", "s"] == 12
    assert system.asked == 1
    clock.advance(1.0)
    assert values(watch.look())["slither.system.processes", "s"] == 13


def test_what_is_no_system_is_refused():
    with pytest.raises(InvalidOption, match=r"^otel\.instrument: systems is 5; allowed: systems, as"):
        Watch("otel.instrument", (5,))
