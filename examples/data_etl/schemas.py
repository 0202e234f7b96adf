"""Three schemas, each of which took the place of the one before, and rows as they were sent in their time.

Every entry of a schema carries its phase, so a row can tell which schemas had a say in its validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, Final

PHASES: Final = 3
PRODUCTS: Final = 4_000

# First the amount was a number, then a currency came with it, and now it is in cents under another name.
_FIELDS: Final = (
    {"id": "int", "product": "str", "amount": "float"},
    {"id": "int", "product": "str", "amount": "float", "currency": "str"},
    {"id": "int", "product": "str", "cents": "int", "currency": "str"},
)


def entries(phase: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Table, key and value of every entry of a phase, 1 to 3, read one by one as from a file.

    `fields` says what a row has, `products` which products may be sold at what price.
    """
    for line in _lines(phase):
        table, key, entry = json.loads(line)
        yield table, key, entry


def _lines(phase: int) -> Iterator[str]:
    for name, kind in _FIELDS[phase - 1].items():
        yield json.dumps(["fields", name, {"phase": phase, "type": kind}])
    for number in range(PRODUCTS):
        if number % 10 != phase:  # in each phase another tenth is not sold
            yield json.dumps(["products", f"p{number:04}", {"phase": phase, "cents": 100 * phase + number}])


@cache
def schema(phase: int) -> dict[str, dict[str, dict[str, Any]]]:
    """The tables of a phase."""
    tables: dict[str, dict[str, dict[str, Any]]] = {"fields": {}, "products": {}}
    for table, key, entry in entries(phase):
        tables[table][key] = entry
    return tables


def rows(phase: int, total: int, seed: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Rows in the form of a phase; some are broken."""
    random = Random(f"{seed} {phase} {first}")
    for number in range(first, first + total):
        amount = random.randint(1, 20)
        row: dict[str, Any] = {"id": number, "product": f"p{random.randrange(PRODUCTS):04}"}
        row |= {"cents": amount * 100} if phase == 3 else {"amount": float(amount)}
        row |= {"currency": "EUR"} if phase > 1 else {}
        if random.random() < 0.02:
            row["product"] = random.choice((None, 7, "unknown"))
        yield row
