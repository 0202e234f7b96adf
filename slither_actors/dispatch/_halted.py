"""How a run is told that it is over before its end."""

from __future__ import annotations

from typing import Self

from slither_actors.dispatch.messages import Failed
from slither_actors.errors import SlitherError


class Halted(Exception):
    """A node halted the run, or died. Turned into `DispatchError` or `PipeError` by whoever drives the run."""

    def __init__(self, stage: str | None, error: SlitherError, batch_ref: int) -> None:
        super().__init__(stage, error, batch_ref)
        self.stage = stage
        self.error = error
        self.batch_ref = batch_ref

    @classmethod
    def by(cls, failed: Failed) -> Self:
        """The same in the words of the node."""
        return cls(failed.stage, failed.error, failed.batch_ref)
