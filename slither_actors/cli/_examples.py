"""What examples there are: packages with options and a report, and numbered programs of one file."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import attrs

PACKAGE = "slither_actors.examples"


@attrs.frozen
class Example:
    """One of `slither_actors.examples`.

    Attributes:
        name: of its folder, or of its file without the ending.
        summary: one line.
        needs: what it imports beyond the library: modules, and the requirements that bring them.
        module: the package; None for a program.
        program: the file; None for a package.
        fault: why a package cannot be imported, where that is so: then `module` is None too.
    """

    name: str
    summary: str
    needs: Mapping[str, str] = attrs.field(factory=dict)
    module: ModuleType | None = None
    program: Path | None = None
    fault: str = ""

    @property
    def missing(self) -> list[str]:
        """The requirements that are not met here."""
        return [need for module, need in self.needs.items() if importlib.util.find_spec(module) is None]

    @property
    def has_baseline(self) -> bool:
        """Whether the same work is there without the library, for `slither baseline`."""
        return self.module is not None and bool(importlib.util.find_spec(f"{self.module.__name__}.baseline"))


def install_line(requirements: list[str]) -> str:
    """What to type to meet `requirements`."""
    return shlex.join(["pip", "install", *requirements])


def find_examples(package: str) -> Iterator[Example]:
    """Every example in a package, the numbered programs first; nothing that one needs has to be there."""
    folder = importlib.import_module(package)
    programs = [path for place in folder.__path__ for path in Path(place).glob("[0-9]*.py")]
    for program in sorted(programs, key=lambda path: path.name):
        yield _read(program)
    for found in pkgutil.iter_modules(folder.__path__):
        if found.ispkg:
            yield _load(package, found.name)


def _load(package: str, name: str) -> Example:
    try:
        module = importlib.import_module(f"{package}.{name}")
    except ImportError as error:
        # The other examples should not suffer from one that lacks something.
        return Example(name, f"(not available: {error})", fault=str(error))
    return Example(name, str(module.SUMMARY), dict(getattr(module, "NEEDS", {})), module)


def _read(program: Path) -> Example:
    """A program is described by the first line of its docstring and a constant `NEEDS`; it is not imported."""
    tree = ast.parse(program.read_text("utf-8"), str(program))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    needs: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NEEDS"]:
            needs = ast.literal_eval(node.value)
    return Example(program.stem, summary.rstrip("."), needs, program=program)
