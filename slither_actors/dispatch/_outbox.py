"""Sending what a dispatcher's core decided, where the transport may refuse a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slither_actors.dispatch.messages import Batch, Complete
from slither_actors.errors import TransportError
from slither_actors.workers.messages import RunBatch

OnRefusal = Callable[[str, Any, TransportError], None]


def send_all(outbox: list[tuple[str, Any]], post: Callable[[str, Any], None], on_refusal: OnRefusal) -> None:
    """Post all messages, also those that refusals bring about; leaves the outbox empty.

    Args:
        outbox: addresses and messages.
        post: sends one; raises `TransportError` where the queue for its receiver is full.
        on_refusal: told of each message that was not sent. Once one of a run was refused its other batches are not
            sent either, since nothing may follow a gap.
    """
    while outbox:
        refused: list[tuple[str, Any, TransportError]] = []
        for address, message in outbox:
            if refused and (why := _refusal_of(message, refused)) is not None:
                if isinstance(message, RunBatch):  # the worker does not know the run, or is not to work for it
                    refused.append((address, message, why))
                continue
            try:
                post(address, message)
            except TransportError as error:
                # A traceback leads to this list and makes a cycle, which in CPython 3.11 no buffer may be part of: the
                # collector clears views that others still use.
                refused.append((address, message, error.with_traceback(None)))
        outbox.clear()
        for address, message, why in refused:
            on_refusal(address, message, why)


def _refusal_of(message: Any, refused: list[tuple[str, Any, TransportError]]) -> TransportError | None:
    if isinstance(message, Batch | Complete | RunBatch):
        for _, other, error in refused:
            if getattr(other, "run", None) == message.run:
                return error
    return None
