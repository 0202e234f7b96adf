"""What happened, as text. Payloads are never in it."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch.messages import Ask, Batch, Complete, Failed, ends_of
from slither_actors.otp.messages import Down, KillProcess, Up
from slither_actors.transport.hub import Undelivered
from slither_actors.workers.messages import (
    BatchDone,
    BatchFailed,
    LeaseAnswer,
    LeaseGranted,
    LeaseRecalled,
    LeaseRequest,
    LeaseReturned,
    RunBatch,
)
from slither_actors.workers.parcel import count

_TAIL = 40


class Trace:
    """Lines in the order in which things happened; made into text when somebody asks."""

    def __init__(self) -> None:
        self.messages = 0
        self._events: list[tuple[float, str, str, str, Any]] = []
        self._numbers: dict[int, int] = {}  # of executions, which begin anywhere

    def sent(self, now: float, sender: str, to: str, message: Any) -> None:
        self.messages += 1
        self._events.append((now, "sends", sender, to, message))

    def delivered(self, now: float, sender: str, to: str, message: Any) -> None:
        self._events.append((now, "hears", to, sender, message))

    def note(self, now: float, who: str, what: str) -> None:
        """Something that is no message."""
        self._events.append((now, what, who, "", None))

    def lines(self, last: int | None = None) -> tuple[str, ...]:
        if last is not None:
            return tuple(map(self._line, self._events[-last:]))
        return tuple(map(self._line, self._events))

    def tail(self) -> tuple[str, ...]:
        return self.lines(_TAIL)

    def _line(self, event: tuple[float, str, str, str, Any]) -> str:
        now, what, who, other, message = event
        if message is None:
            return f"{now:10.4f} {who} {what}"
        way = "to" if what == "sends" else "from"
        return f"{now:10.4f} {who} {what} {self._text(message)} {way} {other}"

    def _text(self, message: Any) -> str:
        name = type(message).__name__
        match message:
            case Undelivered():
                return f"{name}({self._text(message.original)})"
            case Batch():
                ends = sum(count(one.parcels) for one in ends_of(message))
                ended = f", {ends} ended" if ends else ""
                return (
                    f"{name} {message.seq} of {message.run}, edge {message.edge}, {count(message.parcels)} items{ended}"
                )
            case Ask():
                return f"{name} up to {message.limit} of {message.run}, edge {message.edge}"
            case Complete():
                return f"{name} after {message.last_seq} of {message.run}, edge {message.edge}"
            case Failed():
                return (
                    f"{name} of {message.run}: {type(message.error).__name__}, {len(message.finished)} batches finished"
                )
            case RunBatch():
                return f"{name} {self._number(message.number)} of {message.run}, {count(message.parcels)} items"
            case BatchDone():
                return f"{name} {self._number(message.number)}, {count(message.parcels)} items"
            case BatchFailed():
                return f"{name} {self._number(message.number)}: {type(message.error).__name__}"
            case LeaseRequest() | LeaseAnswer():
                return f"{name} {message.want}"
            case LeaseGranted() | LeaseRecalled() | LeaseReturned():
                return f"{name} {message.worker}"
            case Up() | Down() | KillProcess():
                return f"{name} {message.ref}"
        return f"{name} of {message.run}" if hasattr(message, "run") else name

    def _number(self, number: int) -> int:
        return self._numbers.setdefault(number, len(self._numbers) + 1)
