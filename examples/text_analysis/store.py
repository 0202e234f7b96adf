"""The store: the stop words, which every process reads in place, and the view through which workers ask for them."""

from __future__ import annotations

from typing import Any

import slither_actors as slither

from .lexicon import STOP_WORDS


class Lexicon(slither.Store):
    """Words too common to say what a document is about. `load` could as well read them from a file or a database."""

    stop_words = slither.Table()

    def load(self, tables: Any) -> None:
        tables.stop_words.bulk_insert((word, True) for word in sorted(STOP_WORDS))

    @slither.view(mode="batch")
    def telling(self, params: list[dict[str, Any]], ctx: slither.Context) -> list[list[str]]:
        """Of each list of words those that say something; a whole batch of documents costs one read."""
        common = self.stop_words.get_many({word for one in params for word in one["words"]})
        return [[word for word in one["words"] if word not in common] for one in params]
