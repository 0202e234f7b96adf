"""What stands in a line of an ends file, and what torn files are read as."""

import os
import pickle
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slither_actors.dispatch._end_lines import EndRecord, RunNames, line_of, parse, record_of
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.ends_file import EndsFile, EndsReader, read_ends
from slither_actors.dispatch.messages import Ends
from slither_actors.errors import EndsFileError, InvalidOption, NotDecodable, RemoteError, WorkerCrashed
from slither_actors.item import Item
from slither_actors.workers.parcel import pack_items
from tests.helpers.descriptors import open_descriptors

BOOM = RemoteError("ValueError", "boom", "Traceback\nValueError: boom", ("ValueError",))
NAMES = RunNames("run-1", pool="default")


def ended(item, error=BOOM, *, lost=False):
    return record_of(item, Ends("dead", (), error, "predict", 2), NAMES, "2030-01-01T00:00:00+00:00", lost=lost)


def test_a_line_says_all_there_is_and_holds_the_item_as_it_was():
    item = Item(1 << 40, {"deep": [1, 2]}, {"mine": "note"}, "else", 1 << 39, 3)

    (line,) = line_of(ended(item)).splitlines()
    record = parse(line)

    assert record == ended(item)
    assert record.plain() == {
        "id": item.id,
        "parent_id": 1 << 39,
        "index": 3,
        "end": "dead",
        "run": "run-1",
        "pool": "default",
        "pipe": None,
        "stage": "predict",
        "attempts": 2,
        "time": "2030-01-01T00:00:00+00:00",
        "reason": "boom",
        "error_type": "ValueError",
        "traceback": "Traceback\nValueError: boom",
        "meta": {"mine": "note"},
    }
    back = record.item()
    assert (back, back.payload, back.meta) == (item, item.payload, {"mine": "note"})


def test_an_error_of_the_library_has_no_traceback():
    record = ended(Item.wrap(1), WorkerCrashed("w", 7, "SIGKILL"))

    assert (record.error_type, record.traceback) == ("WorkerCrashed", None)
    assert "SIGKILL" in record.reason


class Mute:
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize("value", [Mute(), "x" * 100_000, 1 << 80, "\ud800", float("nan"), {(1, 2): {3}}])
def test_notes_of_any_kind_fit_into_one_line(value):
    line = line_of(ended(Item.wrap(1).with_meta(odd=value)))

    assert line.count(b"\n") == 1
    assert len(line) < 200_000
    assert set(parse(line).meta) == {"odd"}


def test_notes_that_contain_themselves_fit_too():
    meta = {}
    meta["self"] = meta
    assert set(parse(line_of(ended(Item(1, 2, meta)))).meta) == {"self"}


def test_an_item_that_cannot_be_pickled_has_a_line_without_it():
    record = parse(line_of(ended(Item.wrap(threading.Lock()))))

    assert record.pickled is None
    with pytest.raises(NotDecodable, match="it could not be pickled"):
        record.item()


def test_large_buffers_are_in_the_line():
    item = Item.wrap(pickle.PickleBuffer(bytearray(200_000)))
    assert bytes(parse(line_of(ended(item))).item().payload) == bytes(200_000)


@pytest.mark.parametrize("pickled", ["%", "", "AAAA"])
def test_what_is_no_item_is_a_clear_error(pickled):
    with pytest.raises(NotDecodable):
        EndRecord(1, "dead", pickled=pickled).item()


@given(st.binary(max_size=40) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr).map(str.encode))
def test_any_other_line_is_no_record(line):
    assert parse(line) is None


