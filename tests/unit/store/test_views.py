"""Which view a name means."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import slither_actors as slither
from slither_actors import DuplicateView, UnknownStore, UnknownView
from slither_actors.store.catalogue import Catalogue, StoreEntry, check_views, find_view, visible_views
from slither_actors.store.handle import StoreHandle
from slither_actors.store.store import NamedStore
from slither_actors.store.views import ProcessStores


class Users(slither.Store):
    rows = slither.Table()

    @slither.view
    def look(self, params, ctx):
        return None

    @slither.view(scope="global")
    def everywhere(self, params, ctx):
        return None


class Items(slither.Store):
    rows = slither.Table()

    @slither.view
    def look(self, params, ctx):
        return None


def entries(directory, *stores, default_scope="session"):
    found = [StoreEntry.of(store, directory / store.name, directory, default_scope) for store in stores]
    for entry in found:
        entry.write()
    return found


def named(*stores):
    return [store if isinstance(store, NamedStore) else store.named(store.__name__) for store in stores]


def meant(found, name, visible=None):
    entry, view = find_view(visible_views(found, visible), name)
    return f"{entry.name}.{view.name}"


def test_a_run_sees_global_views_and_the_session_views_of_stores_that_it_names(tmp_path):
    found = entries(tmp_path, *named(Users, Items))
    assert sorted(visible_views(found, ())) == ["everywhere"]
    assert sorted(visible_views(found, ("Items",))) == ["everywhere", "look"]
    assert meant(found, "look", ("Items",)) == "Items.look"
    with pytest.raises(UnknownView, match="there are: everywhere"):
        meant(found, "look", ())


def test_a_name_that_several_classes_have_is_not_clear_unless_the_store_is_named(tmp_path):
    found = entries(tmp_path, *named(Users, Items))
    with pytest.raises(DuplicateView, match=r"'Users\.look', 'Items\.look'"):
        meant(found, "look")
    assert meant(found, "Items.look") == "Items.look"
    with pytest.raises(UnknownView):
        meant(found, "Nobody.look")
    with pytest.raises(DuplicateView):
        meant(entries(tmp_path, *named(Users, Items.named("other"))), "look")
    with pytest.raises(DuplicateView):
        check_views(found, ("Users", "Items"))
    check_views(found, ("Users",))


def test_of_one_class_under_several_names_the_one_of_its_own_name_is_meant(tmp_path):
    found = entries(tmp_path, *named(Users, Users.named("eu")))
    check_views(found, ("Users", "eu"))
    assert meant(found, "everywhere") == "Users.everywhere"
    assert meant(found, "eu.everywhere") == "eu.everywhere"
    others = entries(tmp_path, *named(Users.named("eu"), Users.named("us")))
    with pytest.raises(DuplicateView, match=r"'eu\.everywhere', 'us\.everywhere'"):
        meant(others, "everywhere")


def test_the_default_scope_is_for_those_that_do_not_say(tmp_path):
    found = entries(tmp_path, *named(Users), default_scope="global")
    assert {view.name: view.scope for view in found[0].views} == {"look": "global", "everywhere": "global"}


def test_a_store_is_found_by_name_and_by_class(tmp_path):
    entries(tmp_path, *named(Users.named("eu"), Items, Items.named("more")))
    catalogue = Catalogue(tmp_path)
    assert catalogue.find("eu").name == catalogue.find(Users).name == "eu", "the only one of its class"
    assert catalogue.find(Items).name == "Items"
    assert catalogue.find(Items.named("more")).name == "more"
    with pytest.raises(UnknownStore, match="this system has: Items, eu, more"):
        catalogue.find("us")


def test_a_class_that_runs_under_other_names_alone_must_be_named(tmp_path):
    entries(tmp_path, *named(Users.named("eu"), Users.named("us")))
    with pytest.raises(UnknownStore, match="no store is called 'Users'; this system has: eu, us"):
        Catalogue(tmp_path).find(Users)


def test_a_system_without_stores_has_none(tmp_path):
    with pytest.raises(UnknownStore, match="this system has: none"):
        Catalogue(tmp_path).find("Users")


def test_a_directory_is_a_path_of_the_class(tmp_path):
    (entry,) = entries(tmp_path, *named(Users))
    assert (entry.kind, entry.location.path) == (f"{__name__}:Users", Path(tmp_path, "Users"))


@pytest.mark.parametrize("call", ["look", "Items.look"])
def test_a_view_of_a_store_that_the_pipe_does_not_name_is_told_by_that_store(tmp_path, call):
    entries(tmp_path, *named(Items))
    text = f"no view is called '{call}' here; there are: none; a pipe sees those of the stores in its "
    for view in (ProcessStores(tmp_path).run((), {}).view, ProcessStores(tmp_path).run((), {}).view_batch):
        with pytest.raises(UnknownView) as caught:
            view(None, call, {})
        assert str(caught.value) == f"{text}`stores = [...]`, and this one is of Items"
    with pytest.raises(UnknownView, match=r"there are: look$"):
        ProcessStores(tmp_path).run(None, {}).view(None, "loook", {})


def test_a_handle_that_is_asked_for_a_view_tells_who_calls_it(tmp_path, engine):
    (entry,) = entries(tmp_path, *named(Items))
    assert entry.location.views == ("look",)
    location = attrs.evolve(engine.location, views=entry.location.views)
    handle = StoreHandle(location, None, engine.reader)
    with pytest.raises(
        AttributeError, match=r"'look' is a view, .*worker and stage code calls it by ctx.view\('look', "
    ):
        handle.look  # noqa: B018
    with pytest.raises(AttributeError, match="a handle of a store has no attribute 'lok'; tables of this one: users"):
        handle.lok  # noqa: B018
