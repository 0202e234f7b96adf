"""What `start` refuses, and what a running system refuses: one clear error, before anything starts."""

from __future__ import annotations

import errno
import os
import re
import resource
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest

import slither_actors as slither
from slither_actors import InvalidOption, UnknownPool
from slither_actors.otp import ChildSpec, Server
from slither_actors.system import grow
from slither_actors.system._runs import check_session
from slither_actors.system.stores import check_stores
from tests.helpers.stores import Features

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


class Rows(slither.Store):
    rows = slither.Table()


A_NAME = "letters, digits, _ and -, beginning with a letter or _, at most 64"
A_SIZE = "a number of workers, 1 to 512"
STORES = "subclasses of slither_actors.Store, or Store.named(...)"
PATHS = "paths of store classes that can be imported here"
A_LIST = "a list of store classes, or of Store.named(...)"
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
        *[({"stores": wrong}, "stores", STORES) for wrong in ([int], [1], [slither.Store])],
        *[({"stores": wrong}, "stores", A_LIST) for wrong in (0, True, "8", NAN, None)],
        ({"stores": [Rows, Rows]}, "stores", "one store per name; Store.named(...) gives another one"),
        ({"stores": [Rows, Rows.named("Rows")]}, "stores", "one store per name"),
        ({"stores": [Rows, Rows], "config": {"stores": [Rows]}}, "stores", "one store per name"),
        ({"config": {"stores": [Rows, Rows]}}, "stores", "one store per name"),
        *[({"config": wrong}, "config", "a Config, a mapping") for wrong in (0, True, NAN, ["dispatch"])],
        ({"config": "8"}, "file", "the path of a TOML file"),
        ({"trusted_network": "no"}, "trusted_network", "True or False"),
        ({"config": {"pools": 1}}, "pools", "bridge, dispatch, queue_limit_bytes, sessions, stopped_limit_s, stores"),
        *[({"config": {"stores": [w]}}, "stores", STORES) for w in (int, "builtins:int")],
        *[({"config": {"stores": [w]}}, "stores", PATHS) for w in ("no.such:Store", "builtins:Store", "Rows", "")],
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


def test_start_reads_the_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLITHER_DISPATCH__DEFAULT_BATCHSIZE", "3")
    with pytest.raises(InvalidOption, match="environment: SLITHER_DISPATCH__DEFAULT_BATCHSIZE is not an option"):
        slither.start()
    monkeypatch.delenv("SLITHER_DISPATCH__DEFAULT_BATCHSIZE")
    (tmp_path / "slither.toml").write_text("stores = ['no.such:Store']")
    with pytest.raises(InvalidOption, match=r"slither.toml: stores is 'no.such:Store' \(there is no module 'no'\)"):
        slither.start()


def test_stores_of_a_config_may_be_paths() -> None:
    path = "tests.helpers.stores:Features"
    [named] = check_stores((), slither.Config(stores=[path]))
    assert (named.name, named.store) == ("Features", Features)
    assert [store.name for store in check_stores([Rows], slither.Config(stores=[path]))] == ["Features", "Rows"]


def test_a_store_of_the_argument_and_of_the_configuration_is_started_once() -> None:
    path = "tests.helpers.stores:Features"
    for given in (Features, Features.named("Features")):
        [named] = check_stores([given], slither.Config(stores=[path]))
        assert (named.name, named.store) == ("Features", Features)


def test_two_stores_of_one_name_are_told_with_their_places(tmp_path: Path) -> None:
    path = "tests.helpers.stores:Features"
    file = tmp_path / "slither.toml"
    file.write_text(f"stores = ['{path}']")
    for given in (Rows.named("Features"), Features.named("Features", tmp_path / "tables")):
        for config, source in (
            (slither.Config.load(file=file, environ={}), str(file)),
            (slither.Config.load(file=file, environ={"SLITHER_STORES": path}), "SLITHER_STORES"),
            (slither.Config(stores=[path]), "config"),
        ):
            with pytest.raises(InvalidOption, match=f"two called 'Features', in the argument and in {source}; allowed"):
                check_stores([given], config)


