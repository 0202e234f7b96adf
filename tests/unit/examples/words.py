"""The stop words of the example without a system: a context whose views read them from the list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import slither_actors as slither
from slither_actors.examples.text_analysis.lexicon import STOP_WORDS
from slither_actors.examples.text_analysis.store import Lexicon


class Stores:
    """What a context is bound to, with the one view of the example."""

    def store(self, store: Any) -> Any:
        raise AssertionError("the workers read through the view")

    def views(self, scope: str | None) -> tuple[str, ...]:
        return ("telling",)

    def view(self, ctx: slither.Context, name: str, params: Any) -> Any:
        raise AssertionError("the workers ask for a whole batch")

    def view_batch(self, ctx: slither.Context, name: str, params: Any) -> list[Any]:
        assert name == "telling"
        table = SimpleNamespace(get_many=lambda words: {word: True for word in words if word in STOP_WORDS})
        return Lexicon.telling(SimpleNamespace(stop_words=table), params, ctx)  # type: ignore[arg-type]


def bound(context: slither.Context) -> slither.Context:
    return context.bind({}, Stores())
