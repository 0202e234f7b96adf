"""A store among processes that are killed at any moment, fork, and run out of room."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slither_actors.errors import StoreUnavailable
from slither_actors.store._reader import open_store
from slither_actors.store._schema import TableSpec
from slither_actors.store._writer import Writer
from tests.helpers.patience import PATIENCE_S
from tests.unit.store import hammer
from tests.unit.store.engines import Engine


@contextlib.contextmanager
def process(*arguments: str, stdin: int | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def hammering(role: str, folder: Path, *numbers: int) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    return process("-m", "tests.unit.store.hammer", role, str(folder), *map(str, numbers))


def run(program: str, *arguments: str) -> str:
    """Run a program in a process of its own, since it forks or limits itself; what it prints."""
    with process("-c", textwrap.dedent(program), *arguments) as started:
        out, err = started.communicate(timeout=PATIENCE_S)
        assert started.returncode == 0, err
        return out


@pytest.mark.parametrize(
    ("readers", "kills", "most", "writes"),
    [
        (2, 40, 4, 60),
        pytest.param(4, 110, 40, 3000, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_readers_see_neither_torn_nor_stale_nor_empty_tables_while_writers_are_killed(
    folder: Path, readers: int, kills: int, most: int, writes: int
) -> None:
    """A third of the writes are reloads."""
    writer = Writer(hammer.location(folder))
    writer.rebuild(lambda tables: hammer.load(tables, 0))
    writer.close()
    hammer.acked(folder)
    with contextlib.ExitStack() as stack:
        reading = [stack.enter_context(hammering("read", folder)) for _ in range(readers)]
        owner = stack.enter_context(hammering("own", folder, kills, most))
        for process in (owner, *reading):
            out, err = process.communicate(timeout=PATIENCE_S + kills)
            assert process.returncode == 0, err
            assert int(out) > (writes if process is owner else 0)


def test_what_a_killed_reader_held_is_freed(folder: Path) -> None:
    writer = Writer(hammer.location(folder))
    writer.rebuild(lambda tables: hammer.load(tables, 0))
    with hammering("pin", folder) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "pinned\n"
        reader.kill()
        reader.wait()

    assert writer.maintain() == 1
    assert writer.maintain() == 0
    writer.close()


def test_pages_that_nobody_sees_are_used_again(engine: Engine) -> None:
    """Also after snapshots and loops that were left in the middle."""
    users, size = engine["users"], engine.location.path / "data.mdb"
    users.bulk_insert((n, "x" * 100) for n in range(2000))

    def churn() -> int:
        for n in range(300):
            users.put(n, "y" * 100)
        return size.stat().st_size

    before = churn()
    with engine.reader.snapshot() as snapshot:
        pinned = churn()
        assert snapshot.users[0] == "y" * 100
    rows = users.select()
    next(rows)
    rows.close()
    del snapshot
    assert pinned > before
    assert churn() <= pinned + 8192


def test_a_second_writer_is_refused_while_the_first_lives(folder: Path) -> None:
    writer = Writer(hammer.location(folder))
    with hammering("own", folder, 1, 1) as other:
        _, err = other.communicate(timeout=PATIENCE_S)
    assert "another process writes to" in err
    writer.close()
    Writer(hammer.location(folder)).close()


def test_others_may_not_write_where_a_store_is(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    with pytest.raises(StoreUnavailable, match="others may write to"):
        Engine(folder / "open")


def test_a_store_that_is_not_there_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is nothing in"):
        open_store(hammer.location(folder))


def test_a_table_that_is_there_keeps_its_kind(make: Callable[..., Engine]) -> None:
    make(TableSpec("t", "bag")).close()
    with pytest.raises(StoreUnavailable, match=r"table 't' is 'bag pickle' in .*, not 'set json'"):
        make(TableSpec("t", codec="json"))


FORKS = """
    import os, sys, threading
    from pathlib import Path
    from tests.unit.store.engines import Engine

    engine = Engine(Path(sys.argv[1]) / "store")
    users = engine["users"]
    users.bulk_insert((n, [n]) for n in range(500))
    rows = users.select()
    handle = engine.writer._environment.open()
    assert users[0] == [0]
    pid = os.fork()
    if not pid:
        assert users[0] == [0]
        os._exit(0)
    os.waitpid(pid, 0)
    handle.begin().abort()  # the one that is kept ready has not lost its slot to the child
    first = next(rows)
    with engine.reader.snapshot() as snapshot:
        users.put(0, "new")
        pid = os.fork()
        if not pid:
            from slither_actors.errors import SnapshotExpired
            assert users[0] == "new"
            assert len(list(users.select())) == 500
            for leftover in (lambda: snapshot.users[0], lambda: list(rows)):
                try:
                    leftover()
                except SnapshotExpired:
                    continue
                assert leftover is not None and len(list(rows)) < 64, "a child used its parent's transaction"
            with engine.reader.snapshot() as own:
                assert own.users[1] == [1]
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for n in range(1000):
            users.put(n % 500, "newer")
        assert snapshot.users[0] == [0] and snapshot.users[499] == [499]
    assert [first, *rows] == [(n, [n]) for n in range(500)]
    assert users[0] == "newer"
    print(engine.writer.maintain())
