"""Endless source: a stream is pulled only as fast as its results are taken, and can be closed at any time.

Run it:

    python examples/06_endless_source.py

You should see:

    the first: [0, 1, 4, 9, 16]
    nobody asks, so nothing is pulled: True
    never more ahead than allowed: True
    half a batch does not wait for its other half: tick
    closed: True, and the source was told
"""

import itertools
import time

import slither_actors as slither

BATCH, IN_FLIGHT = 10, 4


def square(numbers):
    return [number * number for number in numbers]


def shout(words):
    return words


class Sensor:
    """Numbers without end, and how many were asked for."""

    def __init__(self):
        self.pulled = 0
        self.closed = False

    def __iter__(self):
        try:
            for number in itertools.count():
                self.pulled += 1
                yield number
        finally:
            self.closed = True


def ticks():
    """One item, and then nothing for a while: who waits for a full batch waits long."""
    yield "tick"
    for _ in range(20):
        time.sleep(0.02)
        yield None


with slither.start(pools={"default": 2}) as system:
    sensor = Sensor()
    with system.stream(sensor, square, batch_size=BATCH, max_in_flight=IN_FLIGHT) as stream:
        print("the first:", [item.payload for item in itertools.islice(stream, 5)])
        before = sensor.pulled
        time.sleep(0.2)
        print("nobody asks, so nothing is pulled:", sensor.pulled == before)
        ahead = max(sensor.pulled - taken for taken, _ in enumerate(itertools.islice(stream, 5_000), 5))
        print("never more ahead than allowed:", ahead <= (IN_FLIGHT + 4) * BATCH)

    quick = slither.FixedBatch(1_000, max_wait_s=0.05)
    with system.stream(ticks(), shout, strategy=quick) as words:
        print("half a batch does not wait for its other half:", next(words).payload)
    print(f"closed: {sensor.closed}, and the source was told")