JSON = st.none() | st.integers(-9, 9) | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(["id", "end", "meta", "item", "stage", "attempts", "parent_id", "index"]), JSON))
def test_values_of_any_kind_are_read_or_left_out(fields):
    from slither_actors._codec import to_json

    record = parse(to_json({"end": "dead"} | fields))
    assert record is None or (isinstance(record.id, int) and isinstance(record.attempts, int))


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.data())
def test_a_torn_file_loses_the_torn_line_alone(tmp_path_factory, payloads, data):
    path = tmp_path_factory.mktemp("torn") / "ends"
    lines = [line_of(ended(Item(number, payload))) for number, payload in enumerate(payloads)]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    path.chmod(0o600)
    # a line that lacks its end alone is whole
    kept = sum(cut >= sum(map(len, lines[: number + 1])) - 1 for number in range(len(lines)))

    file = EndsFile.of("test", path)
    file.append(ended(Item.wrap("behind")))
    file.close()

    reader = EndsReader(path)
    assert [record.item().payload for record in reader] == [*payloads[:kept], "behind"]
    assert reader.torn == (cut not in {sum(map(len, lines[:n])) - d for n in range(len(lines) + 1) for d in (0, 1)})


@pytest.mark.parametrize("path", [3, b"x", "", True])
def test_a_path_is_a_path(path):
    with pytest.raises(InvalidOption, match="ends_file is"):
        EndsFile.of("dispatch", path)


def test_what_others_can_open_or_is_no_file_is_refused(tmp_path):
    (tmp_path / "open").touch(0o644)
    os.chmod(tmp_path / "open", 0o644)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    before = open_descriptors()
    for name, why in {
        "open": "is open to others",
        "link": "it is a link",
        "pipe": "is no regular file",
        ".": "Is a directory",
        "none/x": "No such file",
    }.items():
        with pytest.raises(InvalidOption, match=why):
            EndsFile.of("dispatch", tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()
    assert len(open_descriptors()) == len(before)


def test_a_new_file_is_its_owner_s_alone_and_nothing_is_open_until_the_first_end(tmp_path):
    before = len(open_descriptors())
    file = EndsFile.of("dispatch", tmp_path / "ends")

    assert stat.S_IMODE((tmp_path / "ends").stat().st_mode) == 0o600
    assert len(open_descriptors()) == before
    file.append(ended(Item.wrap(1)))
    assert len(open_descriptors()) == before + 1
    file.close()
    file.close()
    assert len(open_descriptors()) == before


def test_a_file_that_changed_hands_meanwhile_is_a_failure_and_is_not_written(tmp_path):
    file = EndsFile.of("dispatch", tmp_path / "ends")
    (tmp_path / "ends").chmod(0o666)

    file.append(ended(Item.wrap(1)))

    assert isinstance(file.failure, EndsFileError)
    assert (tmp_path / "ends").read_bytes() == b""


def test_the_file_has_an_item_before_on_end_is_called(tmp_path):
    path = tmp_path / "ends"
    seen = []
    log = EndLog(None, lambda item, end: seen.append(len(list(read_ends(path)))), EndsFile.of("dispatch", path))
    log.begin("r-1", {"pipe": "Orders"})

    log.note(Ends("skipped", (pack_items(Item.wrap_many("ab")),), BOOM, "price", 1))

    assert seen == [2, 2]
    assert [(r.run, r.pipe, r.pool, r.end, r.meta) for r in read_ends(path)] == [
        ("r-1", "Orders", None, "skipped", {})
    ] * 2
    log.close()


class Trap:
    sprung: list[int] = []

    def __reduce__(self):
        return Trap.sprung.append, (1,)


def test_nothing_is_unpickled_but_on_demand(tmp_path):
    file = EndsFile.of("dispatch", tmp_path / "ends")
    file.append(ended(Item.wrap(Trap())))
    file.close()
    Trap.sprung.clear()

    (record,) = read_ends(tmp_path / "ends")

    assert (record.plain()["id"], Trap.sprung) == (record.id, [])
    assert "pickled" not in repr(record)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(EndsFileError, match="No such file"):
        read_ends(tmp_path / "none")


def test_a_closed_reader_has_nothing_more(tmp_path):
    (tmp_path / "ends").write_bytes(line_of(ended(Item.wrap(1))) * 3)
    reader = read_ends(tmp_path / "ends")
    next(reader)
    reader.close()
    assert list(reader) == []