"""


def test_a_fork_has_a_handle_of_its_own_and_leaves_its_parents_alone(folder: Path) -> None:
    assert run(FORKS, str(folder)) == "2\n", "the slots of two dead children, and no other"


FILLS_THE_TABLE_OF_READERS = """
    import contextlib, os, sys
    from pathlib import Path
    from slither_actors.errors import StoreUnavailable
    from slither_actors.store import _environment
    _environment.MOST_READERS, _environment._LOCK_BYTES = 8, 512
    from tests.unit.store.engines import Engine

    engine = Engine(Path(sys.argv[1]) / "store")
    engine["users"].put("a", 1)
    with contextlib.ExitStack() as stack:
        if not (pid := os.fork()):
            try:
                for count in range(20):
                    stack.enter_context(engine.reader.snapshot())
            except StoreUnavailable as error:
                os._exit(count if "MDB_READERS_FULL" in str(error) else 30)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        for _ in range(5):
            print(stack.enter_context(engine.reader.snapshot()).users["a"])
"""


def test_readers_that_are_too_many_are_told_and_the_dead_make_room(folder: Path) -> None:
    assert run(FILLS_THE_TABLE_OF_READERS, str(folder)) == "7\n" + "1\n" * 5


FORKS_IN_LOAD = """
    import os, sys
    from pathlib import Path
    from tests.unit.store.engines import Engine

    engine = Engine(Path(sys.argv[1]) / "store")
    users = engine["users"]
    users.put("a", "old")

    def load(tables):
        tables.users.put("a", "new")
        pid = os.fork()
        if not pid:
            assert users["a"] == "old"
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        tables.users.put("b", "new")

    engine.writer.rebuild(load)
    users.put("c", "newer")
    print(dict(users.select()))
"""


def test_a_load_may_fork(folder: Path) -> None:
    assert run(FORKS_IN_LOAD, str(folder)) == "{'a': 'new', 'b': 'new', 'c': 'newer'}\n"


def test_pages_that_are_written_through_a_map_are_there_from_the_beginning(engine: Engine) -> None:
    """A write to one that is not is a SIGBUS where the file system is full."""
    for name in ("lock.mdb", "words", "once.0", "once.1"):
        status = (engine.location.path / name).stat()
        assert status.st_blocks * 512 >= status.st_size, name


GROWS = """
    import sys
    from pathlib import Path
    from slither_actors.store import _environment

    _environment._LARGEST_MAP = 1 << 20
    if sys.argv[2] == "write":
        from tests.unit.store.engines import Engine

        engine = Engine(Path(sys.argv[1]) / "store")
        engine["users"].put("a", 1)
        print("ready", flush=True)
        input()
        with engine.reader.snapshot():
            pass
        print(engine["users"].bulk_insert((n, "x" * 1000) for n in range(10_000)))
        engine.writer.rebuild(lambda tables: tables.users.bulk_insert((n, "x" * 1000) for n in range(20_000)))
        print(len(engine["users"]), flush=True)
    else:
        from slither_actors.store._reader import open_store
        from slither_actors.store._schema import StoreLocation
        from tests.unit.store.engines import TABLES

        users = open_store(StoreLocation("s", Path(sys.argv[1]) / "store", TABLES)).tables["users"]
        print(users["a"], flush=True)
        input()
        print(len(users), users[9_999] == "x" * 1000, sum(1 for _ in users.select()), flush=True)
"""


def test_the_map_grows_while_others_read(folder: Path) -> None:
    program = textwrap.dedent(GROWS)
    with process("-c", program, str(folder), "write", stdin=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        with process("-c", program, str(folder), "read", stdin=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "1\n"
            out, err = writer.communicate("go\n", timeout=PATIENCE_S)
            assert out == "10000\n20000\n", err
            out, err = reader.communicate("go\n", timeout=PATIENCE_S)
            assert out == "20000 True 20000\n", err


FILLS = """
    import resource, sys
    from pathlib import Path
    from slither_actors.errors import StoreFull
    from slither_actors.store._requests import Requests
    from tests.unit.store.engines import Engine

    engine = Engine(Path(sys.argv[1]) / "store")
    users = engine["users"]
    users.put("kept", "before")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    put = Requests(users.spec).put
    outcomes = engine.writer.apply([put("a", 1), put("large", "x" * (2 << 20)), put("b", 2)])
    assert isinstance(outcomes[1].error, StoreFull) and not outcomes[0].error and not outcomes[2].error
    number = 0
    try:
        while True:
            users.put(number, "x" * 10_000)
            number += 1
    except StoreFull as error:
        print(error.store)
    for what in (
        lambda: users.bulk_insert((n, "x" * 1000) for n in range(2000)),
        lambda: engine.writer.rebuild(lambda tables: tables.users.put("all", "x" * (2 << 20))),
        lambda: users.put("more", "x" * 100_000),
    ):
        try:
            what()
        except StoreFull:
            continue
        raise AssertionError("it had room")
    assert (users["kept"], users["a"], users["b"], "large" in users) == ("before", 1, 2, False)
    assert len(users) == number + 3 == sum(1 for _ in users.select())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    users.put("more", "x" * 100_000)
    print(users.clear() == number + 4, sorted(path.name for path in engine.location.path.iterdir()))
"""


def test_what_does_not_fit_fails_alone_and_loses_nothing(folder: Path) -> None:
    out = run(FILLS, str(folder))
    assert out == "s\nTrue ['data.mdb', 'lock.mdb', 'once.0', 'once.1', 'owner.lock', 'words']\n"


def test_few_addresses_make_a_small_map(folder: Path) -> None:
    program = """
        import resource, sys
        from pathlib import Path
        from tests.unit.store.engines import Engine

        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        engine = Engine(Path(sys.argv[1]) / "store")
        engine["users"].put(1, 2)
        print(engine["users"][1])
    """
    assert run(program, str(folder)) == "2\n"
