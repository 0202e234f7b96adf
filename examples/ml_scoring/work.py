"""What is done to customers: features and a model that learns batch by batch, the same whoever runs it."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from sklearn.linear_model import SGDClassifier

WIDTH: Final = 64


def features_of(customer: dict[str, Any]) -> list[float]:
    """How often each kind of event, by its hash, stands in a customer's history: what is worth a cache."""
    features = [0.0] * WIDTH
    for event in customer["events"]:
        features[int.from_bytes(hashlib.blake2b(event.encode(), digest_size=4).digest()) % WIDTH] += 1.0
    return features


def new_model() -> Any:
    """A classifier that knows nothing yet; equal rows in equal order make equal models."""
    return SGDClassifier(loss="log_loss", random_state=0)


def learn(model: Any, features: list[list[float]], wanted: list[bool]) -> None:
    """Train `model` with some rows more."""
    model.partial_fit(np.array(features), np.array(wanted, dtype=int), classes=[0, 1])


def scores(model: Any, features: list[list[float]]) -> list[float]:
    """From 0 to 1, how sure the model is that a customer is wanted."""
    return [float(score) for score in model.predict_proba(np.array(features))[:, 1]]


def coefficients(model: Any) -> list[float]:
    """All that the model knows."""
    return [float(number) for number in (*model.coef_[0], *model.intercept_)]
