"""Adapters without their extras say what to install; nothing else imports them."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [("otel", "opentelemetry", "otel"), ("prometheus", "prometheus_client", "prometheus")],
)
def test_one_without_its_extra_names_the_line_that_installs_it(monkeypatch, module, library, extra):
    name = f"slither_actors.observe.{module}"
    for loaded in [key for key in sys.modules if key == name or key.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(ModuleNotFoundError, match=rf"^{name} needs .*: pip install 'slither_actors\[{extra}\]'$"):
        importlib.import_module(name)
