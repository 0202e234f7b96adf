"""The part of the handle of a system that finds its stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slither_actors._keywords import known_keywords
from slither_actors.system.actors import ActorCalls

if TYPE_CHECKING:
    from slither_actors.store.handle import StoreHandle


class StoreCalls(ActorCalls):
    """Stores of a system."""

    @known_keywords
    def store(self, store: Any) -> StoreHandle:
        """The handle of a store: its tables are its attributes.

        Args:
            store: its class, its name, or `Store.named(...)`.

        Raises:
            UnknownStore: the system has no such store. InvalidOption: it is none of these.
            SystemDown: the system is stopped, or gave up.
        """
        refusal = self._client.refusal()
        if refusal is not None:
            raise refusal
        return self._client.stores.handle(store)
