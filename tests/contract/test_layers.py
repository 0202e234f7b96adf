"""The shape of the package, read from its syntax trees: who may import whom, and how large files and functions grow."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "slither_actors"
ROOT = PACKAGE.name

# An import points left only. What shares a place may not import each other; "base" is every module at the top.
ROW: tuple[frozenset[str], ...] = (
    frozenset({"base"}),
    frozenset({"transport"}),
    frozenset({"otp"}),
    frozenset({"store"}),
    frozenset({"workers"}),
    frozenset({"dispatch"}),
    frozenset({"pipe"}),
    frozenset({"system"}),
    frozenset({"facade"}),
    frozenset({"observe", "testing"}),
    frozenset({"cli"}),
    frozenset({"main", "examples"}),
)
PLACE = {layer: place for place, layers in enumerate(ROW) for layer in layers}

# The layers, or files at the top, that may import a library.
OWNERS = {
    "thespian": frozenset({"transport", "otp"}),
    "orjson": frozenset({"_codec"}),
    "lmdb": frozenset({"store"}),
}
# What an example may import of the package: what its reader can import too.
PUBLIC = frozenset({"facade", "cli", "examples"})
ACTORS = "otp"  # the names of its package, for who writes actors; not the modules in it

MAX_LINES = 350
MAX_FUNCTION_LINES = 40
DRAWERS = frozenset({"util", "utils"})


def modules_of(package: Path) -> dict[str, Path]:
    """Every module below `package` by its dotted name; follows links, since the examples are one."""
    found = {}
    for folder, _, files in os.walk(package, followlinks=True):
        for file in files:
            path = Path(folder, file)
            if path.suffix == ".py":
                parts = path.relative_to(package.parent).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, modules: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that a module imports: at its top, in functions, under TYPE_CHECKING."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                # `from package import module` depends on the module, not on what the package re-exports.
                yield node.lineno, f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules else source


def layer_of(name: str) -> str:
    """Where in the row a module of the package stands."""
    top = name.split(".")[1:2]
    if not top:
        return "facade"
    if top == ["__main__"]:
        return "main"
    return top[0] if top[0] in PLACE else "base"


def problems_of(package: Path) -> list[str]:
    """Every breach of the rules below `package`, as `file:line: sentence`."""
    modules = modules_of(package)
    graph: dict[str, set[str]] = {}
    problems = []
    for name, path in sorted(modules.items()):
        file = path.relative_to(package.parent)
        problems += [f"{file}: {problem}" for problem in _file_problems(name, path, package)]
        inside = graph.setdefault(name, set())
        for line, target in imports_of(name, path, modules):
            if target in modules:
                inside.add(target)
            if problem := _import_problem(name, target, package.name):
                problems.append(f"{file}:{line}: {problem}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        problems.append("import cycle: " + " <- ".join(error.args[1]))
    return problems


def _file_problems(name: str, path: Path, package: Path) -> Iterator[str]:
    lines = len(path.read_text("utf-8").splitlines())
    if lines > MAX_LINES:
        yield f"{lines} lines, {MAX_LINES} are allowed"
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length_of(node) > MAX_FUNCTION_LINES:
            yield f"{node.name} has {_length_of(node)} lines, {MAX_FUNCTION_LINES} are allowed"
    if name.rpartition(".")[2].strip("_") in DRAWERS:
        yield "a helper lives beside its user, not in a drawer of this name"
    if path.parent.parent == package and path.name == "__init__.py" and path.parent.name not in PLACE:
        yield f"the folder {path.parent.name} has no place in the row"


def _length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Its lines from `def` on, without those of its docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def _import_problem(name: str, target: str, root: str) -> str | None:
    here = layer_of(name)
    library = target.split(".")[0]
    if library != root:
        owners = OWNERS.get(library)
        top = (name.split(".")[1:2] or [here])[0]
        if owners is None or top in owners or here == "examples":  # an example is its reader's code, not ours
            return None
        return f"only {' and '.join(sorted(owners))} may import {library}"
    there = layer_of(target)
    if here == "examples":
        return (
            None
            if there in PUBLIC or target == f"{root}.{ACTORS}"
            else f"an example imports {target}, which is not for users"
        )
    if PLACE[there] < PLACE[here] or (there == here and here != "facade"):
        return None
    return f"{here} imports {there} ({target}), which does not stand to its left"


def test_the_package_keeps_its_layers() -> None:
    assert problems_of(PACKAGE) == []


def test_the_walk_reaches_the_package() -> None:
    assert {ROOT, f"{ROOT}.errors", f"{ROOT}.examples"} <= modules_of(PACKAGE).keys()


def make(folder: Path, files: dict[str, str]) -> Path:
    """A made-up package of the same name, with the `__init__.py` files that are not given."""
    package = folder / ROOT
    for file, source in {"__init__.py": "", **files}.items():
        path = package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        if path.parent != package and not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").touch()
    return package


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"item.py": "import slither_actors.otp"}, "base imports otp"),
        ({"item.py": "from slither_actors import Pipe"}, "base imports facade"),
        ({"otp/ref.py": "def f():\n    from slither_actors.store import reader"}, "ref.py:2: otp imports store"),
        (
            {"pipe/flow.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..system import handle"},
            "flow.py:3: pipe imports system",
        ),
        ({"observe/top.py": "from slither_actors.testing import clock"}, "observe imports testing"),
        ({"cli/run.py": "from slither_actors.examples import text_analysis"}, "cli imports examples"),
        ({"__init__.py": "from slither_actors.cli import main"}, "facade imports cli"),
        ({"examples/one.py": "from slither_actors.item import Item"}, "an example imports slither_actors.item"),
        (
            {"examples/one.py": "from slither_actors.otp.server import S"},
            "an example imports slither_actors.otp.server",
        ),
        ({"dispatch/pool.py": "from thespian.actors import Actor"}, "only otp and transport may import thespian"),
        ({"__init__.py": "import thespian.actors"}, "only otp and transport may import thespian"),
        ({"store/json.py": "import orjson"}, "only _codec may import orjson"),
        ({"workers/run.py": "import lmdb"}, "only store may import lmdb"),
        ({"otp/_utils.py": ""}, "a helper lives beside its user"),
        ({"item.py": "\n" * (MAX_LINES + 1)}, "351 lines, 350 are allowed"),
        ({"item.py": "def f():\n" + "    1\n" * MAX_FUNCTION_LINES}, "f has 41 lines, 40 are allowed"),
        ({"item.py": "class A:\n    async def f():\n" + "        1\n" * 40}, "f has 41 lines, 40 are allowed"),
        ({"runners/one.py": ""}, "the folder runners has no place in the row"),
        ({"otp/ref.py": "from . import child", "otp/child.py": "from .ref import Ref"}, "import cycle: "),
        ({"otp/__init__.py": "from .ref import Ref", "otp/ref.py": "from slither_actors.otp import X"}, "import cycle"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    [found] = problems_of(make(tmp_path, files))

    assert problem in found


def test_what_the_rules_allow_is_no_breach(tmp_path: Path) -> None:
    package = make(
        tmp_path,
        {
            "__init__.py": "from slither_actors.system import start\nfrom slither_actors import errors",
            "__main__.py": "from slither_actors.cli import main",
            "errors.py": "import attrs",
            "_codec.py": "import orjson",
            "transport/unix.py": "from thespian.actors import Actor\nfrom slither_actors import errors",
            "otp/__init__.py": "from .server import Server",
            "otp/server.py": "import thespian.actors\nfrom ..transport import unix\nfrom .ref import Ref",
            "otp/ref.py": "from slither_actors.errors import Down",
            "store/table.py": "import lmdb\nfrom slither_actors.otp import Server",
            "system/handle.py": "from slither_actors.otp import Server\nfrom slither_actors.errors import Down",
            "cli/__init__.py": "import slither_actors\nfrom slither_actors.observe import top",
            "observe/top.py": "import slither_actors as slither",
            "examples/words/__init__.py": "import slither_actors as slither\nfrom .text import split",
            "examples/words/text.py": "import string",
            "examples/actors.py": "from slither_actors.otp import Server",
            "item.py": "\n" * MAX_LINES,
            "context.py": 'def f():\n    """One\n    two."""\n' + "    1\n" * (MAX_FUNCTION_LINES - 1),
        },
    )

    assert problems_of(package) == []
