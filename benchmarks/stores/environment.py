"""LMDB, values in its own bytes: eight for an int, UTF-8 for a str, a pickle for a record."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import lmdb

from benchmarks.stores.base import CRASH, POWER, Store, Value, walked

RESERVED = 8 << 30
NUMBER = struct.Struct("<q")
POSITION = struct.Struct(">I")
pack = NUMBER.pack
place = POSITION.pack


def encoded(value: Any) -> bytes:
    if type(value) is int:
        return pack(value)
    if type(value) is str:
        return value.encode()
    if type(value) is float:
        return struct.pack("<d", value)
    return value if type(value) is bytes else pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


class LmdbStore(Store):
    title = "LMDB"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "writemap, sync off",
        POWER: "sync at every commit",
    }

    def open(self) -> None:
        weak = self.safety == CRASH
        self.environment = lmdb.open(
            str(self.directory / "lmdb"),
            map_size=RESERVED,
            max_dbs=8,
            writemap=weak,
            sync=not weak,
            metasync=not weak,
        )
        self.map = self.environment.open_db(b"map")
        self.list = self.environment.open_db(b"list")
        self.length = self._entries(self.list)

    def _entries(self, database: Any) -> int:
        with self.environment.begin(db=database) as transaction:
            return transaction.stat(database)["entries"]

    def close(self) -> None:
        self.environment.close()

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        begin, database = self.environment.begin, self.map
        if isinstance(values[0], int):
            for key, value in zip(keys, values, strict=True):
                with begin(write=True) as transaction:
                    transaction.put(key.encode(), pack(value), db=database)
        else:
            for key, value in zip(keys, values, strict=True):
                with begin(write=True) as transaction:
                    transaction.put(key.encode(), value.encode(), db=database)

    def append(self, values: Sequence[int]) -> None:
        begin, database = self.environment.begin, self.list
        for position, value in enumerate(values, self.length):
            with begin(write=True) as transaction:
                transaction.put(place(position), pack(value), append=True, db=database)
        self.length += len(values)

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        with self.environment.begin(write=True, db=self.map) as transaction:
            put = transaction.put
            for key, value in zip(keys, values, strict=True):
                put(key.encode(), pack(value))

    def save(self, name: str, value: Any) -> None:
        if isinstance(value, bytes):
            with self.environment.begin(write=True) as transaction:
                transaction.put(name.encode(), value)
            return
        pairs: Iterable[tuple[bytes, bytes]]
        if isinstance(value, dict):
            pairs = ((key.encode(), encoded(each)) for key, each in value.items())
        else:
            pairs = ((place(i), encoded(each)) for i, each in enumerate(value))
        database = self.environment.open_db(name.encode())
        with self.environment.begin(write=True, db=database) as transaction:
            transaction.cursor().putmulti(pairs, append=not isinstance(value, dict))

    def count(self) -> int:
        return self._entries(self.map)

    def get(self, keys: Sequence[str]) -> None:
        unpack = NUMBER.unpack
        with self.environment.begin(db=self.map) as transaction:
            read = transaction.get
            for key in keys:
                unpack(read(key.encode()))[0]

    def contains(self, keys: Sequence[str]) -> None:
        with self.environment.begin(db=self.map) as transaction:
            cursor = transaction.cursor()
            for key in keys:
                cursor.set_key(key.encode())

    def index(self, positions: Sequence[int]) -> None:
        unpack = NUMBER.unpack
        with self.environment.begin(db=self.list) as transaction:
            read = transaction.get
            for position in positions:
                unpack(read(place(position)))[0]

    def iterate(self, name: str) -> None:
        unpack = NUMBER.unpack
        database = self.environment.open_db(name.encode())
        with self.environment.begin(db=database, buffers=True) as transaction:
            for value in transaction.cursor().iternext(keys=False, values=True):
                unpack(value)[0]

    def walk(self, name: str) -> int:
        database = self.environment.open_db(name.encode())
        with self.environment.begin(db=database) as transaction:
            values = transaction.cursor().iternext(keys=False, values=True)
            return walked(map(pickle.loads, values))

    def size(self) -> int:
        pages = self.environment.info()["last_pgno"] + 1
        return pages * self.environment.stat()["psize"]

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        key = place(position)
        return (
            "import lmdb\n"
            f"e = lmdb.open({str(directory / 'lmdb')!r}, map_size={RESERVED}, max_dbs=8)\n"
            f"d = e.open_db({name.encode()!r})\n"
            f"with e.begin(db=d) as t: print(t.get({key!r}).decode())\n"
        )
