"""Which file configures a program, and what stands in it. Nothing here knows the keys."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from slither_actors.errors import InvalidOption, shorten

FILE = "slither.toml"
PROJECT = "pyproject.toml"
VARIABLE = "SLITHER_CONFIG"
_TABLE = ("tool", "slither")


@attrs.frozen
class Chosen:
    """A file to read, and how errors call the option that names it."""

    path: Path
    option: str


def choose_file(given: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Chosen | None:
    """The file that is given, or that the environment names, or that is found; None where there is none of these."""
    if given is not None:
        return Chosen(Path(given), "file")
    if named := environ.get(VARIABLE):
        return Chosen(Path(named), VARIABLE)
    found = find_file()
    return None if found is None else Chosen(found, found.name)


def find_file() -> Path | None:
    """The file that counts for the working directory, if there is one.

    The nearest folder, from the working directory upwards, that holds a `slither.toml` or a `pyproject.toml` is the
    project: nothing above it is looked at. A `slither.toml` comes before a `pyproject.toml` beside it.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody removed it
        return None
    for folder in (here, *here.parents):
        if folder != here and _is_open_to_all(folder):
            return None
        for name in (FILE, PROJECT):
            if os.path.lexists(folder / name):  # a link that leads nowhere is a mistake to be told of
                return folder / name
    return None


def _is_open_to_all(folder: Path) -> bool:
    """Whether anybody may put a file there, as in /tmp, or who may cannot be known."""
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def read_file(file: Chosen) -> dict[str, Any]:
    """What a file says of this library: all of it, or the table `[tool.slither]` where it is called `pyproject.toml`.

    Raises:
        InvalidOption: it cannot be read, or is no TOML.
    """
    where = str(file.path)
    is_shared = file.path.name == PROJECT
    try:
        written = file.path.read_bytes()
        if is_shared and _TABLE[-1].encode() not in written:  # it need not be read for that, nor be right
            return {}
        import tomllib  # only now: `start` must be quick

        content = tomllib.loads(written.decode("utf-8"))
    except OSError as error:
        got = f"{shorten(where, 200)} ({error.strerror})"
        raise InvalidOption("configuration", file.option, got, "the path of a TOML file that can be read") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise InvalidOption(where, "its content", f"no TOML: {error}", "TOML, see https://toml.io") from None
    if not is_shared:
        return content
    for name in _TABLE:
        content = content.get(name, {})
        if not isinstance(content, dict):
            raise InvalidOption(where, ".".join(_TABLE), shorten(content), "a table")
    return content
