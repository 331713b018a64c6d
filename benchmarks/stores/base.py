"""What every store is asked to do. Loops stand in the stores, so that none pays for a call more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

CRASH = "crash"  # committed data survives kill -9 at every moment
POWER = "power"  # ... and a power cut

Value = int | str


def walked(records: Iterable[dict[str, Any]]) -> int:
    """Two fields of every record read, one of them nested."""
    total = 0
    for record in records:
        total += len(record["name"]) + len(record["address"]["city"])
    return total


class Unsupported(Exception):
    """The store has no such operation, or not with this safety."""


class Store:
    """A store in a directory, opened in one of the safety classes.

    A method that is not overridden is an operation the store does not have; an instance
    of safety that ``settings`` does not name is refused.
    """

    title: ClassVar[str]
    settings: ClassVar[dict[str, str]]  # safety: what was set to get it
    singles: ClassVar[int] = 100_000  # committed changes in one measurement, safety "crash"

    def __init__(self, directory: Path, safety: str) -> None:
        if safety not in self.settings:
            raise Unsupported(f"{self.title} is not measured with safety {safety!r}")
        self.directory = directory
        self.safety = safety
        self.open()

    def open(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    # ---- each change committed by itself

    def insert(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """Set one key of a mapping after the other."""
        raise Unsupported

    def append(self, values: Sequence[int]) -> None:
        """Append to a list."""
        raise Unsupported

    # ---- one commit for all

    def insert_together(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """The same sets, a call each, committed once."""
        raise Unsupported

    def save(self, name: str, value: Any) -> None:
        """Keep a whole list, dict or bytes object under a name."""
        raise Unsupported

    # ---- reading

    def count(self) -> int:
        """Keys of the mapping, of a store that was opened again."""
        raise Unsupported

    def get(self, keys: Sequence[str]) -> None:
        """Read keys of the mapping."""
        raise Unsupported

    def contains(self, keys: Sequence[str]) -> None:
        """Ask for keys of the mapping."""
        raise Unsupported

    def index(self, positions: Sequence[int]) -> None:
        """Read elements of the list that append filled."""
        raise Unsupported

    def iterate(self, name: str) -> None:
        """Pass over the ints of a list that was saved."""
        raise Unsupported

    def walk(self, name: str) -> int:
        """Read two fields of every record of a list that was saved, one of them nested."""
        raise Unsupported

    def size(self) -> int:
        """Bytes taken by what is stored."""
        raise Unsupported

    @classmethod
    def read_one(cls, directory: Path, name: str, position: int) -> str:
        """A program that opens the store and prints one element of a saved list."""
        raise Unsupported


class ContainerStore(Store):
    """A store whose mapping and list are used as Python's own."""

    map: Any
    list: Any

    def count(self) -> int:
        return len(self.map)

    def insert_plainly(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """Set one key after the other."""
        stored = self.map
        for key, value in zip(keys, values, strict=True):
            stored[key] = value

    def get(self, keys: Sequence[str]) -> None:
        stored = self.map
        for key in keys:
            stored[key]

    def contains(self, keys: Sequence[str]) -> None:
        stored = self.map
        for key in keys:
            key in stored


class ListStore(ContainerStore):
    """... and whose list is changed and read by index."""

    def append(self, values: Sequence[int]) -> None:
        stored = self.list
        for value in values:
            stored.append(value)

    def index(self, positions: Sequence[int]) -> None:
        stored = self.list
        for position in positions:
            stored[position]
