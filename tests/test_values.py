"""Immutable values come back exactly, from every place; what cannot be stored is refused whole."""

from __future__ import annotations

import collections
import dataclasses
import enum
import io
import math
import os
import pickle
import re
import sys
import threading
import types
from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes import run
from stored_values import DEEP, VALUES, form, same

import pmemobj
from pmemobj._native import ffi, lib

Pool = pmemobj.PersistentObjectPool
Reopen = Callable[[Pool], Pool]

HASHABLE = [
    value
    for value in VALUES
    if not (type(value) is Decimal and value.is_snan())
    and not any(value is other for other in DEEP)  # a key may be nested 50 deep
]


class Thing(pmemobj.PersistentObject):
    pass


def label(value: object) -> str:
    """The same in every process, so that several can share the tests."""
    text = name = type(value).__name__
    if len(form(value)) < 200 and " at 0x" not in repr(value) and "frozenset({" not in repr(value):
        text = f"{name}-{value!r}"
    return text[:40].encode("ascii", "backslashreplace").decode()


# ---- round trips ----


def test_the_comparison_tells_values_apart() -> None:
    for number, one in enumerate(VALUES):
        assert [other for other in VALUES if same(one, other)] == [one] or (
            sum(same(one, other) for other in VALUES) == 1
        ), number


@pytest.mark.parametrize("value", VALUES, ids=label)
def test_everywhere_at_once(pool: Pool, value: Any) -> None:
    thing = pool.new(Thing)
    thing.value = value
    pool.root = {
        "list": [value, [value]],
        "dict": {"v": value},
        "thing": thing,
        "tuple": (value, []),
    }
    root = pool.root
    oid = pool.mm.persist(value)
    places: dict[str, Callable[[], Any]] = {
        "list": lambda: root["list"][0],
        "inner": lambda: root["list"][1][0],
        "dict": lambda: root["dict"]["v"],
        "attribute": lambda: root["thing"].value,
        "tuple": lambda: root["tuple"][0],
        "persisted": lambda: pool.mm.resurrect(oid),
        "iterated": lambda: next(iter(root["list"])),
        "values": lambda: next(iter(root["dict"].values())),
    }
    for _ in range(2):  # cold, then warm
        for place, read in places.items():
            assert same(read(), value), place
    pool.root = value
    assert same(pool.root, value)
    assert pool.check().ok


@pytest.mark.parametrize("value", HASHABLE, ids=label)
def test_as_a_key_and_an_element(pool: Pool, value: Any) -> None:
    pool.root = {"dict": {value: "v"}, "set": {value}}
    table, group = pool.root["dict"], pool.root["set"]
    assert same(next(iter(table)), value)
    assert same(next(iter(group)), value)
    assert table[value] == "v"
    assert value in table
    assert value in group
    group.discard(value)
    del table[value]
    assert (len(table), len(group)) == (0, 0)
    assert pool.check().ok


def test_another_process_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pmemobj.create(path, 64 << 20) as pool:
        pool.root = {
            "list": list(VALUES),
            "keys": {value: number for number, value in enumerate(HASHABLE)},
            "thing": (thing := pool.new(Thing)),
            "oids": [],
        }
        for number, value in enumerate(VALUES):
            setattr(thing, f"v{number}", value)
            oid = pool.mm.persist(value)
            pool.mm.incref(oid)
            pool.root["oids"].append(oid)
    run(
        """
        import sys
        sys.path.insert(0, sys.argv[2])
        import pmemobj
        from test_values import HASHABLE, VALUES, Thing, same
        with pmemobj.open(sys.argv[1]) as pool:
            assert pool.recovery == pmemobj.Recovery(), pool.recovery
            root = pool.root
            thing, oids, numbers = root["thing"], root["oids"], root["list"]
            assert type(thing) is Thing
            for number, value in enumerate(VALUES):
                assert same(numbers[number], value), number
                assert same(getattr(thing, f"v{number}"), value), number
                assert same(pool.mm.resurrect(oids[number]), value), number
            last = {value: number for number, value in enumerate(HASHABLE)}
            assert len(last) == len(root["keys"])
            for key, number in root["keys"].items():
                assert key != key or last[key] == number, key
            assert all(same(a, b) for a, b in zip(last, root["keys"]))
        """,
        path,
        Path(__file__).parent,
    )


