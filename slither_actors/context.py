"""Context: what user code may know about the run it is part of."""

from collections.abc import Mapping
from typing import Any, Self

import attrs

from slither_actors._codec import Frame, encode_parts
from slither_actors._keywords import known_fields
from slither_actors.errors import InvalidOption, shorten


def _metadata(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidOption("Context", "metadata", shorten(value), "a mapping of names to values")
    return dict(value)


@known_fields
@attrs.frozen
class Context:
    """Where a piece of user code runs, and for whom.

    Attributes:
        pipe: Name of the pipe.
        stage: Name of the stage.
        session_id: The session. One that the caller gave binds the run to the session's worker; otherwise it is a fresh
            one, which binds it to nothing.
        run_id: The run.
        metadata: What the caller attached to the run.

    Raises:
        InvalidOption: The metadata are no mapping.
    """

    pipe: str | None = None
    stage: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict, converter=_metadata, hash=False)
    _state: dict[str, Any] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @property
    def state(self) -> dict[str, Any]:
        """A dict of this process that lives as long as the session, or the run where none was given.

        It stays behind when the context travels. A context that no process has bound has an empty one of its own.
        """
        return self._state

    def bind(self, state: dict[str, Any]) -> Self:
        """A copy whose ``state`` is this very dict. The library calls it in the process where user code runs."""
        copy = attrs.evolve(self)
        object.__setattr__(copy, "_state", state)  # nobody else has seen the copy yet
        return copy

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.pipe, self.stage, self.session_id, self.run_id, self.metadata)


@attrs.frozen
class SealedContext:
    """A context on its way to user code: encoded once where it leaves, and decoded once in the process that uses it.

    Whoever passes it on needs none of the classes that the caller put into it.
    """

    frame: Frame
    stage: str | None

    @classmethod
    def of(cls, context: Context) -> Self:
        """Seal a context.

        Raises:
            NotPicklable: It cannot travel; the error names the first entry of the metadata that cannot.
        """
        parts = [(f"metadata[{shorten(key)}]", value) for key, value in context.metadata.items()]
        return cls(encode_parts(context, parts, "the context"), context.stage)

    def with_stage(self, stage: str) -> Self:
        """The same run seen from another stage."""
        return type(self)(self.frame, stage)

    def open(self) -> Context:
        """The context.

        Raises:
            NotDecodable: What is in its metadata cannot be rebuilt in this process.
        """
        context: Context = self.frame.open("the context of the run, with its metadata,")
        return attrs.evolve(context, stage=self.stage)
