"""Adaptive spinning: who expects an answer at once looks for it for a moment before it sleeps.

To wake a process that sleeps takes an interrupt of a processor, and in a virtual machine two changes of world: longer
than many a peer takes to answer. So does the Linux kernel's mutex, and for the same reason.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

# Longer than a small write of a store takes.
SPIN_S = 100e-6

# After a spin in vain so many waits are slept through at once: 1, then 2, 4 ... So little is lost where none ever pays.
_MOST_SKIPPED = 64


class Spinning:
    """Looks again and again, while that pays.

    Args:
        look: takes for how long it may sleep, and returns what there is, if anything.
    """

    def __init__(self, look: Callable[[float | None], Any]) -> None:
        self._look = look
        self._skipped = 0
        # On a single processor the peer cannot answer while anybody spins.
        self._skip = 0 if len(os.sched_getaffinity(0)) > 1 else math.inf

    def found(self) -> Any:
        """What comes within `SPIN_S`; something false where nothing does, or where that was in vain lately."""
        if self._skip:
            self._skip -= 1
            return None
        look, until = self._look, time.monotonic() + SPIN_S
        while not (found := look(0)):
            if time.monotonic() > until:
                self._skip = self._skipped = min(2 * self._skipped or 1, _MOST_SKIPPED)
                return found
        self._skipped = 0
        return found

    def wait(self, limit: float | None) -> Any:
        """What comes, in the unit of `look`; sleeps if need be."""
        return (self.found() if limit != 0 else None) or self._look(limit)
