"""How long to wait before the next attempt, where pauses grow."""

import sys


def growing_pause_s(first_s: float, factor: float, jitter: float, longest_s: float, pauses: int, draw: float) -> float:
    """The pause after so many earlier ones: exponential, with jitter, and never longer than the longest.

    Args:
        first_s: Seconds of the first pause.
        factor: How many times the one before each further pause is.
        jitter: Share of a pause by which it is shortened or lengthened.
        longest_s: What no pause exceeds.
        pauses: How many there have been.
        draw: A random number from 0 to 1, for the jitter.
    """
    try:
        growth = float(factor) ** pauses
    except OverflowError:
        growth = sys.float_info.max
    pause_s = min(first_s * growth, longest_s)
    return min(pause_s * (1 + jitter * (2 * draw - 1)), longest_s)
