"""Methods that were meant to be hooks are refused when their class is defined; helpers are left alone."""

import pytest

import slither_actors as slither
from slither_actors import DefinitionError, otp


def of(base, *names, **members):
    return type("Mine", (base,), {name: lambda self: None for name in names} | members)


@pytest.mark.parametrize(
    ("base", "name", "text"),
    [
        (slither.Stage, "set_up", "stage Mine, set_up: nobody calls it (did you mean 'setup'?); allowed: setup(self, "),
        (slither.Stage, "tearDown", "stage Mine, tearDown: nobody calls it (did you mean 'teardown'?)"),
        (slither.Stage, "handel_item", "did you mean 'handle_item'?); allowed: handle_item(self, item, ctx)"),
        (slither.Stage, "handle_bacth", "did you mean 'handle_batch'?"),
        (
            slither.Adapter,
            "set_up",
            "adapter Mine, set_up: nobody calls it (did you mean 'setup'?); allowed: setup(sel",
        ),
        (slither.Adapter, "tear_down", "did you mean 'teardown'?); allowed: teardown(self)"),
        (
            slither.Executor,
            "executeBatch",
            "executor Mine, executeBatch: nobody calls it (did you mean 'execute_batch'",
        ),
    ],
)
def test_a_name_near_a_hook_is_refused(base, name, text):
    with pytest.raises(DefinitionError) as caught:
        of(base, name)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (slither.Stage, ["handle_line", "handle_time", "handle_one", "startup", "step", "setup_model", "shutdown"]),
        (slither.Stage, ["_set_up", "__tear_down", "handle_call", "handle_info", "handle_exit"]),
        (slither.Stage, ["setup", "set_up", "handle_item", "handle_items"]),
        (slither.Stage, ["setup_db", "reset_up"]),
        (slither.Adapter, ["predict", "setup_model", "settle", "step", "reset"]),
        (slither.Executor, ["execute", "execute_one", "batch", "run_batch"]),
    ],
)
def test_helpers_and_what_stands_beside_its_hook_are_left_alone(base, names):
    assert issubclass(of(base, *names), base)


def test_another_word_that_has_the_hook_in_it_is_a_helper():
    assert of(slither.Store, "upload", "unload", "loaded", rows=slither.Table())


def test_a_hook_that_is_inherited_is_not_missed():
    assert of(of(slither.Stage, "setup"), "re_setup")


def test_what_is_called_by_another_way_is_none():
    assert of(slither.Stage, handle_items=otp.handles(int)(lambda self, message, sender: None))
    rows = slither.Table()
    assert of(slither.Store, rows=rows, loan=slither.view(lambda self, params, ctx: None))


def test_properties_and_static_methods_are_none():
    assert of(slither.Stage, set_up=property(lambda self: 1), tear_down=staticmethod(print))
