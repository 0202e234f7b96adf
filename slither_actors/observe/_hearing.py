"""How an adapter listens: to what it wants, and without harm to the work that it hears of."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from slither_actors import telemetry
from slither_actors._describe import is_of_a_signal
from slither_actors.telemetry import Name

_LOG = logging.getLogger(__name__)
_NUMBERS = itertools.count(1)

Handler = Callable[[Name, Mapping[str, Any], Mapping[str, Any]], object]

_OF_RUNS = (telemetry.DISPATCH_RUN, telemetry.PIPE_RUN)
_OF_BATCHES = (telemetry.BATCH, telemetry.STAGE)
_OF_THE_REST = (telemetry.SESSION, telemetry.WORKER, telemetry.SUPERVISOR, telemetry.STORE, telemetry.VIEW)


class Hearing:
    """Calls handlers for events until it is closed. What they raise is logged the first time, and else ignored: what
    exports may fail for a while, and is not worth a run.

    Args:
        adapter: names it in the log.
        handlers: called one after another with each event.
        batches: whether to hear of batches and stages, which cost the most.
        rest: whether to hear of anything but runs and these.
    """

    def __init__(self, adapter: str, handlers: tuple[Handler, ...], *, batches: bool, rest: bool) -> None:
        self._adapter = adapter
        self._handlers = handlers
        self._complained = False
        wanted = (*_OF_RUNS, *(_OF_BATCHES if batches else ()), *(_OF_THE_REST if rest else ()))
        number = next(_NUMBERS)
        self._ids = [f"{adapter} {number}: {'.'.join(prefix)}" for prefix in wanted]
        for handler_id, prefix in zip(self._ids, wanted, strict=True):
            telemetry.attach(handler_id, prefix, self._hear)

    def close(self) -> None:
        """Hear no more; repeating it does no harm."""
        for handler_id in self._ids:
            telemetry.detach(handler_id)

    def _hear(self, event: Name, measurements: dict[str, Any], metadata: dict[str, Any]) -> None:
        for handler in self._handlers:
            try:
                handler(event, measurements, metadata)
            except Exception as error:
                if is_of_a_signal(error):
                    raise
                if not self._complained:
                    self._complained = True
                    _LOG.warning("%s: what exports %s raised", self._adapter, ".".join(event), exc_info=True)