def test_equal_values_of_several_types_stay_themselves(pool: Pool) -> None:
    pool.root = [1, 1.0, True, Decimal(1), 1 + 0j]
    for _ in range(2):
        assert [type(value) for value in pool.root] == [int, float, bool, Decimal, complex]
        assert [type(pool.root[place]) for place in range(5)] == [
            int,
            float,
            bool,
            Decimal,
            complex,
        ]
    pool.root[0] = 1.0
    assert type(pool.root[0]) is float
    pool.root[1] = 1
    assert type(pool.root[1]) is int
    pool.root = {1: "a"}
    pool.root[True] = "b"
    pool.root[1.0] = "c"
    assert [(type(key), value) for key, value in pool.root.items()] == [(int, "c")]


def test_minus_zero_and_nan_replace_each_other(pool: Pool) -> None:
    pool.root = [0.0]
    for value in (-0.0, 0.0, math.nan, -math.nan, 0, False):
        pool.root[0] = value
        assert same(pool.root[0], value)


# ---- what cannot be stored ----


class Plain:
    pass


class StrangeList(list[Any]):
    pass


class StrangeText(str):
    __slots__ = ()


class Row(NamedTuple):
    a: int


def generate() -> Iterator[int]:
    yield 1


UNSTORABLE: list[Any] = [
    object(),
    Plain(),
    Plain().__init__,
    generate(),
    lambda: 1,
    bytearray(b"x"),
    memoryview(b"x"),
    array("q", [1]),
    StrangeList([1]),
    StrangeText("x"),
    Row(1),
    collections.defaultdict(list),
    collections.deque([1]),
    collections.Counter("a"),
    threading.Lock(),
    sys,
    types.SimpleNamespace(a=1),
    {}.keys(),
    io.StringIO("x"),
    iter([1]),
    slice(1),
    ffi.new("int *"),
    NotADirectoryError("x"),
]


