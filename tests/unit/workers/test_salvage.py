"""Parcels of which some items cannot be rebuilt: which ones are lost, and what is left of the others."""

import collections
import contextlib
import gc
import pickle
import random
import signal
import weakref

import pytest

from slither_actors.errors import RemoteError
from slither_actors.item import Item
from slither_actors.workers._reading import read_items
from slither_actors.workers._salvage import read
from slither_actors.workers.parcel import cut, pack_items


class Fussy(Exception):
    """Pickles, and does not unpickle: pickle calls the class with the text alone."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Unset:
    def __setstate__(self, state):
        raise SystemExit("not here")


class Reduced:
    def __init__(self, function, *args):
        self.what = (function, args)

    def __reduce__(self):
        return self.what


class Gone:
    """As of a module that is missing where it arrives."""

    def __reduce__(self):
        return pickle.loads, (b"cno_such_module\nf\n.",)


class Holder:
    def __init__(self, *held):
        self.held = held


class Taking:
    """Forgets what it is made of: made of something lost it must not pass for whole."""

    def __init__(self, anything):
        pass

    def __reduce__(self):
        return Taking, (Fussy(1, "x"),)


class Marked:
    """Is completed by a call that is made for its effect."""

    def __reduce__(self):
        return Marked, (), 1, None, None, _fail


def _fail(*args):
    raise ValueError("no")


def unset():
    made = Unset()
    made.state = 1
    return made


BROKEN = [
    Fussy(1, "x"),
    unset(),
    Gone(),
    [1, Fussy(1, "x")],
    {"a": (Fussy(1, "x"),)},
    {"deep": [{"deeper": {1: Holder(Fussy(1, "x"))}}]},
    Holder(1, unset()),
    collections.deque([Gone()]),
    collections.OrderedDict(a=Gone()),
    Taking(1),
    Reduced(_fail),
]


def travelled(items):
    return pickle.loads(pickle.dumps(pack_items(items), 5))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", [0, 3, 9])
def test_what_cannot_be_rebuilt_is_lost_and_its_neighbours_are_not(broken, place):
    shared = Holder("shared")
    given = [[number, shared, Holder(number)] for number in range(10)]
    items = Item.wrap_many([*given[:place], broken, *given[place + 1 :]])
    (read_again, (loss,)) = read_items([travelled(items)])
    assert [item.payload[0] for item in read_again] == [n for n in range(10) if n != place]
    assert [item.payload[2].held for item in read_again] == [(n,) for n in range(10) if n != place]
    assert [item.id for item in read_again] == [item.id for item in items if item is not items[place]]
    (lost,) = loss.items()
    assert (lost.id, lost.payload) == (items[place].id, None)
    assert isinstance(loss.error, RemoteError)


@pytest.mark.parametrize("spare", [0, 1])  # how often it can be rebuilt before
def test_a_signal_that_ends_the_program_is_not_taken_for_a_broken_item(spare):
    left = [None] * spare

    def leave(number, frame):
        signal.signal(number, signal.SIG_IGN)  # once is enough
        raise SystemExit(143)

    def ring():
        if left:
            left.pop()
            raise ValueError("not yet")
        signal.raise_signal(signal.SIGUSR1)

    rings.append(ring)
    before = signal.signal(signal.SIGUSR1, leave)
    try:
        with pytest.raises(SystemExit):
            read_items([travelled([Item.wrap(Reduced(_ring))])])
    finally:
        signal.signal(signal.SIGUSR1, before)
        rings.clear()


rings = []


def _ring():
    rings[0]()


def test_what_was_raised_is_told():
    _, (loss,) = read_items([travelled([Item.wrap(Fussy(1, "x"))])])
    assert loss.error.type_name == "TypeError"
    assert "missing 1 required positional argument: 'text'" in loss.error.message


def test_lost_items_keep_their_routes_and_parents():
    item = Item(7, Fussy(1, "x"), {"a": 1}, "accept", 5, 2)
    _, (loss,) = read_items([travelled([item])])
    (lost,) = loss.items()
    assert (lost.id, lost.route, lost.parent_id, lost.index) == (7, "accept", 5, 2)


def test_an_item_whose_notes_cannot_be_read_is_lost():
    items = [Item.wrap(1).with_meta(a=1), Item.wrap(2).with_meta(a=Gone()), Item.wrap(3)]
    good, (loss,) = read_items([travelled(items)])
    assert [(item.payload, item.meta) for item in good] == [(1, {"a": 1}), (3, {})]
    assert [item.id for item in loss.items()] == [items[1].id]


def test_a_part_of_a_parcel_loses_only_what_is_in_it():
    items = Item.wrap_many([0, Gone(), 2, 3])
    parcel = travelled(items)
    (_, payloads, *_), loss = read(cut(parcel, 2, 4))
    assert (payloads, loss) == ([2, 3], None)
    (_, payloads, *_), loss = read(cut(parcel, 0, 2))
    assert payloads == [0]
    assert [item.id for item in loss.items()] == [items[1].id]


def test_where_something_was_not_completed_nothing_is_taken_for_whole():
    items = Item.wrap_many([1, Marked(), 3])
    good, (loss,) = read_items([travelled(items)])
    assert good == []
    assert [item.id for item in loss.items()] == [item.id for item in items]


def test_large_buffers_are_read_too():
    items = Item.wrap_many([bytearray(b"x" * 100_000), Gone(), Reduced(bytes, pickle.PickleBuffer(b"y" * 100_000))])
    good, (loss,) = read_items([travelled(items)])
    assert [bytes(item.payload)[:1] for item in good] == [b"x", b"y"]
    assert [item.id for item in loss.items()] == [items[1].id]


def test_what_holds_itself_is_no_trap():
    circle = [1]
    circle.append(circle)
    _, (loss,) = read_items([travelled(Item.wrap_many([circle, Gone(), 2]))])
    assert 1 <= len(loss.items()) <= 2


def test_without_ids_there_is_only_the_error():
    data, *rest = pack_items([Item.wrap(1)])
    with pytest.raises(RemoteError, match=r"UnpicklingError|EOFError"):
        read((data[:-3], *rest))


def test_the_error_does_not_keep_the_parcel_alive():
    data = memoryview(b"no pickle at all")
    watched = weakref.ref(data)
    gc.disable()
    try:
        with contextlib.suppress(RemoteError):
            read((data, (), 0, 1, ()))
        del data
        assert watched() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_is_parted_as_it_was_made(seed):
    rng = random.Random(seed)
    bad = {number for number in range(40) if rng.random() < 0.3}
    items = Item.wrap_many([rng.choice(BROKEN) if n in bad else {"n": n, "h": Holder(n)} for n in range(40)])
    good, losses = read_items([travelled(items)])
    assert [item.payload["n"] for item in good] == [n for n in range(40) if n not in bad]
    assert [item.id for loss in losses for item in loss.items()] == [items[n].id for n in sorted(bad)]
