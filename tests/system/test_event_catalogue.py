"""`telemetry.EVENTS` lists what is reported: all of it, with all that it carries, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors import telemetry
from slither_actors.store.views import ProcessStores
from tests.helpers import jobs
from tests.helpers.stores import Broken, Features
from tests.system.running import a_system, kill, pid_of, restarted
from tests.system.waiting import eventually, living


def fail_one(payloads: list[int]) -> list[int]:
    return [1 // (payload - 1) for payload in payloads]


POOLS = {
    "default": 1,
    "worn": slither.PoolOptions(1, recycle=slither.Recycle(batches=1)),
    "weak": slither.PoolOptions(1, quarantine=slither.Quarantine(crashes=1, within_s=600, pause_s=600, longest_s=600)),
}


class Plain(slither.Pipe):
    step = slither.local(lambda item: 1 // item.payload)
    work = slither.worker(fail_one, batch_size=1)


class Skipping(Plain):
    on_error = {"*": "skip"}


def work(system: slither.System) -> None:
    """Do work with success and without."""
    system.dispatch([1], jobs.same)
    system.run_pipe(Skipping, [0, 1, -1])
    for wrong in (0, 1):
        with pytest.raises(slither.PipeError):
            system.run_pipe(Plain, [wrong])
    for on_loss in ("error", "rebuild"):
        with system.session(on_loss=on_loss) as session:
            session.dispatch([1], jobs.same)
            with suppress(slither.DispatchError):
                session.dispatch(["kill"], jobs.mishaps)


def fall_ill(system: slither.System, events: telemetry.Captured) -> None:
    """Have workers and their supervisor do all that they can."""

    def heard(*name: str) -> None:
        eventually(lambda: events.named(("slither", *name)), f"nothing is heard of {name}")

    system.dispatch([1], jobs.same, pool="worn")
    heard("worker", "recycle")
    kill(system, "pools/weak/workers/worker-1")
    heard("worker", "quarantine")
    dispatcher = pid_of(system, "pools/default/dispatcher")
    while living({dispatcher}):
        restarted(system, "default/workers/worker-1", kill(system, "default/workers/worker-1"))
    heard("supervisor", "give_up")


def everything(system: slither.System, folder: Path) -> None:
    """Do all that is reported, with success and without."""
    store = system.store(Features)
    store.dump(folder / "dump")
    store.restore(folder / "dump")
    store.reload()
    (folder / "wrong").touch()
    for refused in (lambda: store.restore(folder / "wrong"), lambda: store.features.increment("user:42")):
        with suppress(slither.errors.SlitherError, TypeError):
            refused()
    views = ProcessStores(system._client.directory, interrupts=True)
    context = slither.Context(session_id="s").bind({}, views.run(None, {}))
    context.view("who")
    with pytest.raises(LookupError):
        context.view("broken")
    views.close()


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("stores")
def test_what_is_reported_is_what_the_catalogue_says(tidy_each: None, base: Path, tmp_path: Path) -> None:
    with telemetry.capture("slither") as events:
        with a_system(stores=[Features], pools=POOLS) as system:
            everything(system, tmp_path)
            work(system)
            fall_ill(system, events)
            (base / "orders").write_text("raise the source is down")
            with pytest.raises(slither.StoreLoadError):
                system.store(Features).reload()
            (base / "orders").unlink()
        with pytest.raises(slither.StartError):
            slither.start(stores=[Broken], pools={"default": 1})

    seen: dict[telemetry.Name, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for event in events:
        seen[event.name][0].update(event.measurements)
        seen[event.name][1].update(event.metadata)
    listed = {kind.name: (set(kind.measurements), set(kind.metadata)) for kind in telemetry.EVENTS}

    assert dict(seen) == listed
