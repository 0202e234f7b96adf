"""What may happen once in a thousand runs, made to happen: the order of events is played by hand up to there."""

import pytest

from slither_actors import Pipe, local, worker
from slither_actors._code import Code
from slither_actors.config import Config
from slither_actors.context import Context
from slither_actors.dispatch.messages import CloseRun, OpenRun
from slither_actors.dispatch.options import DispatchOptions
from slither_actors.testing._faults import Faults
from slither_actors.testing._play import playing
from slither_actors.testing._service import attended
from slither_actors.workers.messages import RunBatch, Vacate


def same(payloads):
    return payloads


class Two(Pipe):
    @local
    def first(item):
        return item.payload

    second = worker(same, batch_size=2)


@pytest.fixture
def play():
    with playing(1, Faults(workers=1, laziness=0.0, repeats=0.0), Config()) as play, attended(play._parties):
        yield play


def under_way(play, kind):
    """The channels in which such a message is the next one."""
    heads = {channel: messages[0] for channel, messages in play.world.channels.items()}
    return [channel for channel, head in heads.items() if isinstance(head, kind)]


def held_back(play, kind):
    """Nothing behind such a message arrives for now; returns what lets it."""
    channels = {channel: play.world.channels.pop(channel) for channel in under_way(play, kind)}
    assert channels

    def release():
        for (sender, to), messages in channels.items():
            for message in messages:
                play.world._put(sender, to, message)
        return list(channels)

    return release


def test_a_node_that_dies_while_others_are_opened_is_waited_for(play):
    log = play.pipe(Two, range(10), Context())
    play.world.play(lambda: len(under_way(play, OpenRun)) == 2)
    second = next(channel for channel in under_way(play, OpenRun) if channel[1].endswith("/second#1"))
    play.world.deliver(second)
    play.tree.death(second[1], "SIGKILL", "is killed")  # it was ready, and the other one is not
    assert under_way(play, OpenRun)
    play.go()
    assert (log.how, len(log.got)) == ("done", 10)


def test_the_end_of_an_attempt_to_open_a_run_is_not_that_of_the_next(play):
    log = play.pipe(Two, range(10), Context())
    play.world.play(lambda: len(under_way(play, OpenRun)) == 2)
    first, second = sorted(under_way(play, OpenRun), key=lambda channel: channel[1])
    play.world.deliver(first)
    play.tree.death(second[1], "SIGKILL", "is killed")
    play.world.play(lambda: first in under_way(play, CloseRun))
    release = held_back(play, CloseRun)
    play.world.play(lambda: bool(log.pulled))
    for channel in release():
        play.world.deliver(channel)
    play.go()
    assert (log.how, len(log.got)) == ("done", 10)


def test_a_worker_does_what_a_dead_dispatcher_had_sent_before_it_forgets_it(play):
    log = play.dispatch(range(2), Code.of(same), DispatchOptions(batch_size=1))
    play.world.play(lambda: bool(under_way(play, RunBatch)))
    (channel,) = under_way(play, RunBatch)
    batches = play.world.channels.pop(channel)
    play.tree.death(channel[0], "SIGKILL", "is killed")
    play.world.play(lambda: any(head[1] == channel[1] for head in under_way(play, Vacate)))
    play.world.channels[channel] = batches
    play.world.deliver(next(head for head in under_way(play, Vacate) if head[1] == channel[1]))
    play.go()
    assert log.how == "halted"


@pytest.mark.parametrize("dies", ["leases", "second"])
def test_a_batch_whose_dispatcher_lives_outlasts_its_pool_and_no_other_does(dies):
    with (
        playing(1, Faults(workers=1, laziness=0.0, seconds=9.0), Config()) as play,
        attended(play._parties),
    ):
        log = play.pipe(Two, range(2), Context())
        play.world.play(lambda: bool(play._book.executions))
        for name in ("pools/default/leases", f"pipes/Two-1/{dies}"):
            ref = play.tree.find(name)
            if ref is not None:
                play.tree.death(ref.address, "SIGKILL", "is killed")
        play.go()
    workers = [name for name in play.tree.deaths if "worker" in name]
    if dies == "leases":
        assert (log.how, len(log.got), workers) == ("done", 2, [])
    else:
        assert (log.how, len(workers)) == ("halted", 1)
        assert play.world.now < 9.0, "nobody waits for the end of the batch"
