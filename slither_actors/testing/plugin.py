"""Fixtures for pytest, which finds them where the package is installed. Nothing else is imported until one is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slither_actors.system.system import System
    from slither_actors.telemetry import Captured

_MARK = (
    "slither(processes=False, **options): options of the fixture slither_system, as for slither_actors.start; "
    "processes=True starts a real system instead of an InlineSystem"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def slither_system(request: pytest.FixtureRequest) -> Iterator[System]:
    """A system for the time of a test: an `InlineSystem`, with the options of `@pytest.mark.slither(...)`; a real one
    with `processes=True`."""
    mark = request.node.get_closest_marker("slither")
    options: dict[str, Any] = dict(mark.kwargs) if mark is not None else {}
    if options.pop("processes", False):
        import slither_actors

        options.setdefault("pools", {"default": 2})
        with slither_actors.start(**options) as system:
            yield system
        return
    from slither_actors.testing.inline import InlineSystem

    with InlineSystem(**options) as system:
        yield system


@pytest.fixture
def slither_events() -> Iterator[Captured]:
    """All telemetry events of the library during a test, as `slither_actors.telemetry.capture()` collects them."""
    from slither_actors import telemetry

    with telemetry.capture() as events:
        yield events
