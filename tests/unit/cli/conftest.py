"""Made-up examples in the place of the real ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slither_actors.cli import baseline, example
from tests.unit.cli.made_up import NAME, make_examples


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Their folder. One works and has a baseline, one cannot be imported, one needs a package; two are programs."""
    make_examples(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    for module in (example, baseline):
        monkeypatch.setattr(module, "PACKAGE", NAME)
    yield tmp_path / NAME
    for name in [name for name in sys.modules if name.startswith(NAME)]:
        del sys.modules[name]
