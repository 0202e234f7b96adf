"""Seeded customers with a history each, and what two markets make of them: the opposite."""

from __future__ import annotations

from random import Random
from typing import Any, Final

MARKETS: Final = ("north", "south")

_WORDS: Final = [f"{verb} {thing}" for verb in ("buys", "returns", "praises", "asks for") for thing in "abcdefghijkl"]


def customers(total: int, seed: int) -> list[dict[str, Any]]:
    """Customers: half of them return what they buy."""
    random = Random(seed)
    return [{"id": number, "events": _events(random, number % 2 == 0)} for number in range(total)]


def _events(random: Random, returns: bool) -> list[str]:
    liked = [word for word in _WORDS if word.startswith("returns") == returns]
    return random.choices(_WORDS, k=20) + random.choices(liked, k=20)


def is_wanted(market: str, customer: dict[str, Any]) -> bool:
    """What a market wants to know: in the north who returns little, in the south who returns much."""
    return bool((customer["id"] % 2 == 0) == (market == "south"))
