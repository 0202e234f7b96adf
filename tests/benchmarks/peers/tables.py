"""Tables of small dicts that processes share, and what limits them."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.base import NotPossible, Peer, Table

START_S = 5.0


class OwnTable(Peer, Table):
    """A peer that is nothing but a table."""

    def table(self) -> Table:
        return self


class InFolder(OwnTable):
    """A table in files, in shared memory where there is some."""

    def open(self) -> None:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))

    def close(self) -> None:
        shutil.rmtree(self.folder)


class Dict(OwnTable):
    """A dict of this process alone."""

    def open(self) -> None:
        self.rows: dict[str, Any] = {}

    def close(self) -> None:
        self.rows.clear()

    def reader(self) -> Callable[[str], Any]:
        return self.rows.__getitem__

    def writer(self) -> Callable[[str, Any], Any]:
        return self.rows.__setitem__

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        self.rows.update(rows)


class Lmdb(InFolder):
    """LMDB and pickle by hand: a transaction for each read and each write, no fsync."""

    def open(self) -> None:
        import lmdb

        super().open()
        path = str(self.folder / "table")
        self.handle = lmdb.open(path, map_size=1 << 30, sync=False, metasync=False, writemap=True)

    def close(self) -> None:
        self.handle.close()
        super().close()

    def reader(self) -> Callable[[str], Any]:
        begin, loads = self.handle.begin, pickle.loads

        def read(key: str) -> Any:
            with begin() as txn:
                data = txn.get(key.encode())
            return loads(data)

        return read

    def writer(self) -> Callable[[str, Any], Any]:
        begin, dumps = self.handle.begin, pickle.dumps

        def write(key: str, value: Any) -> None:
            with begin(write=True) as txn:
                txn.put(key.encode(), dumps(value))

        return write

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        with self.handle.begin(write=True) as txn:
            txn.cursor().putmulti((key.encode(), pickle.dumps(value)) for key, value in rows)


class Sqlite(InFolder):
    """A WAL without fsync, values as JSON."""

    def open(self) -> None:
        super().open()
        self.path = self.folder / "table.sqlite"
        self.database = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=OFF")
        self.database.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID")

    def close(self) -> None:
        self.database.close()
        super().close()

    def reader(self) -> Callable[[str], Any]:
        execute, loads = self.database.execute, json.loads
        return lambda key: loads(execute("SELECT v FROM t WHERE k = ?", (key,)).fetchone()[0])

    def writer(self) -> Callable[[str, Any], Any]:
        execute, dumps = self.database.execute, json.dumps
        return lambda key, value: execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (key, dumps(value)))

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        pairs = ((key, json.dumps(value)) for key, value in rows)
        self.database.execute("BEGIN")
        self.database.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", pairs)
        self.database.execute("COMMIT")


class DiskCache(InFolder):
    """diskcache, which keeps everything."""

    def open(self) -> None:
        import diskcache

        super().open()
        self.cache = diskcache.Cache(str(self.folder), size_limit=1 << 30, eviction_policy="none")

    def close(self) -> None:
        self.cache.close()
        super().close()

    def reader(self) -> Callable[[str], Any]:
        read: Callable[[str], Any] = self.cache.get
        return read

    def writer(self) -> Callable[[str, Any], Any]:
        write: Callable[[str, Any], Any] = self.cache.set
        return write

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        with self.cache.transact():
            for key, value in rows:
                self.cache.set(key, value)


class Manager(OwnTable):
    """A dict in a process of its own, which every read and write asks."""

    def open(self) -> None:
        self.manager = multiprocessing.Manager()
        self.rows: Any = self.manager.dict()

    def close(self) -> None:
        self.manager.shutdown()

    def reader(self) -> Callable[[str], Any]:
        read: Callable[[str], Any] = self.rows.__getitem__
        return read

    def writer(self) -> Callable[[str, Any], Any]:
        write: Callable[[str, Any], Any] = self.rows.__setitem__
        return write

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        self.rows.update(dict(rows))


class Redis(InFolder):
    """A Redis server on the loopback, without persistence; values as JSON."""

    def open(self) -> None:
        import redis

        program = shutil.which("redis-server")
        if program is None:
            raise NotPossible("there is no redis-server on the path")
        super().open()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
        command = [program, *options, "--dir", str(self.folder)]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(host="127.0.0.1", port=port)
        end = time.monotonic() + START_S
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        self.client.close()
        self.server.terminate()
        self.server.wait()
        super().close()

    def reader(self) -> Callable[[str], Any]:
        read, loads = self.client.get, json.loads
        return lambda key: loads(read(key))

    def writer(self) -> Callable[[str, Any], Any]:
        write, dumps = self.client.set, json.dumps
        return lambda key, value: write(key, dumps(value))

    def bulk(self, rows: Iterable[tuple[str, Any]]) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for number, (key, value) in enumerate(rows):
            pipeline.set(key, json.dumps(value))
            if number % 1000 == 999:
                pipeline.execute()
        pipeline.execute()
