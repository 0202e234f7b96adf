"""What a store class may declare. Every refusal names the culprit, and what is allowed in its place."""

import cloudpickle
import pytest

import slither_actors as slither
from slither_actors import DefinitionError, InvalidOption, StoreUnavailable
from slither_actors.store.definition import ViewSpec
from slither_actors.store.store import as_named


class Features(slither.Store):
    features = slither.Table()
    tags = slither.Table(kind="bag", codec="json")

    def load(self, tables):
        tables.features.put("a", 1)

    @slither.view
    def look(self, params, ctx):
        return self.features.get(params["key"])

    @slither.view(mode="batch", scope="global", timeout_s=1.5)
    def look_all(self, params, ctx):
        return [self.features.get(one["key"]) for one in params]


def declared(**body):
    """A store called S, made without a class statement."""
    return type(slither.Store)("S", (slither.Store,), {"rows": slither.Table(), **body})


def refusal(**body):
    with pytest.raises(DefinitionError) as caught:
        declared(**body)
    return str(caught.value)


def test_tables_and_views_stand_in_the_definition_in_their_order():
    definition = Features.definition
    assert definition.name == "Features"
    assert [(one.name, one.kind, one.codec) for one in definition.tables] == [
        ("features", "set", "pickle"),
        ("tags", "bag", "json"),
    ]
    assert definition.views == (
        ViewSpec("look", "scalar", None, 5.0),
        ViewSpec("look_all", "batch", "global", 1.5),
    )


def test_a_table_of_the_class_is_its_declaration_and_a_view_stays_a_method():
    assert Features.features.kind == "set"
    assert callable(Features.look)


def test_a_store_made_by_hand_says_who_gives_its_tables():
    with pytest.raises(StoreUnavailable, match="made by hand"):
        _ = Features().features


def test_what_a_subclass_puts_in_the_place_of_a_table_counts():
    class More(Features):
        tags = slither.Table(kind="set")
        features = None
        look = None
        other = slither.Table(kind="ordered_set")

    assert [(one.name, one.kind) for one in More.definition.tables] == [
        ("tags", "set"),
        ("other", "ordered_set"),
    ]
    assert [view.name for view in More.definition.views] == ["look_all"]


def test_a_table_or_view_declared_twice_is_noticed_where_the_second_one_stands():
    with pytest.raises(DefinitionError) as caught:

        class S(slither.Store):
            rows = slither.Table()

            @slither.view
            def rows(self, params, ctx):  # noqa: F811
                return None

    assert str(caught.value) == "store S, rows: this name is used twice; allowed: each name once"


@pytest.mark.parametrize(
    "name", ["reload", "snapshot", "version", "transaction", "load", "named", "definition", "name", "dump", "table"]
)
def test_names_that_mean_something_in_stores_or_their_handles_are_refused(name):
    assert "this name means something else in a store, or in its handle" in refusal(**{name: slither.Table()})


@pytest.mark.parametrize("name", ["_rows", "class", "größe"])
def test_names_that_are_no_plain_identifiers_are_refused(name):
    assert "is no name here" in refusal(**{name: slither.Table()})


def test_a_store_without_a_table_is_refused():
    with pytest.raises(DefinitionError, match=r"store S: it has no table; allowed: features = slither.Table\(\)"):

        class S(slither.Store):
            pass


@pytest.mark.parametrize("count", [120, 121])
def test_a_store_has_so_many_tables_and_no_more(count):
    body = {f"t{number}": slither.Table() for number in range(count)}
    if count == 120:
        assert len(type(slither.Store)("S", (slither.Store,), body).definition.tables) == count
    else:
        with pytest.raises(DefinitionError, match=r"store S: it has 121 tables; allowed: 120 tables"):
            type(slither.Store)("S", (slither.Store,), body)


def load_without_tables(self):
    pass


async def load_later(self, tables):
    pass


def load_in_pieces(self, tables):
    yield


