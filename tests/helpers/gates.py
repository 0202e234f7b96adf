"""Gates at which code of the tests waits in another process, until the test opens them: moments by force, not by time.

A gate is a path, so that it can be the payload of an item.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.helpers.patience import PATIENCE_S

LIMIT_S = PATIENCE_S


def passed(gate: str) -> None:
    """Tell that somebody is at the gate, and wait until it is open."""
    Path(f"{gate}.reached").touch()
    deadline = time.monotonic() + LIMIT_S
    while not os.path.exists(f"{gate}.open"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody opens {gate}")
        time.sleep(0.002)


def is_gate(payload: object) -> bool:
    return isinstance(payload, str) and payload.startswith("/")


class Gate:
    """The side of the test."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    @property
    def reached(self) -> bool:
        """Whether somebody has come to it."""
        return os.path.exists(f"{self.path}.reached")

    def await_reached(self) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not self.reached:
            assert time.monotonic() < deadline, f"nobody comes to {self.path}"
            time.sleep(0.002)

    def open(self) -> None:
        Path(f"{self.path}.open").touch()
