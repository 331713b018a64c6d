"""SQLite through the standard library: a table of keys and values, a table of positions."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.stores.base import CRASH, POWER, Store, Value, walked

PIECE = 256 << 20
"""Bytes of a blob at most; SQLite takes none of more than a billion."""


def column(value: Any) -> Any:
    if isinstance(value, (int, float, str, bytes)):
        return value
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


class SqliteStore(Store):
    title = "SQLite"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "journal_mode=WAL, synchronous=OFF",
        POWER: "journal_mode=WAL, synchronous=FULL",
    }
    singles = 20_000

    def open(self) -> None:
        self.path = self.directory / "store.sqlite"
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        run = self.connection.execute
        run("pragma journal_mode=WAL")
        run(f"pragma synchronous={'OFF' if self.safety == CRASH else 'FULL'}")
        run("create table if not exists map (key text primary key, value) without rowid")
        run("create table if not exists list (position integer primary key, value)")

    def close(self) -> None:
        self.connection.close()

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        run = self.connection.execute
        for pair in zip(keys, values, strict=True):
            run("insert or replace into map values (?, ?)", pair)

    def append(self, values: Sequence[int]) -> None:
        run = self.connection.execute
        for value in values:
            run("insert into list (value) values (?)", (value,))

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        run = self.connection.execute
        run("begin")
        for pair in zip(keys, values, strict=True):
            run("insert or replace into map values (?, ?)", pair)
        run("commit")

    def save(self, name: str, value: Any) -> None:
        run, many = self.connection.execute, self.connection.executemany
        run("begin")
        if isinstance(value, bytes):
            run(f'create table "{name}" (value)')
            pieces = (value[at : at + PIECE] for at in range(0, len(value), PIECE))
            many(f'insert into "{name}" values (?)', ((piece,) for piece in pieces))
        elif isinstance(value, dict):
            run(f'create table "{name}" (key text primary key, value) without rowid')
            many(f'insert into "{name}" values (?, ?)', value.items())
        else:
            run(f'create table "{name}" (position integer primary key, value)')
            rows = ((column(each),) for each in value)
            many(f'insert into "{name}" (value) values (?)', rows)
        run("commit")

    def count(self) -> int:
        return self.connection.execute("select count(*) from map").fetchone()[0]

    def get(self, keys: Sequence[str]) -> None:
        run = self.connection.execute
        for key in keys:
            run("select value from map where key = ?", (key,)).fetchone()[0]

    def contains(self, keys: Sequence[str]) -> None:
        run = self.connection.execute
        for key in keys:
            run("select 1 from map where key = ?", (key,)).fetchone()

    def index(self, positions: Sequence[int]) -> None:
        run = self.connection.execute
        for position in positions:
            run("select value from list where position = ?", (position + 1,)).fetchone()[0]

    def iterate(self, name: str) -> None:
        for (_,) in self.connection.execute(f'select value from "{name}"'):
            pass

    def walk(self, name: str) -> int:
        rows = self.connection.execute(f'select value from "{name}"')
        return walked(pickle.loads(value) for (value,) in rows)

    def size(self) -> int:
        self.connection.execute("pragma wal_checkpoint(truncate)")
        return self.path.stat().st_size

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        query = f'select value from "{name}" where position = {position + 1}'
        path = str(directory / "store.sqlite")
        return (
            f"import sqlite3\nprint(sqlite3.connect({path!r}).execute({query!r}).fetchone()[0])\n"
        )
