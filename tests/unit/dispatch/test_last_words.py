"""Where the items of a run that is cut were, as its nodes say it."""

from types import SimpleNamespace
from typing import Any

from slither_actors import Item
from slither_actors.dispatch._last_words import LastWords
from slither_actors.dispatch._run_plan import Node, RunPlan
from slither_actors.dispatch.messages import Surrendered
from slither_actors.errors import SystemStopping
from slither_actors.otp.ref import Ref
from slither_actors.workers.parcel import pack_items


def test_whoever_has_what_an_item_became_has_that_item():
    items = [Item(2, "a", parent_id=1, index=0), Item(3, "b", parent_id=1, index=1), Item(4, "c")]
    node = Node(Ref("stage", 1, "/run/stage", 7), None)
    asked: list[str] = []
    endpoint: Any = SimpleNamespace(post=lambda to, message: asked.append(to))
    plan: Any = RunPlan("r", (node,), None, ())  # type: ignore[arg-type]  # nothing is fed here
    words = LastWords(endpoint, plan, SystemStopping("s"))
    assert asked == [node.ref.address]
    assert words.note(Surrendered("r", (("stage", (pack_items(items),)),), ()), node.ref.address)
    assert {place: set(ids) for place, ids in words.places(()).items()} == {"stage": {1, 2, 3, 4}}
