"""Plain dict and list: nothing survives; what reading costs at least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from benchmarks.stores.base import CRASH, Store, Value


class PlainStore(Store):
    title = "dict, list"
    settings: ClassVar[dict[str, str]] = {CRASH: "nothing survives"}

    def open(self) -> None:
        self.map: dict[str, Any] = {}
        self.list: list[int] = []

    def close(self) -> None:
        pass

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        stored = self.map
        for key, value in zip(keys, values, strict=True):
            stored[key] = value

    def append(self, values: Sequence[int]) -> None:
        stored = self.list
        for value in values:
            stored.append(value)

    def save(self, name: str, value: Any) -> None:
        self.map[name] = value.copy()

    def get(self, keys: Sequence[str]) -> None:
        stored = self.map
        for key in keys:
            stored[key]

    def contains(self, keys: Sequence[str]) -> None:
        stored = self.map
        for key in keys:
            key in stored

    def index(self, positions: Sequence[int]) -> None:
        stored = self.list
        for position in positions:
            stored[position]

    def iterate(self, name: str) -> None:
        for _ in self.map[name]:
            pass
