"""Context: travels light, and leaves its state behind."""

import pickle
import threading
import types

import attrs
import pytest

from slither_actors import Store, Table
from slither_actors.context import Context, SealedContext
from slither_actors.errors import InvalidOption, NotDecodable, NotPicklable, UnknownStore

FULL = Context("Score", "predict", "s-1", "r-1", {"tenant": "a"}, {"traceparent": "00-a-b-01"})


def test_everything_is_optional():
    context = Context()
    assert attrs.astuple(context, filter=lambda field, _: field.init) == (None, None, None, None, {}, {})
    assert context.state == {}


@pytest.mark.parametrize("context", [Context(), FULL])
def test_a_context_survives_pickling(context):
    assert pickle.loads(pickle.dumps(context)) == context


def test_state_stays_in_its_process():
    received = pickle.loads(pickle.dumps(FULL.bind({"model": "heavy"})))
    assert received.state == {}


def test_a_bound_context_shows_the_very_dict_and_the_original_does_not():
    state: dict[str, object] = {}
    bound = FULL.bind(state)
    bound.state["seen"] = 1
    assert state == {"seen": 1}
    assert bound.state is state
    assert bound == FULL
    assert FULL.state == {}


def test_an_unbound_context_keeps_what_is_put_into_its_state():
    context = Context()
    context.state["n"] = 1
    assert context.state == {"n": 1}
    assert Context().state == {}


def test_a_sealed_context_is_opened_in_each_stage_with_a_state_of_its_own():
    sealed = pickle.loads(pickle.dumps(SealedContext.of(FULL.bind({"n": 1}))))
    assert sealed.open() == FULL
    other = sealed.with_stage("route").open()
    assert other == attrs.evolve(FULL, stage="route")
    assert other.state == {}


def test_a_sealed_context_is_passed_on_without_being_read():
    sealed = SealedContext.of(Context(metadata={"tenant": Foreign()}))
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(sealed)).with_stage("s")))
    with pytest.raises(NotDecodable, match=r"metadata.*cannot be read in the process.*ImportError: not installed"):
        again.open()


class Foreign:
    """Its class is missing where it arrives."""

    def __reduce__(self):
        return _missing, ()


def _missing():
    raise ImportError("not installed")


def test_metadata_may_hold_what_pickle_alone_does_not_take():
    opened = pickle.loads(pickle.dumps(SealedContext.of(Context(metadata={"f": lambda: 5})))).open()
    assert opened.metadata["f"]() == 5


def test_metadata_that_cannot_travel_are_named():
    with pytest.raises(NotPicklable, match=r"^metadata\['lock'\] cannot be sent to another process: TypeError"):
        SealedContext.of(Context(metadata={"a": 1, "lock": threading.Lock()}))


def test_metadata_are_a_mapping_and_are_copied():
    given = {"a": 1}
    context = Context(metadata=types.MappingProxyType(given))
    given["a"] = 2
    assert context.metadata == {"a": 1}
    assert Context(metadata=None).metadata == {}


@pytest.mark.parametrize("wrong", [5, 0, "text", "", [("a", 1)], []])
def test_metadata_of_another_kind_are_refused(wrong):
    with pytest.raises(InvalidOption) as caught:
        Context(metadata=wrong)
    assert str(caught.value) == f"Context: metadata is {wrong!r}; allowed: a mapping of names to values"


def test_headers_of_tracing_that_are_added_to_a_sealed_context_take_the_place_of_its_own():
    added = pickle.loads(pickle.dumps(SealedContext.of(FULL).with_trace({"b3": "0"}).with_stage("route")))
    assert added.open() == attrs.evolve(FULL, stage="route", trace={"b3": "0"})
    assert SealedContext.of(FULL).with_trace({}).open().trace == {}
    assert Context(trace=None).trace == {}


@pytest.mark.parametrize("wrong", [5, "text", {"a": 1}, {1: "a"}, [("a", "b")]])
def test_headers_that_are_no_texts_are_refused(wrong):
    with pytest.raises(InvalidOption) as caught:
        Context(trace=wrong)
    assert str(caught.value) == f"Context: trace is {wrong!r}; allowed: a mapping of names of headers to their texts"


def test_a_context_is_frozen_hashable_and_prints_no_state():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FULL.stage = "x"  # type: ignore[misc]
    assert hash(FULL) == hash(pickle.loads(pickle.dumps(FULL)))
    assert "heavy" not in repr(FULL.bind({"model": "heavy"}))


def test_a_context_pickles_small():
    assert len(pickle.dumps(Context(), 5)) < 70


def test_a_store_that_is_not_there_is_called_by_its_name() -> None:
    class Features(Store):
        rows = Table()

    for store, name in (("eu", "eu"), (Features, "Features"), (Features.named("us"), "us")):
        with pytest.raises(UnknownStore, match=f"^no store is called '{name}'; this system has: none$"):
            Context().store(store)
