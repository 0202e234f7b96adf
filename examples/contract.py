"""What an example may expect of the command line that runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Meter(Protocol):
    """How far something has come."""

    def advance(self, steps: int = 1) -> None:
        """Say that `steps` more are done."""


class Display(Protocol):
    """Where an example shows what it does: results on standard output, everything else on standard error."""

    def write(self, text: str = "") -> None:
        """Print one line of the result."""

    def write_json(self, value: object) -> None:
        """Print the result as one JSON object."""

    def note(self, text: str) -> None:
        """Print one line that is not part of the result."""

    def progress(self, label: str, total: int) -> AbstractContextManager[Meter]:
        """Show progress towards `total` for as long as the context is open."""


class Findings(Protocol):
    """The result of an example."""

    @property
    def problems(self) -> list[str]:
        """What does not add up, if anything."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, as plain data."""


def conclude(report: Findings, console: Display, as_json: bool, show: Callable[[], None]) -> int:
    """Print a result, as one JSON object or by `show`, and what does not add up.

    Returns:
        The exit code: 0, or 1 where something does not add up.
    """
    if as_json:
        console.write_json(report.as_dict())
    else:
        show()
    for problem in report.problems:
        console.note(f"does not add up: {problem}")
    return 1 if report.problems else 0


def count(text: str) -> int:
    """An option's type: a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: `text` is anything else.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return number
