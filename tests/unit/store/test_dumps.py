"""Dumps: whole or not there, of one moment, and refused when anything in them has changed."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from slither_actors.errors import InvalidOption, StoreLoadError, StoreUnavailable
from slither_actors.store._schema import TableSpec
from tests.unit.store.engines import TABLES, Engine


def test_a_dump_is_a_store_again(engine: Engine, make: Callable[..., Engine], folder: Path) -> None:
    engine["users"].bulk_insert((n, [n]) for n in range(500))
    engine["tags"].put("a", 1)
    engine["tags"].put("a", 2)
    file = folder / "dump"
    engine.reader.dump(file)
    assert file.stat().st_mode & 0o777 == 0o600
    engine["users"].put("later", 1)

    other = make(TableSpec("more"), *reversed(TABLES), name="other")
    with pytest.raises(StoreLoadError, match="it has no table 'more'"):
        other.writer.restore(file)
    swapped = make(*reversed(TABLES), name="swapped")
    swapped["users"].put("mine", 1)
    assert [swapped["users"]["mine"] for _ in range(3)] == [1, 1, 1]  # which has it kept
    assert swapped.writer.restore(file, (b"r", 1)) == 1
    assert swapped.writer.recall(b"r") == (1, (1, 1, None))
    assert dict(swapped["users"].select()) == {n: [n] for n in range(500)}
    assert (swapped["tags"]["a"], len(swapped["users"]), len(swapped["tags"])) == ([1, 2], 500, 2)
    swapped["tags"].put("a", 1)
    swapped["tags"].put("a", 3)
    assert swapped["tags"]["a"] == [1, 2, 3]
    assert sorted(path.name for path in folder.iterdir()) == ["dump", "other", "store", "swapped"]


@pytest.fixture
def whole(engine: Engine, folder: Path) -> Path:
    """A dump of a store with one version and a thousand rows."""
    engine["users"].bulk_insert((n, "x" * 100) for n in range(1000))
    engine.reader.dump(folder / "whole")
    return folder / "whole"


def test_what_is_no_dump_changes_nothing(engine: Engine, folder: Path, whole: Path) -> None:
    engine["users"].put("a", 1)
    (folder / "text").write_text("no dump at all" * 1000)
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    (folder / "environment").write_bytes((engine.location.path / "data.mdb").read_bytes())
    reasons = {
        "text": "it does not end as a dump does",
        "empty": "it does not end as a dump does",
        "environment": "it does not end as a dump does",
        "pipe": "it is no file",
        ".": "it is no file",
        "absent": "No such file or directory",
    }
    for name, reason in reasons.items():
        file = folder / name
        with pytest.raises(StoreLoadError) as caught:
            engine.writer.restore(file)
        said = f"store s: restore failed, and nothing was changed: {file} is no dump of such a store: {reason}"
        assert str(caught.value) == said
    assert (engine["users"]["a"], engine.reader.version) == (1, 0)
    assert not (folder / "absent").exists()
    assert engine.writer.restore(whole) == 1


def test_a_dump_that_is_damaged_anywhere_is_refused(engine: Engine, folder: Path, whole: Path) -> None:
    content = whole.read_bytes()
    damaged = folder / "damaged"
    rng = random.Random(7)
    places = [0, len(content) - 1, len(content) - 56, *(rng.randrange(len(content)) for _ in range(60))]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        damaged.write_bytes(changed)
        with pytest.raises(StoreLoadError, match=r"damaged is no dump of such a store: it (was damaged|does not end)"):
            engine.writer.restore(damaged)
    for size in (1, 55, 56, 4096, 8192, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:size])
        with pytest.raises(StoreLoadError, match="damaged is no dump of such a store"):
            engine.writer.restore(damaged)
    damaged.write_bytes(content[4096:])
    with pytest.raises(StoreLoadError, match="it was damaged since it was written"):
        engine.writer.restore(damaged)
    assert engine.reader.version == 0


def test_a_dump_takes_the_place_of_files_alone(engine: Engine, folder: Path) -> None:
    engine["users"].put("a", 1)
    (folder / "link").symlink_to("target")
    (folder / "led").symlink_to("pipe")  # as good as a device, and no loss where the test fails
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    own = engine.location.path / "data.mdb"
    before = {path: path.lstat().st_mode for path in (*folder.iterdir(), own)}
    wrong = {"led": "no file", "folder": "no file", "pipe": "no file", "socket": "no file", "no/d": "no folder"}
    for name, why in wrong.items():
        with pytest.raises(InvalidOption, match=f"dump: file is {folder / name}, (which is|and there is) {why}"):
            engine.reader.dump(folder / name)
    with pytest.raises(InvalidOption, match="where the store's own tables are"):
        engine.reader.dump(own)
    assert {path: path.lstat().st_mode for path in (*folder.iterdir(), own)} == before

    for _ in range(2):
        engine.reader.dump(folder / "link")
        assert (folder / "link").is_symlink()
        assert engine.writer.restore(folder / "target") == engine.writer.restore(folder / "link") - 1
    assert {path.name for path in folder.iterdir()} == {path.name for path in before if path != own} | {"target"}


def test_a_dump_that_cannot_be_written_names_the_file_that_was_meant(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be used: /proc/dump cannot be written: "):
        engine.reader.dump(Path("/proc/dump"))
