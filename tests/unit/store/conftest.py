"""Stores of their own for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.store.engines import Engine, folder_in_memory, remove


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for stores."""
    path = folder_in_memory()
    yield path
    remove(path)


@pytest.fixture
def make(folder: Path) -> Iterator[Callable[..., Engine]]:
    """Makes engines of stores, all closed at the end."""
    made: list[Engine] = []

    def make_one(*tables: object, name: str = "store", **options: object) -> Engine:
        made.append(Engine(folder / name, *([tables] if tables else []), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make_one
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make: Callable[..., Engine]) -> Engine:
    """A store with a table of each kind."""
    return make()
