"""What one operation costs, in exact counts: no clock is read.

A number that grows here is a loss of speed; one that falls is a gain, to be written down.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pmemobj
from pmemobj._native import ffi, lib
from pmemobj.transaction import STEPWISE

Pool = pmemobj.PersistentObjectPool
FORTY = "x" * 40
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cost:
    """What the core did for one operation.

    Attributes:
        calls: how often Python entered it.
        published: changes made by the redo log, without a transaction.
        undo: bytes snapshotted.
        allocations: blocks of memory asked for.
        points: ranges made durable.
        syncs: how often the disk was waited for; never, under "process".
    """

    calls: int
    transactions: int = 0
    published: int = 0
    undo: int = 0
    allocations: int = 0
    points: int = 0
    syncs: int = 0


class Account(pmemobj.PersistentObject):
    def __init__(self) -> None:
        self.balance = 0


def counters(pool: Pool) -> Any:
    found = ffi.new("pmo_counters *")
    lib.pmo_count(pool.mm.ctx, found)
    return found


def cost(pool: Pool, operation: Callable[[], object]) -> Cost:
    calls = 0

    def count(frame: Any, event: str, called: Any) -> None:
        nonlocal calls
        calls += event == "c_call" and getattr(called, "__name__", "").startswith("pmo_")

    gc.disable()
    before = counters(pool)
    former = sys.getprofile()
    sys.setprofile(count)
    try:
        operation()
    finally:
        sys.setprofile(former)
        after = counters(pool)
        gc.enable()
    return Cost(
        calls,
        after.transactions - before.transactions,
        after.publications - before.publications,
        after.undo_bytes - before.undo_bytes,
        after.allocations - before.allocations,
        after.persist_points - before.persist_points,
        after.syncs - before.syncs,
    )


def filled(pool: Pool) -> dict[str, Any]:
    """Containers with room for more, which all are handles that live on."""
    names = [f"key{i}" for i in range(100)]
    pool.root = {
        "list": list(range(100)),
        "dict": dict.fromkeys(names, 0),
        "set": set(range(100)),
        "texts": dict.fromkeys(names, FORTY),
        "few": dict.fromkeys(names[:6], 0),  # without an index, whose order is another in each pool
    }
    pool.root["account"] = pool.new(Account)
    found = dict(pool.root.items())
    found["root"] = pool.root
    for i in range(3):  # bodies with room
        found["list"].append(i)
        found["dict"][f"more{i}"] = i
        found["set"].add(-1 - i)
        found["texts"][f"more{i}"] = FORTY
        found["root"][f"more{i}"] = i
        found["account"].balance = i
    pool.mm.attend()
    return found


def operations(at: dict[str, Any]) -> dict[str, Callable[[], object]]:
    numbers, table, members, texts = at["list"], at["dict"], at["set"], at["texts"]
    return {
        "list append int": lambda: numbers.append(7),
        "list append str": lambda: numbers.append("short"),
        "list replace int": lambda: numbers.__setitem__(5, 7),
        "dict insert int": lambda: table.__setitem__("new", 7),
        "dict replace int": lambda: table.__setitem__("key5", 7),
        "dict replace float": lambda: table.__setitem__("key6", 7.5),
        "dict delete": lambda: at["few"].__delitem__("key3"),
        "dict insert text": lambda: texts.__setitem__("new", FORTY),
        "dict replace text": lambda: texts.__setitem__("key5", FORTY),
        "set add": lambda: members.add(1000),
        "set add again": lambda: members.add(1000),
        "attribute replaced": lambda: setattr(at["account"], "balance", 7),
        "root name rebound": lambda: at["root"].__setitem__("more1", 7),
        "warm reads": lambda: (numbers[7], table["key7"], at["account"].balance),
    }


ALONE = {
    "list append int": Cost(calls=1, published=1, points=6),
    "list append str": Cost(calls=1, published=1, points=6),
    "list replace int": Cost(calls=1, published=1, points=4),
    "dict insert int": Cost(calls=1, published=1, points=7),
    "dict replace int": Cost(calls=1, published=1, points=4),
    "dict replace float": Cost(calls=1, published=1, points=4),
    "dict delete": Cost(calls=1, transactions=1, undo=72, points=7),
    "dict insert text": Cost(calls=1, published=1, points=9),
    "dict replace text": Cost(calls=1, published=1, points=8),
    "set add": Cost(calls=1, published=1, points=7),
    "set add again": Cost(calls=1),
    "attribute replaced": Cost(calls=1, published=1, points=4),
    "root name rebound": Cost(calls=1, published=1, points=4),
    "warm reads": Cost(calls=0),
}

# The first change of each container is made before; it snapshots the 40 bytes of its state.
INSIDE = {
    "list append int": Cost(calls=1, points=1),
    "list append str": Cost(calls=1, points=1),
    "list replace int": Cost(calls=1, undo=16, points=2),
    "dict insert int": Cost(calls=1, undo=4, points=3),
    "dict replace int": Cost(calls=1, undo=16, points=2),
    "dict replace float": Cost(calls=1, undo=16, points=2),
    "dict delete": Cost(calls=1, undo=72, points=4),
    "dict insert text": Cost(calls=1, undo=4, points=4),
    "dict replace text": Cost(calls=1, undo=16, points=3),
    "set add": Cost(calls=1, undo=4, points=3),
    "set add again": Cost(calls=1),
}


@pytest.mark.parametrize("name", ALONE)
def test_one_operation(pool: Pool, name: str) -> None:
    at = filled(pool)
    at["list"][7], at["dict"]["key7"], at["account"].balance
    operation = operations(at)[name]
    if name == "set add again":
        operation()
    assert cost(pool, operation) == ALONE[name]


@pytest.mark.parametrize("name", INSIDE)
def test_one_operation_of_many_in_a_transaction(pool: Pool, name: str) -> None:
    at = filled(pool)
    operation = operations(at)[name]
    with pool.transaction():
        at["list"].append(1)
        at["dict"]["first"] = at["texts"]["first"] = at["few"]["key0"] = 1
        at["set"].add(2000)
        if name == "set add again":
            operation()
        assert cost(pool, operation) == INSIDE[name]


@pytest.mark.parametrize(
    ("name", "points", "syncs"),
    [("list append int", 6, 4), ("list replace int", 4, 3), ("dict replace text", 8, 5)],
)
def test_words_of_one_page_are_synced_together(
    tmp_path: Path, name: str, points: int, syncs: int
) -> None:
    with pmemobj.create(tmp_path / "power.pmem", 16 * MIB, durability="power") as pool:
        pool.root = {}
        at = filled(pool)
        spent = cost(pool, operations(at)[name])
        assert (spent.points, spent.syncs) == (points, syncs)


@pytest.mark.parametrize("durability", ["process", "power"])
def test_opening_waits_for_the_disk_once(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "clean.pmem"
    pmemobj.create(path).close()
    with pmemobj.open(path, durability=durability) as pool:
        assert (counters(pool).persist_points, counters(pool).syncs) == (1, 1)


def test_a_body_made_in_a_transaction_is_not_snapshotted(pool: Pool) -> None:
    """10,000 insertions: the pieces of the redo and undo logs do not add up."""
    table = pool.root
    with pool.transaction():
        table["first"] = 0

        def insert() -> None:
            for i in range(10_000):
                table[f"name{i}"] = i

        spent = cost(pool, insert)
    if not STEPWISE:
        # One for each until the storage has room for dozens, then one for as many as have room.
        assert spent.calls < 250
    # Growing is a new body; before the first one there are a few snapshots of index slots.
    assert spent.allocations < 30
    assert spent.undo < 30 * 80 + 200


def test_a_million_ints(tmp_path: Path) -> None:
    numbers = list(range(1_000_000))
    with pmemobj.create(tmp_path / "large.pmem", 96 * MIB, durability="process") as pool:
        pool.root = {}
        root = pool.root
        spent = cost(pool, lambda: root.__setitem__("numbers", numbers))
        # the list, its body, the root's first body
        assert (spent.transactions, spent.allocations) == (1, 3)
        assert spent.undo < 200
        assert spent.calls <= 10
