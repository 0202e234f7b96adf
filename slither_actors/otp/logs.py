"""Log records of actors reach the service's own loggers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from slither_actors.otp.messages import LogLine, Surroundings

_log = logging.getLogger(__name__)


class _ForwardHandler(logging.Handler):
    """Sends each record, formatted, to the service. A record that cannot be sent is dropped: logging never kills."""

    def __init__(self, post: Callable[[str, Any], None], gateway: str, process: str) -> None:
        super().__init__()
        self._post = post
        self._gateway = gateway
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            line = LogLine(record.name, record.levelno, text, record.created, self._process, record.process or 0)
            self._post(self._gateway, line)
        except Exception:
            self.handleError(record)


def forward_logs(post: Callable[[str, Any], None], process: str, surroundings: Surroundings) -> None:
    """Make this process's root logger send records to the service.

    Thespian has replaced the logging tree by one whose root refuses handlers. The tree it replaced is found through a
    logger made at import time; it is put back, without the handlers that the fork brought along.
    """
    manager = _log.manager
    root = manager.root
    logging.root = logging.Logger.root = root  # type: ignore[misc, assignment]
    logging.Logger.manager = manager
    root.handlers.clear()
    root.setLevel(surroundings.log_level)
    if surroundings.gateway is not None:
        root.addHandler(_ForwardHandler(post, surroundings.gateway, process))


def replay(line: LogLine) -> None:
    """In the service: hand a forwarded record to the logger it was meant for."""
    logger = logging.getLogger(line.logger)
    if logger.isEnabledFor(line.level):
        record = logger.makeRecord(line.logger, line.level, line.process, 0, line.text, (), None)
        record.created = line.created
        record.process = line.pid
        record.processName = line.process
        logger.handle(record)
