"""Config: the defaults of a system, checked when they are given. Nothing is read before somebody asks for it."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

import attrs

from slither_actors import _config_layers as layers
from slither_actors import _validators as check
from slither_actors._config_file import choose_file, read_file
from slither_actors._keywords import known_fields
from slither_actors.errors import InvalidOption, shorten
from slither_actors.policy import AnyPolicy, as_policy

_T = TypeVar("_T")

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
        metadata={
            "doc": "What happens to the items of a failed batch, and of a failed stage of a pipe.",
            "written": '"halt" or "skip"',
        },
    )


@known_fields
@attrs.frozen(kw_only=True)
class BridgeConfig:
    """What a view of a store does where its declaration says nothing."""

    default_scope: str = attrs.field(
        default="session",
        validator=check.one_of("session", "global"),
        metadata={"doc": "Who sees a view: runs of pipes that name its store, or everybody."},
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


def _stores(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | type) or not isinstance(value, Iterable):
        raise InvalidOption("Config", "stores", shorten(value), "a list of store classes, or of Store.named(...)")
    return tuple(value)  # `start` looks closer: what a store is, is not known here


def _dispatch(value: DispatchConfig | Mapping[str, Any]) -> DispatchConfig:
    return _section(DispatchConfig, value)


def _bridge(value: BridgeConfig | Mapping[str, Any]) -> BridgeConfig:
    return _section(BridgeConfig, value)


def _sessions(value: SessionConfig | Mapping[str, Any]) -> SessionConfig:
    return _section(SessionConfig, value)


@known_fields
@attrs.frozen(kw_only=True)
class Config:
    """The defaults of a system. Each section is an object of its class, or a mapping of its options.

    `Config.load()` reads the configuration file and the environment, `Config(...)` reads nothing.
    """

    stores: tuple[Any, ...] = attrs.field(
        default=(),
        converter=_stores,
        metadata={
            "doc": "Stores to start, before those that `start` is given.",
            "written": 'a list of paths of store classes, each "module:Class"',
        },
    )
    dispatch: DispatchConfig = attrs.field(factory=DispatchConfig, converter=_dispatch)
    bridge: BridgeConfig = attrs.field(factory=BridgeConfig, converter=_bridge)
    sessions: SessionConfig = attrs.field(factory=SessionConfig, converter=_sessions)
    queue_limit_bytes: int = attrs.field(
        default=QUEUE_LIMIT_BYTES,
        validator=check.positive_int,
        metadata={"doc": "Bytes that may wait in one process for another one to read them."},
    )
    stopped_limit_s: float | None = attrs.field(
        default=5.0,
        validator=check.optional(check.positive_seconds),
        metadata={
            "doc": "Seconds that a process of the tree may be stopped by a signal (SIGSTOP) before it counts as dead.",
            "written": "a finite number of seconds above 0",
        },
    )
    _loaded_from: Mapping[str, str] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """The config itself, or one built from nested mappings; None is all defaults. Reads nothing.

        Raises:
            InvalidOption: An option is unknown (the nearest known one is named) or has a value that is not allowed.
        """
        return cls() if value is None else _section(cls, value)

    @classmethod
    def load(
        cls,
        given: Self | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """What holds for this process: defaults, over them a file, the environment, and what is given, key by key.

        Args:
            given: Nested mappings with some keys, or the path of the file to read. A `Config` is taken as it is, and
                nothing is read.
            file: The file to read, else that of `SLITHER_CONFIG`, else the one that is found from the working directory
                upwards. In a `pyproject.toml` the table `[tool.slither]` counts.
            environ: The environment; `os.environ` by default.

        Raises:
            InvalidOption: Somebody gives an unknown key, or a value that is not allowed; the error says which file,
                variable or argument. Or the file cannot be read.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, str | os.PathLike):
            if file is not None:
                raise InvalidOption("configuration", "file", shorten(file), "None where another path is given already")
            given, file = None, given
        elif given is not None and not isinstance(given, Mapping):
            allowed = "a Config, a mapping of its options, or the path of a TOML file"
            raise InvalidOption("configuration", "config", shorten(given), allowed)
        environ = os.environ if environ is None else environ
        keys = layers.keys_of(cls)
        values: dict[str, layers.Sourced] = {}
        if (chosen := choose_file(file, environ)) is not None:
            values |= layers.from_table(keys, read_file(chosen), str(chosen.path))
        values |= layers.from_environment(keys, environ)
        if given is not None:
            values |= layers.from_argument(keys, given, cls.of(given))
        config = cls(**layers.nested({name: value for name, (value, _) in values.items()}))
        object.__setattr__(config, "_loaded_from", {name: source for name, (_, source) in values.items()})
        return config

    @property
    def sources(self) -> Mapping[str, str]:
        """What each value comes from, by key; "default", the path of a file, the name of a variable, or "argument"."""
        return {
            name: self._loaded_from.get(name, "default" if key.value_in(self) == key.default else "argument")
            for name, key in layers.keys_of(type(self)).items()
        }


def _section(cls: type[_T], value: _T | Mapping[str, Any]) -> _T:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise InvalidOption("Config", cls.__name__, shorten(value), f"a {cls.__name__} or a mapping of its options")
    check.check_known(cls.__name__, value, [field.name for field in attrs.fields(cls) if field.init])  # type: ignore[arg-type]
    return cls(**value)
