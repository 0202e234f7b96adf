"""@record: frozen, equal by class and fields, pickled by position."""

import copy
import pickle
from typing import Any

import pytest

from slither_actors._record import record


@record
class Nothing:
    """No field."""


@record
class Neither:
    """No field either."""


@record
class Point:
    x: int
    y: int = 0

    @property
    def total(self) -> int:
        return self.x + self.y


@record
class Other:
    x: int
    y: int = 0


def test_records_are_equal_to_their_like_and_to_nobody_else():
    assert Point(1, 2) == Point(1, y=2)
    assert Point(1) != Point(2)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != (1, 2)
    assert Nothing() == Nothing()
    assert Nothing() != Neither()
    assert len({Point(1), Point(1, 0), Other(1), Nothing(), Neither()}) == 4


def test_a_record_shows_its_fields_keeps_its_methods_and_cannot_be_changed():
    assert repr(Point(1, y="z")) == "Point(x=1, y='z')"
    assert Point(1, 2).total == 3
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Point(1).z = 2  # type: ignore[attr-defined]
    assert Nothing(), "true also without a field"


@pytest.mark.parametrize("value", [Nothing(), Point(1, 2)])
def test_a_record_travels_and_is_copied(value):
    for other in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert other == value
        assert type(other) is type(value)


@pytest.mark.parametrize(
    "make", [lambda: Point(), lambda: Point(1, 2, 3), lambda: Point(1, x=1), lambda: Point(1, z=1)]
)
def test_fields_that_do_not_fit_are_refused(make):
    with pytest.raises(TypeError, match="Point takes"):
        make()


def test_a_record_has_no_base_class():
    with pytest.raises(TypeError, match="a record has no base class"):

        @record
        class Space(Point):
            z: int = 0


def test_a_record_of_any_width_reads_each_of_its_fields():
    names = [f"field_{number}" for number in range(40)]
    wide: Any = record(type("Wide", (), {"__annotations__": dict.fromkeys(names, int)}))
    made = wide(*range(40))
    assert [getattr(made, name) for name in names] == [*range(40)]
