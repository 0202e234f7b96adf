"""Config: the defaults of a system, checked when they are given."""

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

import attrs

from slither_actors import _validators as check
from slither_actors._keywords import known_fields
from slither_actors.errors import InvalidOption, shorten
from slither_actors.policy import AnyPolicy, as_policy

_T = TypeVar("_T")

NO_STORES = "[], since stores are not part of this version"

# Credit keeps queues near empty. Reaching this takes very large batches, or somebody who sends without credit, and an
# error is better than all the memory.
QUEUE_LIMIT_BYTES = 1 << 30


def _error_policy(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    as_policy(value, type(instance).__name__, attribute.name, places=False)


@known_fields
@attrs.frozen(kw_only=True)
class DispatchConfig:
    """What a dispatch does where the call says nothing."""

    default_batch_size: int = attrs.field(
        default=64, validator=check.positive_int, metadata={"doc": "Items per batch."}
    )
    default_max_in_flight: int = attrs.field(
        default=8, validator=check.positive_int, metadata={"doc": "Batches out at once."}
    )
    default_ordering: str = attrs.field(
        default="preserve",
        validator=check.one_of("preserve", "as_completed"),
        metadata={"doc": "Results in the order of their inputs, or as they come."},
    )
    default_on_error: AnyPolicy = attrs.field(
        default="halt",
        validator=_error_policy,
        metadata={"doc": "What happens to the items of a failed batch, and of a failed stage of a pipe."},
    )


@known_fields
@attrs.frozen(kw_only=True)
class BridgeConfig:
    """What a view does where its declaration says nothing. For views, which are not part of this version."""

    default_scope: str = attrs.field(
        default="session",
        validator=check.one_of("session", "global"),
        metadata={"doc": "For views, which are not part of this version."},
    )


@known_fields
@attrs.frozen(kw_only=True)
class SessionConfig:
    """What a session may take where it says nothing."""

    default_ttl_s: float = attrs.field(
        default=3600.0, validator=check.positive_seconds, metadata={"doc": "Seconds that a session may idle."}
    )
    max_sessions: int = attrs.field(
        default=10_000, validator=check.positive_int, metadata={"doc": "Sessions that a pool may have open."}
    )


def names_stores(value: Any) -> bool:
    """Whether a user named stores, or something that is no list of them."""
    return isinstance(value, str) or not isinstance(value, Iterable) or bool(list(value))


def _no_stores(value: Any) -> tuple[()]:
    if names_stores(value):
        raise InvalidOption("Config", "stores", shorten(value), NO_STORES)
    return ()


def _dispatch(value: DispatchConfig | Mapping[str, Any]) -> DispatchConfig:
    return _section(DispatchConfig, value)


def _bridge(value: BridgeConfig | Mapping[str, Any]) -> BridgeConfig:
    return _section(BridgeConfig, value)


def _sessions(value: SessionConfig | Mapping[str, Any]) -> SessionConfig:
    return _section(SessionConfig, value)


@known_fields
@attrs.frozen(kw_only=True)
class Config:
    """The defaults of a system. Each section is an object of its class, or a mapping of its options."""

    stores: tuple[()] = attrs.field(
        default=(),
        converter=_no_stores,
        metadata={"doc": "Stores to start; not part of this version, so it must be empty."},
    )
    dispatch: DispatchConfig = attrs.field(factory=DispatchConfig, converter=_dispatch)
    bridge: BridgeConfig = attrs.field(factory=BridgeConfig, converter=_bridge)
    sessions: SessionConfig = attrs.field(factory=SessionConfig, converter=_sessions)
    queue_limit_bytes: int = attrs.field(
        default=QUEUE_LIMIT_BYTES,
        validator=check.positive_int,
        metadata={"doc": "Bytes that may wait in one process for another one to read them."},
    )

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """The config itself, or one built from nested mappings; None is all defaults.

        Raises:
            InvalidOption: An option is unknown (the nearest known one is named) or has a value that is not allowed.
        """
        return cls() if value is None else _section(cls, value)


def _section(cls: type[_T], value: _T | Mapping[str, Any]) -> _T:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise InvalidOption("Config", cls.__name__, shorten(value), f"a {cls.__name__} or a mapping of its options")
    check.check_known(cls.__name__, value, [field.name for field in attrs.fields(cls)])  # type: ignore[arg-type]
    return cls(**value)
