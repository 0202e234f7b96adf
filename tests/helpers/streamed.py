"""Pipes that `slither run` streams lines through."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import slither_actors as slither


def priced(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if any(order["number"] == 13 for order in orders):
        raise ValueError("unlucky")
    return [{**order, "price": 2 * order["number"]} for order in orders]


class Orders(slither.Pipe):
    """Drops 7, skips 13, sends large ones to `large`."""

    @slither.local
    def check(item, ctx):
        return slither.Drop("seven") if item.payload["number"] == 7 else item.payload

    price = slither.worker(priced, batch_size=8, on_error=slither.Skip(isolate=True))
    route = slither.router((lambda item: item.payload["number"] >= 50, "large"))
    outputs = ["large"]


class Strict(slither.Pipe):
    """Ends with the first failure."""

    price = slither.worker(priced, batch_size=1)


def same(payloads: list[Any]) -> list[Any]:
    return payloads


class Rows(slither.Pipe):
    """Gives back what it gets, one by one."""

    pass_on = slither.worker(same, batch_size=1)


class Stuck(slither.Pipe):
    """Never done with the path of a file, which it makes."""

    @slither.local
    def wait(item, ctx):
        if isinstance(item.payload, str):
            Path(item.payload).touch()
            time.sleep(600.0)
        return item.payload


class Known(slither.Store):
    """Empty; `SLITHER_STORES` may name it too."""

    rows = slither.Table()


class Looking(slither.Pipe):
    """Names a store."""

    pass_on = slither.worker(same, batch_size=1)
    stores = [Known]


class Commanded(slither.Pipe):
    """Wants an adapter."""

    score = slither.worker(slither.Command("score"))
