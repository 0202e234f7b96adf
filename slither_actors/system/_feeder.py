"""Runs that are fed by `submit`: one after the other, in a thread that lives while there is one."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from typing import Any

from slither_actors.dispatch._deadline import Deadline
from slither_actors.dispatch._former import Former
from slither_actors.dispatch.accounting import Accounting
from slither_actors.dispatch.ends import EndLog
from slither_actors.dispatch.messages import Ends, Expanded
from slither_actors.dispatch.run import Halted, Run
from slither_actors.dispatch.source import Source
from slither_actors.errors import DeadlineExceeded, InvalidOutcome, NotPicklable, SlitherError
from slither_actors.item import Item
from slither_actors.pipe._lineage import Descent, Lineage
from slither_actors.pipe._per_item import PerItem
from slither_actors.system._item_outcome import outcome_of
from slither_actors.system._runs import pipe_failure
from slither_actors.system._submissions import Submissions
from slither_actors.system._submitted_source import SubmittedSource

_log = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody to wake."""


class _Log(EndLog):
    """Of one run. What is said of its items is passed on, and not kept: it stands in their futures."""

    def __init__(self, over: Callable[[Item, str | None], None], expanded: Callable[[Expanded], None]) -> None:
        super().__init__(0, over)
        self._expanded_to = expanded

    def note(self, ends: Ends | Expanded) -> None:
        super().note(ends)
        if isinstance(ends, Expanded):
            self._expanded_to(ends)


