"""Context: what user code may know about the run it is part of."""

from typing import Any, Self

import attrs


@attrs.frozen
class Context:
    """Where a piece of user code runs, and for whom.

    Attributes:
        pipe: Name of the pipe.
        stage: Name of the stage.
        session_id: What the caller gave as `session_id`. It is passed on, and binds the run to no worker.
        run_id: The run.
        metadata: What the caller attached to the run.
    """

    pipe: str | None = None
    stage: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict, hash=False)
    _state: dict[str, Any] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @property
    def state(self) -> dict[str, Any]:
        """A dict of this process that lives as long as the run.

        It stays behind when the context travels. A context that no process has bound has an empty one of its own.
        """
        return self._state

    def bind(self, state: dict[str, Any]) -> Self:
        """A copy whose ``state`` is this very dict. The library calls it in the process where user code runs."""
        copy = attrs.evolve(self)
        object.__setattr__(copy, "_state", state)  # nobody else has seen the copy yet
        return copy

    def with_stage(self, stage: str) -> Self:
        """The same run seen from another stage; stages do not share state."""
        return attrs.evolve(self, stage=stage)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.pipe, self.stage, self.session_id, self.run_id, self.metadata)
