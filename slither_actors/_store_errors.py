"""What can go wrong with a store."""

from slither_actors._error import SlitherError, error


@error("table {table}: the key {key} takes {size} bytes, and at most {limit} are allowed")
class KeyTooLong(SlitherError, ValueError):
    """A key's encoding is longer than the tables can hold."""

    table: str
    key: str
    size: int
    limit: int


@error()
class UnknownStore(SlitherError, LookupError):
    """No store of the system has this name."""

    store: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"no store is called {self.store!r}; this system has: {', '.join(self.known) or 'none'}"


@error("store {store} cannot be used: {why}")
class StoreUnavailable(SlitherError):
    """The tables of a store cannot be opened, or its owner is not there."""

    store: str
    why: str


@error("store {store} has no room for the write, of which nothing happened: {why}")
class StoreFull(SlitherError):
    """The disk, the shared memory or the map is full. Nothing of the write happened; what was acknowledged is there."""

    store: str
    why: str


@error("table {table}: key {key} was changed by others at each of {attempts} attempts")
class StoreConflict(SlitherError):
    """An ``update`` gave up: others were quicker each time."""

    table: str
    key: str
    attempts: int


@error("store {store}: {what} failed, and nothing was changed: {reason}")
class StoreLoadError(SlitherError):
    """The ``load`` of a store raised, or what it was to be restored from is no dump of it; ``what`` is "load" or
    "restore". A store that was loaded before keeps what it had."""

    store: str
    reason: str
    what: str = "load"


@error("a snapshot of store {store} is over: it was open for longer than {limit_s:g} s, or its block has ended")
class SnapshotExpired(SlitherError):
    """A snapshot, or an iteration, was used after its end."""

    store: str
    limit_s: float


@error("a write to store {store} was lost sight of, and may or may not have been carried out: {why}")
class WriteInDoubt(StoreUnavailable):
    """A write was sent to the owner of a store, and nobody can say what became of it: the owner did not answer in time,
    or died and was not replaced in time. Read what is there before you write again."""