class Ledger:
    """Where the items are that were submitted to a handle, over all its runs."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant, for the garbage collector
        self._past = EndLog().accounting
        self._open: list[EndLog] = []

    def begin(self, log: EndLog) -> None:
        """A run begins, with these ends."""
        with self._lock:
            self._open.append(log)

    def end(self, log: EndLog) -> None:
        """It is over."""
        with self._lock:
            self._open.remove(log)
            self._past += log.accounting

    @property
    def accounting(self) -> Accounting:
        """Of all items that were pulled."""
        with self._lock:
            return sum((log.accounting for log in self._open), self._past)


class Feeder:
    """Feeds what is submitted to a pipe, and gives each item's future what came of it.

    An open run that fails takes those of its items along that were under way. The others are fed to the next run.

    Args:
        pipe: the pipe.
        submissions: what is submitted.
        open_run: opens a run of the pipe.
        former: makes what forms the batches for the first stage, if that takes full ones.
        size: items that such a batch may have.
        idle_stop_s: how long a run stays open without an item; `None` is as long as the pipe.
        ledger: keeps the accounts.
    """

    def __init__(
        self,
        pipe: PerItem,
        submissions: Submissions,
        open_run: Callable[[Source, EndLog], Run],
        former: Callable[[EndLog], Former | None],
        size: int,
        idle_stop_s: float | None,
        ledger: Ledger,
    ) -> None:
        self.submissions = submissions
        self._pipe = pipe
        self._open_run = open_run
        self._former = former
        self._size = size
        self._idle_stop_s = idle_stop_s
        self._lock = threading.RLock()
        self._opened = threading.Condition(self._lock)
        self._lineage = Lineage(submissions.under_way)
        self._ledger = ledger
        self._run: Run | None = None
        self._is_retired = False

    def submit(self, item: Item, timeout_s: float | None) -> Future[Any]:
        """Feed an item; see `StartedPipe.submit`."""
        future, begins = self.submissions.put(item, timeout_s)
        if begins:
            name = f"slither-feeds-{self._pipe.definition.name}"
            try:
                threading.Thread(target=self._work, name=name, daemon=True).start()
            except RuntimeError as error:  # too many of them, or the interpreter ends
                self._give_up_queue(error, leaves=True)
        return future

    def expire(self, number: int, future: Future[Any], deadline: Deadline, failure: Exception | None = None) -> None:
        """There is no time left for an item, or a failure keeps its deadline from being kept. In another thread than
        all the rest."""
        if self.submissions.overdue(number, future):
            failure = failure or Halted(None, DeadlineExceeded(deadline.given_s, "the item"), 0)
            _settle(future, None, self._told(failure, self._lineage.known(number)))

    # -- the end

    def refuse(self, error: SlitherError) -> None:
        """Take no more; what is there is still fed."""
        self.submissions.refuse(error)

    def retire(self) -> None:
        """Nobody will submit any more: the open run ends behind what is there."""
        self._is_retired = True
        run = self._run
        if run is not None:
            run.orders.drain("its handle")

    def await_open(self, limit_s: float) -> None:
        """Wait until what was submitted has a run, which others can bring to its end."""
        with self._opened:
            self._opened.wait_for(lambda: self._run is not None or not self.submissions.is_driven, limit_s)

    # -- in its thread

    def _work(self) -> None:
        self.submissions.begin()
        while not self.submissions.leave():
            self._feed_one_run()
        with self._opened:
            self._opened.notify_all()

    def _feed_one_run(self) -> None:
        log = self._new_log()
        try:
            source = self._source(log)
            run = self._open_run(source, log)
        except Exception as error:
            self._give_up_queue(error)
            return
        source.orders = run.orders
        self.submissions.wake = run.orders.look
        run.driver = run.consumer = threading.get_ident()
        with self._opened:
            self._run = run
            self._ledger.begin(log)
            self._opened.notify_all()
        if self._is_retired:
            self.retire()
        failure = self._results_of(run)
        self.submissions.wake = _nothing
        with self._lock:
            self._run = None
            self._ledger.end(log)
        self._settle_lost(failure)

    def _source(self, log: EndLog) -> SubmittedSource:
        def unfit(item: Item, error: NotPicklable) -> None:
            log.note_item(item, Ends("skipped", (), error, None, 0))

        return SubmittedSource(self.submissions, unfit, self._former(log), self._size, self._idle_stop_s)

    def _results_of(self, run: Run) -> Exception | None:
        """Give all results away; returns what ended the run before its time."""
        try:
            for items in run.batches():
                self._deliver(items)
        except Exception as error:
            return error
        return None

    def _deliver(self, items: Iterable[Item]) -> None:
        if self._lineage:
            for item in items:
                self._over(item)
            return
        under_way = self.submissions.under_way
        for item in items:
            future = under_way.pop(item.id, None)
            if future is None:
                self._over(item)
            else:
                _settle(future, item, None)

    def _over(self, item: Item, kind: str | None = None) -> None:
        descent = self._lineage.ended(item, kind)
        if descent is not None:
            self._found(descent)

    def _expanded(self, news: Expanded) -> None:
        for descent in self._lineage.expanded(news.parents):
            self._found(descent)

    def _found(self, descent: Descent) -> None:
        _settle(self.submissions.under_way.pop(descent.root), *outcome_of(descent, self._pipe))

    def _new_log(self) -> EndLog:
        return _Log(self._over, self._expanded)

    def _settle_lost(self, failure: Exception | None) -> None:
        """The run is over, and with it all that was under way. What waits is for the next run, if there may be one."""
        under_way, lineage = self.submissions.under_way, self._lineage
        if failure is None:
            name = self._pipe.definition.name
            failure = Halted(None, InvalidOutcome(f"pipe {name}", "its run ended without a word about the item"), 0)
        for number in list(under_way):
            _settle(under_way.pop(number), None, self._told(failure, lineage.known(number)))
        self._lineage = Lineage(under_way)
        if self.submissions.refuses:
            self._give_up_queue(failure)

    def _give_up_queue(self, failure: Exception, *, leaves: bool = False) -> None:
        for future in self.submissions.drop_queue(leaves=leaves):
            _settle(future, None, self._told(failure, []))

    def _told(self, failure: Exception, known: list[Item]) -> Exception:
        """What one of those is told that a failure befell: each gets an error of its own, since it may be raised."""
        if isinstance(failure, Halted):
            failure = pipe_failure(self._pipe.definition, failure, known, {})
        return copy.copy(failure)


def _settle(future: Future[Any], result: Any, error: Exception | None) -> None:
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:
        pass  # its deadline was over, or it was cancelled at this moment
    except BaseException:  # of one of its callbacks, which are user code; of others it is no business
        _log.exception("what was to be done with a result raised")
