"""Names for processes that stay valid to look at after a restart."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.otp.child import ExitReason


@attrs.frozen
class Ref:
    """One incarnation of one named process. A restarted process has the same name, a new incarnation and a new address.

    Attributes:
        name: path in the tree, such as `"pools/default/workers/1"`.
        incarnation: 1 for the first start, then one more for each restart.
        address: where its messages go; never shared by two incarnations.
        pid: its process id.
    """

    name: str
    incarnation: int
    address: str
    pid: int

    def __str__(self) -> str:
        return f"{self.name}#{self.incarnation}"


@attrs.frozen
class ProcessInfo:
    """What the registry knows of one name: the newest incarnation, and how the one before it ended.

    `finding` is what that one's supervisor found by its `autopsy`, `None` where there was none.
    """

    ref: Ref
    alive: bool
    kind: str
    restarts: int = 0
    last_exit: ExitReason | None = None
    finding: Any = None


__all__ = ["ProcessInfo", "Ref"]
