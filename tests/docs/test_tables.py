"""The tables of the documents that repeat what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

import slither_actors as slither

DOCS = Path(__file__).parents[2] / "docs"


def table_below(heading: str, document: str) -> list[tuple[str, ...]]:
    """The rows of the first table below a heading, without its head."""
    _, _, behind = document.partition(f"\n{heading}\n")
    rows = re.findall(r"^\|(.+)\|$", re.split(r"\n## ", behind)[0], re.MULTILINE)
    return [tuple(cell.strip() for cell in row.split(" | ")) for row in rows[2:]]


def as_typed(value: Any) -> str:
    """A default as a user would write it."""
    if isinstance(value, slither.Halt | slither.Skip):
        value = type(value).__name__.lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def test_the_options_of_a_dispatch_are_those_of_the_code() -> None:
    expected = [
        (f"`{field.name}`", f"`{as_typed(field.default)}`", field.metadata["doc"])
        for field in attrs.fields(slither.DispatchOptions)
    ]

    assert table_below("## Options", (DOCS / "dispatch.md").read_text("utf-8")) == expected


def test_the_options_of_a_session_are_those_of_the_code() -> None:
    expected = [
        (f"`{field.name}`", f"`{as_typed(field.default)}`", field.metadata["doc"])
        for field in attrs.fields(slither.SessionOptions)
    ]

    assert table_below("## Options", (DOCS / "sessions.md").read_text("utf-8")) == expected


def test_the_keys_of_a_config_are_those_of_the_code() -> None:
    expected = []
    for field in attrs.fields(slither.Config):
        section = {
            "dispatch": slither.DispatchConfig,
            "bridge": slither.BridgeConfig,
            "sessions": slither.SessionConfig,
        }.get(field.name)
        for key in attrs.fields(section) if section is not None else [field]:
            default = [] if key.default == () else key.default
            name = f"{field.name}.{key.name}" if section is not None else key.name
            expected.append((f"`{name}`", f"`{as_typed(default)}`", key.metadata["doc"]))

    assert table_below("## Keys of config", (DOCS / "configuration.md").read_text("utf-8")) == expected


def test_the_arguments_of_start_are_those_of_the_code() -> None:
    rows = table_below("## Arguments of start", (DOCS / "configuration.md").read_text("utf-8"))

    assert [row[0] for row in rows] == [f"`{name}`" for name in inspect.signature(slither.start).parameters]


def test_every_error_has_a_heading_in_the_troubleshooting() -> None:
    headings = re.findall(r"^### (.*)$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    explained = {name for heading in headings for name in re.findall(r"^`(\w+)", heading)}

    assert explained == set(slither.errors.__all__)


@pytest.mark.parametrize("start", [DOCS / "index.md", DOCS.parent / "README.md"])
def test_every_document_is_linked_where_readers_begin(start: Path) -> None:
    linked = {(start.parent / link).resolve() for link in re.findall(r"\]\(([^)#:]+\.md)", start.read_text("utf-8"))}

    assert set(DOCS.glob("*.md")) - linked - {DOCS / "index.md"} == set()


def test_a_table_ends_where_the_next_heading_stands() -> None:
    document = "# A\n\n## B\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n## C\n\n| z |\n|---|\n| 3 |\n"

    assert table_below("## B", document) == [("1", "2")]
