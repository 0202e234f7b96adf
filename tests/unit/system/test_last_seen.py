"""Which dispatcher had a session, and who is told when that one died."""

from __future__ import annotations

import pytest

from slither_actors.errors import SessionLost
from slither_actors.otp.ref import Ref
from slither_actors.system._last_seen import LastSeen

OLD, NEW = (Ref("pools/p/sessions", number, f"/run/x/{number}", number) for number in (1, 2))


@pytest.fixture
def seen() -> LastSeen:
    return LastSeen(limit=2)


def test_a_session_whose_dispatcher_died_is_lost_once(seen: LastSeen) -> None:
    seen.meet("p", "a", OLD)
    seen.meet("p", "a", OLD)
    with pytest.raises(SessionLost, match=r"session 'a'.*pools/p/sessions died"):
        seen.meet("p", "a", NEW)
    seen.meet("p", "a", NEW)


def test_others_are_not_concerned(seen: LastSeen) -> None:
    seen.meet("p", "a", OLD)
    seen.meet("p", "b", NEW)
    seen.meet("q", "a", NEW)


def test_as_many_as_there_can_be_are_remembered_and_no_more(seen: LastSeen) -> None:
    for name in "abac":
        seen.meet("p", name, OLD)
    seen.meet("p", "b", NEW)  # forgotten: a was used after it
    seen.meet("q", "x", OLD)
    with pytest.raises(SessionLost):
        seen.meet("p", "c", NEW)
