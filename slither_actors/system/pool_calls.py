"""What a system does with whole pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slither_actors._code import Code
from slither_actors._keywords import known_keywords
from slither_actors._validators import checked_seconds
from slither_actors.context import Context
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.errors import InvalidOption, shorten
from slither_actors.system._runs import sealed_context
from slither_actors.system.client import Client
from slither_actors.system.each import call_each
from slither_actors.system.names import POOLS
from slither_actors.workers.executor import AnyExecutor
from slither_actors.workers.messages import ResizePool
from slither_actors.workers.pool import WORKERS
from slither_actors.workers.pool_options import SIZE, is_size


class PoolCalls:
    """The part of a `System` that is about pools."""

    _client: Client
    _options: Callable[[Mapping[str, Any], str], DispatchOptions]
    _code: Callable[..., Code]
    _run_id: Callable[[], str]

    @known_keywords
    def call_each(
        self, executor: AnyExecutor, *, pool: str = "default", timeout_s: float = 30.0, context: Context | None = None
    ) -> list[Any]:
        """Call a function once on every worker of a pool: for statistics, or to warm up. It takes nothing, or `ctx`.

        Returns:
            One result per worker, in the order of the workers; those that retire and those in quarantine are left out.

        Raises:
            RemoteError: it raised. WorkerCrashed: a worker died of it. CallTimeout: one did not answer in time.
            InvalidOutcome: a result cannot be read here. NotDecodable: a worker cannot read the context.
            PoolQuarantined: all workers are in quarantine.
        """
        options = self._options({"pool": pool, "timeout_s": timeout_s}, "call_each")
        code = self._code(executor, options, "call_each", once=True)
        sealed = sealed_context(context, self._run_id(), "call_each")
        return call_each(self._client, options.pool, code, sealed, options.timeout_s)

    @known_keywords
    def resize_pool(self, pool: str, size: int, *, timeout_s: float = 60.0) -> None:
        """Give a pool more workers, or fewer, while it works.

        A pool that grows has its new workers when this returns. One that shrinks lets those that are too many finish
        what they have, and the sessions that would be lost with them; this does not wait for that. Of several resizes
        one begins when the one before it is done.

        Args:
            pool: its name.
            size: how many workers it is to have, 1 to 512.
            timeout_s: how many seconds to wait for new workers.

        Raises:
            StartError: a new worker did not start; the pool goes back to the size it had.
            CallTimeout: they take longer than `timeout_s`; the pool goes on with it.
            InvalidOption: `size` is no size, or `timeout_s` no time. UnknownPool: there is no such pool.
        """
        name = self._options({"pool": pool}, "resize_pool").pool
        if not is_size(size):
            raise InvalidOption("resize_pool", "size", shorten(size), SIZE)
        self._client.call(f"{POOLS}/{name}/{WORKERS}", ResizePool(size), checked_seconds("resize_pool", timeout_s))
