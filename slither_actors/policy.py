"""Error policies: what happens to items whose batch failed."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.errors import InvalidOption, shorten


@attrs.frozen
class Halt:
    """End the run; what was finished by then is in `partial_results`."""


@attrs.frozen
class Skip:
    """Drop the items of the batch from the flow; they stand in `.skipped` with `meta["error"]`."""


Policy = Halt | Skip
AnyPolicy = Policy | str
_BY_NAME: dict[str, Policy] = {"halt": Halt(), "skip": Skip()}
_ALLOWED = '"halt", "skip", Halt() or Skip()'


def as_policy(value: Any, where: str, option: str = "on_error") -> Policy:
    """The policy that a user named.

    Raises:
        InvalidOption: there is no such policy.
    """
    if isinstance(value, Halt | Skip):
        return value
    if isinstance(value, str) and value in _BY_NAME:
        return _BY_NAME[value]
    raise InvalidOption(where, option, shorten(value), _ALLOWED)
