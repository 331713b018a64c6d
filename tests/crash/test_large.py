"""Containers of ten million elements: built, changed, opened again, verified, collected."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from laboratory import LONG, TALLY
from processes import PATIENCE, in_child

import pmemobj

COUNT = 10_000_000 if LONG else 200_000
BATCH = 100_000
BYTES = 200 * COUNT + (64 << 20)
MEMORY = 256 << 20
"""Bytes that the process may need besides the pool's pages: most of them libpmemobj's notes of
the million changes in one transaction. As plain ones the containers would take a gigabyte."""


def private_memory() -> int:
    with open("/proc/self/status") as status:
        found = next(line for line in status if line.startswith("RssAnon:"))
    return int(found.split()[1]) << 10


def batches(count: int) -> Iterator[range]:
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def list_of(numbers: range) -> list[Any]:
    return [n if n % 3 else f"text number {n}" for n in numbers]


def dict_of(numbers: range) -> dict[Any, Any]:
    return {n if n % 3 else f"text number {n}": n for n in numbers}


BUILD: dict[str, Callable[[Any, range], object]] = {
    "list": lambda found, numbers: found.extend(list_of(numbers)),
    "dict": lambda found, numbers: found.update(dict_of(numbers)),
    "set": lambda found, numbers: found.update(dict_of(numbers)),
}
EMPTY: dict[str, Any] = {"list": [], "dict": {}, "set": set()}


def change(kind: str, found: Any) -> None:
    """A few elements anywhere; a tenth of them at once; the same again, rolled back."""
    tenth = COUNT // 10
    places = range(1, COUNT, COUNT // 1000)
    if kind == "list":
        for place in places:
            found[place] = "changed"
        del found[-tenth:]
        found.extend(range(tenth))
    elif kind == "dict":
        for place in places:
            found[place if place % 3 else f"text number {place}"] = "changed"
        for numbers in batches(tenth):
            for key in dict_of(numbers):
                del found[key]
    else:
        for place in places:
            found.discard(place if place % 3 else f"text number {place}")
        for numbers in batches(tenth):
            found -= set(dict_of(numbers))


def expected_length(kind: str) -> int:
    if kind == "list":
        return COUNT
    gone = COUNT // 10
    if kind == "set":
        gone += sum(place >= gone for place in range(1, COUNT, COUNT // 1000))
    return COUNT - gone


def live(path: Path, kind: str) -> None:
    """What happens in a process of its own, whose memory is watched."""
    start = private_memory()

    def bounded(*_: Any) -> None:
        assert private_memory() - start < MEMORY

    pool = pmemobj.create(path, BYTES)
    pool.root = {"large": EMPTY[kind], "small": [1]}
    large = pool.root["large"]
    for numbers in batches(COUNT):
        BUILD[kind](large, numbers)
    bounded()
    assert len(large) == COUNT
    with pytest.raises(ZeroDivisionError), pool.transaction():
        change(kind, large)
        raise ZeroDivisionError
    assert len(large) == COUNT
    bounded()
    change(kind, large)
    bounded()
    assert len(large) == expected_length(kind)
    assert pool.check(progress=bounded).ok
    del large
    pool.mm.abandon()
    pool = pmemobj.open(path)
    assert not pool.recovery.clean
    bounded()
    large = pool.root["large"]
    count = 0
    for element in large:
        count += element != "text number 1"
    assert count == len(large) == expected_length(kind)
    bounded()
    pool.root["large"] = None
    del large
    assert pool.gc(progress=bounded).objects <= 3
    report = pool.check(progress=bounded)
    assert report.ok
    assert report.garbage == 0
    pool.close()


@pytest.mark.parametrize("kind", BUILD)
def test_ten_million_elements(tmp_path: Path, kind: str) -> None:
    in_child(lambda: live(tmp_path / "large.pmem", kind), patience=10 * PATIENCE)
    TALLY.elements += COUNT
    os.unlink(tmp_path / "large.pmem")
