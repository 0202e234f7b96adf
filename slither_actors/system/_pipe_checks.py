"""What is looked at before a pipe runs in a system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slither_actors.config import DispatchConfig
from slither_actors.errors import InvalidOption, UnknownPool, shorten
from slither_actors.pipe.declarations import WorkerDeclaration
from slither_actors.pipe.pipe import Pipe, PipeType
from slither_actors.workers.adapter import check_command
from slither_actors.workers.pool_options import PoolOptions


def check_pipe(pipe: Any, pools: Mapping[str, PoolOptions], config: DispatchConfig) -> None:
    """Refuse what cannot run in a system with these pools.

    Raises:
        InvalidOption: it is no subclass of `Pipe`, or a stage wants a command that its pool does not have.
        UnknownPool: a stage wants a pool that is not there.
    """
    definition = checked(pipe).definition
    for stage in definition.stages:
        if isinstance(stage.declaration, WorkerDeclaration):
            pool = definition.dispatch_options(stage, config).pool
            if pool not in pools:
                error = UnknownPool(pool, tuple(pools))
                error.add_note(f"stage {stage.name} of pipe {definition.name} wants it")
                raise error
            where = f"stage {stage.name} of pipe {definition.name}"
            check_command(stage.declaration.executor, pools[pool].adapter, f"pool {pool!r}", where)


def checked(pipe: Any) -> PipeType:
    """The pipe, if it is one.

    Raises:
        InvalidOption: it is no subclass of `Pipe`.
    """
    if not isinstance(pipe, PipeType) or pipe is Pipe:
        raise InvalidOption("system", "pipe", shorten(pipe), "a subclass of slither_actors.Pipe")
    return pipe
