"""Config.load: defaults, a file, the environment and an argument, key by key; and which file that is."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slither_actors._config_layers import keys_of, nested
from slither_actors.config import BridgeConfig, Config, DispatchConfig
from slither_actors.errors import InvalidOption
from slither_actors.policy import Skip
from slither_actors.transport import spawn

KEYS = keys_of(Config)
# For each key three values that differ from each other and from the default, as far as there are so many.
SAMPLES: dict[str, tuple[Any, Any, Any]] = {
    "stores": (["a.b:C"], ["a:B", "a:C"], ["d:E"]),
    "dispatch.default_batch_size": (1, 2, 3),
    "dispatch.default_max_in_flight": (1, 2, 3),
    "dispatch.default_ordering": ("as_completed", "preserve", "as_completed"),
    "dispatch.default_on_error": ("skip", "halt", "skip"),
    "bridge.default_scope": ("global", "session", "global"),
    "sessions.default_ttl_s": (0.5, 2, 1e3),
    "sessions.max_sessions": (1, 2, 3),
    "queue_limit_bytes": (1, 2, 3),
    "stopped_limit_s": (0.5, 2, 1e3),
}


def toml(values: dict[str, Any]) -> str:
    """A TOML document with one line for each key: what these samples are in JSON they are in TOML too."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def text(value: Any) -> str:
    """A value as one would write it into a variable."""
    return ", ".join(value) if isinstance(value, list) else str(value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(given: Any = None, **variables: str) -> Config:
    return Config.load(given, environ=variables)


def test_there_are_samples_for_all_keys() -> None:
    assert list(SAMPLES) == list(KEYS)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({name: st.sets(st.sampled_from(("file", "environment", "argument"))) for name in SAMPLES}))
def test_each_key_comes_from_the_highest_who_says_something_of_it(
    tmp_path_factory: Any, said: dict[str, set[str]]
) -> None:
    layers = {
        who: {name: SAMPLES[name][number] for name in SAMPLES if who in said[name]}
        for number, who in enumerate(("file", "environment", "argument"))
    }
    file = tmp_path_factory.getbasetemp() / "each.toml"
    file.write_text(toml(layers["file"]))
    variables = {KEYS[name].variable: text(value) for name, value in layers["environment"].items()}

    config = Config.load(nested(layers["argument"]) or None, file=file, environ=variables)

    for name, key in KEYS.items():
        who = max(said[name], key=list(layers).index, default=None)
        value = key.default if who is None else layers[who][name]
        assert key.value_in(config) == (tuple(value) if name == "stores" else value)
        names = {"file": str(file), "environment": key.variable, "argument": "argument", None: "default"}
        assert config.sources[name] == names[who]


def test_where_nobody_says_anything_all_is_default(folder: Path) -> None:
    config = loaded()

    assert config == Config()
    assert set(config.sources.values()) == {"default"}
    assert list(config.sources) == list(KEYS)


def test_a_config_is_taken_as_it_is_and_nothing_is_read(folder: Path) -> None:
    (folder / "slither.toml").write_text("wrong = 1")
    config = Config()

    assert Config.load(config, environ={"SLITHER_WRONG": "1"}) is config
    assert Config.of({"dispatch": {"default_batch_size": 3}}).dispatch.default_batch_size == 3


def test_a_config_of_a_program_says_what_it_changed() -> None:
    config = Config(dispatch={"default_batch_size": 3}, bridge=BridgeConfig())

    assert {name for name, source in config.sources.items() if source == "argument"} == {"dispatch.default_batch_size"}


def test_a_section_that_is_an_object_is_given_whole(folder: Path) -> None:
    (folder / "slither.toml").write_text("dispatch.default_batch_size = 3\nbridge.default_scope = 'global'")
    config = loaded({"dispatch": DispatchConfig(default_on_error=Skip())})

    assert config.dispatch == DispatchConfig(default_on_error=Skip())
    assert config.sources["dispatch.default_batch_size"] == "argument"
    assert config.bridge.default_scope == "global"


def test_the_sources_travel_and_do_not_tell_two_configs_apart(folder: Path) -> None:
    config = loaded(SLITHER_QUEUE_LIMIT_BYTES="5")

    assert config == Config(queue_limit_bytes=5)
    assert hash(config) == hash(Config(queue_limit_bytes=5))
    assert pickle.loads(pickle.dumps(config)).sources == config.sources


def write(folder: Path, *files: str) -> None:
    """Files by their paths; the first says that a batch has one item, and so on; one with a - behind it nothing."""
    for number, file in enumerate(files, 1):
        path = folder / file.removesuffix("-")
        path.parent.mkdir(parents=True, exist_ok=True)
        table = "tool.slither.dispatch" if path.name == "pyproject.toml" else "dispatch"
        path.write_text("" if file.endswith("-") else f"[{table}]\ndefault_batch_size = {number}\n")


