"""Config: defaults, sections from mappings, and refusals that name the culprit."""

import pickle

import attrs
import pytest

from slither_actors.config import BridgeConfig, Config, DispatchConfig
from slither_actors.errors import InvalidOption
from slither_actors.policy import Skip


def test_the_defaults_are_the_documented_ones():
    config = Config()
    assert config.stores == ()
    assert attrs.astuple(config.dispatch) == (64, 8, "preserve", "halt")
    assert config.bridge.default_scope == "session"


def test_a_config_is_built_from_nothing_from_a_mapping_or_is_itself():
    config = Config(dispatch=DispatchConfig(default_batch_size=3))
    assert Config.of(config) is config
    assert Config.of(None) == Config.of({}) == Config()
    assert Config.of({"dispatch": {"default_batch_size": 3}}) == config
    assert Config.of({"dispatch": DispatchConfig(default_batch_size=3), "bridge": {}}) == config


def test_a_section_may_be_a_mapping_in_the_constructor_too():
    assert Config(bridge={"default_scope": "global"}).bridge == BridgeConfig(default_scope="global")


def test_stores_are_kept_as_they_are_for_start_to_look_at():
    assert Config.of({"stores": []}).stores == Config(stores=()).stores == ()
    assert Config(stores=[int]).stores == (int,)


def test_a_policy_may_be_an_object():
    assert DispatchConfig(default_on_error=Skip()).default_on_error == Skip()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dispach": {}}, "Config: dispach is not an option; allowed: bridge, .*did you mean 'dispatch'?"),
        ({"dispatch": {"batch_size": 3}}, "DispatchConfig: batch_size is not an option.*'default_batch_size'"),
        ({"dispatch": {"default_batch_size": 0}}, "DispatchConfig: default_batch_size is 0; allowed: a whole number"),
        ({"dispatch": {"default_max_in_flight": True}}, "default_max_in_flight is True"),
        (
            {"dispatch": {"default_ordering": "random"}},
            "default_ordering is 'random'; allowed: 'preserve', 'as_completed'",
        ),
        ({"dispatch": {"default_on_error": "explode"}}, 'default_on_error is \'explode\'; allowed: "halt", "skip"'),
        ({"dispatch": {"default_on_error": None}}, "DispatchConfig: default_on_error is None"),
        ({"dispatch": {"default_on_error": 5}}, 'DispatchConfig: default_on_error is 5; allowed: "halt", "skip"'),
        ({"dispatch": 5}, "DispatchConfig is 5; allowed: a DispatchConfig or a mapping"),
        ({"dispatch": {5: 5}}, "DispatchConfig: 5 is not an option"),
        ({"bridge": {"default_scope": "run"}}, "BridgeConfig: default_scope is 'run'; allowed: 'session', 'global'"),
        ({"stores": int}, r"Config: stores is <class 'int'>; allowed: a list of store classes, or of Store.named"),
        ({"stores": "abc"}, "Config: stores is 'abc'"),
        (["dispatch"], r"Config is \['dispatch'\]; allowed: a Config or a mapping"),
    ],
)
def test_a_wrong_config_is_refused_with_option_value_and_what_is_allowed(given, said):
    with pytest.raises(InvalidOption, match=said):
        Config.of(given)


def test_a_config_is_frozen_and_travels():
    config = Config.of({"dispatch": {"default_on_error": "skip"}})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.stores = ()  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config


def test_every_option_of_a_section_is_documented():
    for section in (DispatchConfig, BridgeConfig):
        assert [field.name for field in attrs.fields(section) if not field.metadata.get("doc")] == []
