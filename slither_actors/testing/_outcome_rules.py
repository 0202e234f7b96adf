"""What must be true of what comes out of a run, and of what is left behind it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs

from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.run import Halted
from slither_actors.errors import SlitherError
from slither_actors.item import Item
from slither_actors.testing import _peek
from slither_actors.testing._process import SimulatedProcess
from slither_actors.testing._rules import Book, Rule
from slither_actors.testing._worker import SimulatedWorker


@attrs.define(eq=False)
class RunLog:
    """One run, as the service sees it.

    Attributes:
        name: the run's id.
        ceiling: how many items its source may be ahead of what came back.
        in_order: whether results come in the order of the items.
        keeps_ids: whether what comes out has the ids of what went in.
        pulled: ids of the items that were pulled, in order.
        got: the results.
        ended: items that left the flow, and in which way.
        ends: the same, as users get it.
        how: "done", "halted", "left", "refused", or "" while it goes on.
        halt: why it was halted.
        refusal: why it did not begin.
    """

    name: str
    ceiling: int
    in_order: bool
    keeps_ids: bool
    pulled: list[int] = attrs.field(factory=list)
    got: list[Item] = attrs.field(factory=list)
    ended: list[tuple[Item, str]] = attrs.field(factory=list)
    ends: EndLog = attrs.field(factory=EndLog)
    how: str = ""
    halt: Halted | None = None
    refusal: SlitherError | None = None

    @property
    def back(self) -> list[Item]:
        return [*self.got, *(item for item, _ in self.ended)]


class OutcomeRule(Rule):
    def __init__(self, book: Book, logs: list[RunLog]) -> None:
        super().__init__(book)
        self.logs = logs

    def over(self) -> None:
        for log in self.logs:
            self.look(log)

    def look(self, log: RunLog) -> None:
        """The run is over."""


class SourceWithinCeiling(OutcomeRule):
    """I4: inputs pulled that have not come back never exceed the total ceiling. Looked at whenever one is pulled."""

    id = "I4"

    def pulls(self, log: RunLog) -> None:
        ahead = len(log.pulled) - len(log.got) - len(log.ended)
        self.check(ahead <= log.ceiling, f"{log.name} is {ahead} items ahead, {log.ceiling} may be")


class NoPullBehindTheEnd(OutcomeRule):
    """I18: whoever leaves a run pulls nothing more. What was pulled by then came back or was under way: see I6."""

    id = "I18"

    def pulls(self, log: RunLog) -> None:
        self.check(log.how == "", f"{log.name} pulls an item, and was {log.how} before")


class NothingIsLostOrDoubled(OutcomeRule):
    """I6: at the end every item that was pulled stands in one place, and none in two, by id. What a stage made of an
    item counts for it."""

    id = "I6"

    def look(self, log: RunLog) -> None:
        pulled = set(log.pulled)
        seen: set[int] = set()
        for item in log.back:
            self.check(item.id not in seen, f"{log.name}: an item came twice")
            seen.add(item.id)
        accounted = seen | {item.parent_id for item in log.back if item.parent_id is not None}
        if log.keeps_ids:
            self.check(seen <= pulled, f"{log.name}: {len(seen - pulled)} items come from nowhere")
        self._look_at_accounts(log)
        if log.how == "done":
            lost = [one for one in log.pulled if one not in accounted]
            # made of what was itself made of an input: nobody sees that one, which accounts for one input at most
            unseen = accounted - seen - pulled
            self.check(len(lost) <= len(unseen), f"{log.name}: {len(lost)} of {len(pulled)} items are lost")

    def _look_at_accounts(self, log: RunLog) -> None:
        """What users are told in numbers is what came, however the run ended."""
        told = log.ends.accounting
        came = Counter(kind for _, kind in log.ended)
        same = (told.inputs, told.outputs) == (len(log.pulled), len(log.got))
        same = same and log.ends.counts() == {kind: came[kind] for kind in log.ends.counts()}
        balanced = told.abandoned == 0 if log.how == "done" else told.abandoned >= 0
        self.check(same and balanced, f"{log.name}, {log.how}: the accounts are wrong: {told}, {told.abandoned}")


class WorkBehindResults(OutcomeRule):
    """I7: what came out of a plain dispatch was executed at least once, and acknowledged once."""

    id = "I7"

    def look(self, log: RunLog) -> None:
        if log.keeps_ids:
            executed = {
                one for entry in self.book.executions if entry[1].partition(".")[0] == log.name for one in entry[3]
            }
            unworked = [item for item in log.got if item.id not in executed]
            self.check(not unworked, f"{log.name}: {len(unworked)} results were never executed")


class OrderKept(OutcomeRule):
    """I8: with `preserve` the results come in the order of the items."""

    id = "I8"

    def look(self, log: RunLog) -> None:
        if log.in_order:
            place = {one: number for number, one in enumerate(log.pulled)}
            places = [place[item.id] for item in log.got if item.id in place]
            self.check(places == sorted(places), f"{log.name}: results out of order: {places}")


class RunsEnd(OutcomeRule):
    """I12: a finite run ends, if handlers return and workers restart."""

    id = "I12"

    def look(self, log: RunLog) -> None:
        problem = f"{log.name} stalls: {len(log.pulled)} items pulled, {len(log.got)} came out, {len(log.ended)} ended"
        self.check(log.how != "", problem)


class NothingIsLeftBehind(Rule):
    """I20: whatever ended a run, no lease, timer, state or message of it is left."""

    id = "I20"

    def over(self) -> None:
        world = self.book.world
        for node in world.nodes.values():
            if isinstance(node, SimulatedProcess):
                left = _peek.leftovers(node.server, world.nodes.__contains__)
                self.check(not left, f"{node.address} still has {', '.join(left)}")
            if isinstance(node, SimulatedWorker):
                self.check(not node.retires, f"{node.address} retires, and was never let go")
        if world.channels:
            self.check(False, f"messages are still under way: {list(world.channels)}")


def outcome_rules(book: Any, logs: list[RunLog]) -> list[Rule]:
    """Those that look at the end, in the order in which a failure says most."""
    kinds = (NothingIsLostOrDoubled, RunsEnd, WorkBehindResults, OrderKept)
    return [*(kind(book, logs) for kind in kinds), NothingIsLeftBehind(book)]
