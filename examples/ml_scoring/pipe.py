"""The store that caches features for everybody, what sessions do in their workers, and the pipe that scores."""

from __future__ import annotations

import os
import time
from typing import Any, Final

import slither_actors as slither

from .customers import MARKETS

# Workers are as many as processors, so the threads that numerical libraries start on their own only get in the way.
POOL: Final = slither.PoolOptions(len(MARKETS), environment={"OMP_NUM_THREADS": "1"})
PREDICT: Final = "slither_actors.examples.ml_scoring.pipe:predict"


class Features(slither.Store):
    """Features by customer: whoever needs them first computes them, and all others read them in place."""

    features = slither.Table()


def begin(ctx: slither.Context) -> None:
    """The start of a session in its worker: a model that no other session can see."""
    from .work import new_model

    ctx.state.update(model=new_model(), hits=0, misses=0, rows=0, batches=[])


def learn(rows: list[tuple[dict[str, Any], bool]], ctx: slither.Context) -> list[int]:
    """Train the session's model with customers and whether they are wanted."""
    from . import work

    started = time.monotonic()
    work.learn(ctx.state["model"], _features([customer for customer, _ in rows], ctx), [wanted for _, wanted in rows])
    ctx.state["rows"] += len(rows)
    ctx.state["batches"].append((started, time.monotonic()))
    return [ctx.state["rows"]] * len(rows)


def predict(customers: list[dict[str, Any]], ctx: slither.Context) -> list[dict[str, Any]]:
    """Score customers by the session's model."""
    from . import work

    scores = work.scores(ctx.state["model"], _features(customers, ctx))
    return [{"id": one["id"], "score": score} for one, score in zip(customers, scores, strict=True)]


def tell(questions: list[object], ctx: slither.Context) -> list[dict[str, Any]]:
    """What the session's worker knows, for each question the same."""
    from . import work

    known = {name: ctx.state[name] for name in ("hits", "misses", "rows", "batches")}
    return [{"pid": os.getpid(), "model": work.coefficients(ctx.state["model"]), **known} for _ in questions]


def _features(customers: list[dict[str, Any]], ctx: slither.Context) -> list[list[float]]:
    from . import work

    table = ctx.store(Features).features
    known = table.get_many([one["id"] for one in customers])
    new = {one["id"]: work.features_of(one) for one in customers if one["id"] not in known}
    if new:
        table.bulk_insert(new.items())  # two sessions may compute one twice: they write the same
    ctx.state["hits"] += len(customers) - len(new)
    ctx.state["misses"] += len(new)
    return [known.get(one["id"]) or new[one["id"]] for one in customers]


def is_sure(item: slither.Item) -> bool:
    """Whether the model has no doubt that a customer is wanted."""
    return bool(item.payload["score"] >= 0.8)


def is_doubtful(item: slither.Item) -> bool:
    """Whether a person should look."""
    return bool(item.payload["score"] >= 0.4)


class ScorePipe(slither.Pipe):
    """Customers in; those who are wanted on `accept`, those to look at on `review`, the others on `default`."""

    stores = [Features]
    predict = slither.worker(PREDICT, batch_size=100)
    sort = slither.router((is_sure, "accept"), (is_doubtful, "review"))
    outputs = ["accept", "review"]
