"""Counts the lines that coordinate: what a program has beyond the work itself, read from its sources."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Collection, Iterator
from pathlib import Path

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def coordination_lines(folder: Path, module: str, function: str, work: Collection[str]) -> int:
    """How many lines of code a function takes, with all that it uses of its own package.

    Counted is what it names, what that names, and so on: functions, classes and constants, in whatever module of the
    folder they stand. Not counted are the modules in `work`, which every way of doing it shares, imports, blank lines,
    comments and docstrings.

    Args:
        folder: the package.
        module: where the function stands.
        function: its name.
        work: modules of the package that say what is done, not who does it when.
    """
    sources = _Sources(folder, work)
    return sum(map(len, sources.reached(module, function).values()))


class _Sources:
    def __init__(self, folder: Path, work: Collection[str]) -> None:
        self._folder = folder
        self._work = work
        self._modules: dict[str, _Module] = {}

    def reached(self, module: str, name: str) -> dict[str, set[int]]:
        """The lines that count, by module."""
        lines: dict[str, set[int]] = {}
        waiting, seen = [(module, name)], set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            found = self._module(place[0])
            for node in found.definitions.get(place[1], ()):
                lines.setdefault(place[0], set()).update(found.code_of(node))
                waiting += self._uses(place[0], found, node)
        return lines

    def _uses(self, module: str, found: _Module, node: ast.stmt) -> Iterator[tuple[str, str]]:
        imported = {**found.imports, **_imports_in(node)}
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                if part.id in found.definitions:
                    yield module, part.id
                elif (source := imported.get(part.id)) and source[0] not in self._work:
                    yield source

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            self._modules[name] = _Module((self._folder / f"{name}.py").read_text("utf-8"))
        return self._modules[name]


class _Module:
    """What stands at the top of a module, by name, and which of its lines are code."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text)
        self.definitions: dict[str, list[ast.stmt]] = {}
        for node in tree.body:
            for name in _names_of(node):
                self.definitions.setdefault(name, []).append(node)
        self.imports = {name: source for node in tree.body for name, source in _imports_in(node).items()}
        self._code = _code_lines(text) - _not_counted(tree)

    def code_of(self, node: ast.stmt) -> set[int]:
        """The lines of a definition that count; decorators do."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        return self._code & set(range(first, (node.end_lineno or first) + 1))


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _imports_in(node: ast.stmt) -> dict[str, tuple[str, str]]:
    """Names that come from the package's own modules: `from .pipe import StatsPipe`."""
    return {
        alias.asname or alias.name: (part.module, alias.name)
        for part in ast.walk(node)
        if isinstance(part, ast.ImportFrom) and part.level == 1 and part.module
        for alias in part.names
    }


def _code_lines(text: str) -> set[int]:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def _not_counted(tree: ast.Module) -> set[int]:
    """The lines of imports and docstrings."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) and _is_silent(node):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def _is_silent(node: ast.Import | ast.ImportFrom | ast.Expr) -> bool:
    if not isinstance(node, ast.Expr):
        return True
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
