"""Messages to and from workers and pools."""

from __future__ import annotations

from typing import Any

from slither_actors._code import Code
from slither_actors._message import message
from slither_actors.context import SealedContext
from slither_actors.errors import ItemError, PoolQuarantined, SlitherError
from slither_actors.otp.ref import Ref
from slither_actors.workers._salvage import Loss
from slither_actors.workers.parcel import Parcel
from slither_actors.workers.sessions import SessionTicket


@message
class Job:
    """What to run, and for whom; sent to a worker with the first batch of a run that it sees. `parcel_size` is how many
    results a parcel may have, 0 for any number: whoever comes next takes no more at once. Where it `keeps_ids`, results
    have the ids of the items that they were made of."""

    executor: Code
    context: SealedContext
    session: SessionTicket | None = None
    parcel_size: int = 0
    keeps_ids: bool = False


# Dispatchers number their batches from here; calls on each worker have lower numbers.
FIRST_BATCH = 1 << 32


@message
class RunBatch:
    """To a worker: run this batch. `number` is unique among all batches of the sender. Answered by `BatchDone` or
    `BatchFailed`; a death before that is noticed by the supervisor."""

    number: int
    run: str
    job: Job | None
    parcels: tuple[Parcel, ...]


@message
class BatchDone:
    """From a worker: the results, in the order of the items. `losses` are items that it could not even read."""

    number: int
    parcels: tuple[Parcel, ...]
    seconds: float
    losses: tuple[Loss, ...]


@message
class BatchFailed:
    """From a worker: the batch failed, after so many seconds. `fatal` when the run cannot work at all (its function
    cannot be imported)."""

    number: int
    error: ItemError | SlitherError
    fatal: bool
    seconds: float


@message
class RunOnce:
    """To a worker: call this function once, without items. Answered by `OnceDone`."""

    number: int
    executor: Code
    context: SealedContext


@message
class OnceDone:
    """From a worker: what the function returned, encoded, or why it did not."""

    number: int
    result: Any
    error: SlitherError | None


@message
class EndRun:
    """To a worker: forget this run and its state."""

    run: str


@message
class EndSession:
    """To a worker or a stage: forget this session and its state, after its stop hook has run. A worker answers with
    `BatchDone` where `number` is not 0."""

    number: int
    key: str


@message
class Vacate:
    """To a worker: forget the runs of the dispatcher at `holder`, which is dead; an empty one means nobody. Answered by
    `Vacated` when everything before it is done."""

    holder: str


@message
class Vacated:
    """From a worker: it does nothing for `holder` any more."""

    holder: str


@message
class LeaseRequest:
    """To a pool: the sender can use `want` workers in all, counting those it has. `lost` is one it had that is dead."""

    want: int
    lost: Ref | None = None


@message
class WorkersClaimed:
    """To a new pool: batches of the sender are still with these workers, which an earlier pool had leased to it."""

    workers: tuple[Ref, ...]


@message
class LeaseGranted:
    """From a pool: this worker is yours until you return it."""

    worker: Ref


@message
class WorkerRequest:
    """To a pool: the sender wants this very worker. Answered by `LeaseGranted`; before that by `WorkerTaken` if another
    holds it, which is asked to return it."""

    worker: Ref


@message
class WorkerTaken:
    """From a pool: another holds this worker, and was asked to return it."""

    worker: Ref


@message
class LeaseAnswer:
    """From a pool, after what it could grant for a request of `want`; more comes when others give it up."""

    want: int


@message
class LeaseRecalled:
    """From a pool: return this worker when its batches are done. With `turn` others wait for any worker, and the holder
    may finish its turn; otherwise this one gets nothing more to do, since it retires or somebody waits for it alone."""

    worker: Ref
    turn: bool = False


@message
class LeaseRefused:
    """From a pool, in the place of a `LeaseAnswer` or after one: no worker is there, nor will be soon. The request is
    forgotten."""

    error: PoolQuarantined


@message
class WorkerRetires:
    """From a pool, to whoever asks for workers by name: nothing new is to be begun in this one."""

    worker: Ref


@message
class LeaseReturned:
    """To a pool: this worker has no batch of mine any more. `want` is what a `LeaseRequest` would say, without an
    answer; `None` if it has not changed. `instead` is one that was recalled for the end of its turn: it is busy, and I
    keep it."""

    worker: Ref
    want: int | None = None
    instead: Ref | None = None


@message
class WatchStaff:
    """To a supervisor of workers, from the pool: send me `Staffing`, now and whenever it changes. It tells its
    `incarnation`, since what a dead pool had asked may be heard behind what the next one asks."""

    incarnation: int


@message
class Staffing:
    """From a supervisor of workers: `retiring` are those that are to end as soon as they are empty, `missed` the names
    of those in quarantine, `refusal` is the reason if that is all of them."""

    retiring: tuple[Ref, ...]
    missed: tuple[str, ...]
    refusal: PoolQuarantined | None


@message
class WorkerEmpty:
    """From a pool to its supervisor of workers: nobody holds this worker, which retires, nobody will, and nothing that
    would be lost lives in it."""

    worker: Ref


@message
class ListWorkers:
    """Call to a supervisor of workers: those that are up and do not retire, as a tuple of `Ref`, and the names of these
    and of those that will be up again in a moment. `PoolQuarantined` if there are none."""


@message
class CountWorkers:
    """Call to a supervisor of workers: its figures, as `Staff.figures` gives them."""


@message
class ResizePool:
    """Call to a supervisor of workers: have so many. Answered when those that are new are up."""

    size: int


@message
class CountLeases:
    """Call to a pool: its figures, as `LeaseBook.figures` gives them."""
