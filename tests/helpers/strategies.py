"""Strategies, and pipes with them. Importable in stage processes."""

import slither_actors as slither


def user_of(item):
    return item.payload[0]


class Pairs(slither.Strategy):
    """Two at a time."""

    def start(self, batch_size):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return self.flush("ceiling") if len(self.items) == 2 else []

    def flush(self, reason):
        batch, self.items = self.items, []
        return [batch]


class Forgetful(Pairs):
    """Loses every item whose payload is 3."""

    def push(self, item):
        return [] if item.payload == 3 else super().push(item)


def sizes(payloads):
    return [(payload, len(payloads)) for payload in payloads]


def users_together(payloads):
    """Fails for a batch with items of two users."""
    (user,) = {user for user, _ in payloads}
    return [(user, number, len(payloads)) for _, number in payloads]


def same(item):
    return item.payload


class ByUser(slither.Pipe):
    """The stage before forms the batches."""

    split = slither.local(same)
    work = slither.worker(users_together, strategy=slither.KeyPartition(user_of, max_size=4))
    on_error = {"work": "skip", "*": "halt"}


class ByUserAtOnce(slither.Pipe):
    """The service forms the batches."""

    work = slither.worker(users_together, strategy=slither.KeyPartition(user_of, max_size=4), on_error="skip")


class ByWeight(slither.Pipe):
    spread = slither.local(many=True)(lambda item: [item.payload] * 3)
    work = slither.worker(
        sizes, strategy=slither.WeightedBatch(10, lambda item: item.payload), max_in_flight_weight=10, on_error="skip"
    )


class InPairs(slither.Pipe):
    route = slither.router((lambda item: item.payload == "out", "out"))
    work = slither.worker(sizes, strategy=Pairs())
    outputs = ["out"]


class ForgetsInPairs(slither.Pipe):
    keep = slither.local(same)
    work = slither.worker(sizes, strategy=Forgetful())
