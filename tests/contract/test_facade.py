"""`slither_actors.__all__` is the promise: it lists what the package's root offers, all of it and nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import slither_actors


def public_names(source: str) -> set[str]:
    """Names without a leading underscore that the statements of a module bind, also under `if` and `try`."""
    return {name for name in _bound(ast.parse(source).body) if not name.startswith("_")}


def _bound(statements: list[ast.stmt]) -> Iterator[str]:
    for node in statements:
        match node:
            case ast.ImportFrom(module="__future__" | "importlib" | "typing"):
                pass
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name.split(".")[0] for alias in aliases)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If(body=body, orelse=other) | ast.Try(body=body, orelse=other):
                yield from _bound([*body, *other])


def problems_of(facade: ModuleType) -> list[str]:
    """Where the `__all__` of a module and what it offers differ, one sentence each."""
    assert facade.__file__
    listed = list(facade.__all__)
    public = public_names(Path(facade.__file__).read_text("utf-8"))
    return [
        *(f"{name} is listed twice" for name in sorted({name for name in listed if listed.count(name) > 1})),
        *(f"{name} is listed but does not exist" for name in listed if not hasattr(facade, name)),
        *(f"{name} is public but not listed" for name in sorted(public - set(listed))),
    ]


def test_the_facade_offers_what_it_lists() -> None:
    assert problems_of(slither_actors) == []


def test_type_checkers_find_each_name_where_programs_find_it() -> None:
    body = ast.parse(Path(str(slither_actors.__file__)).read_text("utf-8")).body
    checked, _ = (node.body for node in body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in checked if isinstance(node, ast.ImportFrom) for alias in node.names}
    homes = {name: f"slither_actors.{home}" for name, home in slither_actors._HOMES.items()}

    assert seen == {**homes, "errors": "slither_actors", "telemetry": "slither_actors"}
    assert set(slither_actors.__all__) == {*seen, "__version__"}


def test_what_the_facade_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'slither_actors' has no attribute 'Storr'"):
        slither_actors.Storr  # noqa: B018  # type: ignore[attr-defined]
    assert set(slither_actors.__all__) <= set(dir(slither_actors))


def test_the_import_of_the_package_imports_next_to_nothing() -> None:
    """So that `start` can have the host begin before the service has imported what it needs itself."""
    code = """
import sys
import slither_actors
slither_actors.start
heavy = {"attrs", "thespian", "orjson", "slither_actors.errors", "slither_actors.config"}
print(*sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_every_public_name_is_used_where_types_are_checked() -> None:
    used = (Path(__file__).parents[1] / "typing" / "api.py").read_text("utf-8")
    unused = [name for name in slither_actors.__all__ if not re.search(rf"\bslither\.{name}\b|import {name}\b", used)]

    assert unused == []


def test_the_version_is_listed() -> None:
    assert "__version__" in slither_actors.__all__


@pytest.mark.parametrize(
    ("source", "listed", "problems"),
    [
        ("from os import sep", ["sep"], []),
        ("from __future__ import annotations\nimport os as _os\n_x = 1", [], []),
        ("from os import sep", ["sep", "sep"], ["sep is listed twice"]),
        ("from os import sep", ["sep", "gone"], ["gone is listed but does not exist"]),
        ("from os import sep as separator", [], ["separator is public but not listed"]),
        ("import os.path", [], ["os is public but not listed"]),
        ("def start(): ...\nclass Pipe: ...", ["Pipe"], ["start is public but not listed"]),
        ("a, b = 1, 2\nc: int = 3", ["a"], ["b is public but not listed", "c is public but not listed"]),
        ("if True:\n    from os import sep", [], ["sep is public but not listed"]),
    ],
)
def test_a_difference_is_found(tmp_path: Path, source: str, listed: list[str], problems: list[str]) -> None:
    file = tmp_path / "facade.py"
    file.write_text(source, "utf-8")
    facade = ModuleType("facade")
    facade.__file__ = str(file)
    exec(compile(source, str(file), "exec"), facade.__dict__)
    vars(facade)["__all__"] = listed

    assert problems_of(facade) == problems
