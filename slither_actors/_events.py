"""The events that this library reports: their names, and what each of them carries."""

import attrs

Name = tuple[str, ...]

# Each is followed by "start" or "stop".
DISPATCH_RUN = ("slither", "dispatch", "run")
PIPE_RUN = ("slither", "pipe", "run")
# By "stop" or, if it failed, "exception".
BATCH = ("slither", "dispatch", "batch")
STAGE = ("slither", "pipe", "stage")
# By "start", "stop", "lost" or "rebuild".
SESSION = ("slither", "session")
# By "start", "stop", "recycle" or "quarantine".
WORKER = ("slither", "worker")
# By "restart" or "give_up".
SUPERVISOR = ("slither", "supervisor")
# By "start", and then by "stop" or, if it raised, "exception".
VIEW = ("slither", "bridge", "view")
# By "load", "reload" or "restore", and then as above.
STORE = ("slither", "store")
# One event.
STORE_WRITE = ("slither", "store", "write")


@attrs.frozen
class EventKind:
    """One kind of event.

    Attributes:
        name: what its events are called.
        doc: when it is reported, in a sentence.
        measurements: the names of its numbers.
        metadata: the names of its labels, those that are always there and those that are there where they mean
            something.
    """

    name: Name
    doc: str
    measurements: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()


# How long it took in all, how long of that it waited, and how long it was worked on.
_TIMES = ("duration_s", "queue_s", "run_s")


def _run(name: Name, doc: str, place: str) -> tuple[EventKind, ...]:
    counts = ("items_in", "items_out", "skipped", "dropped", "dead")
    about = ("system", "run", "trace", place)
    return (
        EventKind((*name, "start"), f"{doc} begins", (), about),
        EventKind((*name, "stop"), "it is over", (*_TIMES, *counts), (*about, "outcome")),
    )


def _work(
    name: Name,
    docs: tuple[str, str],
    about: tuple[str, ...],
    failed: tuple[str, ...],
    worked: tuple[str, ...] = (),
    made: tuple[str, ...] = (),
) -> tuple[EventKind, ...]:
    """What is told at its end only, since it happens elsewhere; `failed` is known of one that raised, `worked` of one
    that did not, and `made` are further numbers of that."""
    counts = ("time_s", *_TIMES, "attempt", "items_in", "bytes_in")
    about = ("system", "run", "session", "pipe", "stage", *about)
    return (
        EventKind((*name, "stop"), docs[0], (*counts, "items_out", *made), (*about, "outcome", *worked)),
        EventKind((*name, "exception"), docs[1], counts, (*about, "outcome", *failed)),
    )


def _span(
    name: Name, doc: str, about: tuple[str, ...], counts: tuple[str, ...] = (), result: tuple[str, ...] = ()
) -> tuple[EventKind, ...]:
    """What `telemetry.span` reports; `counts` and `result` are what the block adds when it comes to its end."""
    begun = counts[:1]
    return (
        EventKind((*name, "start"), f"{doc} begins", ("time_s",), about),
        EventKind((*name, "stop"), "it is done", ("duration_s", *counts), (*about, *result, "outcome")),
        EventKind((*name, "exception"), "it raised", ("duration_s", *begun), (*about, "outcome", "error")),
    )


_LOSS = ("system", "pool", "session", "worker")
_PLACE = ("system", "pool", "worker")
_CHILD = ("system", "supervisor", "process", "reason", "error")

EVENTS: tuple[EventKind, ...] = (
    *_run(DISPATCH_RUN, "a `dispatch()`, `stream()` or `call_batch()`", "pool"),
    *_run(PIPE_RUN, "a `run_pipe()` or `stream_pipe()`", "pipe"),
    *_work(
        BATCH,
        ("a worker has run a batch", "it failed, or its worker died under it"),
        ("pool", "worker", "batch", "batch_ref"),
        ("error_type", "verdict"),
        made=("bytes_out",),
    ),
    *_work(
        STAGE,
        ("a stage is done with a batch, and all its attempts", "it failed, and that halted the run"),
        (),
        ("error_type",),
        ("error_type",),
    ),
    EventKind((*SESSION, "start"), "a block of `session()` begins", (), ("system", "session")),
    EventKind((*SESSION, "stop"), "it is over", ("duration_s", "losses"), ("system", "session", "outcome")),
    EventKind((*SESSION, "lost"), "its worker died, and it is over", ("losses",), _LOSS),
    EventKind((*SESSION, "rebuild"), "its worker died, and it begins anew in another one", ("losses",), _LOSS),
    EventKind((*WORKER, "start"), "a worker of a pool is up, after so long", ("duration_s",), (*_PLACE, "pid")),
    EventKind(
        (*WORKER, "stop"),
        "it has ended, after so long",
        ("duration_s", "batches"),
        (*_PLACE, "pid", "outcome", "reason", "error"),
    ),
    EventKind((*WORKER, "recycle"), "it is worn out, and another one is started in its place", (), (*_PLACE, "reason")),
    EventKind((*WORKER, "quarantine"), "it keeps dying, and is kept down", ("pause_s",), (*_PLACE, "error")),
    EventKind((*SUPERVISOR, "restart"), "a child of a supervisor is up again", ("away_s",), _CHILD),
    EventKind((*SUPERVISOR, "give_up"), "a child died once too often, so the supervisor ends", (), _CHILD),
    *_span((*STORE, "load"), "the first load of a store", ("store",), (), ("version",)),
    *_span((*STORE, "reload"), "a `reload()`", ("store",), (), ("version",)),
    *_span((*STORE, "restore"), "a `restore()`", ("store",), (), ("version",)),
    EventKind(
        STORE_WRITE,
        "a write was carried out, or refused; `rows` is what was really written",
        ("duration_s", "rows"),
        ("store", "table", "operation", "outcome", "error"),
    ),
    *_span(VIEW, "a call of a view", ("store", "view", "scope", "mode"), ("items_in", "items_out")),
)
