"""Context: what user code may know about the run it is part of."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self

import attrs

from slither_actors import telemetry
from slither_actors._codec import Frame, encode_parts
from slither_actors._keywords import known_fields
from slither_actors.errors import InvalidOption, UnknownStore, UnknownView, shorten


class StoreAccess(Protocol):
    """What the process has of stores and views, for one run."""

    def store(self, store: Any) -> Any: ...
    def views(self, scope: str | None) -> tuple[str, ...]: ...
    def view(self, ctx: "Context", name: str, params: Mapping[str, Any]) -> Any: ...
    def view_batch(self, ctx: "Context", name: str, params: Iterable[Mapping[str, Any]]) -> list[Any]: ...


def _called(store: Any) -> str:
    """How a store is called that is given by its name, its class or `Store.named(...)`."""
    if isinstance(store, str):
        return store
    return store.__name__ if isinstance(store, type) else str(getattr(store, "name", shorten(store)))


def _metadata(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidOption("Context", "metadata", shorten(value), "a mapping of names to values")
    return dict(value)


def _trace(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise InvalidOption("Context", "trace", shorten(value), "a mapping of names of headers to their texts")
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
        trace: Headers of distributed tracing, such as ``traceparent``, by which user code in any process goes on with
            the trace of the caller: what he gave, or what a tracing library that listens to telemetry put there when
            the run began. Empty where neither did.

    Raises:
        InvalidOption: The metadata or the trace are no mapping, or a header is no text.
    """

    pipe: str | None = None
    stage: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    metadata: dict[str, Any] = attrs.field(factory=dict, converter=_metadata, hash=False)
    trace: dict[str, str] = attrs.field(factory=dict, converter=_trace, hash=False)
    _state: dict[str, Any] = attrs.field(factory=dict, init=False, eq=False, repr=False)
    _stores: StoreAccess | None = attrs.field(default=None, init=False, eq=False, repr=False)

    @property
    def state(self) -> dict[str, Any]:
        """A dict of this process that lives as long as the session, or the run where none was given.

        It stays behind when the context travels. A context that no process has bound has an empty one of its own.
        """
        return self._state

    def store(self, store: Any) -> Any:
        """The handle of a store, given by its name, its class or ``Store.named(...)``: its tables are its attributes.

        Raises:
            UnknownStore: The system has no such store, or no process has bound this context.
        """
        if self._stores is None:
            raise UnknownStore(_called(store), ())
        return self._stores.store(store)

    def view(self, name: str, /, **params: Any) -> Any:
        """Call a view, in this process; what it raises comes through.

        Raises:
            UnknownView: There is none that this run can see. DuplicateView: There are several.
            ViewTimeout: It took too long.
        """
        if self._stores is None:
            raise UnknownView(name, ())
        return self._stores.view(self, name, params)

    def view_batch(self, name: str, params: Iterable[Mapping[str, Any]], /) -> list[Any]:
        """Call a view with each of these mappings, and return as many results: at once if its mode is "batch", else one
        after another."""
        if self._stores is None:
            raise UnknownView(name, ())
        return self._stores.view_batch(self, name, params)

    def views(self, scope: str | None = None) -> tuple[str, ...]:
        """Names of the views that this run can call: those of one scope, "session" or "global", or all."""
        return self._stores.views(scope) if self._stores is not None else ()

    def bind(self, state: dict[str, Any], stores: StoreAccess | None = None) -> Self:
        """A copy whose ``state`` is this very dict. The library calls it in the process where user code runs."""
        copy = attrs.evolve(self)
        object.__setattr__(copy, "_state", state)  # nobody else has seen the copy yet
        object.__setattr__(copy, "_stores", stores)
        return copy

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), (self.pipe, self.stage, self.session_id, self.run_id, self.metadata, self.trace)


@attrs.frozen
class SealedContext:
    """A context on its way to user code: encoded once where it leaves, and decoded once in the process that uses it.

    Whoever passes it on needs none of the classes that the caller put into it.
    """

    frame: Frame
    stage: str | None
    stores: tuple[str, ...] | None = None  # whose session views it sees; None for all
    interest: telemetry.Interest = telemetry.NO_INTEREST  # of who begins the run
    pipe: str | None = None
    session: str | None = None
    run: str | None = None
    trace: dict[str, str] | None = attrs.field(default=None, hash=False)  # instead of the one in the frame

    @classmethod
    def of(cls, context: Context, stores: tuple[str, ...] | None = None) -> Self:
        """Seal a context, for a run that names these stores.

        Raises:
            NotPicklable: It cannot travel; the error names the first entry of the metadata that cannot.
        """
        parts = [(f"metadata[{shorten(key)}]", value) for key, value in context.metadata.items()]
        frame = encode_parts(context, parts, "the context")
        return cls(frame, context.stage, stores, telemetry.interest(), context.pipe, context.session_id, context.run_id)

    @property
    def ids(self) -> dict[str, str]:
        """What log records of this run are about."""
        ids = {"pipe": self.pipe, "stage": self.stage, "run": self.run, "session": self.session}
        return {name: value for name, value in ids.items() if value is not None}

    def with_stage(self, stage: str) -> Self:
        """The same run seen from another stage."""
        return attrs.evolve(self, stage=stage)

    def with_trace(self, trace: dict[str, str]) -> Self:
        """The same run with these headers of tracing."""
        return attrs.evolve(self, trace=trace)

    def open(self) -> Context:
        """The context.

        Raises:
            NotDecodable: What is in its metadata cannot be rebuilt in this process.
        """
        context: Context = self.frame.open("the context of the run, with its metadata,")
        return attrs.evolve(context, stage=self.stage, trace=context.trace if self.trace is None else self.trace)
