"""pmemobj itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pmemobj
from benchmarks.stores.base import CRASH, POWER, ListStore, Value, walked
from pmemobj.report import pool_info

RESERVED = 4 << 30


class PoolStore(ListStore):
    title = "pmemobj"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "durability='process'",
        POWER: "durability='power'",
    }

    def open(self) -> None:
        path = self.directory / "bench.pool"
        if path.exists():
            self.pool = pmemobj.open(path)
        else:
            durability = "process" if self.safety == CRASH else "power"
            self.pool = pmemobj.create(path, pool_size=RESERVED, durability=durability)
            self.pool.root = {"map": {}, "list": []}
        self.root = self.pool.root
        self.map = self.root["map"]
        self.list = self.root["list"]

    def close(self) -> None:
        self.pool.close()

    insert = ListStore.insert_plainly

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        stored = self.map
        with self.pool.transaction():
            for key, value in zip(keys, values, strict=True):
                stored[key] = value

    def save(self, name: str, value: Any) -> None:
        self.root[name] = value

    def iterate(self, name: str) -> None:
        for _ in self.root[name]:
            pass

    def walk(self, name: str) -> int:
        return walked(self.root[name])

    def size(self) -> int:
        return pool_info(self.pool).used

    def collect(self) -> None:
        """A full collection."""
        self.pool.gc()

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        path = str(directory / "bench.pool")
        return f"import pmemobj; print(pmemobj.open({path!r}).root[{name!r}][{position}])"