@pytest.mark.parametrize("value", UNSTORABLE, ids=lambda value: type(value).__name__)
def test_refused_with_the_path_and_nothing_touched(pool: Pool, value: Any) -> None:
    pool.root = {"cfg": [1, 2, 3, 4], "set": {1}}
    root = pool.root
    config, thing = root["cfg"], pool.new(Thing)
    before, counters = pmemobj.plain(root), ffi.new("pmo_counters *")
    lib.pmo_count(pool.mm.ctx, counters)
    touched = (counters.transactions, counters.allocations)
    uses: dict[str, Callable[[], Any]] = {
        r"root\['x'\]": lambda: root.update({"x": value}),
        r"root\['y'\]": lambda: root.__setitem__("y", value),
        r"root\['z'\]\[1\]\['a'\]\[0\]": lambda: root.__setitem__("z", [0, {"a": (value,)}]),
        r"<PersistentList>\[3\]": lambda: config.__setitem__(3, value),
        r"<PersistentList>\[4\]": lambda: config.append(value),
        r"<PersistentList>\[5\]": lambda: config.extend([1, value]),
        r"<PersistentList>\[2\]\[0\]": lambda: config.__setitem__(2, [value]),
        r"<Thing>": lambda: setattr(thing, "it", value),
        r"value": lambda: setattr(pool, "root", value),
        r"value\[0\]": lambda: pool.mm.persist((value,)),
    }
    name = type(value).__name__
    for path, use in uses.items():
        with pytest.raises(pmemobj.UnstorableError, match=f"^{path}.*: {name}.*; ") as caught:
            use()
        assert isinstance(caught.value, TypeError)
    lib.pmo_count(pool.mm.ctx, counters)
    assert (counters.transactions, counters.allocations) == touched
    assert pmemobj.plain(root) == before


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Record:
    x: int


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (collections.defaultdict(list), r"store dict\(x\), and say d.setdefault"),
        (collections.Counter("a"), r"store dict\(x\), and count with d\[key\]"),
        (collections.deque([1]), r"store list\(x\)$"),
        (Point(1), r"store tuple\(x\) or x._asdict\(\), or, .*persist_via_pickle\(.*Point\)$"),
        (Record(1), r"store dataclasses.asdict\(x\) instead, derive"),
        (StrangeList([1]), r"store list\(x\), or derive its class from PersistentList$"),
        (StrangeText("x"), r"store str\(x\), or, "),
        (types.SimpleNamespace(a=1), r"store vars\(x\)$"),
        (memoryview(b"x"), r"store bytes\(x\)$"),
        (array("d", [1]), r"store numpy.array\(x\), or list\(x\)$"),
        (io.StringIO("x"), r"store x.getvalue\(\)$"),
        (zip([1], [2], strict=True), r"store list\(x\)$"),
        (threading.Lock(), "keep it in an attribute named _v_"),
        (re.compile("x"), r"pool.persist_via_pickle\(re.Pattern\)$"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_says_what_to_store_instead(pool: Pool, value: Any, advice: str) -> None:
    with pytest.raises(pmemobj.UnstorableError, match=advice):
        pool.root["x"] = [value]


def test_an_ordered_dict_becomes_a_dict_in_its_order(pool: Pool, reopen: Reopen) -> None:
    ordered: collections.OrderedDict[str, Any] = collections.OrderedDict(a=1, b=[2], c=3)
    ordered.move_to_end("a")
    ordered["itself"] = ordered
    pool.root = [ordered, {"nested": ordered}, (ordered,)]
    pool = reopen(pool)
    found = pool.root[0]
    assert type(found) is pmemobj.PersistentDict
    assert list(found) == ["b", "c", "a", "itself"]
    assert found["itself"] is pool.root[1]["nested"] is pool.root[2][0] is found
    pool.root = collections.OrderedDict(z=1, a=2)
    pool.root["new"] = pool.new(pmemobj.PersistentDict, collections.OrderedDict(b=1, a=2))
    assert list(pool.root.items())[:2] == [("z", 1), ("a", 2)]
    assert list(pool.root["new"]) == ["b", "a"]
    assert pool.check().ok


def test_the_path_of_an_open_file(pool: Pool, tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        with pytest.raises(pmemobj.UnstorableError) as caught:
            pool.root["cfg"] = [0, 1, 2, file]
        assert str(caught.value).startswith("root['cfg'][3]: TextIOWrapper")
        assert caught.value.path == "root['cfg'][3]"
        assert "path" in str(caught.value)
        with pytest.raises(pmemobj.UnstorableError, match=r"^value\['a'\]\['b'\]: TextIOWrapper"):
            pool.root = {"a": {"b": file}}
        with pytest.raises(pmemobj.UnstorableError, match=r"^root\['a'\].*: as a key"):
            pool.root["a"] = {file: 1}
        with pytest.raises(pmemobj.UnstorableError):
            pool.root["a"] = {file}
        with pytest.raises(pmemobj.UnstorableError):
            pool.root[file] = 1
    assert pool.root == {}


def test_unhashable_keys(pool: Pool) -> None:
    for use in (
        lambda: pool.root.__setitem__([], 1),
        lambda: pool.root.__setitem__(([],), 1),
        lambda: pool.root.get({}),
    ):
        with pytest.raises(TypeError, match="unhashable"):
            use()


def test_a_batch_with_one_stranger_stores_nothing(pool: Pool) -> None:
    pool.root = {"list": [1], "dict": {"a": 1}, "set": {1}}
    root = pool.root
    many = [*range(5000), object(), *range(5000)]
    for use in (
        lambda: root["list"].extend(many),
        lambda: root["list"].__setitem__(slice(None), many),
        lambda: root["dict"].update((str(n), value) for n, value in enumerate(many)),
        lambda: root["dict"].update(dict.fromkeys(many)),
        lambda: root["set"].update(many),
        lambda: root.update(new=many),
    ):
        with pytest.raises(pmemobj.UnstorableError):
            use()
    assert pmemobj.plain(root) == {"list": [1], "dict": {"a": 1}, "set": {1}}
    assert pool.check().garbage == 0


# ---- pickles ----


class Money:
    """An immutable value of a class of one's own."""

    def __init__(self, amount: int, unit: str) -> None:
        self.amount, self.unit = amount, unit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and (self.amount, self.unit) == (other.amount, other.unit)

    def __hash__(self) -> int:
        return hash((self.amount, self.unit))


def test_nominated_types(pool: Pool, reopen: Reopen) -> None:
    price = Money(5, "EUR")
    with pytest.raises(pmemobj.UnstorableError, match=r"persist_via_pickle\(test_values\.Money\)"):
        pool.root["price"] = price
    pool.persist_via_pickle(Money, Row)
    pool.root["price"] = price
    pool.root["list"] = [price, Row(1), "x"]
    pool.root["keys"] = {price: 1}
    pool.root["set"] = {price}
    thing = pool.root["thing"] = pool.new(Thing)
    thing.price = price
    oid = pool.mm.persist(price)
    assert pool.mm.resurrect(oid) == price
    pool.mm.incref(oid)

    def check(pool: Pool) -> None:
        root = pool.root
        assert root["price"] == root["list"][0] == root["thing"].price == price
        assert type(root["list"][1]) is Row
        assert root["keys"] == {price: 1}
        assert root["set"] == {price}
        assert pool.mm.resurrect(oid) == price

    check(pool)
    again = reopen(pool)
    check(again)  # reading needs no nomination
    with pytest.raises(pmemobj.UnstorableError, match="persist_via_pickle"):
        again.root["new"] = price
    assert "new" not in again.root
    again.persist_via_pickle(Money)
    again.root["new"] = Money(6, "EUR")
    assert again.root["new"].amount == 6
    assert again.check().ok


def test_nominating_what_is_supported_directly(pool: Pool) -> None:
    pool.persist_via_pickle(complex, list, int)
    pool.root["values"] = [1, 1j, [2]]
    assert type(pool.root["values"]) is pmemobj.PersistentList
    assert pool.root["values"] == [1, 1j, [2]]


@pytest.mark.parametrize("wrong", [5, "int", None, [int]])
def test_nominating_what_is_no_type(pool: Pool, wrong: Any) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match="types"):
        pool.persist_via_pickle(int, wrong)
    with pytest.raises(pmemobj.UnstorableError):
        pool.root["a"] = Money(1, "x")


def test_a_nominated_value_that_cannot_be_pickled(pool: Pool) -> None:
    pool.persist_via_pickle(Plain)
    bad = Plain()
    bad.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(pmemobj.UnstorableError, match=r"cannot be pickled.*lock"):
        pool.root["cfg"] = [1, bad]
    assert pool.root == {}


# ---- plain containers ----


def test_shared_references_and_cycles_are_kept(pool: Pool, reopen: Reopen) -> None:
    shared = [1]
    ring: list[Any] = [shared]
    ring.append(ring)
    table: dict[str, Any] = {"shared": shared, "ring": ring}
    table["self"] = table
    pool.root["data"] = [shared, shared, (shared, [ring]), table]
    for again in (False, True):
        current = reopen(pool) if again else pool
        data = current.root["data"]
        assert data[0] is data[1] is data[2][0] is data[3]["shared"]
        assert data[3]["ring"][1] is data[3]["ring"] is data[2][1][0]
        assert data[3]["self"] is data[3]
        assert data[3]["ring"][0] is data[0]
        data[0].append(len(data[0]) + 1)
        assert data[2][0] == data[1]
        copy = pmemobj.plain(data)
        assert copy[0] is copy[1] is copy[2][0]
        assert copy[3]["self"] is copy[3]
        assert current.check().ok


def test_what_was_stored_is_a_copy(pool: Pool) -> None:
    numbers = [1, [2]]
    pool.root["a"] = numbers
    numbers.append(3)
    assert pool.root["a"] == [1, [2]]


def test_deep_nesting(pool: Pool) -> None:
    value: Any = []
    for _ in range(3000):
        value = [value]
    pool.root["deep"] = value
    depth, at = 0, pool.root["deep"]
    while len(at):
        at, depth = at[0], depth + 1
    assert depth == 3000
    del pool.root["deep"], at
    assert pool.check().garbage == 0


def test_tuples_with_persistent_parts(pool: Pool, reopen: Reopen) -> None:
    value = (1, ("a", [2]), frozenset({(3, "b")}))
    pool.root["t"] = value
    for again in (False, True):
        found = (reopen(pool) if again else pool).root["t"]
        assert type(found) is tuple
        assert type(found[1][1]) is pmemobj.PersistentList
        assert pmemobj.plain(found) == value


def test_pickling_what_was_read_gives_plain_values(pool: Pool) -> None:
    pool.root["a"] = {"b": [1, {2}]}
    plain = pickle.loads(pickle.dumps(pool.root["a"]))
    assert plain == {"b": [1, {2}]}
    assert type(plain["b"]) is list


def test_an_enum_member_by_reference(pool: Pool, reopen: Reopen) -> None:
    class Local(enum.Enum):
        A = 1

    with pytest.raises(pmemobj.UnstorableError, match="Local"):
        pool.root["local"] = Local.A
    assert pool.root == {}
    pool.root["f"] = os.path.join
    assert reopen(pool).root["f"] is os.path.join
