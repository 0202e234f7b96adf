"""The pictures of the documents are what the program beside them draws, and each says in words what it shows."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def drawings() -> ModuleType:
    spec = spec_from_file_location("drawings", DOCS / "drawings.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["tree.svg", "batch.svg", "store.svg"])
def test_a_picture_is_what_the_program_draws(name: str) -> None:
    drawn = drawings().DRAWINGS[name]()
    picture = ElementTree.fromstring(drawn)

    assert (DOCS / "_static" / name).read_text("utf-8") == drawn, "run: python docs/drawings.py"
    assert picture.findtext(f"{SVG}title")
    assert picture.findtext(f"{SVG}desc")
    assert [page.name for page in DOCS.glob("*.md") if f"(_static/{name})" in page.read_text("utf-8")]