def view_of_one(self, params):
    pass


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"load": load_without_tables}, r"store S, load: its parameters are \(\); allowed: load\(self, tables\)"),
        ({"load": load_later}, "store S, load: it is async"),
        ({"load": load_in_pieces}, "store S, load: it is a generator, whose body nobody would run"),
        ({"laod": lambda self, tables: None}, "store S, laod: nobody calls it .did you mean 'load'"),
        ({"__init__": lambda self: None}, "store S: it overrides __init__, which belongs to the library"),
        ({"more": slither.Table}, r"store S, more: it is the class Table itself; allowed: slither.Table\(\)"),
        ({"look": slither.view(view_of_one)}, r"store S, view look: its parameters are \(params\)"),
    ],
)
def test_what_would_not_work_is_refused_when_the_class_is_defined(body, text):
    with pytest.raises(DefinitionError, match=text):
        declared(**body)


def test_one_table_under_two_names_is_refused():
    one = slither.Table()
    assert refusal(a=one, b=one).startswith("store S, table b: it is the same Table() as a")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "duplicate_bag"}, "Table: kind is 'duplicate_bag'; allowed: 'set', 'ordered_set', 'bag'"),
        ({"codec": "yaml"}, "Table: codec is 'yaml'; allowed: 'pickle', 'json'"),
        ({"keypos": 2}, "Table: keypos is not an option; allowed: codec, kind"),
    ],
)
def test_options_of_tables_are_checked(options, text):
    with pytest.raises(InvalidOption) as caught:
        slither.Table(**options)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "row"}, "view: mode is 'row'; allowed: 'scalar', 'batch'"),
        ({"scope": "run"}, "view: scope is 'run'; allowed: 'session', 'global', None"),
        ({"timeout_s": 0}, "view: timeout_s is 0; allowed: a finite number of seconds above 0"),
        ({"timeout_s": float("inf")}, "view: timeout_s is inf"),
        ({"timeout": 1}, "view: timeout is not an option"),
    ],
)
def test_options_of_views_are_checked(options, text):
    with pytest.raises(InvalidOption) as caught:
        slither.view(**options)
    assert str(caught.value).startswith(text)


def test_a_name_and_a_path_make_another_store_of_the_same_class(tmp_path, monkeypatch):
    named = Features.named("eu", tmp_path / "eu")
    assert (named.store, named.name, named.path) == (Features, "eu", tmp_path / "eu")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Features.named("eu", "~/eu").path == tmp_path / "eu"
    assert as_named(named, "start", "stores") is named
    assert as_named(Features, "start", "stores") == Features.named("Features")


def test_a_table_is_not_replaced_in_an_object_of_the_store():
    with pytest.raises(AttributeError, match=r"features is a table; write to it with features\.put"):
        Features().features = {}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("a/b",), "NamedStore: name is 'a/b'"),
        (("eu", 7), "named: path is 7"),
        (("eu", ""), "named: path is ''"),
        (("eu", "a\0b"), r"named: path is 'a\x00b'"),
        (("eu", "\ud800"), r"named: path is '\ud800'"),
    ],
)
def test_names_and_paths_are_checked(args, text):
    with pytest.raises(InvalidOption) as caught:
        Features.named(*args)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("wrong", [int, "Features", slither.Store, None, Features.features])
def test_what_is_no_store_is_refused(wrong):
    with pytest.raises(InvalidOption, match=r"subclasses of slither_actors.Store, or Store.named\(...\)"):
        as_named(wrong, "start", "stores")


def test_the_base_has_no_name_of_its_own_to_run_under():
    with pytest.raises(InvalidOption, match=r"a subclass of slither_actors\.Store"):
        slither.Store.named("x")


def test_a_class_that_travels_by_value_brings_its_checked_definition_along():
    class Local(Features):
        local = slither.Table(kind="bag")

    rebuilt = cloudpickle.loads(cloudpickle.dumps(Local))
    assert [table.name for table in rebuilt.definition.tables] == ["features", "tags", "local"]
