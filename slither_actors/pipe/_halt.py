"""How a run through a stage ends early."""

from __future__ import annotations

from slither_actors.errors import SlitherError


class RunHalted(Exception):
    """The policy says that the run ends here. `stage` is who is to blame, `None` for the stage itself."""

    def __init__(self, error: SlitherError, stage: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.stage = stage
