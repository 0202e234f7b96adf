"""`Chaos`: kills, stops and slows processes of a running system at random, as long as a block of a test lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from slither_actors._keywords import known_keywords
from slither_actors.errors import InvalidOption, shorten
from slither_actors.testing._chaos_campaign import Campaign, Surroundings
from slither_actors.testing._chaos_plan import KINDS, ChaosOptions
from slither_actors.testing._chaos_report import ChaosReport
from slither_actors.testing._chaos_roles import DEFAULT_ROLES
from slither_actors.testing._chaos_system import SeenSystem
from slither_actors.transport.running import find

if TYPE_CHECKING:
    from slither_actors.system.system import System


class Chaos:
    """A chaos in a thread of its own, from the beginning of a `with` block to its end.

    Processes of the system get signals: SIGKILL, or SIGSTOP and later SIGCONT. It never touches the service, the host,
    programs that your code has started, or another system. At the end of the block everybody goes on who was stopped,
    whatever ended it, and the tree is given time to bring back who is missing. An error that leaves the block gets a
    note with the seed and the report.
    """

    @known_keywords
    def __init__(
        self,
        system: System | str,
        *,
        seed: int | None = None,
        duration_s: float | None = None,
        rate: float = 1.0,
        kinds: Collection[str] = KINDS,
        targets: Collection[str] = DEFAULT_ROLES,
        longest_stop_s: float = 0.3,
        spare_budgets: bool = True,
        settle_s: float = 5.0,
    ) -> None:
        """Nothing happens yet.

        Args:
            system: a running system, or the name or run directory of one; it may belong to another process.
            seed: what is done when follows from it, and to whom, as far as the same processes live then; drawn, and to
                be read as `seed`, where none is given.
            duration_s: after how many seconds it ends, if the block does not end before.
            rate: strikes per second on average.
            kinds: "kill", "stop", and "slow", which leaves a process a share of its time for a while.
            targets: "workers", "dispatchers", "stages", "stores", "pools", "supervisors", "children", "registry",
                and "root", whose death is the end of the system and which is not among them by default.
            longest_stop_s: no stop takes longer.
            spare_budgets: whether to leave each supervisor with one restart of the default budget, 3 in 5 seconds.
            settle_s: how long the end of the block waits at most until everybody is back.

        Raises:
            InvalidOption: an option is not allowed. SystemNotFound: there is no such system, or none that runs.
        """
        self._system = find(system if isinstance(system, str) else _directory_of(system))
        given = {} if seed is None else {"seed": seed}
        self._options = ChaosOptions(
            duration_s=duration_s,
            rate=rate,
            kinds=kinds,
            targets=targets,
            longest_stop_s=longest_stop_s,
            spare_budgets=spare_budgets,
            settle_s=settle_s,
            **given,
        )
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._campaign: Campaign | None = None
        self._stack = ExitStack()
        self._error: BaseException | None = None

    @property
    def seed(self) -> int:
        """What makes the same strikes come again."""
        return self._options.seed

    @property
    def report(self) -> ChaosReport:
        """What happened so far; complete at the end of the block."""
        if self._campaign is None:
            return ChaosReport(self.seed, 0.0, (), 0, (), (), True)
        return self._campaign.report()

    def run(self) -> ChaosReport:
        """The same without a block, in this thread, for `duration_s`; what interrupts it comes through."""
        if self._options.duration_s is None:
            raise InvalidOption("Chaos", "duration_s", "None", "a number of seconds, where there is no block to end it")
        with self._stack:
            self._prepare(_waited).run()
        return self.report

    def _prepare(self, wait: Callable[[float], bool]) -> Campaign:
        seen = self._stack.enter_context(SeenSystem(self._system))
        self._campaign = Campaign(self._options, Surroundings(seen.look, seen.grip, time.monotonic, wait, time.sleep))
        return self._campaign

    def __enter__(self) -> Self:
        campaign = self._prepare(self._over.wait)
        self._thread = threading.Thread(target=self._body, args=(campaign,), name="slither-chaos", daemon=True)
        self._thread.start()
        return self

    def _body(self, campaign: Campaign) -> None:
        try:
            campaign.run()
        except BaseException as error:
            self._error = error  # for who leaves the block

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._stack.close()
        if error is not None:
            error.add_note(str(self.report))
        elif self._error is not None:
            raise self._error


def _waited(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _directory_of(system: object) -> str:
    from slither_actors.system.system import System  # whoever has one has paid for it; `slither chaos` has a name

    if not isinstance(system, System):
        raise InvalidOption("Chaos", "system", shorten(system), "a System, or the name of one")
    return str(system._client.directory)
