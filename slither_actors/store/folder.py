"""Whether a system has stores, without the library that they are made of."""

from __future__ import annotations

from pathlib import Path

# The folder of a run directory with an entry for each store.
FOLDER = "stores"


def has_stores(directory: Path) -> bool:
    """Whether the system with this run directory has stores."""
    return (directory / FOLDER).is_dir()
