"""The standard library's shelve, over the database module that this Python has."""

from __future__ import annotations

import shelve
from collections.abc import Sequence
from typing import ClassVar

from benchmarks.stores.base import CRASH, Store, Value


class ShelveStore(Store):
    title = "shelve"
    settings: ClassVar[dict[str, str]] = {CRASH: "sync() after every change"}
    singles = 200

    def open(self) -> None:
        self.path = str(self.directory / "shelf")
        self.shelf = shelve.open(self.path)  # noqa: SIM115

    def close(self) -> None:
        self.shelf.close()

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        shelf = self.shelf
        for key, value in zip(keys, values, strict=True):
            shelf[key] = value
            shelf.sync()

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        shelf = self.shelf
        for key, value in zip(keys, values, strict=True):
            shelf[key] = value
        shelf.sync()

    def count(self) -> int:
        return len(self.shelf)

    def get(self, keys: Sequence[str]) -> None:
        shelf = self.shelf
        for key in keys:
            shelf[key]

    def contains(self, keys: Sequence[str]) -> None:
        shelf = self.shelf
        for key in keys:
            key in shelf
