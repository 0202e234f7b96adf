"""Log records of actors reach the service's own loggers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from slither_actors.errors import TransportError
from slither_actors.logs import about, ids_of
from slither_actors.otp.messages import LogLine, Surroundings
from slither_actors.transport.hub import Hub

_log = logging.getLogger(__name__)


# What may wait for the service to read. More is dropped and counted: a log must not fill the memory of an actor.
_BACKLOG_BYTES = 1 << 20


class LogScope:
    """What the user code of a process is at work on, for its log records: `ids` is asked for each of them, so whoever
    sets it need not say so all the time."""

    def __init__(self) -> None:
        self.ids: Callable[[], Mapping[str, Any]] = dict


class _ForwardHandler(logging.Handler):
    """Sends each record, formatted, to the service. A record that cannot be sent is dropped: logging never kills."""

    def __init__(self, hub: Hub, gateway: str, process: str, scope: LogScope) -> None:
        super().__init__()
        self._scope = scope
        self._hub = hub
        self._gateway = gateway
        self._process = process
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._hub.queued_bytes(self._gateway) > _BACKLOG_BYTES:
                self._dropped += 1
                return
            if self._dropped:
                text, self._dropped = f"{self._dropped} log records were dropped: nobody read them", 0
                self._send(_log.name, logging.WARNING, text, record)
            self._send(record.name, record.levelno, self.format(record), record)
        except TransportError:
            # a process forked by user code has no way to the service; its standard error is the service's
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)

    def _send(self, logger: str, level: int, text: str, record: logging.LogRecord) -> None:
        ids = tuple({"process": self._process, **self._scope.ids(), **ids_of(record)}.items())
        pid = record.process or 0
        self._hub.send(self._gateway, LogLine(logger, level, text, record.created, self._process, pid, ids))


def forward_logs(hub: Hub, process: str, surroundings: Surroundings, scope: LogScope) -> None:
    """Make this process's root logger send records to the service.

    Thespian has replaced the logging tree by one whose root refuses handlers. The tree it replaced is found through a
    logger made at import time; it is put back, without the handlers that the fork brought along.
    """
    manager = _log.manager
    root = manager.root
    logging.root = logging.Logger.root = root
    logging.Logger.manager = manager
    root.handlers.clear()
    root.setLevel(surroundings.log_level)
    if surroundings.gateway is not None:
        root.addHandler(_ForwardHandler(hub, surroundings.gateway, process, scope))


def replay(line: LogLine, system: str) -> None:
    """In the service: hand a forwarded record to the logger it was meant for."""
    logger = logging.getLogger(line.logger)
    if logger.isEnabledFor(line.level):
        record = logger.makeRecord(
            line.logger,
            line.level,
            line.process,
            0,
            line.text,
            (),
            None,
            extra=about(**{"system": system, **dict(line.about)}),
        )
        record.created = line.created
        record.msecs = line.created % 1 * 1000
        record.process = line.pid
        record.processName = line.process
        logger.handle(record)
