"""diskcache: a Cache that never evicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import diskcache

from benchmarks.stores.base import CRASH, POWER, ContainerStore, Value


class DiskcacheStore(ContainerStore):
    title = "diskcache"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "eviction off, sqlite_synchronous=0",
        POWER: "eviction off, sqlite_synchronous=2",
    }
    singles = 5_000

    def open(self) -> None:
        self.map = diskcache.Cache(
            str(self.directory / "cache"),
            eviction_policy="none",
            sqlite_synchronous=0 if self.safety == CRASH else 2,
        )

    def close(self) -> None:
        self.map.close()

    insert = ContainerStore.insert_plainly

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        cache = self.map
        with cache.transact():
            for key, value in zip(keys, values, strict=True):
                cache[key] = value
