"""The rate limits of the stages of pipes: what pipes declare, and what was said since."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Mapping
from typing import Any

from slither_actors.config import DispatchConfig
from slither_actors.dispatch._rate_table import SetRate
from slither_actors.dispatch._token_bucket import RateTicket
from slither_actors.errors import InvalidOption, NoProcess, shorten
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition, StageSpec
from slither_actors.pipe.pipe import PipeType
from slither_actors.pipe.plan import process_of
from slither_actors.rate import Rate, as_rate
from slither_actors.system._asking import CALL_LIMIT_S
from slither_actors.system.client import Client
from slither_actors.system.names import PIPES, POOLS, SESSIONS


def tickets_of(
    definition: PipeDefinition,
    child_id: str,
    config: DispatchConfig,
    said: Mapping[str, tuple[int, Rate | None]] | None = None,
) -> dict[str, RateTicket]:
    """What the stages of a pipe are told, by name.

    Args:
        child_id: what the supervisor of its processes is called.
        config: defaults of options.
        said: limits that take the place of declared ones, each with its version.
    """
    tickets = {}
    for stage in definition.stages:
        if stage.declaration.rate is None:
            continue
        version, rate = (said or {}).get(stage.name, (0, stage.declaration.rate))
        burst = 1 if rate is None else rate.burst_for(definition.batch_size(stage, config))
        per_second = math.inf if rate is None else rate.per_second
        tickets[stage.name] = RateTicket(f"{child_id}/{stage.name}", per_second, burst, version)
    return tickets


class Rates:
    """Of one system. What was said of a pipe holds until the system ends, also for processes that start later.

    Args:
        client: the connection to the tree.
        config: defaults of options.
    """

    def __init__(self, client: Client, config: DispatchConfig) -> None:
        self._client = client
        self._config = config
        self._said: dict[tuple[PipeType, str], tuple[int, Rate | None]] = {}
        self._versions = itertools.count(1)

    def tickets(self, pipe: PipeType, child_id: str) -> dict[str, RateTicket]:
        """The limits that hold now, by stage; `child_id` is what the supervisor of the pipe's processes is called."""
        said = {stage: what for (of, stage), what in self._said.items() if of is pipe}
        return tickets_of(pipe.definition, child_id, self._config, said)

    def figures(self, pipe: PipeType) -> dict[str, Any]:
        """Items per second by stage, `None` where there is no limit now; nothing of stages that never have one."""
        found = {name: ticket.per_second for name, ticket in self.tickets(pipe, "").items()}
        limits = {name: None if rate == math.inf else rate for name, rate in found.items()}
        return {"rates": limits} if limits else {}

    def set(self, pipe: PipeType, stage_name: Any, given: Any, child_id: str | None) -> None:
        """Another limit from now on, as `System.set_rate` says.

        Raises:
            InvalidOption: there is no such stage, or it has no limit, or it could not have this one.
        """
        limited = {stage.name: stage for stage in pipe.definition.stages if stage.declaration.rate is not None}
        if not isinstance(stage_name, str) or stage_name not in limited:
            allowed = (
                f"a stage of pipe {pipe.definition.name} that declares a rate: {', '.join(limited) or 'none does'}"
            )
            raise InvalidOption("set_rate", "stage", shorten(stage_name), allowed)
        stage, rate = limited[stage_name], as_rate(given, "set_rate")
        size = pipe.definition.batch_size(stage, self._config)
        if rate is not None and rate.burst_for(size) < size:
            allowed = f"one with a burst of at least {size}, since the stage is given so many items at once"
            raise InvalidOption("set_rate", "rate", shorten(rate), allowed)
        self._said[pipe, stage_name] = next(self._versions), rate
        if child_id is not None:
            self._tell(pipe, stage, child_id)

    def _tell(self, pipe: PipeType, stage: StageSpec, child_id: str) -> None:
        """Those who work for the stage now. One that is being restarted learns it from its next run."""
        ticket = self.tickets(pipe, child_id)[stage.name]
        names = [f"{PIPES}/{child_id}/{process_of(stage)}"]
        if isinstance(stage.declaration, WorkerDeclaration):
            pool = pipe.definition.dispatch_options(stage, self._config).pool
            names.append(f"{POOLS}/{pool}/{SESSIONS}")
        for one in names:
            with contextlib.suppress(NoProcess):
                self._client.ask(one, SetRate(ticket), CALL_LIMIT_S)
