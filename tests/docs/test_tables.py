"""The tables of the documents that repeat what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

import slither_actors as slither
from slither_actors._config_layers import keys_of
from slither_actors.observe._figures import FIGURES
from slither_actors.observe._instruments import INSTRUMENTS, Instrument
from tests.helpers.tables import table_below

DOCS = Path(__file__).parents[2] / "docs"


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


@pytest.mark.parametrize(
    ("heading", "options"),
    [
        ("## Options of a pool", slither.PoolOptions),
        ("## Workers that wear out", slither.Recycle),
        ("## Workers that keep dying", slither.Quarantine),
    ],
)
def test_the_tables_of_a_pool_name_all_options_and_their_defaults(heading: str, options: type) -> None:
    rows = table_below(heading, (DOCS / "pools.md").read_text("utf-8"))
    expected = [(field.name, getattr(field.default, "factory", field.default)) for field in attrs.fields(options)]
    special = {"size": "required", "environment": "`{}`"}

    assert [row[:2] for row in rows] == [(f"`{name}`", special.get(name, f"`{given!r}`")) for name, given in expected]


def test_the_keys_of_a_config_are_those_of_the_code() -> None:
    expected = [
        (f"`{key.name}`", f"`{as_typed([] if key.default == () else key.default)}`", key.doc)
        for key in keys_of(slither.Config).values()
    ]

    assert table_below("## Keys of config", (DOCS / "configuration.md").read_text("utf-8")) == expected


def test_the_events_are_those_of_the_code() -> None:
    def quoted(names: tuple[str, ...]) -> str:
        return ", ".join(f"`{name}`" for name in names) or "none"

    expected = [
        (f"`{'.'.join(kind.name)}`", kind.doc, quoted(kind.measurements), quoted(kind.metadata))
        for kind in slither.telemetry.EVENTS
    ]

    assert table_below("## The events", (DOCS / "telemetry.md").read_text("utf-8")) == expected


@pytest.mark.parametrize(
    ("heading", "instruments"), [("### Of what happens", INSTRUMENTS), ("### Of how systems are", FIGURES)]
)
def test_the_metrics_are_those_of_the_code(heading: str, instruments: tuple[Instrument, ...]) -> None:
    def row(one: Instrument) -> tuple[str, ...]:
        endings = ("_seconds" if one.unit == "s" else "") + ("_total" if one.kind == "counter" else "")
        name = one.name.replace(".", "_") + endings
        labels = ", ".join(f"`{label}`" for label in one.labels) or "none"
        return f"`{one.convention or one.name}`", f"`{name}`", one.doc, labels

    assert table_below(heading, (DOCS / "observability.md").read_text("utf-8")) == [row(one) for one in instruments]


def test_the_metrics_to_alert_on_are_those_of_the_code() -> None:
    told = set(re.findall(r"`(slither_[a-z_]+)`", (DOCS / "operations.md").read_text("utf-8")))
    rows = (DOCS / "observability.md").read_text("utf-8")

    assert told
    assert [name for name in sorted(told) if f"| `{name}` |" not in rows] == []


def test_the_words_of_the_glossary_stand_in_order_and_once() -> None:
    words = re.findall(r"^## (.*)$", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE)

    assert words == sorted(set(words))


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
