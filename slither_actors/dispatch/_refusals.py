"""What a dispatcher makes of a message that the transport did not take."""

from __future__ import annotations

from typing import Any

from slither_actors.dispatch._desk import Desk
from slither_actors.dispatch._dispatch_run import DispatchRun
from slither_actors.dispatch._patience import CANCEL_GRACE_S
from slither_actors.dispatch.messages import Ask, Batch, Complete, Failed
from slither_actors.errors import SlitherError
from slither_actors.workers.messages import RunBatch


class Refusals:
    """The part of a dispatcher's core that ends a run whose messages do not get through."""

    _runs: dict[str, DispatchRun]
    _desk: Desk
    outbox: list[tuple[str, Any]]

    def refused(self, to: str, message: Any, error: SlitherError, now: float) -> None:
        """The transport did not take a message, since too much waits for its receiver. The run that it belongs to is
        over, and no other one.

        Raises:
            TransportError: it belongs to no run, or is the word of its end.
        """
        if isinstance(message, Failed) and message.finished:  # the word without the results then
            self.outbox.append((to, Failed(message.run, message.stage, message.error, message.batch_ref, ())))
            return
        if not isinstance(message, Batch | RunBatch | Ask | Complete):
            raise error
        run = self._run_of(message)
        if isinstance(message, RunBatch) and (task := self._desk.take_back(to, message.number)) and run is not None:
            run.came_back(task, now)
            if message.job is not None:  # so the worker never heard of the run
                run.workers.discard(to)
        if run is not None:
            self.outbox.append((run.sink.port.consumer, Failed(run.id, run.stage, error, 0, ())))
            self.close_run(run.key, now)
        self._assign(now)

    def _run_of(self, message: Any) -> DispatchRun | None:
        return self._runs.get(message.run)

    def close_run(self, run_id: str, now: float, grace_s: float = CANCEL_GRACE_S) -> None:
        raise NotImplementedError

    def _assign(self, now: float) -> None:
        raise NotImplementedError
