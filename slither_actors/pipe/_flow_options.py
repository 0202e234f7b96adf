"""The options of stages that say how items flow through them, checked."""

from __future__ import annotations

from typing import Any

from slither_actors._validators import check_bool, is_number
from slither_actors.errors import InvalidOption, shorten
from slither_actors.pipe._balance_plan import MOST_REPLICAS
from slither_actors.rate import as_rate


def checked_flow(kind: str, flow: dict[str, Any]) -> dict[str, Any]:
    """The options as they are kept.

    Raises:
        InvalidOption: one has a value that is not allowed.
    """
    limit_s = flow.get("handle_timeout_s")
    if limit_s is not None and (not is_number(limit_s) or limit_s <= 0):
        allowed = "None, or a finite number of seconds above 0"
        raise InvalidOption(kind, "handle_timeout_s", shorten(limit_s), allowed)
    replicas = flow.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or not 1 <= replicas <= MOST_REPLICAS:
        raise InvalidOption(kind, "replicas", shorten(replicas), f"a whole number from 1 to {MOST_REPLICAS}")
    check_bool(kind, "ordered", flow.get("ordered", True))
    return flow | {"rate": as_rate(flow.get("rate"), kind)}
