"""Plain dict and list: nothing survives; what reading costs at least."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks.stores.base import CRASH, ListStore


class PlainStore(ListStore):
    title = "dict, list"
    settings: ClassVar[dict[str, str]] = {CRASH: "nothing survives"}

    def open(self) -> None:
        self.map: dict[str, Any] = {}
        self.list: list[int] = []

    def close(self) -> None:
        pass

    insert = ListStore.insert_plainly

    def save(self, name: str, value: Any) -> None:
        self.map[name] = value.copy()

    def iterate(self, name: str) -> None:
        for _ in self.map[name]:
            pass