@pytest.mark.parametrize(
    ("files", "size"),
    [
        (["a/b/slither.toml", "a/slither.toml"], 1),
        (["a/slither.toml", "slither.toml"], 1),
        (["slither.toml"], 1),
        (["a/b/pyproject.toml", "a/b/slither.toml"], 2),
        (["a/b/pyproject.toml", "a/slither.toml"], 1),
        # What is nearest is the project, and what stands above it is somebody else's, whatever the nearest says.
        (["a/pyproject.toml-", "slither.toml"], 64),
        (["a/b/slither.toml-", "a/b/pyproject.toml"], 64),
        (["a/b/c/slither.toml"], 64),
        ([], 64),
    ],
)
def test_the_nearest_file_upwards_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], size: int
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    write(tmp_path, *files)
    monkeypatch.chdir(tmp_path / "a" / "b")

    assert loaded().dispatch.default_batch_size == size


def test_a_folder_above_where_anybody_may_write_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = tmp_path / "open"
    (open_to_all / "mine").mkdir(parents=True)
    write(tmp_path, "slither.toml", "open/slither.toml")
    open_to_all.chmod(0o1777)
    monkeypatch.chdir(open_to_all / "mine")
    assert loaded().dispatch.default_batch_size == 64

    monkeypatch.chdir(open_to_all)
    assert loaded().dispatch.default_batch_size == 2


def test_no_working_directory_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert loaded() == Config()


