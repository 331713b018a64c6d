"""The standard library's shelve, over the database module that this Python has."""

from __future__ import annotations

import shelve
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.stores.base import CRASH, ContainerStore, Value


class ShelveStore(ContainerStore):
    title = "shelve"
    settings: ClassVar[dict[str, str]] = {CRASH: "sync() after every change"}
    singles = 200

    def open(self) -> None:
        self.path = str(self.directory / "shelf")
        self.map = shelve.open(self.path)  # noqa: SIM115

    def close(self) -> None:
        self.map.close()

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        shelf = self.map
        for key, value in zip(keys, values, strict=True):
            shelf[key] = value
            shelf.sync()

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        shelf = self.map
        for key, value in zip(keys, values, strict=True):
            shelf[key] = value
        shelf.sync()
