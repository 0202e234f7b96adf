"""Folders in shared memory: found by the run directory that they belong to, and gone with it."""

import fcntl
import multiprocessing
import os
import shutil
import time

import pytest

from slither_actors.transport import memory
from slither_actors.transport.memory import memory_folder, ownerless_folders, remove_memory, remove_ownerless


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """What stands for /dev/shm."""
    place = tmp_path / "shm"
    place.mkdir()
    monkeypatch.setattr(memory, "_SHARED_MEMORY", place)
    monkeypatch.setattr(memory, "_LEAST_FREE_BYTES", 1)
    return place


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    return place


def test_a_folder_of_ones_own_goes_with_its_run_directory(shared, directory):
    folder = memory_folder(directory)
    assert folder.parent == shared
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "data").write_text("x")
    remove_memory(directory)
    assert list(shared.iterdir()) == []


def test_it_is_found_even_if_its_maker_died_before_it_was_made(shared, directory, monkeypatch):
    monkeypatch.setattr(memory.Path, "mkdir", lambda self, mode: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        memory_folder(directory)
    remove_memory(directory)
    assert (directory / "memory").is_symlink()


def test_without_room_or_without_shared_memory_the_run_directory_takes_its_place(shared, directory, monkeypatch):
    monkeypatch.setattr(memory, "_LEAST_FREE_BYTES", 1 << 60)
    assert memory_folder(directory) == directory
    monkeypatch.setattr(memory, "_LEAST_FREE_BYTES", 1)
    monkeypatch.setattr(memory, "_SHARED_MEMORY", shared / "missing")
    assert memory_folder(directory) == directory
    remove_memory(directory)


@pytest.mark.parametrize("name", ["elsewhere", "shm/other", "shm/slither-1/deep"])
def test_a_link_to_anything_else_removes_nothing(shared, directory, tmp_path, name):
    target = tmp_path / name
    target.mkdir(parents=True)
    os.symlink(target, directory / "memory")
    remove_memory(directory)
    assert target.is_dir()


def test_what_is_not_ours_is_left_alone(shared, directory, monkeypatch):
    folder = memory_folder(directory)
    monkeypatch.setattr(memory.os, "getuid", lambda: 12345)
    remove_memory(directory)
    assert folder.is_dir()


def aged(folder, by_s=60):
    """As if it had been made a minute ago."""
    os.utime(folder, (time.time() - by_s,) * 2)
    return folder


def test_a_folder_whose_run_directory_went_without_it_is_found_and_removed(shared, directory, tmp_path):
    folder = memory_folder(directory)
    (folder / "s.tables").mkdir()
    (folder / "s.tables" / "owner.lock").touch()
    aged(folder)
    assert ownerless_folders() == remove_ownerless() == []
    os.rename(directory, tmp_path / "gone")
    assert ownerless_folders() == [folder]
    directory.mkdir()
    new = aged(memory_folder(directory))
    assert remove_ownerless() == [folder]
    assert list(shared.iterdir()) == [new]


def test_a_folder_that_somebody_uses_or_makes_or_that_is_another_s_stays(shared, directory, monkeypatch):
    folder = memory_folder(directory)
    (folder / "s.tables").mkdir()
    (shared / f"slither-{os.getuid()}-another-programs").mkdir()
    aged(shared / f"slither-{os.getuid()}-another-programs")
    shutil.rmtree(directory)
    aged(folder, -3600)
    assert remove_ownerless() == [], "it is new"
    aged(folder)
    ours, theirs = multiprocessing.Pipe()
    lock = folder / "s.tables" / "owner.lock"
    user = multiprocessing.get_context("fork").Process(target=hold, args=(lock, theirs), daemon=True)
    user.start()
    assert ours.recv() == "held"
    assert remove_ownerless() == [], "it is used"
    ours.send("enough")
    user.join()
    with monkeypatch.context() as patch:
        patch.setattr(memory.os, "getuid", lambda: 12345)
        assert remove_ownerless() == []
    assert remove_ownerless() == [folder]


def hold(path, end):
    with path.open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        end.send("held")
        end.recv()
