"""What user code answered for an item, and what that makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import attrs

from slither_actors.errors import InvalidOutcome, RemoteError, kinds_of
from slither_actors.item import Item, take_ids
from slither_actors.outcome import Outcome
from slither_actors.policy import Policy
from slither_actors.workers._identity import in_its_place
from slither_actors.workers.executor import descendant, item_error

# What is none by itself, or may stand for something else.
_OTHERS = (Item, Policy, type, *get_args(Outcome))


def is_payload(answer: Any) -> bool:
    """Whether it is for sure what takes the place of the payload, and nothing else."""
    return not issubclass(type(answer), _OTHERS)


def means_nothing(answer: Any) -> bool:
    """Whether it means something elsewhere, or was not made."""
    return isinstance(answer, Policy) or (isinstance(answer, type) and issubclass(answer, Outcome))


def next_item(item: Item, answer: Any) -> Item:
    """The item that an answer stands for: itself if it is one, else the old one with a new payload."""
    return descendant(answer, item) if isinstance(answer, Item) else item.with_payload(answer)


def same_item(item: Item, answer: Any) -> Item:
    """The same where items keep their ids."""
    return in_its_place(answer, item) if isinstance(answer, Item) else item.with_payload(answer)


def child_of(parent: Item, made: Any, index: int) -> Item:
    """One of several made of `parent`, under an id of its own; `index` says which."""
    child = made if isinstance(made, Item) else parent.with_payload(made)
    fresh = child.id if child.id != parent.id else take_ids(1)[0]
    return attrs.evolve(child, id=fresh, parent_id=parent.id, index=index)


def new_child_of(parent: Item, made: Any, index: int) -> Item:
    """The same, under an id that nothing else has: user code may emit one item twice."""
    child = made if isinstance(made, Item) else parent.with_payload(made)
    return attrs.evolve(child, id=take_ids(1)[0], parent_id=parent.id, index=index)


def emitted(stage: str, payloads: Any) -> Iterator[Any]:
    if isinstance(payloads, str | bytes | dict) or not hasattr(payloads, "__iter__"):
        raise InvalidOutcome(stage, f"a list of payloads was expected, not a {type(payloads).__name__}")
    try:
        return iter(payloads)
    except BaseException as error:  # user code too
        raise item_error(error) from error


def as_error(reason: Any, kind: str) -> RemoteError:
    if isinstance(reason, BaseException):
        return RemoteError.of(reason)
    # to a policy it is as good as an exception
    return RemoteError(kind, str(reason) if reason is not None else "", "", (kind, *kinds_of(Exception)))
