"""How long the tests wait for what must come about.

It does so in an instant, and after a while on a machine that has much else to do: a bound says that it never did, not
that it was slow. Each is below that of pytest, so that the reason of a failure shows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import slither_actors as slither

# Shorter than the minute for which what hangs in a test sleeps.
PATIENCE_S = 50.0

# Longer than what happens at once takes anywhere, and shorter than the 30 seconds of most limits in the package.
AT_ONCE_S = 25.0


def ever_longer(first_s: float) -> Iterator[float]:
    """Limits in which something is done, and not what comes after it: on a busy machine only a long one will do."""
    while True:
        yield first_s
        first_s *= 2


def in_ample_time(check: Callable[[float], None]) -> None:
    """This holds where what is quick meets a limit of so many seconds; the busier the machine, the longer that is."""
    for limit_s in (1.0, 5.0):
        with contextlib.suppress(AssertionError, slither.SlitherError):
            return check(limit_s)
    return check(25.0)
