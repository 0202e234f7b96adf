"""What is done to rows: plain functions, the same whoever runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import slither_actors as slither

Entry = Mapping[str, Any]
_TYPES: Mapping[str, type] = {"int": int, "str": str, "float": float}


def validate_batch(rows: list[dict[str, Any]], ctx: slither.Context) -> list[dict[str, Any]]:
    """Validate a batch in a worker process, all of it by the schema of one moment."""
    with ctx.store("Schemas").snapshot() as schema:
        fields = dict(schema.fields.select())
        products = schema.products.get_many({row["product"] for row in rows if isinstance(row["product"], str)})
    return [validate(row, fields, products.get) for row in rows]


def validate(
    row: dict[str, Any], fields: Mapping[str, Entry], product_of: Callable[[Any], Entry | None]
) -> dict[str, Any]:
    """Bring a row into the form of the schema, and look its product up.

    Returns:
        The row as it is now, `problems` that it has, and in `phases` every phase whose entries were used.
    """
    phases = {entry["phase"] for entry in fields.values()}
    new = _modern(row, fields)
    problems = [
        f"{name} is no {entry['type']}"
        for name, entry in fields.items()
        if not isinstance(new.get(name), _TYPES[entry["type"]])
    ]
    product = product_of(new["product"]) if isinstance(new.get("product"), str) else None
    if product is None:
        problems.append("the product is not sold")
    else:
        phases.add(product["phase"])
        new["price"] = product["cents"]
    new["digest"] = digest(new)
    return {"row": new, "problems": problems, "phases": sorted(phases)}


def _modern(row: dict[str, Any], fields: Mapping[str, Entry]) -> dict[str, Any]:
    """An older row in the form that the schema asks for."""
    new = dict(row)
    if "currency" in fields:
        new.setdefault("currency", "EUR")
    if "cents" in fields and "amount" in new:
        new["cents"] = round(new.pop("amount") * 100)
    return new


def digest(row: Mapping[str, Any]) -> str:
    """A fingerprint, to find equal rows by."""
    text = "|".join(f"{name}={row[name]}" for name in sorted(row))
    for _ in range(50):
        text = hashlib.sha256(text.encode()).hexdigest()
    return text