def test_a_file_may_be_named(folder: Path) -> None:
    write(folder, "slither.toml", "one.toml", "two/pyproject.toml")

    assert loaded(Path("one.toml")).dispatch.default_batch_size == 2
    assert loaded("two/pyproject.toml").dispatch.default_batch_size == 3
    assert loaded(SLITHER_CONFIG="one.toml").dispatch.default_batch_size == 2
    assert loaded("two/pyproject.toml", SLITHER_CONFIG="one.toml").dispatch.default_batch_size == 3
    assert Config.load({}, file="one.toml", environ={}).dispatch.default_batch_size == 2
    (folder / "nothing").touch()  # as /dev/null would be
    assert loaded(SLITHER_CONFIG="nothing") == Config()
    assert loaded(SLITHER_CONFIG="").dispatch.default_batch_size == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"SLITHER_QUEUE_LIMIT_BYTES": "", "SLITHER_STORES": "", "SLITHER_OTHER": ""},
        {"slither_wrong": "1", "MY_SLITHER_WRONG": "1", "SLITHERS": "1"},
        {spawn.MARK: "1"},
        # As Kubernetes has it for services called "slither" and "slither-web".
        {"SLITHER_SERVICE_HOST": "1", "SLITHER_SERVICE_PORT": "1", "SLITHER_SERVICE_PORT_HTTP": "1"},
        {"SLITHER_PORT": "1", "SLITHER_PORT_80_TCP": "1", "SLITHER_PORT_80_TCP_ADDR": "1"},
        {"SLITHER_WEB_SERVICE_HOST": "1", "SLITHER_WEB_PORT_80_TCP_PROTO": "1", "SLITHER_WEB_PORT_80_UDP_PORT": "1"},
    ],
)
def test_variables_that_are_empty_or_not_ours_are_left_alone(folder: Path, variables: dict[str, str]) -> None:
    assert loaded(**variables) == Config()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SLITHER_DISPATCH__DEFAULT_BATCH_SIZE", "many", "'many'; allowed: a whole number of at least 1"),
        ("SLITHER_DISPATCH__DEFAULT_BATCH_SIZE", "1.5", "'1.5'; allowed: a whole number of at least 1"),
        ("SLITHER_DISPATCH__DEFAULT_BATCH_SIZE", "0", "0; allowed: a whole number of at least 1"),
        ("SLITHER_SESSIONS__DEFAULT_TTL_S", "nan", "nan; allowed: a finite number of seconds above 0"),
        ("SLITHER_DISPATCH__DEFAULT_ORDERING", "random", "'random'; allowed: 'preserve', 'as_completed'"),
        ("SLITHER_DISPATCH__DEFAULT_ON_ERROR", "Retry()", '\'Retry()\'; allowed: "halt" or "skip"'),
        ("SLITHER_STORES", "shop", "['shop']; allowed: a list of paths of store classes, each \"module:Class\""),
        ("SLITHER_DISPATCH__DEFAULT_BATCHSIZE", "3", "did you mean 'SLITHER_DISPATCH__DEFAULT_BATCH_SIZE'?"),
        ("SLITHER_DISPATCH_DEFAULT_BATCH_SIZE", "3", "did you mean 'SLITHER_DISPATCH__DEFAULT_BATCH_SIZE'?"),
        ("SLITHER_CONFG", "a", "did you mean 'SLITHER_CONFIG'?"),
        ("SLITHER_DASHBOARD__PORT", "1", "not an option; allowed: SLITHER_BRIDGE__DEFAULT_SCOPE, "),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(folder: Path, name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        loaded(**{name: value})
    assert str(refused.value).startswith(f"environment: {name} is ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "option", "said"),
    [
        ("dispatch.default_batch_size = 0", "dispatch.default_batch_size", "0; allowed: a whole number of at least 1"),
        ("dispatch.default_batch_size = '3'", "dispatch.default_batch_size", "'3'; allowed: a whole number"),
        ("dispatch.default_batch_size = {a = 1}", "dispatch.default_batch_size", "{'a': 1}; allowed: a whole number"),
        ("dispatch.default_on_error = 'retry'", "dispatch.default_on_error", '\'retry\'; allowed: "halt" or "skip"'),
        ("stores = 'a:B'", "stores", "'a:B'; allowed: a list of paths of store classes"),
        ("stores = ['a:B', 1]", "stores", "['a:B', 1]; allowed: a list of paths of store classes"),
        ("stores = ['__main__:B']", "stores", "allowed: a list of paths of store classes"),
        ("dispatch = 3", "dispatch", "3; allowed: a table"),
        ("dispach.default_batch_size = 3", "dispach.default_batch_size", "did you mean 'dispatch.default_batch_size'?"),
        ("[dispach]", "dispach", "did you mean 'dispatch'?"),
        ("default_batch_size = 3", "default_batch_size", "did you mean 'dispatch.default_batch_size'?"),
        ("dispatch.batch_size = 3", "dispatch.batch_size", "did you mean 'dispatch.default_batch_size'?"),
        ("a = ", "its content", "no TOML: Invalid value (at end of document)"),
        (b"a = '\xff'", "its content", "no TOML: 'utf-8' codec can't decode"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(folder: Path, content: str | bytes, option: str, said: str) -> None:
    path = folder / "slither.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidOption) as refused:
        loaded()
    assert str(refused.value).startswith(f"{path}: {option} is ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tool = 1  # slither", "tool.slither is 1; allowed: a table"),
        ("tool.slither = 1", "tool.slither is 1; allowed: a table"),
        ("tool.slither.dispatch = 1", "dispatch is 1; allowed: a table"),
    ],
)
def test_a_table_of_a_project_is_looked_at_too(folder: Path, content: str, said: str) -> None:
    (folder / "pyproject.toml").write_text(content)
    with pytest.raises(InvalidOption) as refused:
        loaded()
    assert str(refused.value) == f"{folder}/pyproject.toml: {said}"


def test_what_others_say_in_a_project_is_theirs(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("tool.ruff.x = 1\nproject.name = 'a'\ndispatch = 3")

    assert loaded() == Config()
    (folder / "pyproject.toml").write_text("not = even = TOML")
    assert loaded() == Config()


def test_a_file_that_cannot_be_read_is_refused_by_who_named_it(folder: Path) -> None:
    (folder / "slither.toml").symlink_to("nowhere")
    for config, variables, option in (
        (Path("a.toml"), {}, "file is 'a.toml'"),
        (None, {"SLITHER_CONFIG": "a.toml"}, "SLITHER_CONFIG is 'a.toml'"),
        (None, {}, f"slither.toml is '{folder}/slither.toml'"),
    ):
        with pytest.raises(InvalidOption) as refused:
            loaded(config, **variables)
        assert f"{option} (No such file or directory); allowed: the path of a TOML file" in str(refused.value)


def test_a_wrong_value_is_refused_where_a_higher_one_hides_it(folder: Path) -> None:
    (folder / "slither.toml").write_text("queue_limit_bytes = 0")
    with pytest.raises(InvalidOption, match=r"slither.toml: queue_limit_bytes is 0"):
        loaded({"queue_limit_bytes": 3}, SLITHER_QUEUE_LIMIT_BYTES="4")


@pytest.mark.parametrize("wrong", [0, True, ["dispatch"], 1.5])
def test_what_is_no_configuration_is_refused(folder: Path, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="a Config, a mapping of its options, or the path of a TOML file"):
        loaded(wrong)


def test_two_files_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidOption, match=r"file is 'b.toml'; allowed: None where another path is given already"):
        Config.load("a.toml", file="b.toml")


def test_a_wrong_argument_is_refused_as_ever(folder: Path) -> None:
    with pytest.raises(InvalidOption, match=r"DispatchConfig: batch_size is not an option.*'default_batch_size'"):
        loaded({"dispatch": {"batch_size": 3}})


def test_nothing_is_read_when_the_package_is_imported(folder: Path) -> None:
    (folder / "slither.toml").write_text("not even TOML")
    code = """
import sys
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".toml"):
        sys.exit(f"opened {arguments[0]}")
sys.addaudithook(watch)
import slither_actors.config, slither_actors.cli, slither_actors.system.grow
for name in slither_actors.__all__:
    getattr(slither_actors, name)
try:
    slither_actors.Config.load()
except SystemExit as stopped:
    print(stopped)
"""
    environ = os.environ | {"SLITHER_WRONG": "1"}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environ)

    assert (done.stdout, done.stderr) == (f"opened {folder}/slither.toml\n", "")