def test_a_pipe_that_wants_an_unknown_pool_is_refused_before_anything_starts() -> None:
    with pytest.raises(UnknownPool) as caught:
        slither.start(pools={"cpu": 1}, pipes=[Strange])
    assert str(caught.value) == "no pool is called 'gpu'; this system has: cpu"
    assert caught.value.__notes__ == ["stage step of pipe Strange wants it"]


def test_two_durable_stores_cannot_share_a_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for other in (tmp_path / "a" / ".", tmp_path / "link"):
        with pytest.raises(InvalidOption, match=r"'one' and 'two' at .*; allowed: one path each"):
            slither.start(stores=[Rows.named("one", tmp_path / "a"), Rows.named("two", other)])


def test_a_directory_that_others_may_enter_is_no_place_for_a_store(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(InvalidOption, match=r"open to others \(mode 755, wanted 700\); allowed: a directory of your"):
        slither.start(stores=[Rows.named("one", tmp_path)])
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("file", "dangling"):
        with pytest.raises(InvalidOption, match=r"one with path .*: it is no directory; allowed: a directory"):
            slither.start(stores=[Rows.named("one", tmp_path / name)])
    with pytest.raises(InvalidOption, match=r"one with path .*: (it is too deep|File name too long); allowed:"):
        slither.start(stores=[Rows.named("one", tmp_path / ("a/" * 3000))])


class Looks(slither.Store):
    rows = slither.Table()

    @slither.view
    def look(self, params: dict[str, object], ctx: slither.Context) -> object:
        return None


class OtherLooks(Looks):
    pass


def test_two_global_views_of_one_name_are_refused() -> None:
    config = {"bridge": {"default_scope": "global"}}
    with pytest.raises(slither.DuplicateView, match=r"view 'look'; call one of: 'Looks\.look', 'o\.look'; or rename"):
        slither.start(stores=[Looks, OtherLooks.named("o")], config=config)


def test_a_pipe_that_names_a_store_which_is_not_there_is_refused() -> None:
    class Named(slither.Pipe):
        step = slither.worker("m:f")
        stores = [Rows]

    with pytest.raises(slither.UnknownStore, match="no store is called 'Rows'; this system has: Looks") as caught:
        slither.start(stores=[Looks], pools={"default": 1}, pipes=[Named])
    assert caught.value.__notes__ == ["pipe Named names it"]


def test_what_is_right_gets_as_far_as_the_host() -> None:
    children = (ChildSpec("a", Child), ChildSpec("b", "m:Child"))
    with pytest.raises(AssertionError, match="a host was launched"):
        slither.start(
            name="shop",
            stores=iter([Rows, Looks, Looks.named("other")]),
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


def test_a_file_without_room_behind_the_start_of_the_host_is_a_failed_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LaunchedHost:
        directory = tmp_path / "slither-0-full"
        ended = False

        def end(self, timeout_s: float) -> None:
            self.ended = True

    def enter(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    host = LaunchedHost()
    monkeypatch.setattr(grow, "launch", lambda *given: host)
    monkeypatch.setattr(grow, "enter_stores", enter)
    with pytest.raises(slither.StartError) as caught:
        slither.start(name="full", pools={"default": 1})

    assert str(caught.value) == f"system full did not start: {host.directory}: No space left on device"
    assert host.ended


@pytest.mark.parametrize(("limit", "size", "needed"), [(31, 1, 32), (109, 16, 110), (1024, 200, 1214)])
def test_a_limit_of_open_files_that_is_too_low_for_the_tree_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, limit: int, size: int, needed: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    with pytest.raises(slither.StartError) as caught:
        slither.start(name="many", pools={"a": 1, "b": size})

    assert str(caught.value) == (
        f"system many did not start: a process of it needs {needed:,} file descriptors, and the limit is {limit:,}; "
        "raise it (ulimit -n)"
    )


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, 110])
def test_a_limit_of_open_files_that_may_do_is_none_of_ours(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    with pytest.raises(AssertionError, match="a host was launched"):
        slither.start(pools={"a": 16})
