"""What the owner of a store makes of what it is sent, with a real writer and no process."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

import slither_actors as slither
from slither_actors import SlitherError, StoreLoadError, StoreUnavailable
from slither_actors.otp.server import Caller
from slither_actors.store._operations import Increment, Outcome, Put, Take, as_plain
from slither_actors.store._owner_calls import ADDRESS
from slither_actors.store._writer import Writer
from slither_actors.store.catalogue import StoreEntry
from slither_actors.store.messages import RecallOutcome, ReloadTables, WriteTables
from slither_actors.store.owner import StoreOwner


class Rows(slither.Store):
    rows = slither.Table()

    def load(self, tables):
        former = self.rows.get("loads", 0)
        if former == 2:
            self.rows.put("mine", 1)
        tables.rows.put("loads", former + 1)


class Impatient(slither.Store):
    rows = slither.Table()

    def load(self, tables):
        self.rows.put("mine", 1)


class Spy:
    """A writer that notes how many operations go into each commit."""

    def __init__(self, writer):
        self.writer, self.commits, self.fails = writer, [], False

    def apply(self, operations):
        if self.fails:
            raise StoreUnavailable("Rows", "the disk is gone")
        self.commits.append(len(operations))
        return self.writer.apply(operations)

    def __getattr__(self, name):
        return getattr(self.writer, name)


class Owner(StoreOwner):
    address = "/run/1.2.3"

    def __init__(self, entry):
        super().__init__(entry)
        self.notes, self.replies, self.short = [], [], []
        self._writer = Spy(Writer(entry.location))

    @property
    def life(self):
        return SimpleNamespace(behind_all=self.notes.append)

    def read_all(self):
        """What had arrived is handled."""
        notes, self.notes = self.notes, []
        for note in notes:
            note()

    def reply(self, caller, value=None, error=None):
        self.replies.append((getattr(caller, "address", caller), value, error))

    def post(self, to, message):
        """The short answer to a write that came without a call."""
        self.short.append(to)
        self.replies.append((to, (message.result, message.rows), None))


@pytest.fixture
def owner(tmp_path):
    entry = StoreEntry.of(Rows.named("Rows"), tmp_path / "rows", tmp_path, "session")
    owner = Owner(entry)
    assert owner._load(None) == 1
    yield owner
    owner._writer.close()


def put(number, value=b"v", writer=b"w" * 16):
    return WriteTables(number, writer, as_plain(Put("rows", f"\x05k{number}\0".encode(), value)))


def test_writes_that_have_arrived_share_a_commit(owner):
    for number in (1, 2, 3):
        owner.handle_call(put(number, writer=bytes([number]) * 16), f"caller {number}")
    assert len(owner.notes) == 1, "one note to self, behind what has arrived"
    assert owner.replies == []
    owner.read_all()
    assert owner._writer.commits == [3]
    assert [caller for caller, _, _ in owner.replies] == ["caller 1", "caller 2", "caller 3"]
    owner.handle_call(put(4), "caller 4")
    assert len(owner.notes) == 1


def test_a_write_that_comes_twice_is_carried_out_once(owner):
    for _ in range(2):
        owner.handle_call(put(1), "caller")
        owner.read_all()
    assert owner.replies == [("caller", (None, 1), None)] * 2
    assert owner._writer.recall(b"w" * 16) == (1, Outcome(None, 1))


def test_a_write_that_came_by_itself_is_answered_without_a_call_where_plain_data_does(owner):
    value = b"a value of " + bytes(1000)
    owner._take_write(put(1, value), "alone")
    owner.handle_call(put(2), Caller("in a call", 7))
    take = WriteTables(3, b"w" * 16, as_plain(Take("rows", b"\x05k1\0")))
    owner._take_write(take, "who takes")
    refused = as_plain(Increment("rows", b"\x05nobody\0", 1))
    owner._take_write(WriteTables(4, b"w" * 16, refused), "who is refused")
    owner.read_all()
    told = {caller: (value, type(error)) for caller, value, error in owner.replies}
    assert owner.short == ["alone"]
    assert told["alone"] == told["in a call"] == ((None, 1), type(None))
    assert told["who takes"] == (([value], 1), type(None))
    assert told["who is refused"] == ((None, 0), KeyError)


def test_a_reload_comes_behind_the_writes_before_it(owner):
    owner.handle_call(put(1), "writer")
    assert owner.handle_call(ReloadTables(b"r" * 16, 1), "reloader") == 2
    assert [caller for caller, _, _ in owner.replies] == ["writer"]


def test_a_reload_that_comes_twice_is_carried_out_once(owner):
    request = ReloadTables(b"r" * 16, 5)
    assert owner.handle_call(RecallOutcome(b"r" * 16, 5), "caller") is None
    assert owner.handle_call(request, "caller") == owner.handle_call(request, "caller") == 2
    assert owner.handle_call(RecallOutcome(b"r" * 16, 5), "caller") == 2
    assert owner.handle_call(RecallOutcome(b"r" * 16, 6), "caller") is None


def test_load_cannot_wait_for_its_own_owner(owner, monkeypatch):
    owner.handle_call(ReloadTables(b"r" * 16, 1), "caller")
    monkeypatch.setattr(Owner, "address", f"/run/{os.getpid()}.1.2")
    owner._show_address()
    with pytest.raises(StoreLoadError, match="cannot wait for itself: use `tables`"):
        owner.handle_call(ReloadTables(b"r" * 16, 2), "caller")


def test_the_first_load_cannot_wait_for_its_own_owner_either(tmp_path):
    """Which has no address yet."""
    entry = StoreEntry.of(Impatient.named("Impatient"), tmp_path / "rows", tmp_path, "session")
    owner = Owner(entry)
    with pytest.raises(StoreLoadError, match="cannot wait for itself: use `tables`"):
        owner._load(None)
    owner._writer.close()


def test_what_a_dead_owner_with_the_same_number_left_is_no_hindrance(owner, tmp_path):
    link = tmp_path / "rows" / ADDRESS
    link.with_name(f"{ADDRESS}.{os.getpid()}").symlink_to("/run/of another one")
    owner._show_address()
    assert os.readlink(link) == Owner.address
    assert len(list(link.parent.glob(f"{ADDRESS}*"))) == 1


def test_an_environment_that_breaks_is_told_to_all_and_is_the_end_of_the_process(owner):
    owner.handle_call(put(1), "one")
    owner.handle_call(put(2), "two")
    owner._writer.fails = True
    with pytest.raises(Exception, match="the disk is gone") as caught:
        owner.read_all()
    assert not isinstance(caught.value, SlitherError), "which would be an answer, and not the end"
    assert [(caller, type(error)) for caller, _, error in owner.replies] == [
        ("one", StoreUnavailable),
        ("two", StoreUnavailable),
    ]


def test_what_waits_at_the_end_is_carried_out(owner):
    owner._writer.close = lambda: None
    owner.handle_call(put(1), "caller")
    owner.terminate(SimpleNamespace())
    assert owner.replies == [("caller", (None, 1), None)]
