"""What one operation costs as a container grows, and the memory of going over a large one.

``python -m benchmarks.growth NAME SIZE STORE DIRECTORY`` prints the mean seconds of one operation
on a container of SIZE elements; STORE is "pmemobj", or "memory" for Python's own container.
``python -m benchmarks.growth memory KIND DIRECTORY`` prints bytes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measures import GIB, fresh_pool
from benchmarks.processes import printed_by, seconds

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
ITERATED = 10_000_000
ROOM = 8 * GIB
ASKED = 100_000  # operations on what is there, at most
REPEATED = 50_000  # elements of small containers, in as many of them
LOOKS = 100  # at the memory, while a container is iterated

Make = Callable[[Any], Any]
Operation = Callable[[Make, int], tuple[Callable[[], None], int]]
OPERATIONS: dict[str, Operation] = {}


def run_growth(name: str, size: int, store: str, directory: Path) -> float:
    """The mean seconds of one operation, in a process of its own."""
    return float(printed_by("growth", name, size, store, directory))


def run_memory(kind: str, directory: Path) -> float:
    """The bytes that a process needs more while it iterates, in a process of its own."""
    return float(printed_by("growth", "memory", kind, directory))


def operation(function: Operation) -> Operation:
    OPERATIONS[function.__name__] = function
    return function


def names(first: int, last: int) -> list[str]:
    return [f"key{i}" for i in range(first, last)]


def some(size: int) -> list[str]:
    """Names of those that are there, each once, in random order."""
    chosen = random.Random(size).sample(range(size), min(size, ASKED))
    return [f"key{i}" for i in chosen]


# ---- operations: what to time, and how many of them that is ------------------------------
# Those that grow a container go from half its size to all of it, so that the steps in which
# it moves to larger storage are in the mean.


@operation
def append(make: Make, size: int) -> tuple[Callable[[], None], int]:
    half = size // 2
    grown = make(list(range(half)))

    def act() -> None:
        for i in range(half):
            grown.append(i)

    return act, half


@operation
def insert(make: Make, size: int) -> tuple[Callable[[], None], int]:
    half = size // 2
    grown = make(dict.fromkeys(names(0, half), 0))
    new = names(half, size)

    def act() -> None:
        for key in new:
            grown[key] = 1

    return act, len(new)


@operation
def get(make: Make, size: int) -> tuple[Callable[[], None], int]:
    full = make(dict.fromkeys(names(0, size), 0))
    asked = some(size)

    def act() -> None:
        for key in asked:
            full[key]

    return act, len(asked)


@operation
def delete(make: Make, size: int) -> tuple[Callable[[], None], int]:
    full = make(dict.fromkeys(names(0, size), 0))
    gone = some(size)[: size // 2]

    def act() -> None:
        for key in gone:
            del full[key]

    return act, len(gone)


@operation
def add(make: Make, size: int) -> tuple[Callable[[], None], int]:
    half = size // 2
    grown = make(set(names(0, half)))
    new = names(half, size)

    def act() -> None:
        for key in new:
            grown.add(key)

    return act, len(new)


@contextmanager
def making(store: str, directory: Path) -> Iterator[Make]:
    """Turns a container of Python's into one of the store's."""
    if store == "memory":
        yield lambda value: value
        return
    with fresh_pool(directory, ROOM) as pool:

        def make(value: Any) -> Any:
            pool.root["it"] = value
            return pool.root["it"]

        yield make


def mean(name: str, size: int, store: str, directory: Path) -> float:
    taken, done = 0.0, 0
    with making(store, directory) as make:
        for _ in range(max(1, REPEATED // size)):
            act, count = OPERATIONS[name](make, size)
            taken += seconds(act)
            done += count
    return taken / done


# ---- memory -------------------------------------------------------------------------------


def private_memory() -> int:
    """Bytes of this process that are not a file's pages, which the system can take back."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


ITERATIONS: dict[str, tuple[Callable[[], Any], Callable[[Any], Iterator[Any]]]] = {
    "list": (lambda: names(0, ITERATED), iter),
    "dict": (lambda: dict.fromkeys(names(0, ITERATED), 0.5), lambda stored: iter(stored.items())),
    "set": (lambda: set(names(0, ITERATED)), iter),
}


def needed(kind: str, directory: Path) -> int:
    """The most that a first pass needs at any of many looks, beyond what was needed before."""
    build, iterate = ITERATIONS[kind]
    import pmemobj

    path = directory / "bench.pool"
    with pmemobj.create(path, pool_size=ROOM, durability="process") as pool:
        pool.root = build()
    with pmemobj.open(path) as pool:
        stored = pool.root
        before = most = private_memory()
        seen = 0
        for seen, _ in enumerate(iterate(stored), 1):
            if seen % (ITERATED // LOOKS) == 0:
                most = max(most, private_memory())
        if seen != ITERATED:
            raise RuntimeError(f"{seen} elements were iterated, of {ITERATED}")
    return most - before


def main(arguments: Sequence[str]) -> float:
    if arguments[0] == "memory":
        return needed(arguments[1], Path(arguments[2]))
    name, size, store, directory = arguments
    return mean(name, int(size), store, Path(directory))


if __name__ == "__main__":
    print(main(sys.argv[1:]))
