"""Every mutating operation of the containers, as plain Python that containers of both kinds run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ring_buffer import FloatRing, ObjectRing

import pmemobj

SHORT = "short"
HEAPED = "a string of some forty bytes, in the heap"
BLOB = "a string with an allocation of its own " * 150
BIG = 1 << 100


class Case(NamedTuple):
    """One operation on one container."""

    name: str
    start: Any
    change: Callable[[Any], object]
    ready: Callable[[Any], object] | None = None


def mixture() -> list[Any]:
    shared = [1, HEAPED]
    return [1, 2.5, SHORT, HEAPED, BLOB, None, True, shared, {"k": shared}, (1, [2]), BIG]


def grown(x: list[Any]) -> None:
    """Leave room behind the last element: the next ones need no new body."""
    x.extend([0, HEAPED])
    del x[-2:]


def churned(x: list[Any]) -> None:
    """Leave garbage in the heap, and cells that are no longer those it was built with."""
    for i in range(12):
        x[3] = f"{HEAPED} {i}"
    x.append("last")


def assign(key: Any, value: Any) -> Callable[[Any], None]:
    def change(x: Any) -> None:
        x[key] = value() if callable(value) else value

    return change


def delete(key: Any) -> Callable[[Any], None]:
    def change(x: Any) -> None:
        del x[key]

    return change


def in_place(operator: str, value: Any) -> Callable[[Any], None]:
    def change(x: Any) -> None:
        result = getattr(x, f"__{operator}__")(value() if callable(value) else value)
        assert result is x

    return change


def many(count: int) -> list[Any]:
    return [i if i % 3 else f"{HEAPED} number {i}" for i in range(count)]


def cyclic() -> list[Any]:
    top: list[Any] = [{"in": []}]
    top[0]["in"].append(top)
    return top


def records() -> list[Any]:
    shared = {"in": [1, 2]}
    return [{"id": i, "name": HEAPED, "tags": ["a", i], "shared": shared} for i in range(3)]


def records_reworked(root: Any) -> None:
    """Containers that came together, in the transaction that makes them: outgrown and freed."""
    root["made"] = records()
    made = root["made"]
    made[0]["tags"].append(HEAPED * 20)
    made[0]["shared"]["in"].append([1])
    made[0]["shared"]["in"][0] = 9
    made[1]["tags"].clear()
    made[1].update({f"key{i}": i for i in range(20)})
    del made[2]
    root["again"] = records()
    del root["again"]


def compacting_list(x: list[Any]) -> None:
    """One more value than the heap has room for; most of it is garbage."""
    x[0] = "w" * 3000


def garbage_list(x: list[Any]) -> None:
    x[0] = "u" * 3000
    x[1] = "v" * 3000
    x[0] = x[1] = 0
    x.append(0)


LIST_CASES = [
    Case("list append int", [], lambda x: x.append(7)),
    Case("list append int in place", mixture(), lambda x: x.append(7), grown),
    Case("list append heaped in place", mixture(), lambda x: x.append(HEAPED), grown),
    Case("list append heaped growing", mixture(), lambda x: x.append(HEAPED)),
    Case("list append blob", mixture(), lambda x: x.append(BLOB), grown),
    Case("list append nested", mixture(), lambda x: x.append([1, {"a": [HEAPED]}])),
    Case("list append cyclic", mixture(), lambda x: x.append(cyclic()), grown),
    Case("list append tuple of lists", mixture(), lambda x: x.append(([1], {2: [HEAPED]}))),
    Case("list append growing", list(range(100)), lambda x: x.append(7)),
    Case("list append out of its object", [1, HEAPED, [2]], lambda x: x.append(7)),
    Case("list clear in its object", [1, HEAPED, [2]], lambda x: x.clear()),
    Case("list extend records", [], lambda x: x.extend(records())),
    Case("list extend in place", mixture(), lambda x: x.extend([1, HEAPED]), grown),
    Case("list extend growing", mixture(), lambda x: x.extend(many(50))),
    Case("list extend blobs", mixture(), lambda x: x.extend([BLOB, BLOB + "2", [BLOB]])),
    Case("list extend itself", mixture(), lambda x: x.extend(x)),
    Case("list insert first", mixture(), lambda x: x.insert(0, HEAPED), grown),
    Case("list insert middle growing", mixture(), lambda x: x.insert(5, [1])),
    Case("list insert last", mixture(), lambda x: x.insert(99, 1), grown),
    Case("list set int", mixture(), assign(0, 2)),
    Case("list set short", mixture(), assign(-1, SHORT)),
    Case("list set heaped for heaped", mixture(), assign(3, HEAPED.upper()), churned),
    Case("list set heaped for int", mixture(), assign(0, HEAPED)),
    Case("list set int for blob", mixture(), assign(4, 0)),
    Case("list set blob for blob", mixture(), assign(4, BLOB.upper())),
    Case("list set nested for nested", mixture(), assign(8, lambda: {"n": [1, [2]]})),
    Case("list set int for nested", mixture(), assign(8, 5)),
    Case("list set compacting", [0] * 8, compacting_list, garbage_list),
    Case("list set slice shorter", mixture(), assign(slice(1, 6), lambda: [HEAPED])),
    Case("list set slice longer", mixture(), assign(slice(2, 4), lambda: many(20))),
    Case(
        "list set slice longer in place",
        list(range(30)),
        assign(slice(2, 4), lambda: [1] * 5),
        lambda x: x.extend([0] * 12) or x.__delitem__(slice(30, None)),
    ),
    Case("list set slice same length", mixture(), assign(slice(2, 5), lambda: [[1], BLOB, 3])),
    Case("list set slice empty", mixture(), assign(slice(4, 4), lambda: [1, HEAPED])),
    Case("list set slice all", mixture(), assign(slice(None), lambda: [HEAPED, [BLOB]])),
    Case("list set extended slice", mixture(), assign(slice(0, 9, 3), lambda: [HEAPED, [1], BLOB])),
    Case("list set backward slice", mixture(), assign(slice(None, None, -5), lambda: [1, 2, 3])),
    Case("list delete first", mixture(), delete(0)),
    Case("list delete nested", mixture(), delete(8)),
    Case("list delete last", mixture(), delete(-1), churned),
    Case("list delete slice", mixture(), delete(slice(2, 9))),
    Case("list delete slice shrinking", many(200), delete(slice(10, 190))),
    Case("list delete extended slice", mixture(), delete(slice(None, None, 2))),
    Case("list delete backward slice", mixture(), delete(slice(None, None, -3))),
    Case("list delete all", mixture(), delete(slice(None))),
    Case("list pop", mixture(), lambda x: x.pop()),
    Case("list pop first", mixture(), lambda x: x.pop(0)),
    Case("list pop nested", mixture(), lambda x: x.pop(7)),
    Case("list pop only", [[HEAPED]], lambda x: x.pop()),
    Case("list remove", mixture(), lambda x: x.remove(SHORT)),
    Case("list remove nested", mixture(), lambda x: x.remove([1, HEAPED])),
    Case("list clear", mixture(), lambda x: x.clear()),
    Case("list clear large", many(2000), lambda x: x.clear()),
    Case("list sort", [3, 1, 2, 5, 4], lambda x: x.sort()),
    Case("list sort by key", mixture(), lambda x: x.sort(key=repr, reverse=True), churned),
    Case("list reverse", mixture(), lambda x: x.reverse(), churned),
    Case("list iadd", mixture(), in_place("iadd", lambda: [1, [HEAPED]])),
    Case("list imul", mixture(), in_place("imul", 2)),
    Case("list imul nothing", mixture(), in_place("imul", 0)),
]


def filled(count: int) -> dict[Any, Any]:
    return {(i if i % 2 else f"key {i} that is longer than a cell"): i for i in range(count)}


def entries() -> dict[Any, Any]:
    shared = [1, HEAPED]
    return {
        "a": 1,
        "b": HEAPED,
        HEAPED: BLOB,
        1.5: shared,
        (1, "two"): {"in": shared},
        None: None,
        frozenset({1, 2}): 2.5,
    }


def holed(x: dict[Any, Any]) -> None:
    for i in range(20):
        x[f"temporary {i} with a long name"] = i
    for i in range(20):
        del x[f"temporary {i} with a long name"]
    x["room"] = 0


def garbage_dict(x: dict[Any, Any]) -> None:
    for i in range(5):
        x["b"] = f"{i}" * 900


DICT_CASES = [
    Case("dict set first", {}, assign("a", 1)),
    Case("dict set new", entries(), assign("new", 1), holed),
    Case("dict set out of its object", {"a": 1, HEAPED: [1]}, assign("b", HEAPED)),
    Case("dict replace in its object", {"a": 1, HEAPED: [1]}, assign(HEAPED, 2)),
    Case("dict delete in its object", {"a": 1, HEAPED: [1]}, delete("a")),
    Case("dict set new heaped", entries(), assign(HEAPED + "!", HEAPED), holed),
    Case("dict set new blob", entries(), assign("new", BLOB), holed),
    Case("dict set new nested", entries(), assign("new", lambda: {"x": [1, {"y": HEAPED}]})),
    Case("dict set new tuple key", entries(), assign((1, (2, "long enough for the heap")), [1])),
    Case("dict set new growing", filled(8), assign("new", 1)),
    Case("dict set new growing more", filled(60), assign("new", HEAPED)),
    Case("dict replace int", entries(), assign("a", 2)),
    Case("dict replace by equal key", {1: "int"}, assign(1.0, "float")),
    Case("dict replace heaped", entries(), assign("b", HEAPED.upper()), holed),
    Case("dict replace growing heap", entries(), assign("b", "h" * 2000)),
    Case("dict replace compacting", entries(), assign("b", "c" * 1800), garbage_dict),
    Case("dict replace blob", entries(), assign(HEAPED, BLOB.upper())),
    Case("dict replace blob by int", entries(), assign(HEAPED, 0)),
    Case("dict replace nested", entries(), assign(1.5, lambda: [[HEAPED], {}])),
    Case("dict replace nested by int", entries(), assign((1, "two"), 0)),
    Case("dict delete", entries(), delete("a")),
    Case("dict delete heaped key", entries(), delete(HEAPED)),
    Case("dict delete nested", entries(), delete((1, "two"))),
    Case("dict delete last", entries(), delete(frozenset({1, 2}))),
    Case("dict delete only", {"a": [1]}, delete("a")),
    Case("dict delete indexed", filled(100), delete(49)),
    Case(
        "dict delete shrinking",
        filled(100),
        lambda x: x.popitem(),
        lambda x: [x.popitem() for _ in range(90)] and None,
    ),
    Case("dict delete first", filled(40), delete("key 0 that is longer than a cell")),
    Case(
        "dict delete first after holes",
        filled(40),
        delete("key 4 that is longer than a cell"),
        lambda x: [x.pop(k) for k in list(x)[:4]] and x.pop(5) and None,
    ),
    Case("dict pop", entries(), lambda x: x.pop("b")),
    Case("dict pop nested", entries(), lambda x: x.pop(1.5)),
    Case("dict popitem", entries(), lambda x: x.popitem()),
    Case("dict update", entries(), lambda x: x.update({"a": HEAPED, "n": [1], "m": BLOB})),
    Case(
        "dict update in place",
        filled(40),
        lambda x: x.update({1: 2, 3: [1]} | {n: n for n in range(90, 100)}),
        lambda x: x.update({"room": 1}) or x.__delitem__("room"),
    ),
    Case("dict update many", entries(), lambda x: x.update(filled(100))),
    Case("dict update pairs and names", entries(), lambda x: x.update([("a", 2)], c=3)),
    Case("dict clear", entries(), lambda x: x.clear()),
    Case("dict clear large", filled(1000), lambda x: x.clear()),
    Case("dict setdefault", entries(), lambda x: x.setdefault("new", [HEAPED])),
    Case("dict ior", entries(), in_place("ior", lambda: {"a": 2, "new": {"n": 1}})),
]


def members() -> set[Any]:
    return {1, "a", HEAPED, (1, "two"), frozenset({3, HEAPED}), None, 2.5, BLOB}


def busy(x: set[Any]) -> None:
    for i in range(30):
        x.add(f"temporary {i} with a long name")
    for i in range(30):
        x.remove(f"temporary {i} with a long name")
    x.add("room")


SET_CASES = [
    Case("set add first", set(), lambda x: x.add(1)),
    Case("set add int", members(), lambda x: x.add(77), busy),
    Case("set add heaped", members(), lambda x: x.add(HEAPED + "!"), busy),
    Case("set add blob", members(), lambda x: x.add(BLOB + "!"), busy),
    Case("set add tuple", members(), lambda x: x.add((HEAPED, BLOB))),
    Case("set add growing", set(range(8)), lambda x: x.add(77)),
    Case("set add growing more", set(range(100)), lambda x: x.add(HEAPED)),
    Case("set add out of its object", {1, HEAPED}, lambda x: x.add(2)),
    Case("set discard", members(), lambda x: x.discard("a")),
    Case("set remove blob", members(), lambda x: x.remove(BLOB)),
    Case("set remove frozenset", members(), lambda x: x.remove(frozenset({3, HEAPED}))),
    Case("set remove indexed", set(range(100)), lambda x: x.remove(50)),
    Case(
        "set remove first",
        set(range(100)),
        lambda x: x.remove(2),
        lambda x: [x.remove(n) for n in (0, 3, 1)] and None,
    ),
    Case("set pop only", {HEAPED}, lambda x: x.pop()),
    Case("set update", members(), lambda x: x.update([5, 6], {HEAPED + "!", "a"})),
    Case("set ior", members(), in_place("ior", {1, 2, HEAPED + "2", (4,)})),
    Case("set ior many", set(range(20)), in_place("ior", set(range(10, 300)))),
    Case("set iand", members(), in_place("iand", {1, "a", "z"})),
    Case("set iand nothing", members(), in_place("iand", {"z"})),
    Case("set isub", members(), in_place("isub", {1, HEAPED, "z"})),
    Case("set ixor", members(), in_place("ixor", {1, HEAPED, "z", BLOB + "!"})),
    Case("set difference_update", set(range(40)), lambda x: x.difference_update(range(0, 40, 2))),
    Case(
        "set difference_update of a large part",
        {*range(300), HEAPED},
        lambda x: x.difference_update(range(0, 290, 2)),
    ),
    Case(
        "set intersection_update of a small part",
        {*range(300), HEAPED},
        lambda x: x.intersection_update([1, HEAPED]),
    ),
    Case("set intersection_update", set(range(40)), lambda x: x.intersection_update([1, 2, 3])),
    Case(
        "set symmetric_difference_update",
        members(),
        lambda x: x.symmetric_difference_update([1, "z", HEAPED]),
    ),
    Case("set clear", members(), lambda x: x.clear()),
]


# -- operations on more than one container ---------------------------------------------------------


class Account(pmemobj.PersistentObject):
    """A class with stored attributes."""

    def __init__(self, owner: str, *entries: int) -> None:
        self.owner = owner
        self.entries = list(entries)


class Unheard(pmemobj.PersistentList):
    """A class that no pool knows before its first instance."""


class PoolCase(NamedTuple):
    """Something done with a pool whose root is what *fill* gave, after *ready*."""

    name: str
    fill: Callable[[], Any]
    change: Callable[[Any], object]
    ready: Callable[[Any], object] | None = None

    def prepare(self, pool: Any) -> None:
        pool.root = self.fill()
        if self.ready is not None:
            self.ready(pool)


def nothing() -> dict[str, Any]:
    return {}


def library() -> dict[str, Any]:
    return {"list": mixture(), "dict": entries(), "set": members(), "more": {"deep": [[[HEAPED]]]}}


def holed_tables(pool: Any) -> None:
    """A dict and a set whose last entry comes after holes."""
    pool.root["holed dict"] = {f"{HEAPED} {i}": f"{i} {HEAPED}" for i in range(7)}
    pool.root["holed set"] = pool.new(pmemobj.PersistentSet, [f"{HEAPED} {i}" for i in range(7)])
    for i in (4, 5):
        del pool.root["holed dict"][f"{HEAPED} {i}"]
        pool.root["holed set"].remove(f"{HEAPED} {i}")


def with_account(pool: Any) -> None:
    pool.root["account"] = pool.new(Account, "Ada", 1, 2)
    pool.root["account"].note = BLOB


def account_case(name: str, change: Callable[[Any], object]) -> PoolCase:
    return PoolCase(name, nothing, lambda pool: change(pool.root["account"]), with_account)


OBJECT_CASES = [
    account_case("object set new", lambda x: setattr(x, "rate", 0.5)),
    account_case("object set new nested", lambda x: setattr(x, "history", [[1], {"a": HEAPED}])),
    account_case("object set replacing", lambda x: setattr(x, "owner", HEAPED)),
    account_case("object set replacing blob", lambda x: setattr(x, "note", None)),
    account_case("object set replacing nested", lambda x: setattr(x, "entries", [3])),
    account_case("object delete", lambda x: delattr(x, "entries")),
    account_case("object delete blob", lambda x: delattr(x, "note")),
    account_case("object inner append", lambda x: x.entries.append(HEAPED)),
]


def set_root(value: Callable[[], Any]) -> Callable[[Any], None]:
    def change(pool: Any) -> None:
        pool.root = value()

    return change


def attach(key: str, make: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(pool: Any) -> None:
        pool.root[key] = make(pool)

    return change


def transact(*steps: Callable[[Any], object]) -> Callable[[Any], None]:
    """All steps in one transaction; each is given the root."""

    def change(pool: Any) -> None:
        with pool.transaction():
            for step in steps:
                step(pool.root)

    return change


def move_between(root: Any) -> None:
    root["dict"]["moved"] = root["list"].pop(7)
    root["list"].append(root["dict"].pop((1, "two")))


def reuse_list(root: Any) -> None:
    """Vacate cells and heap, then fill them again in the same transaction."""
    x = root["list"]
    del x[3:]
    x.extend([HEAPED + "!", BLOB + "!", [HEAPED]])
    x.clear()
    x.extend(many(12))


def reuse_dict(root: Any) -> None:
    x = root["dict"]
    x.popitem()
    x["new"] = HEAPED
    del x["new"]
    x["newer"] = [HEAPED]
    x.clear()
    x.update(filled(12))
    x["one more"] = HEAPED


def reuse_set(root: Any) -> None:
    x = root["set"]
    x.pop()
    x.add(HEAPED + "!")
    x &= {1, HEAPED + "!"}
    x |= set(range(20))


def grow_and_shrink(root: Any) -> None:
    root["list"].extend(many(100))
    del root["list"][5:100]
    for i in range(12):
        root["dict"][i] = f"{HEAPED} {i}" * 3
    for i in range(10):
        del root["dict"][i]


def refill_holes(root: Any) -> None:
    """Take back the end of a table with the holes before it, and write there again."""
    for x in (root["holed dict"], root["holed set"]):
        (x.popitem if hasattr(x, "popitem") else x.pop)()
    root["holed dict"].update({f"{HEAPED} {i}": i for i in range(3)})
    root["holed set"].update(range(100, 103))


def refill_emptied(root: Any) -> None:
    """Empty tables entry by entry, which keeps their bodies, and fill them again."""
    for name in ("holed dict", "holed set"):
        x = root[name]
        for key in list(x):
            x.__delitem__(key) if name == "holed dict" else x.remove(key)
    root["holed dict"]["new"] = HEAPED.upper()
    root["holed set"].add(HEAPED.upper())


def swap_shared(root: Any) -> None:
    """The last references to an object go, in one transaction with new ones."""
    shared = root["dict"][1.5]
    root["dict"][1.5] = None
    root["dict"].pop((1, "two"), None)
    root["more"]["saved"] = [shared, shared]


def nested_transactions(pool: Any) -> None:
    with pool.transaction():
        pool.root["more"]["outer"] = 1
        with pool.transaction():
            pool.root["list"].append([HEAPED])
            with pool.transaction():
                pool.root["dict"].clear()
        pool.root["set"].add("after the inner ones")


def by_hand(pool: Any) -> None:
    transaction = pool.transaction()
    transaction.begin()
    pool.root["list"].clear()
    pool.root["more"]["by hand"] = HEAPED
    transaction.commit()


def several_commits(pool: Any) -> Iterator[None]:
    """Each of these is committed by itself."""
    root = pool.root
    root["list"].append(1)
    yield
    root["dict"]["b"] = [HEAPED]
    yield
    with pool.transaction():
        root["set"].clear()
        root["list"].pop()
        root["list"].pop()
    yield
    del root["more"]


def churning(pool: Any) -> Iterator[None]:
    """Values replaced until the heap is compacted."""
    for i in range(10):
        pool.root["x"][i % 2] = f"{i}" * 700
        yield


def churning_dict(pool: Any) -> Iterator[None]:
    for i in range(10):
        pool.root["x"]["key"] = f"{i}" * 700
        yield


def with_tables(pool: Any) -> None:
    pool.root = {"d": {"a": 1}, "s": set(), "t": pool.new(pmemobj.PersistentTuple, [1, HEAPED])}


def store_under_built_keys(pool: Any) -> None:
    """Keys that are objects of their own, for they hold one."""
    root, key = pool.root, (pool.root["t"], (2, pool.root["t"]))
    with pool.transaction():
        root["d"][key] = [1]
        root["s"].add(key)
        root["d"].update({key: [HEAPED], "b": {key}})


def with_built_keys(pool: Any) -> None:
    with_tables(pool)
    store_under_built_keys(pool)
    pool.root["d"]["b"] = 0


def delete_built_keys(pool: Any) -> None:
    root, key = pool.root, (pool.root["t"], (2, pool.root["t"]))
    with pool.transaction():
        del root["d"][key]
        root["s"] ^= {key}


def with_ring(pool: Any) -> None:
    ring = pool.root["ring"] = pool.new(ObjectRing, 3)
    for value in ([1], HEAPED, 3):
        ring.append(value)


def ring_case(name: str, change: Callable[[Any], object]) -> PoolCase:
    return PoolCase(name, nothing, change, with_ring)


def enlarge_ring(pool: Any) -> None:
    """Move the block of elements, as a class of its own layout may."""
    ring = pool.root["ring"]
    mm = pool.mm
    with pool.transaction():
        mm.snapshot_range(ring._ring, 64)
        slots = mm.realloc(ring._ring.slots, 6 * 16)
        ring._ring.slots.pool_uuid_lo, ring._ring.slots.off = slots
        ring._ring.capacity = 6
        ring.append([HEAPED])


def gather_pairs(root: Any) -> None:
    """Entries that the core gets together: some when another is deleted, some at the end."""
    for name in ("one", "other"):
        root[name] = dict.fromkeys(map(str, range(150)), 0.5)
        root[name]["first"] = 1  # the storage grows: from here on there is room
    one, other = root["one"], root["other"]
    for i in range(6):
        one[f"n{i}"], other["n"] = i, i / 2
    del one["n3"]
    one["n5"] = other["149"] = -1


POOL_CASES = [
    PoolCase("root replaced", library, set_root(lambda: {"new": [1, [HEAPED], BLOB]})),
    PoolCase("root replaced large", lambda: [[i, [HEAPED]] for i in range(16)], set_root(list)),
    PoolCase("root written through the file", library, set_root(lambda: list(range(70_000)))),
    PoolCase("root replaced by int", library, set_root(lambda: 5)),
    PoolCase("root replaced by blob", library, set_root(lambda: BLOB)),
    PoolCase("root set from none", lambda: None, set_root(library)),
    PoolCase("root replaced by cycle", library, set_root(cyclic)),
    PoolCase("built keys new", nothing, store_under_built_keys, with_tables),
    PoolCase("built keys there", nothing, store_under_built_keys, with_built_keys),
    PoolCase("built keys deleted", nothing, delete_built_keys, with_built_keys),
    PoolCase("root's entry replaced", library, attach("list", lambda pool: pool.root["dict"])),
    PoolCase("new list", library, attach("n", lambda p: p.new(pmemobj.PersistentList, many(9)))),
    PoolCase("new dict", library, attach("n", lambda p: p.new(pmemobj.PersistentDict, a=[1]))),
    PoolCase("new set", library, attach("n", lambda p: p.new(pmemobj.PersistentSet, {1, "b"}))),
    PoolCase("new tuple", library, attach("n", lambda p: p.new(pmemobj.PersistentTuple, (1, [2])))),
    PoolCase("new object", nothing, attach("n", lambda p: p.new(Account, "Bob", 7)), with_account),
    PoolCase("first object of a class", library, attach("n", lambda p: p.new(Account, "Eve", 1))),
    PoolCase("first list of a class", library, attach("n", lambda p: p.new(Unheard, [1, HEAPED]))),
    PoolCase("plain graph", nothing, attach("n", lambda _: library())),
    PoolCase(
        "persisted value",
        nothing,
        lambda p: p.root.update(n=p.mm.resurrect(p.mm.persist((1, (HEAPED, [BLOB]))))),
    ),
    PoolCase(
        "transaction of many",
        library,
        transact(
            lambda root: root["list"].append([1]),
            lambda root: root["dict"].update(a=HEAPED, z=[BLOB]),
            lambda root: root["set"].discard(HEAPED),
            lambda root: root["more"].clear(),
        ),
    ),
    PoolCase("transaction reworking records", library, transact(records_reworked)),
    PoolCase("transaction gathering", library, transact(gather_pairs)),
    PoolCase("transaction moving", library, transact(move_between)),
    PoolCase("transaction refilling holes", nothing, transact(refill_holes), holed_tables),
    PoolCase("transaction refilling emptied", nothing, transact(refill_emptied), holed_tables),
    PoolCase("transaction reusing a list", library, transact(reuse_list)),
    PoolCase("transaction reusing a dict", library, transact(reuse_dict)),
    PoolCase("transaction reusing a set", library, transact(reuse_set)),
    PoolCase("transaction growing and shrinking", library, transact(grow_and_shrink)),
    PoolCase("transaction saving what was shared", library, transact(swap_shared)),
    PoolCase(
        "transaction with a new class",
        library,
        transact(
            lambda root: root.update(n=root._p_mm.new(Account, "in a transaction")),
            lambda root: root["n"].entries.append(1),
        ),
    ),
    PoolCase("nested transactions", library, nested_transactions),
    PoolCase("transaction by hand", library, by_hand),
    PoolCase("several commits", library, several_commits),
    PoolCase("list churning", lambda: {"x": ["0", "1"]}, churning),
    PoolCase("dict churning", lambda: {"x": {"key": "", 1: [HEAPED]}}, churning_dict),
    PoolCase("custom first", nothing, attach("ring", lambda pool: pool.new(FloatRing, 8))),
    ring_case("custom store immediate", lambda pool: pool.root["ring"].append(4)),
    ring_case("custom store heaped", lambda pool: pool.root["ring"].append(HEAPED + "!")),
    ring_case("custom store nested", lambda pool: pool.root["ring"].append([{"a": [BLOB]}])),
    ring_case("custom realloc", enlarge_ring),
    ring_case("custom death", lambda pool: pool.root.pop("ring")),
    ring_case("custom death with others", lambda pool: pool.root.clear()),
]


def forget_cycles(pool: Any) -> None:
    """Garbage that counts of references do not find."""
    for _ in range(4):
        pool.root["cycle"] = cyclic()
        del pool.root["cycle"]


def custom_cycle(pool: Any) -> None:
    ring = pool.new(ObjectRing, 2)
    ring.append([ring, HEAPED])


def count_up_and_down(pool: Any) -> None:
    oid = pool.root["list"]._p_oid
    with pool.transaction():
        pool.mm.incref(oid)
        pool.mm.decref(oid)


def allocate_and_free(pool: Any) -> None:
    mm = pool.mm
    with pool.transaction():
        block = mm.zalloc(5000, 77)
        mm.free(mm.alloc(100, 77))
    with pool.transaction():
        block = mm.realloc(block, 9000)
        block = mm.zrealloc(block, 30)
    with pool.transaction():
        mm.free(block)


def copied(pool: Any) -> None:
    """A snapshot: made beside the pool, and taken away again."""
    copy = f"{pool.path}.copy"
    pool.snapshot(copy)
    os.unlink(copy)
    pool.mm.persist(BLOB)


SAME_CASES = [
    PoolCase("new without a home", library, lambda pool: pool.new(Account, HEAPED, 1, 2)),
    PoolCase("persisted without a home", library, lambda pool: pool.mm.persist((BLOB, [1]))),
    PoolCase("counted up and down", library, count_up_and_down),
    PoolCase("allocated and freed", library, allocate_and_free),
    PoolCase("gc of nothing", library, lambda pool: pool.gc() and pool.mm.persist(BLOB)),
    PoolCase("gc of cycles", library, lambda pool: pool.gc(), forget_cycles),
    PoolCase("gc of a custom cycle", library, lambda pool: pool.gc(), custom_cycle),
    PoolCase("check", library, lambda pool: pool.check() and pool.mm.persist(BLOB)),
    PoolCase("snapshot", library, copied),
]


def rolled_back(*steps: Callable[[Any], object]) -> Callable[[Any], None]:
    """All steps in a transaction that ends by an exception."""

    def change(pool: Any) -> None:
        try:
            transact(*steps, lambda root: 1 / 0)(pool)
        except ZeroDivisionError:
            return
        raise AssertionError("it was not raised")

    return change


def inner_failure(pool: Any) -> None:
    try:
        with pool.transaction():
            pool.root["more"]["outer"] = 1
            rolled_back(reuse_list)(pool)
            pool.root["more"]["outer"] = 2
    except pmemobj.TransactionAbortedError:
        return
    raise AssertionError("an inner transaction failed, and the outer one committed")


def aborted_root(pool: Any) -> None:
    def replace(root: Any) -> None:
        root["list"].append(1)
        pool.root = {"other": [HEAPED]}
        pool.root["other"].append(BLOB)

    rolled_back(replace)(pool)


def aborted_by_hand(pool: Any) -> None:
    transaction = pool.transaction()
    transaction.begin()
    reuse_dict(pool.root)
    transaction.abort()


def failing_constructor(pool: Any) -> None:
    class Failing(Account):
        def __init__(self) -> None:
            super().__init__(HEAPED, 1)
            raise ZeroDivisionError

    Failing.__qualname__ = "Failing"
    try:
        pool.root["n"] = pool.new(Failing)
    except ZeroDivisionError:
        return
    raise AssertionError("it was not raised")


ABORT_CASES = [
    PoolCase("aborted refilling of holes", nothing, rolled_back(refill_holes), holed_tables),
    PoolCase("aborted refilling of emptied", nothing, rolled_back(refill_emptied), holed_tables),
    PoolCase("aborted list", library, rolled_back(reuse_list)),
    PoolCase("aborted dict", library, rolled_back(reuse_dict)),
    PoolCase("aborted set", library, rolled_back(reuse_set)),
    PoolCase("aborted moves", library, rolled_back(move_between, swap_shared, grow_and_shrink)),
    PoolCase("aborted root", library, aborted_root),
    PoolCase(
        "aborted first object",
        library,
        rolled_back(lambda root: root.update(n=root._p_mm.new(Account, "gone"))),
    ),
    PoolCase(
        "aborted custom",
        nothing,
        rolled_back(
            lambda root: root["ring"].append([HEAPED]),
            lambda root: root.pop("ring"),
        ),
        with_ring,
    ),
    PoolCase("aborted inner", library, inner_failure),
    PoolCase("aborted by hand", library, aborted_by_hand),
    PoolCase("aborted constructor", library, failing_constructor),
]
