"""The pipe: clean the text in a local stage, analyse it in worker processes, route it by its sentiment."""

from __future__ import annotations

from typing import Any

import slither_actors as slither

from .store import Lexicon
from .work import normalise


def is_positive(item: slither.Item) -> bool:
    """Whether praise outweighs blame."""
    return bool(item.payload["label"] == "positive")


def is_negative(item: slither.Item) -> bool:
    """Whether blame outweighs praise."""
    return bool(item.payload["label"] == "negative")


class TextPipe(slither.Pipe):
    """Documents in; analysed documents out, on `positive`, `negative` or, where neither fits, `default`."""

    @slither.local
    def prepare(item: slither.Item, ctx: slither.Context) -> dict[str, Any]:
        return {**item.payload, "text": normalise(item.payload["text"])}

    analyse = slither.worker("slither_actors.examples.text_analysis.work:analyse", batch_size=50, max_in_flight=4)

    classify = slither.router(
        (is_positive, "positive"),
        (is_negative, "negative"),
    )

    stores = [Lexicon]  # so the workers of `analyse` see its view
    outputs = ["positive", "negative"]
    # A document that cannot be analysed is set aside and recorded; an error anywhere else is a mistake in this file.
    on_error = {"analyse": "skip", "*": "halt"}
