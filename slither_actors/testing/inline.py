"""`InlineSystem`: the system of a service in one process, for its tests."""

from __future__ import annotations

import itertools
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from slither_actors._keywords import known_keywords
from slither_actors.config import Config
from slither_actors.errors import InvalidOption, shorten
from slither_actors.otp.child import ChildSpec
from slither_actors.otp.ref import Ref
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.system._feeder import Feeder, Ledger
from slither_actors.system._pipe_checks import check_pipe
from slither_actors.system._sessions import Sessions
from slither_actors.system.grow import check_name, check_pools, listed
from slither_actors.system.pipes import Pipes
from slither_actors.system.started import FeedOptions
from slither_actors.system.stores import check_named, check_stores, enter_stores
from slither_actors.system.system import System
from slither_actors.testing._faults import Faults, Seconds
from slither_actors.testing._inline_calls import InlineCalls
from slither_actors.testing._inline_client import InlineClient, remove_directory
from slither_actors.testing._process import NotSimulated
from slither_actors.testing.clock import FakeClock
from slither_actors.workers.pool_options import PoolOptions

_POOLS: Mapping[str, int] = {"default": 2}


class InlineSystem(System):
    """A `System` without processes, for tests: the same calls, checks, results, ends, errors and order.

    All that is no socket, no process and no clock is the library's own, so what a run does here it does in production.
    Executors, stages, stores and views run in this process, when somebody waits for results; they may be debugged,
    patched and counted. Everything is deterministic. Time stands still but for what is waited for, which is over at
    once: pauses between attempts, time limits of batches that raise `Hang`, a queue.

    Args:
        name: what errors call it.
        stores, pools, pipes, config: as for `slither_actors.start`; two workers where no pools are given. Neither a
            configuration file nor the environment is read.
        children: none; own actors need processes.
        seconds: how long a batch takes by its clock, as for `Simulation`.
        clock: its time; one of its own by default.

    Raises:
        InvalidOption, UnknownPool, DuplicateView, StartError: as `slither_actors.start`.
        NotSimulated: it cannot do what is asked for, here or in a call.
    """

    @known_keywords
    def __init__(
        self,
        *,
        name: str = "inline",
        stores: Iterable[Any] = (),
        pools: Mapping[str, int | PoolOptions] | None = None,
        pipes: Iterable[type[Pipe]] = (),
        children: Iterable[ChildSpec] = (),
        config: Config | Mapping[str, Any] | None = None,
        seconds: Seconds = 0.0,
        clock: FakeClock | None = None,
    ) -> None:
        if tuple(children):
            raise NotSimulated("children: actors of your own need processes; slither_actors.start has them")
        if clock is not None and not isinstance(clock, FakeClock):
            raise InvalidOption("InlineSystem", "clock", shorten(clock), "None, or a FakeClock")
        try:
            faults = Faults(seconds=seconds, repeats=0.0, laziness=0.0)
        except InvalidOption as error:
            raise InvalidOption("InlineSystem", error.option, error.got, error.allowed) from None
        self.name = check_name(name)
        self.config = Config.of(config)
        self.clock = clock or FakeClock()
        self._pools = check_pools(_POOLS if pools is None else pools)
        self._handle_signals, self._stop_timeout_s = False, 10.0
        self._run_numbers = itertools.count(1)
        named = check_stores(listed("stores", stores, "a list of store classes, or of Store.named(...)"), self.config)
        for pipe in (wanted := listed("pipes", pipes, "a list of pipe classes")):
            check_pipe(pipe, self._pools, self.config.dispatch)
            check_named(pipe.definition, {store.name: store for store in named})
        directory = Path(tempfile.mkdtemp(prefix="slither-inline-"))
        self._remove = weakref.finalize(self, remove_directory, directory)
        self._client: InlineClient = InlineClient(self.name, self.clock, directory, faults)
        try:
            self._grow(named, wanted)
        except BaseException:
            self.stop(drain=False)
            raise

    def _grow(self, named: Any, pipes: Iterable[type[Pipe]]) -> None:
        client = self._client
        if entries := enter_stores(named, client.directory, self.config):
            from slither_actors.testing._inline_stores import InlineStores  # with LMDB, which others do not need

            client.use_stores(InlineStores(client.directory, entries, client.refusal))
        for pool, options in self._pools.items():
            client.grow_pool(pool, options)
        self._sessions = Sessions(client, self.config.sessions)
        self._sessions.calls = InlineCalls(client)
        self._pipes = Pipes(client, self._pools, self.config.dispatch, self._sessions)
        for pipe in pipes:
            self.start_pipe(pipe)

    def __repr__(self) -> str:
        return f"<InlineSystem {self.name} {self._client.state}>"

    def _feeder(self, pipe: PipeType, options: FeedOptions, ledger: Ledger, session_id: str | None) -> Feeder:
        feeder = super()._feeder(pipe, options, ledger, session_id)
        feeder.submit = _refuse_submit  # type: ignore[method-assign]
        return feeder

    # -- what is not there

    def call(self, to: str | Ref, request: Any, timeout_s: float = 5.0) -> NoReturn:
        """Not here: raises `NotSimulated`."""
        raise NotSimulated(f"call({shorten(to)}): an InlineSystem has no actors of your own")

    def cast(self, to: str | Ref, request: Any) -> NoReturn:
        """Not here: raises `NotSimulated`."""
        raise NotSimulated(f"cast({shorten(to)}): an InlineSystem has no actors of your own")

    def supervisor(self, to: str | Ref, timeout_s: float = 60.0) -> NoReturn:
        """Not here: raises `NotSimulated`."""
        raise NotSimulated(f"supervisor({shorten(to)}): an InlineSystem has no supervisors")

    def resize_pool(self, pool: str, size: int, *, timeout_s: float = 60.0) -> NoReturn:
        """Not here: raises `NotSimulated`."""
        raise NotSimulated("resize_pool: the pools of an InlineSystem stay as they are")


def _refuse_submit(item: object, timeout_s: float | None) -> NoReturn:
    raise NotSimulated("submit: nobody feeds pipes beside the callers of an InlineSystem; run_pipe and stream_pipe do")
