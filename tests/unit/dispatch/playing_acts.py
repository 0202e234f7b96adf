"""Runs whose items say what they do to their batch, in a simulation.

What must be true of their ends is checked here; all else is checked by the simulation itself.
"""

import random
from collections import Counter

from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import BatchTimeout, SendQueueFull, WorkerCrashed
from slither_actors.item import Item
from slither_actors.policy import Retry
from slither_actors.testing import Crash, Hang
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing

# How often an item was begun, by run and number. Shared by all simulated workers, as a file would be.
_BEGUN = Counter()


def refuse():
    raise LookupError("cannot be read")


class Unreadable:
    """Can be pickled, and not be rebuilt."""

    def __reduce__(self):
        return refuse, ()


def payload(number, act):
    return (number, Unreadable() if act == "unread" else act)


def perform(payloads, ctx):
    """Acts: "ok", "fail", "crash", "hang", "slow" (see `seconds`); "shaky" fails and "brittle" crashes the first time,
    "sulky" hangs then and crashes later."""
    acts = {act for _, act in payloads}
    _BEGUN.update((ctx.run_id, number) for number, _ in payloads)
    first = {act for number, act in payloads if _BEGUN[ctx.run_id, number] == 1}
    if "crash" in acts or "brittle" in first or ("sulky" in acts and "sulky" not in first):
        raise Crash
    if acts & {"hang", "sulky"}:
        raise Hang
    if "fail" in acts or "shaky" in first:
        raise ValueError("boom")
    return [number for number, _ in payloads]


def seconds(payloads):
    return 5.0 if any(act == "slow" for _, act in payloads) else 0.001


def play_acts(seed=1, **faults):
    """A simulation to add runs to."""
    _BEGUN.clear()
    return playing(seed, Faults(**{"seconds": seconds, **faults}), Config())


class ActRun:
    """One dispatch, seen by the test."""

    def __init__(self, play, acts, *, size=2, takes=None, **options):
        self.play = play
        self.acts = {}
        self.options = DispatchOptions(batch_size=size, **options)
        self.order = []
        self.log = play.dispatch(self._items(acts), Code.of(perform), self.options, leave_after=takes)

    def _items(self, acts):
        for number, act in enumerate(acts):
            item = Item.wrap(payload(number, act))
            self.acts[item.id] = act
            self.order.append(item.id)
            yield item

    @property
    def payloads(self):
        return [item.payload for item in self.log.got]

    @property
    def ended(self):
        """What left the flow: kind, number, and the item."""
        numbers = {one: number for number, one in enumerate(self.order)}
        return [(kind, numbers[item.id], item) for item, kind in self.log.ended]

    @property
    def executions(self):
        """The items of each, by number."""
        numbers = {one: number for number, one in enumerate(self.order)}
        report = self.play.report()
        return [tuple(numbers[one] for one in ex.items) for ex in report.executions if ex.run == self.log.name]

    @property
    def error(self):
        return self.log.halt.error if self.log.halt else None

    def check_end(self):
        for item, kind in self.log.ended:
            error = item.meta["error"]
            self._check_kind(kind, item, error)
            self._check_error(error, {self.acts[item.id]})
        if self.error is not None and not isinstance(self.error, SendQueueFull):
            first = (self.log.halt.batch_ref - 1) * self.options.size
            batch = self.order[first : first + self.options.size]
            self._check_error(self.error, {self.acts[one] for one in batch})
            results = {item.id for item in self.log.got}
            if getattr(self.options.on_error, "isolate", False) or _is_unread(self.error):
                assert set(batch) - results, "nothing of the failed batch is missing"
            else:
                assert not set(batch) & results, "a failed batch has results"
        if not getattr(self.options.on_error, "isolate", False):
            together = {one: items for items in self.executions for one in items}
            assert all(together[one] == items for items in self.executions for one in items), "a batch ran in parts"

    def _check_kind(self, kind, item, error):
        """Who is given up after all attempts is dead, who is not worth another one is skipped; only culprits are."""
        policy = self.options.on_error
        if _is_unread(error):
            assert (kind, item.meta["attempts"]) == ("skipped", 1)
            return
        covered = isinstance(policy, Retry) and policy.covers(error)
        is_deadly = isinstance(policy, Retry) and isinstance(error, WorkerCrashed | BatchTimeout)
        assert kind == ("dead" if covered or is_deadly else "skipped")
        assert item.meta["attempts"] == (policy.max_attempts if covered else 1)
        if policy.isolate and isinstance(error, BatchTimeout | ValueError):
            assert self.acts[item.id] != "ok", "an innocent item was given up"

    def _check_error(self, error, acts):
        """`acts` are those of the item, or of its batch. A worker may die of itself, and is not looked at here."""
        if _is_unread(error):
            assert "unread" in acts
        elif isinstance(error, BatchTimeout):
            assert self.options.batch_size > 1 or acts & {"hang", "slow", "sulky"}
        elif not isinstance(error, WorkerCrashed):
            assert error.type_name == "ValueError"
            assert self.options.batch_size > 1 or acts & {"fail", "shaky"}


def _is_unread(error):
    return getattr(error, "type_name", "") == "LookupError"


def random_acts(rng, count):
    rare = rng.choice([0, 0, 0.02, 0.1])
    all_bad = ["fail", "crash", "hang", "slow", "unread", "shaky", "brittle"]
    bad = rng.choice([*([act] for act in all_bad), all_bad])
    return [rng.choice(bad) if rng.random() < rare else "ok" for _ in range(count)]


def lone(acts, *, workers=2, seed=1, **options):
    """One run, played to its end."""
    with play_acts(seed, workers=workers, laziness=0.0) as play:
        run = ActRun(play, acts, **options)
        play.go()
    run.check_end()
    return run


def shuffled(seed):
    return random.Random(f"scenario {seed}")
