"""Pipes as graphs, where an earlier design went wrong: branches behind routers, runs without a session, streams that
begin before their input ends, stores that are not there."""

from __future__ import annotations

import itertools

import pytest

import slither_actors as slither
from slither_actors import PipeError, UnknownStore
from tests.system.running import a_system, processes

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("tidy"), pytest.mark.xdist_group("graphs")]


@pytest.fixture(scope="module")
def system(tidy):
    with a_system(pools={"default": 1}) as system:
        yield system


def payloads(items):
    return [item.payload for item in items]


def batch_name(values):
    return [f"{value} worked" for value in values]


class Branches(slither.Pipe):
    first = slither.router((lambda item: item.payload < 2, "small"), (lambda item: item.payload > 7, "far"))
    middle = slither.local(lambda item: f"{item.payload} middle", then="work")
    small = slither.local(lambda item: slither.Emit([f"{item.payload} small", slither.RouteTo("tiny", item.payload)]))
    work = slither.worker(batch_name)
    last = slither.router((lambda item: "middle" in item.payload, "tiny"))
    outputs = ["tiny", "far"]


def test_every_branch_behind_a_router_goes_on_through_its_own_stages(system):
    outputs = system.run_pipe(Branches, [0, 5, 9, 1])
    assert payloads(outputs.far) == [9]
    assert payloads(outputs.default) == ["0 small worked", "1 small worked"]
    assert sorted(map(str, payloads(outputs.tiny))) == ["0", "1", "5 middle worked"]
    ids = {item.parent_id for item in outputs.default}
    assert ids == {item.parent_id for item in outputs.tiny if item.parent_id is not None}, "both name the same parents"
    assert [item.index for item in outputs.default] == [0, 0], "also behind a worker"
    assert {item.payload: item.index for item in outputs.tiny} == {0: 1, 1: 1, "5 middle worked": None}


class Told(slither.Pipe):
    local = slither.local(lambda item, ctx: [ctx.session_id])
    own = slither.local(lambda item, ctx: [*item.payload, ctx.session_id])


def test_runs_without_a_session_have_ids_of_their_own_and_all_stages_of_one_the_same(system):
    told = [payloads(system.run_pipe(Told, [1, 2]).default) for _ in range(2)]
    ids = [{one for ids in run for one in ids} for run in told]
    assert all(len(found) == 1 and None not in found for found in ids)
    assert ids[0] != ids[1]


class Wants(slither.Pipe):
    stores = ["Nowhere"]
    step = slither.local(lambda item: item)


def test_a_store_that_is_not_there_is_told_before_anything_starts(system):
    with pytest.raises(UnknownStore, match="Nowhere"):
        system.run_pipe(Wants, [1])
    assert not any("Wants" in name for name in processes(system))


class Failing(slither.Pipe):
    @slither.local
    def step(item):
        if item.payload == 3:
            raise ValueError("three")
        return item.payload


def test_a_stream_begins_before_its_input_ends_and_its_error_comes_behind_what_was_finished(system):
    pulled = []
    source = (pulled.append(number) or number for number in itertools.count(4))
    with system.stream_pipe(Failing, source) as stream:
        assert next(stream).payload == 4
        assert len(pulled) < 1000
    got = []
    stream = system.stream_pipe(Failing, range(10))
    with pytest.raises(PipeError, match="three"):
        got.extend(item.payload for item in stream)
    assert got == [0, 1, 2]
