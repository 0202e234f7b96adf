"""The same training and predicting for two markets at the same time, in five ways."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

from .customers import MARKETS, customers, is_wanted
from .work import features_of, learn, new_model, scores

SIZE: Final = 1_000
ROUNDS: Final = 10
WORK: Final = ("customers", "work")

Customer = dict[str, Any]


def make(size: int) -> list[Customer]:
    """The inputs."""
    return customers(size, seed=1948)


def judge(expected: dict[str, float], got: dict[str, float]) -> str:
    """What is wrong with a result; nothing where it is the same."""
    wrong = [f"{market} {got[market]:.0%} instead of {expected[market]:.0%}" for market in MARKETS]
    return "" if got == expected else f"WRONG: the models are right about {', '.join(wrong)}"


def _right(market: str, people: list[Customer], scored: list[float]) -> float:
    hits = sum((score >= 0.5) == is_wanted(market, one) for one, score in zip(people, scored, strict=True))
    return hits / len(people)


def _labels(market: str, people: list[Customer]) -> list[bool]:
    return [is_wanted(market, one) for one in people]


def plain_loop(inputs: list[Customer], workers: int) -> dict[str, float]:
    """One market after the other."""
    cache = {one["id"]: features_of(one) for one in inputs}
    result = {}
    for market in MARKETS:
        model = new_model()
        for number in range(ROUNDS):
            part = inputs[number::ROUNDS]
            learn(model, [cache[one["id"]] for one in part], _labels(market, part))
            scored = scores(model, [cache[one["id"]] for one in inputs])
        result[market] = _right(market, inputs, scored)
    return result


def _in_threads(target: Any) -> None:
    threads = [threading.Thread(target=target, args=(market,)) for market in MARKETS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def naive_threads(inputs: list[Customer], workers: int) -> dict[str, float]:
    """The model is a variable of the service, as it was when there was one market."""
    model = new_model()
    cache: dict[int, list[float]] = {}
    result = {}

    def cached(one: Customer) -> list[float]:
        if one["id"] not in cache:
            cache[one["id"]] = features_of(one)
        return cache[one["id"]]

    def work(market: str) -> None:
        for number in range(ROUNDS):
            part = inputs[number::ROUNDS]
            learn(model, [cached(one) for one in part], _labels(market, part))
            scored = scores(model, [cached(one) for one in inputs])
        result[market] = _right(market, inputs, scored)

    _in_threads(work)
    return result


def careful_threads(inputs: list[Customer], workers: int) -> dict[str, float]:
    """A model for each market, and a lock around the cache."""
    models = {market: new_model() for market in MARKETS}
    cache: dict[int, list[float]] = {}
    lock = threading.Lock()
    result = {}

    def cached(one: Customer) -> list[float]:
        with lock:
            known = cache.get(one["id"])
        if known is None:
            known = features_of(one)
            with lock:
                cache[one["id"]] = known
        return known

    def work(market: str) -> None:
        for number in range(ROUNDS):
            part = inputs[number::ROUNDS]
            learn(models[market], [cached(one) for one in part], _labels(market, part))
            scored = scores(models[market], [cached(one) for one in inputs])
        right = _right(market, inputs, scored)
        with lock:
            result[market] = right

    _in_threads(work)
    return result


_cache: dict[int, list[float]] = {}


def _in_process(market: str, model: Any, part: list[Customer], people: list[Customer]) -> tuple[Any, list[float]]:
    """A step for a model that travels to whichever process is free, and back; each process has a cache of its own."""
    for one in people:
        if one["id"] not in _cache:
            _cache[one["id"]] = features_of(one)
    learn(model, [_cache[one["id"]] for one in part], _labels(market, part))
    return model, scores(model, [_cache[one["id"]] for one in people])


def process_pool(inputs: list[Customer], workers: int) -> dict[str, float]:
    """No process belongs to a market, so models and customers are sent with every call."""
    models = {market: new_model() for market in MARKETS}
    result = {}
    with ProcessPoolExecutor(len(MARKETS)) as pool:
        for number in range(ROUNDS):
            part = inputs[number::ROUNDS]
            steps = {market: pool.submit(_in_process, market, models[market], part, inputs) for market in MARKETS}
            for market, step in steps.items():
                models[market], scored = step.result()
                result[market] = _right(market, inputs, scored)
    return result


def with_slither(inputs: list[Customer], workers: int) -> dict[str, float]:
    """The sessions of the example: each stays with its worker, and so does its model."""
    import slither_actors as slither

    from .pipe import POOL, Features, begin, predict
    from .pipe import learn as train

    result: dict[str, float] = {}

    def work(market: str) -> None:
        with system.session(market, session_start=begin) as session:
            for number in range(ROUNDS):
                part = inputs[number::ROUNDS]
                session.call_batch([(one, is_wanted(market, one)) for one in part], train)
                answers = session.call_batch(inputs, predict)
        result[market] = _right(market, inputs, [item.payload["score"] for item in answers])

    with slither.start(stores=[Features], pools={"default": POOL}) as system:
        _in_threads(work)
    return result
