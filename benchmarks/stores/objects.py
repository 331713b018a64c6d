"""ZODB over its FileStorage; mappings are BTrees for changes, PersistentMapping for reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import transaction
import ZODB
import ZODB.FileStorage
from BTrees.IOBTree import IOBTree
from BTrees.OOBTree import OOBTree
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping

from benchmarks.stores.base import CRASH, POWER, Store, Value, walked


class ZodbStore(Store):
    title = "ZODB"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "FileStorage, its fsync left out",
        POWER: "FileStorage",
    }
    singles = 5_000

    def open(self) -> None:
        if self.safety == CRASH:
            ZODB.FileStorage.FileStorage.fsync = None  # there is no option for it
        self.path = self.directory / "store.fs"
        self.database = ZODB.DB(ZODB.FileStorage.FileStorage(str(self.path)))
        self.connection = self.database.open()
        self.root = self.connection.root()
        if "map" not in self.root:
            self.root["map"] = OOBTree()
            self.root["list"] = IOBTree()
            transaction.commit()
        self.map = self.root["map"]
        self.list = self.root["list"]

    def close(self) -> None:
        self.connection.close()
        self.database.close()

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        stored, commit = self.map, transaction.commit
        for key, value in zip(keys, values, strict=True):
            stored[key] = value
            commit()

    def append(self, values: Sequence[int]) -> None:
        stored, commit = self.list, transaction.commit
        for position, value in enumerate(values, len(stored)):
            stored[position] = value
            commit()

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        stored = self.map
        for key, value in zip(keys, values, strict=True):
            stored[key] = value
        transaction.commit()

    def save(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            value = PersistentMapping(value)
        elif isinstance(value, list) and isinstance(value[0], int):
            value = IOBTree(dict(enumerate(value)))  # as a list of this length is kept there
        elif isinstance(value, list):
            value = PersistentList(value)
        self.root[name] = value
        transaction.commit()

    def count(self) -> int:
        return len(self.map)

    def get(self, keys: Sequence[str]) -> None:
        stored = PersistentMapping(dict.fromkeys(keys, 7))
        for key in keys:
            stored[key]

    def contains(self, keys: Sequence[str]) -> None:
        stored = PersistentMapping(dict.fromkeys(keys, 7))
        for key in keys:
            key in stored

    def index(self, positions: Sequence[int]) -> None:
        stored = PersistentList(positions)
        for position in positions:
            stored[position]

    def iterate(self, name: str) -> None:
        for _ in self.root[name].values():
            pass

    def walk(self, name: str) -> int:
        return walked(self.root[name])

    def size(self) -> int:
        return os.stat(self.path).st_size

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        path = str(directory / "store.fs")
        return (
            "import ZODB, ZODB.FileStorage\n"
            f"c = ZODB.DB(ZODB.FileStorage.FileStorage({path!r}, read_only=True)).open()\n"
            f"print(c.root()[{name!r}][{position}])\n"
        )
