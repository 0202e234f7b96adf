"""What a writer makes of owners that answer, die and do not come back. Without any of them."""

from __future__ import annotations

import itertools
import math
import os

import pytest

from slither_actors import NotDecodable, StoreLoadError, StoreUnavailable, SystemDown, WriteInDoubt
from slither_actors._codec import encode
from slither_actors.errors import RunDirectoryError
from slither_actors.otp.endpoint import HungUp
from slither_actors.otp.messages import Reply
from slither_actors.store._operations import Put, from_plain
from slither_actors.store._owner_calls import ADDRESS, OwnerCalls
from slither_actors.store.messages import RecallOutcome, ReloadTables, WriteTables
from slither_actors.transport.hub import Undelivered, Unread


def reply(value=None, error=None):
    return Reply(1, encode((value, error)))


PUT = Put("rows", b"key", b"value")
UNDELIVERED, HUNG_UP = Undelivered("/a", None), HungUp("/a")


class Line:
    """Answers as it is told, one after another; the last answer stands for all that follow."""

    writer = b"w" * 16

    def __init__(self, answers):
        self.answers, self.asked, self.numbers = list(answers), [], itertools.count(1)

    def exchange(self, to, request, timeout_s, who):
        self.asked.append((to, request))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Lines:
    def __init__(self, directory, answers):
        self.directory, self.line, self.error = directory, Line(answers), None

    def refusal(self):
        return self.error

    def borrow(self):
        return self.line

    def give_back(self, line):
        assert line is self.line


@pytest.fixture
def calls_of(tmp_path):
    """Calls to an owner whose answers are known before."""
    os.symlink("/run/1.2.3", tmp_path / ADDRESS)

    def make(*answers, timeout_s=0.05):
        return OwnerCalls("Rows", tmp_path, Lines(tmp_path, answers), timeout_s)

    return make


def test_the_answer_is_the_result_and_the_number_of_rows(calls_of):
    calls = calls_of(reply(("old", 1)))
    assert calls.write(PUT) == ("old", 1)
    ((to, request),) = calls.lines.line.asked
    assert (to, type(request), from_plain(request.operation), request.number) == (
        "/run/1.2.3",
        WriteTables,
        PUT,
        1,
    )


def test_what_the_owner_refuses_is_raised(calls_of):
    with pytest.raises(KeyError, match="nothing"):
        calls_of(reply(error=KeyError("nothing"))).write(PUT)


def test_a_new_owner_is_asked_for_the_same_write_again(calls_of):
    calls = calls_of(UNDELIVERED, HUNG_UP, UNDELIVERED, reply((None, 1)), timeout_s=5.0)
    assert calls.write(PUT) == (None, 1)
    assert {request.number for _, request in calls.lines.line.asked} == {1}
    assert {type(request) for _, request in calls.lines.line.asked} == {WriteTables}


def test_an_owner_that_has_answered_is_not_looked_up_again(calls_of, tmp_path):
    calls = calls_of(reply((None, 1)), reply((None, 1)), HUNG_UP, reply((None, 1)), timeout_s=5.0)
    calls.write(PUT)
    (tmp_path / ADDRESS).unlink()
    calls.write(PUT)
    os.symlink("/run/4.5.6", tmp_path / ADDRESS)
    calls.write(PUT)
    assert [to for to, _ in calls.lines.line.asked] == ["/run/1.2.3"] * 3 + ["/run/4.5.6"]


def test_a_system_that_goes_meanwhile_is_over_for_a_new_line_too(calls_of, tmp_path):
    calls = calls_of(reply((None, 1)))
    calls.write(PUT)

    def no_line():
        raise RunDirectoryError(str(tmp_path), "is not there")

    calls.lines.borrow = no_line
    with pytest.raises(RunDirectoryError):
        calls.write(PUT)
    calls.lines.directory = tmp_path / "gone"
    with pytest.raises(StoreUnavailable, match="its system is over"):
        calls.write(PUT)


