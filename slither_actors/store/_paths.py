"""Paths as users give them. Pure, but for the home directory and the current one."""

from __future__ import annotations

import os
from typing import Any

from slither_actors.errors import InvalidOption, shorten


def path_of(value: Any, where: str, option: str, allowed: str) -> str:
    """The absolute path that is meant; `~` is the home directory.

    Raises:
        InvalidOption: it is none that a file system could have.
    """
    if isinstance(value, str | os.PathLike) and os.fspath(value):
        try:
            path = os.path.abspath(os.path.expanduser(os.fsdecode(value)))
            if b"\0" not in os.fsencode(path):
                return path
        except UnicodeError:  # half of a surrogate pair
            pass
    raise InvalidOption(where, option, shorten(value), allowed)
