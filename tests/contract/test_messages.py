"""Thespian finds a handler by the name of the message's class alone: two classes of one name would share a handler."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "slither_actors"


def messages_of(package: Path) -> dict[str, list[str]]:
    """Name -> places (`file:line`) of every class below `package` that is decorated with `_message.message`."""
    places = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"), str(path))
        decorators = _names_of_the_decorator(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and decorators & {_dotted(each) for each in node.decorator_list}:
                places[node.name].append(f"{path.relative_to(package)}:{node.lineno}")
    return dict(places)


def duplicates_of(package: Path) -> dict[str, list[str]]:
    """The message names below `package` that more than one class bears."""
    return {name: places for name, places in messages_of(package).items() if len(places) > 1}


def _names_of_the_decorator(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                bound = alias.asname or alias.name
                if alias.name == "message" and (node.module or "").rpartition(".")[2] == "_message":
                    names.add(bound)
                elif alias.name == "_message":
                    names.add(f"{bound}.message")
    return names


def _dotted(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def test_every_message_class_has_a_name_of_its_own() -> None:
    assert duplicates_of(PACKAGE) == {}


@pytest.mark.parametrize(
    ("source", "decorator"),
    [
        ("from slither_actors._message import message", "message"),
        ("from slither_actors._message import message", "message()"),
        ("from .._message import message as msg", "msg"),
        ("from slither_actors import _message", "_message.message"),
    ],
)
def test_a_name_used_twice_is_found(tmp_path: Path, source: str, decorator: str) -> None:
    (tmp_path / "otp").mkdir()
    (tmp_path / "otp" / "messages.py").write_text(f"{source}\n\n@{decorator}\nclass Stop:\n    reason: str\n", "utf-8")
    (tmp_path / "messages.py").write_text(
        "from ._message import message\n\n@message\nclass Stop: ...\n\n@message\nclass Start: ...\n", "utf-8"
    )

    assert duplicates_of(tmp_path) == {"Stop": ["messages.py:4", "otp/messages.py:4"]}


def test_a_class_that_is_no_message_may_share_a_name(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("from ._message import message\n\n@message\nclass Stop: ...\n", "utf-8")
    (tmp_path / "two.py").write_text("from click import message\n\n@message\nclass Stop: ...\n", "utf-8")

    assert messages_of(tmp_path) == {"Stop": ["one.py:4"]}
