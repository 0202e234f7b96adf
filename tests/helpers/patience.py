"""How long the tests wait for what must come about.

It does so in an instant, and after a while on a machine that has much else to do: a bound says that it never did, not
that it was slow. Each is below that of pytest, so that the reason of a failure shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator

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


class TooLate(Exception):
    """A check says that something quick met the limit, so that it can say nothing else."""


def in_ample_time(check: Callable[[float], None]) -> None:
    """This holds where what is quick meets a limit of so many seconds; the busier the machine, the longer that is.

    A longer one is tried only where the shorter one was met: by `TooLate`, or by an error of the package that says so.
    What is wrong with an outcome fails at once.
    """
    for limit_s in (1.0, 5.0):
        try:
            return check(limit_s)
        except TooLate:
            pass
        except slither.SlitherError as error:
            if not is_late(error):
                raise
    return check(25.0)


def is_late(error: BaseException) -> bool:
    """Whether an error says that a limit was met, or that this ended a run."""
    return isinstance(getattr(error, "reason", error), slither.BatchTimeout | slither.DeadlineExceeded)


def none_is_late(items: Iterable[slither.Item], but: Container[object] = ()) -> None:
    """Items that ended did so by something else than a limit; those with some payloads may have met it.

    Raises:
        TooLate: another one has met it.
    """
    late = [item.payload for item in items if is_late(item.meta["error"]) and item.payload not in but]
    if late:
        raise TooLate(f"innocent items were too slow: {late}")


def all_were_finished(expected: Collection[object], finished: Iterable[slither.Item]) -> None:
    """A deadline came when these payloads were finished, and not earlier.

    Raises:
        TooLate: some were not.
    """
    there = {item.payload for item in finished}
    if there < set(expected):
        raise TooLate(f"only {there} were finished of {expected}")
