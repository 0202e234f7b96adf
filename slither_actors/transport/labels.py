"""Who stands behind a process: a small link in the run directory, so that whoever looks from outside need ask nobody.

A link and no file: its text is there as soon as it is. It is named after the process, as sockets are, and goes with
them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from slither_actors._record import record

SUFFIX = ".name"
# What the names of files with incidents begin with.
INCIDENTS = "incidents"


@record
class Label:
    """The place of a process in its tree, and the how manyth it is there."""

    name: str
    incarnation: int


def put_label(directory: str, name: str, incarnation: int) -> None:
    """Say who the present process is. A run directory that has just gone is no error: the process will follow it."""
    with contextlib.suppress(OSError):
        os.symlink(f"{incarnation}:{name}", os.path.join(directory, f"{os.getpid()}{SUFFIX}"))


def read_labels(directory: Path) -> dict[int, Label]:
    """All labels in a run directory, by process id; those of the dead may be among them for a moment."""
    labels = {}
    for entry in os.listdir(directory):
        pid, _, suffix = entry.partition(".")
        if f".{suffix}" == SUFFIX and pid.isdigit():
            with contextlib.suppress(OSError, ValueError):
                number, _, name = os.readlink(directory / entry).partition(":")
                labels[int(pid)] = Label(name, int(number))
    return labels
