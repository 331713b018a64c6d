"""One pickle per variable, replaced by renaming: what dill, joblib and %store users do."""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.stores.base import CRASH, POWER, Store, Value, walked


class PickleStore(Store):
    title = "pickle.dump"
    settings: ClassVar[dict[str, str]] = {
        CRASH: "the whole value to a new file, then rename",
        POWER: "the whole value to a new file, fsync, then rename",
    }
    singles = 100
    module = "pickle"

    def open(self) -> None:
        self.pickler = importlib.import_module(self.module)
        self.map: dict[str, Value] = {}
        self.list: list[int] = []

    def close(self) -> None:
        pass

    def _write(self, name: str, value: Any) -> None:
        draft = self.directory / f"{name}.new"
        with draft.open("wb") as file:
            self.pickler.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
            if self.safety == POWER:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(self.directory / name)

    def _load(self, name: str) -> Any:
        with (self.directory / name).open("rb") as file:
            return self.pickler.load(file)

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.map[key] = value
            self._write("map", self.map)

    def append(self, values: Sequence[int]) -> None:
        for value in values:
            self.list.append(value)
            self._write("list", self.list)

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.map[key] = value
        self._write("map", self.map)

    def save(self, name: str, value: Any) -> None:
        self._write(name, value)

    def count(self) -> int:
        return len(self._load("map"))

    def walk(self, name: str) -> int:
        return walked(self._load(name))

    def size(self) -> int:
        return sum(file.stat().st_size for file in self.directory.iterdir())

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        path = str(directory / name)
        return f"import {cls.module} as p; print(p.load(open({path!r}, 'rb'))[{position}])"


class DillStore(PickleStore):
    title = "dill.dump"
    singles = 20
    module = "dill"
