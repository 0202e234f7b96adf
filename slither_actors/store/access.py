"""The way to the stores of a system that costs nothing where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from slither_actors.store.folder import has_stores

if TYPE_CHECKING:
    from slither_actors.otp._life import Life
    from slither_actors.store.views import ProcessStores


def stores_of_actor(life: Life) -> ProcessStores | None:
    """The stores of its system, as an actor uses them; `None` if it has none."""
    shared: ProcessStores | None = life.shared_stores
    if shared is not None:
        return shared
    directory = Path(life.surroundings.directory)
    if not has_stores(directory):
        return None
    from slither_actors.otp.events import relay_of
    from slither_actors.store.views import ProcessStores  # with LMDB, which others do not need

    return ProcessStores(directory, interrupts=True, relay=relay_of(life))


def name_of(store: Any, where: str) -> str:
    """The name that a user means by a store: its name, its class, or `Store.named(...)`.

    Raises:
        InvalidOption: it is none of these.
    """
    if isinstance(store, str) and store.isidentifier():
        return store
    from slither_actors.store.store import as_named

    return as_named(store, where, "stores").name
