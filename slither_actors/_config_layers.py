"""Where the values of a configuration come from: a file, the environment, an argument; each checked by itself."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import attrs

from slither_actors._code import Code
from slither_actors._config_file import VARIABLE
from slither_actors._validators import check_known
from slither_actors.errors import InvalidOption, NotImportable, shorten

PREFIX = "SLITHER_"
# The second is how programs that workers start are known.
_NO_KEYS = frozenset({VARIABLE, "SLITHER_SYSTEM"})
# What Kubernetes and Docker put into the environment about a service whose name begins like ours.
_OF_A_SERVICE = re.compile(
    r"(?!.*__).*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


class Sourced(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    source: str


@attrs.frozen
class Key:
    """One key of the configuration.

    Attributes:
        name: as in documents and messages, such as "dispatch.default_batch_size".
        variable: its environment variable.
        default: what holds where nobody says anything.
        doc: what it means, in a sentence.
        written: what a file or a variable may say, where a program may say more.
    """

    name: str
    default: Any
    doc: str
    written: str | None
    _type: Any = attrs.field(repr=False)
    _owner: type[Any] = attrs.field(repr=False)

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper().replace(".", "__")

    def value_in(self, config: Any) -> Any:
        """Its value in a configuration."""
        return functools.reduce(getattr, self.name.split("."), config)

    def check(self, value: Any, where: str, called: str) -> Any:
        """The value, if it is allowed.

        Raises:
            InvalidOption: it is not; the error says `where` it stands and what it is `called` there.
        """
        field = self.name.rpartition(".")[2]
        try:
            checked = getattr(self._owner(**{field: value}), field)
        except InvalidOption as error:
            raise InvalidOption(where, called, error.got, self.written or error.allowed) from None
        if isinstance(checked, tuple) and not all(map(_is_path, checked)):
            raise InvalidOption(where, called, shorten(value), self.written or "")
        return checked

    def of_text(self, text: str) -> Any:
        """What a text means; the text itself where that is nothing."""
        number = float if self._type == float | None else self._type
        if number in (int, float):
            try:
                return number(text)
            except ValueError:
                return text
        return [part.strip() for part in text.split(",")] if isinstance(self.default, tuple) else text


def _is_path(store: Any) -> bool:
    """Only looked at: it is imported when a system starts."""
    try:
        return isinstance(store, str) and Code.of(store).path is not None
    except NotImportable:
        return False


def keys_of(config: type[Any]) -> dict[str, Key]:
    """All keys by their names, in the order in which they are declared; those of a section are one after another."""
    return {key.name: key for key in _walk(config, "")}


def _walk(owner: type[Any], prefix: str) -> Iterator[Key]:
    for field in attrs.fields(owner):
        section = getattr(field.default, "factory", None)
        if isinstance(section, type) and attrs.has(section):
            yield from _walk(section, f"{prefix}{field.name}.")
        elif field.init:
            doc, written = field.metadata["doc"], field.metadata.get("written")
            yield Key(prefix + field.name, field.default, doc, written, field.type, owner)


def from_table(keys: Mapping[str, Key], table: Mapping[str, Any], where: str) -> dict[str, Sourced]:
    """The checked values of a file, by key.

    Raises:
        InvalidOption: an unknown key, with the nearest one, or a value that is not allowed.
    """
    values = dict(_flat(keys, table, where, ""))
    check_known(where, values, {*keys, *(name.partition(".")[0] for name in keys)})
    return {name: Sourced(keys[name].check(value, where, name), where) for name, value in values.items()}


def _flat(keys: Mapping[str, Key], table: Mapping[str, Any], where: str, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        path = prefix + name
        is_section = any(key.startswith(f"{path}.") for key in keys)
        if is_section and not isinstance(value, dict):
            raise InvalidOption(where, path, shorten(value), "a table")
        # One that nobody knows is entered too: what is in it may be near to a key.
        if is_section or (isinstance(value, dict) and value and path not in keys):
            yield from _flat(keys, value, where, f"{path}.")
        else:
            yield path, value


def from_environment(keys: Mapping[str, Key], environ: Mapping[str, str]) -> dict[str, Sourced]:
    """The checked values of the environment, by key. A variable that is empty counts as not set.

    Raises:
        InvalidOption: a variable with our prefix that means nothing, with the nearest one that does, or a value that is
            not allowed.
    """
    by_variable = {key.variable: key for key in keys.values()}
    given = {name: environ[name] for name in sorted(environ) if name.startswith(PREFIX) and environ[name]}
    ours = {name: text for name, text in given.items() if name in by_variable or not _is_no_key(name)}
    check_known("environment", ours, [*by_variable, VARIABLE])
    values = {}
    for name, text in ours.items():
        key = by_variable[name]
        values[key.name] = Sourced(key.check(key.of_text(text), "environment", name), name)
    return values


def _is_no_key(variable: str) -> bool:
    return variable in _NO_KEYS or _OF_A_SERVICE.fullmatch(variable) is not None


def from_argument(keys: Mapping[str, Key], given: Mapping[str, Any], checked: Any) -> dict[str, Sourced]:
    """The values that a mapping gave, taken from the configuration that was made of it alone."""
    return {
        name: Sourced(key.value_in(checked), "argument")
        for name, key in keys.items()
        if _is_given(name.split("."), given)
    }


def _is_given(path: Iterable[str], given: Any) -> bool:
    for name in path:
        if not isinstance(given, Mapping):
            return True  # a section that is given as an object is given whole
        if name not in given:
            return False
        given = given[name]
    return True


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by key as nested mappings."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree
