"""Log records that say what they are about, as attributes and not only in words.

A record of this library, and one of user code in its processes, has an attribute `slither`: a dict with those of
`NAMES` that are known. Payloads are in none of it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["NAMES", "JsonLines", "ids_of"]

FIELD = "slither"

NAMES = ("system", "process", "child", "pool", "pipe", "stage", "run", "session", "batch")
"""`process` is the one that the record comes from, `child` another one that it is about; `batch` is the number of a
batch as in events and incidents; the others are as in events."""


def about(**ids: Any) -> dict[str, dict[str, Any]]:
    """The `extra` of a record with these ids, without those that are `None`."""
    return {FIELD: {name: value for name, value in ids.items() if value is not None}}


def ids_of(record: logging.LogRecord) -> dict[str, str | int]:
    """What a record is about; empty if it does not say."""
    found: Any = getattr(record, FIELD, None)
    if not isinstance(found, Mapping):
        return {}
    return {name: found[name] for name in NAMES if isinstance(found.get(name), str | int)}


class JsonLines(logging.Formatter):
    """Formats each record as one line of JSON: `time` (UTC), `level`, `logger`, `message`, the ids of the record, and
    `exception` where there is one."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        moment = self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
        line: dict[str, Any] = {
            "time": f"{moment}.{record.msecs:03.0f}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **ids_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