def test_without_an_owner_nothing_was_written(calls_of):
    with pytest.raises(StoreUnavailable, match=r"no owner came up within 0.05 s") as caught:
        calls_of(UNDELIVERED).write(PUT)
    assert not isinstance(caught.value, WriteInDoubt)


def test_without_a_folder_there_is_nothing_to_wait_for(calls_of, tmp_path):
    calls = calls_of(UNDELIVERED, timeout_s=60.0)
    calls.path = tmp_path / "gone"
    with pytest.raises(StoreUnavailable, match=r"the folder of its tables is gone: .*/gone"):
        calls.write("operation")


def test_without_an_address_nothing_was_written(calls_of, tmp_path):
    calls = calls_of(reply())
    (tmp_path / ADDRESS).unlink()
    with pytest.raises(StoreUnavailable, match="no owner came up") as caught:
        calls.write(PUT)
    assert not isinstance(caught.value, WriteInDoubt)
    assert calls.lines.line.asked == []


def test_an_owner_that_died_with_the_write_and_has_no_successor_leaves_a_doubt(calls_of):
    with pytest.raises(WriteInDoubt, match="no owner came up"):
        calls_of(HUNG_UP, UNDELIVERED).write(PUT)


def test_an_owner_that_does_not_answer_leaves_a_doubt(calls_of):
    with pytest.raises(WriteInDoubt, match=r"its owner did not answer within 0.05 s"):
        calls_of(None).write(PUT)


def test_an_owner_that_cannot_read_the_write_did_nothing(calls_of):
    with pytest.raises(NotDecodable):
        calls_of(Unread("no such class", None)).write(PUT)


@pytest.mark.parametrize(("first", "error"), [(UNDELIVERED, SystemDown), (HUNG_UP, WriteInDoubt)])
def test_the_end_of_the_system_ends_the_waiting(calls_of, first, error):
    calls = calls_of(first, UNDELIVERED, timeout_s=60.0)
    ended = iter([None, None, SystemDown("s", ())])
    calls.lines.refusal = lambda: next(ended)
    with pytest.raises(error):
        calls.write(PUT)


def test_a_write_to_a_system_that_is_over_is_refused_at_once(calls_of, tmp_path):
    calls = calls_of(reply())
    calls.lines.error = SystemDown("s", ())
    with pytest.raises(SystemDown):
        calls.write(PUT)
    calls.lines.error, calls.lines.directory = None, tmp_path / "gone"
    with pytest.raises(StoreUnavailable, match="its system is over"):
        calls.write(PUT)
    assert calls.lines.line.asked == []


def test_the_owner_cannot_wait_for_itself(calls_of, tmp_path):
    (tmp_path / ADDRESS).unlink()
    os.symlink(f"/run/{os.getpid()}.2.3", tmp_path / ADDRESS)
    with pytest.raises(StoreUnavailable, match="use `tables`"):
        calls_of(reply()).write(PUT)


def test_a_reload_gives_the_version(calls_of):
    calls = calls_of(reply(7))
    assert calls.reload() == 7
    assert [type(request) for _, request in calls.lines.line.asked] == [ReloadTables]


@pytest.mark.parametrize(("found", "version"), [(reply(8), 8), (reply(None), None)])
def test_a_reload_under_which_the_owner_dies_is_not_tried_again_but_looked_up(calls_of, found, version):
    calls = calls_of(UNDELIVERED, HUNG_UP, UNDELIVERED, found, timeout_s=5.0)
    if version is None:
        with pytest.raises(StoreLoadError, match=r"restore failed, .* died of it"):
            calls.reload("file")
    else:
        assert calls.reload() == version
    kinds = [type(request) for _, request in calls.lines.line.asked]
    assert kinds == [ReloadTables, ReloadTables, RecallOutcome, RecallOutcome]
    assert {request.number for _, request in calls.lines.line.asked} == {1}


def test_a_reload_waits_without_a_limit_unless_it_has_one(calls_of):
    calls = calls_of(reply(7))
    assert calls.reload_s == math.inf
    limited = calls_of(None)
    limited.reload_s = 0.05
    with pytest.raises(WriteInDoubt, match=r"did not answer within 0\.05 s"):
        limited.reload()
