"""What `start` refuses, and what a running system refuses: one clear error, before anything starts."""

from __future__ import annotations

import re
from contextlib import nullcontext
from importlib import import_module

import pytest

import slither_actors as slither
from slither_actors import InvalidOption, UnknownPool
from slither_actors.otp import ChildSpec, Server
from slither_actors.system import grow
from slither_actors.system._runs import check_session

NAN = float("nan")


class Child(Server):
    pass


class Plain(slither.Pipe):
    step = slither.worker("m:f")


class Strange(slither.Pipe):
    step = slither.worker("m:f", pool="gpu")


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*given: object) -> None:
        raise AssertionError("a host was launched")

    monkeypatch.setattr(import_module("slither_actors.system.start"), "WaitingHost", lambda preload: nullcontext())
    monkeypatch.setattr(grow, "launch", launch)


A_NAME = "letters, digits, _ and -, beginning with a letter or _, at most 64"
A_SIZE = "a number of workers, 1 to 512"
NO_STORES = "[], since stores are not part of this version"
SPECS = "ChildSpec(id, actor class, args)"
A_COUNT = "a whole number of at least 1"


@pytest.mark.parametrize(
    ("options", "culprit", "allowed"),
    [
        *[({"name": wrong}, "name", A_NAME) for wrong in ("", 0, True, 8, NAN, "a/b", "../x", "a" * 65)],
        *[({"pools": wrong}, "pools", 'such as {"default": 2}') for wrong in (0, True, "8", ["default"], NAN)],
        *[({"pools": {wrong: 1}}, "pools", A_NAME) for wrong in ("", 0, True, None, "a/b")],
        *[({"pools": {"a": n}}, "pools['a']", A_SIZE) for n in (0, True, "8", -1, NAN, None, 1.5, 513)],
        *[({"base": wrong}, "base", '"unix" or "tcp"') for wrong in ("udp", 0, True, None)],
        *[
            ({"base": "tcp", "trusted_network": wrong}, "trusted_network", "True for base")
            for wrong in (False, 1, None)
        ],
        *[({"stores": wrong}, "stores", NO_STORES) for wrong in ([int], [1], 0, True, "8", NAN, None)],
        *[({"config": wrong}, "Config", "a Config or a mapping") for wrong in (0, True, "8", NAN, ["dispatch"])],
        ({"trusted_network": "no"}, "trusted_network", "True or False"),
        ({"config": {"pools": 1}}, "pools", "bridge, dispatch, queue_limit_bytes, sessions, stores"),
        ({"config": {"stores": [int]}}, "stores", NO_STORES),
        ({"config": {"dispatch": {"batch_size": 8}}}, "batch_size", "did you mean 'default_batch_size'?"),
        *[
            ({"config": {"dispatch": {f"default_{name}": wrong}}}, f"default_{name}", allowed)
            for name, allowed in (
                ("batch_size", A_COUNT),
                ("max_in_flight", A_COUNT),
                ("ordering", "'preserve', 'as_completed'"),
                ("on_error", '"halt", "skip", Halt(), Skip(), Retry() or Route(...)'),
            )
            for wrong in (0, True, "8", -1, NAN, None)
        ],
        *[({"config": {"bridge": {"default_scope": w}}}, "default_scope", "'global'") for w in ("run", 0, None)],
        *[({"pipes": wrong}, "pipes", "a list of pipe classes") for wrong in (Plain, 0, True, "8", NAN, None)],
        *[({"pipes": [wrong]}, "pipe", "a subclass of slither_actors.Pipe") for wrong in (slither.Pipe, int, "8", 0)],
        *[({"children": wrong}, "children", SPECS) for wrong in (ChildSpec("a", Child), 0, "8", None)],
        *[({"children": [wrong]}, "children", SPECS) for wrong in (Child, 0, True, "8", None)],
        ({"children": [ChildSpec("a", Child), ChildSpec("a", Child)]}, "children", "one child per id"),
        *[
            ({"children": [ChildSpec("a", wrong)]}, "children, start of 'a'", "a subclass of slither_actors.otp.Server")
            for wrong in (int, print, 8, Child())
        ],
    ],
)
def test_start_refuses_a_wrong_value_by_name(options: dict[str, object], culprit: str, allowed: str) -> None:
    with pytest.raises(InvalidOption, match=rf": {re.escape(culprit)} is .*{re.escape(allowed)}"):
        slither.start(**options)  # type: ignore[arg-type]


def test_a_pipe_that_wants_an_unknown_pool_is_refused_before_anything_starts() -> None:
    with pytest.raises(UnknownPool) as caught:
        slither.start(pools={"cpu": 1}, pipes=[Strange])
    assert str(caught.value) == "no pool is called 'gpu'; this system has: cpu"
    assert caught.value.__notes__ == ["stage step of pipe Strange wants it"]


def test_what_is_right_gets_as_far_as_the_host() -> None:
    children = (ChildSpec("a", Child), ChildSpec("b", "m:Child"))
    with pytest.raises(AssertionError, match="a host was launched"):
        slither.start(
            name="shop",
            stores=[],
            pools={"default": 1, "gpu": 512},
            pipes=iter([Plain, Strange]),
            children=iter(children),
            config={"stores": [], "dispatch": {"default_on_error": slither.Skip()}, "bridge": {}},
            base="unix",
        )


@pytest.mark.parametrize("wrong", [0, True, 8, "", NAN, ["a"]])
def test_a_session_is_named_by_a_text(wrong: object) -> None:
    with pytest.raises(InvalidOption, match=r"pipe run: session_id is .*; allowed: None, or a text that is not empty"):
        check_session(wrong)
