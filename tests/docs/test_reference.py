"""The reference in docs/reference: every public name stands there once, and what stands there exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
# Modules with public names. What the root offers of the errors is at home there.
MODULES = (
    "slither_actors",
    "slither_actors.errors",
    "slither_actors.telemetry",
    "slither_actors.logs",
    "slither_actors.otp",
    "slither_actors.testing",
    "slither_actors.observe.otel",
    "slither_actors.observe.prometheus",
    "slither_actors.cli",
)
DIRECTIVE = re.compile(r"^\.\. (?:currentmodule:: (?P<module>\S+)|auto(?P<kind>\w+):: (?P<name>\S+))$", re.MULTILINE)


def listed_in(module: str) -> list[str]:
    """The `__all__` of a module, read and not imported: adapters need packages that may be missing."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no __all__")


def public_names() -> set[str]:
    """All of them in full, each by the module that is its home."""
    errors = listed_in("slither_actors.errors")
    return {
        f"{module}.{name}"
        for module in MODULES
        for name in listed_in(module)
        if module != "slither_actors" or name not in errors
    }


def described(text: str) -> Iterator[str]:
    """What a page describes, in full."""
    module = ""
    for found in DIRECTIVE.finditer(text):
        if found["module"]:
            module = found["module"]
        else:
            yield found["name"] if found["kind"] == "module" else f"{module}.{found['name']}"


def test_every_public_name_is_described_once() -> None:
    times = Counter(name for page in PAGES for name in described(page.read_text("utf-8")))
    public = public_names()

    assert sorted(public - times.keys()) == []
    assert [name for name, count in times.items() if count > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_describes_is_there(page: Path) -> None:
    for name in described(page.read_text("utf-8")):
        module, _, bare = name.rpartition(".")
        if module.startswith("slither_actors.observe."):
            assert bare in listed_in(module)
        else:
            assert hasattr(import_module(module), bare) or find_spec(name), name


def test_a_description_is_read_in_its_module() -> None:
    text = ".. currentmodule:: a.b\n\n.. autoclass:: C\n   :members:\n\n.. automodule:: a.c\n.. autodata:: D\n"

    assert list(described(text)) == ["a.b.C", "a.c", "a.b.D"]
