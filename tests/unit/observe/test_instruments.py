"""The instruments measure what events really carry, under names that every tool takes, with few series each."""

from __future__ import annotations

import re

import pytest

from slither_actors import telemetry
from slither_actors.observe._figures import FIGURES
from slither_actors.observe._instruments import BUCKETS_S, INSTRUMENTS, RULES

# By hand: neither has a name of its own in any event.
DERIVED = {"end": None, "branch": "supervisor"}
# What there is ever more of, the longer a service runs.
ENDLESS = {
    "run",
    "session",
    "batch",
    "batch_ref",
    "worker",
    "process",
    "supervisor",
    "pid",
    "trace",
    "error",
    "version",
}

KINDS = {kind.name: kind for kind in telemetry.EVENTS}
RULES_ONE_BY_ONE = [(event, rule) for event, rules in RULES.items() for rule in rules]


@pytest.mark.parametrize("event", RULES, ids=".".join)
def test_what_feeds_an_instrument_is_an_event_of_the_catalogue(event):
    kind = KINDS[event]
    for rule in RULES[event]:
        if rule.measurement is not None and not (event[-1] == "exception" and rule.measurement == "items_out"):
            assert rule.measurement in kind.measurements


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda one: one.name)
def test_labels_are_what_its_events_carry_and_not_without_end(one):
    carried = set().union(*(KINDS[event].metadata for event, rule in RULES_ONE_BY_ONE if rule.instrument is one))
    for label in one.labels:
        assert label == "operation" or DERIVED.get(label, label) in {*carried, None}
        assert label not in ENDLESS


@pytest.mark.parametrize("one", [*INSTRUMENTS, *FIGURES], ids=lambda one: one.name)
def test_names_and_units_are_what_tools_take(one):
    assert re.fullmatch(r"slither(\.[a-z_]+)+", one.name)
    assert (one.unit == "s") == (one.kind == "histogram") == one.name.endswith(".duration")
    assert one.unit == "s" or re.fullmatch(r"\{[a-z]+\}", one.unit)
    assert one.doc.endswith(".")
    assert len(set(one.labels)) == len(one.labels)


def test_no_two_have_one_name():
    names = [one.name for one in (*INSTRUMENTS, *FIGURES)]
    assert len(set(names)) == len(names)


def test_every_end_of_the_catalogue_is_measured():
    """An event that nobody thought of here is an instrument that is missing."""
    ends = {kind.name for kind in telemetry.EVENTS if kind.measurements and kind.name[-1] != "start"}
    assert ends - RULES.keys() == set()


def test_the_bounds_of_histograms_rise():
    assert list(BUCKETS_S) == sorted(set(BUCKETS_S))
