"""Code: by path where that leads back to the object, by value where not."""

import base64
import functools
import json
import math
import pickle
import subprocess
import sys
import threading

import pytest

from slither_actors._code import Code
from slither_actors.errors import NotImportable, NotPicklable
from slither_actors.item import Item
from tests.helpers.patience import PATIENCE_S


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (json.dumps, "json:dumps"),
        (json.JSONEncoder, "json.encoder:JSONEncoder"),
        (json.JSONEncoder.encode, "json.encoder:JSONEncoder.encode"),
        (Item.wrap, "slither_actors.item:Item.wrap"),
        (len, "builtins:len"),
        (math.sqrt, "math:sqrt"),
    ],
)
def test_what_can_be_imported_travels_as_its_path(obj, path):
    code = Code.of(obj)
    assert (code.path, code.blob, code.name) == (path, None, path)
    assert code.load() == obj


def adder(amount):
    def add(number):
        return number + amount

    return add


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    def scale(self, number):
        return number * self.factor

    def __call__(self, number):
        return self.scale(number)


def plain(number):
    return number + 1


@functools.wraps(plain)
def impostor(number):
    return number + 100


@functools.lru_cache(maxsize=7)
def cached(number):
    return number + 1


def test_a_function_with_a_cache_travels_with_an_empty_one_of_the_same_size():
    assert Code.of(cached).path == f"{__name__}:cached"
    hidden = functools.lru_cache(maxsize=7, typed=True)(adder(5))
    hidden(1)
    calls_it = Code.of(lambda number: (hidden(number), hidden.cache_info())).load()
    assert calls_it(2) == (7, (0, 1, 7, 1))
    assert Code.of(hidden).load().cache_parameters() == {"maxsize": 7, "typed": True}


@pytest.mark.parametrize(
    ("obj", "name", "result"),
    [
        (lambda number: number * 3, "<lambda>", 6),
        (adder(5), "adder.<locals>.add", 7),
        (functools.partial(pow, 2), "partial(pow)", 4),
        (Scaler(4), "Scaler object", 8),
        (Scaler(4).scale, "Scaler.scale", 8),
        (impostor, "plain", 102),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_imported_travels_by_value(obj, name, result):
    code = pickle.loads(pickle.dumps(Code.of(obj)))
    assert code.path is None
    assert code.name == name
    assert code.load()(2) == result


def test_a_class_of_a_function_travels_by_value():
    class Local:
        answer = 42

    assert Code.of(Local).load().answer == 42


def test_a_code_is_a_value_and_its_repr_has_no_blob():
    assert Code.of(plain) == Code.of(plain)
    assert hash(Code.of("a:b")) == hash(Code.of("a:b"))
    assert "blob=" not in repr(Code.of(lambda: None))


def test_a_path_is_not_imported_before_it_is_loaded():
    code = Code.of("no_such_package.module:function")
    with pytest.raises(NotImportable, match="there is no module 'no_such_package'"):
        code.load()


@pytest.mark.parametrize(
    "path", ["", "module", "module:", ":name", "a b:c", "a:b:c", "a..b:c", "a:b.", "a/b:c", "1a:b"]
)
def test_a_path_of_another_form_is_refused(path):
    with pytest.raises(NotImportable, match=r"form 'package.module:function'"):
        Code.of(path)


def test_a_path_into_main_is_refused_with_the_way_out():
    with pytest.raises(NotImportable, match="give the function itself"):
        Code.of("__main__:f")
    with pytest.raises(NotImportable, match="give the function itself"):
        Code("__main__:f", None, "f").load()


def test_a_missing_name_is_told_from_a_missing_module():
    with pytest.raises(NotImportable, match=r"'json:dump_it': json has no attribute 'dump_it'"):
        Code.of("json:dump_it").load()
    with pytest.raises(NotImportable, match=r"JSONEncoder has no attribute 'x'"):
        Code.of("json:JSONEncoder.x").load()
    with pytest.raises(NotImportable, match=r"there is no module 'json.nothing'"):
        Code.of("json.nothing:f").load()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "importing broken_module raises ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "importing broken_module raises SystemExit: 3"),
        ("import missing_thing", "importing broken_module raises ModuleNotFoundError: No module named 'missing_thing'"),
    ],
)
def test_a_module_that_raises_is_reported_with_what_it_raised(tmp_path, monkeypatch, source, said):
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NotImportable, match=said) as caught:
        Code.of("broken_module:f").load()
    assert caught.value.__cause__ is not None


def test_a_blob_that_cannot_be_rebuilt_is_not_importable():
    with pytest.raises(NotImportable, match="'f': it cannot be rebuilt here: UnpicklingError"):
        Code(None, b"nonsense", "f").load()


def test_an_object_that_cannot_travel_is_named():
    lock = threading.Lock()
    with pytest.raises(NotPicklable, match=r"<lambda> cannot be sent.*TypeError: cannot pickle '_thread.lock' object"):
        Code.of(lambda: lock)


def test_a_function_of_main_runs_in_another_process():
    script = """
import base64, functools, pickle, sys
from slither_actors._code import Code
FACTOR = 3
class Helper:
    def times(self, number): return number * FACTOR
def triple(number): return Helper().times(number)
class Callable:
    def __call__(self, number): return triple(number)
    def method(self, number): return triple(number)
@functools.lru_cache
def cached(number): return triple(number)
def uses(number): return cached(number)
partial = functools.partial(triple)
for obj in (triple, Callable(), Callable().method, cached, uses, partial, Helper):
    code = Code.of(obj)
    assert code.path is None, code
    print(base64.b64encode(pickle.dumps(code)).decode())
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    *functions, helper = (pickle.loads(base64.b64decode(line)).load() for line in done.stdout.split())
    assert [function(5) for function in functions] == [15] * 6
    assert helper().times(2) == 6
