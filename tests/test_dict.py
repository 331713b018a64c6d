"""PersistentDict beyond what CPython's own tests (tests/conformance) cover."""

from __future__ import annotations

import collections
import collections.abc
import copy
import datetime
import math
import numbers
import pickle
import types
import zoneinfo
from collections import namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from threads import together

import pmemobj
from pmemobj import PersistentDict, PersistentObject
from pmemobj._native import lib


def make(pool: Any, values: Any = (), **more: Any) -> PersistentDict:
    pool.root["dict"] = pool.new(PersistentDict, values, **more)
    return pool.root["dict"]


def outcome(operate: Any, target: Any) -> Any:
    """What an operation gives: its value, or the kind of its error."""
    try:
        return operate(target)
    except (KeyError, ValueError, TypeError) as error:
        return type(error)


class Point(PersistentObject):
    def __init__(self, x: Any) -> None:
        self.x = x


class Text(str):
    """A str that cannot be stored, but equals one that can."""


def test_identity_and_reopening(pool: Any, reopen: Any) -> None:
    d = make(pool, {"a": [1], 2: {"b": {3}}}, kw="x" * 5000)
    assert pool.root["dict"] is d and d["a"] is d["a"] and d.get("a") is d["a"]
    assert next(iter(d.values())) is d["a"]
    assert d.setdefault("a") is d["a"]
    expected = pmemobj.plain(d)
    pool = reopen(pool)
    assert pool.root["dict"] == expected and list(pool.root["dict"]) == ["a", 2, "kw"]
    for use in (lambda: d["a"], lambda: "a" in d, lambda: len(d), lambda: d.update(a=1)):
        with pytest.raises(pmemobj.PoolClosedError):
            use()


CHANGES = [
    lambda d: d.__setitem__("new", [1]),
    lambda d: d.__setitem__("a", {"k": 1}),
    lambda d: d.__delitem__("a"),
    lambda d: d.pop("b"),
    lambda d: d.popitem(),
    lambda d: d.setdefault("new", {1}),
    lambda d: d.update({"a": 5, "n": [6]}, z=7),
    lambda d: d.update([(i, str(i) * 50) for i in range(200)]),
    lambda d: d.__ior__({"a": None}),
    lambda d: d.clear(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_aborted_change_leaves_what_was_there(pool: Any, reopen: Any, change: Any) -> None:
    before = {"a": 1, "b": [2], 3: "three", "d": None}
    d = make(pool, before)
    inner = d["b"]
    for key in before:
        d[key]  # into the cache
    with pytest.raises(KeyError), pool.transaction():
        change(d)
        assert d != before
        raise KeyError
    assert d == before and list(d) == list(before)
    assert d["b"] is inner
    assert "new" not in d and d.get("z") is None
    d._check()
    change(d)
    changed = pmemobj.plain(d)
    assert {key: pmemobj.plain(d[key]) for key in d} == changed != before
    pool = reopen(pool)
    assert pool.root["dict"] == changed and list(pool.root["dict"]) == list(changed)
    pool.root["dict"]._check()


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", "\udc80", "\0"])
def test_short_and_long_strings_as_values(pool: Any, reopen: Any, letter: str) -> None:
    expected = {f"{letter}{length}": letter * length for length in (0, 1, 12, 13, 255, 256, 257)}
    pool.root = {"alone": {}, "together": {}}
    for key, value in expected.items():
        pool.root["alone"][key] = "replaced"
        pool.root["alone"][key] = value
    with pool.transaction():
        for key, value in expected.items():
            pool.root["together"][key] = value
            assert pool.root["together"][key] == value
    root = reopen(pool).root
    assert root["alone"] == root["together"] == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda d, bad: d.__setitem__("a", bad),
        lambda d, bad: d.__setitem__("a", [1, {"x": bad}]),
        lambda d, bad: d.__setitem__(bad, 1),
        lambda d, bad: d.update(b=1, a=bad),
        lambda d, bad: d.update({"b": 1, bad: 2}),
        lambda d, bad: d.setdefault("b", bad),
        lambda d, bad: d.__ior__([("b", 1), ("c", [bad])]),
    ],
)
def test_an_unstorable_item_is_refused_before_anything_changes(pool: Any, change: Any) -> None:
    d = make(pool, a=1)
    with pytest.raises(pmemobj.UnstorableError):
        change(d, object())
    assert d == {"a": 1} and d["a"] == 1
    assert pool.gc().freed == 0


def test_the_error_names_the_place(pool: Any) -> None:
    with pytest.raises(pmemobj.UnstorableError, match=r"root\['cfg'\]\[3\]") as caught:
        pool.root["cfg"] = [1, 2, 3, object()]
    assert caught.value.path == "root['cfg'][3]"


def test_update_takes_everything_that_dict_takes_all_or_none(pool: Any) -> None:
    d = make(pool)
    d.update({"a": 1})
    d.update([("b", 2), ["c", 3], "de"])
    d.update(iter([(4, 5)]), f=6)
    d.update(collections.OrderedDict(g=7))
    d.update(pool.new(PersistentDict, h=8))
    d.update(d)
    assert d == {"a": 1, "b": 2, "c": 3, "d": "e", 4: 5, "f": 6, "g": 7, "h": 8}
    before = d.copy()
    for wrong, error in (
        ([("x", 1), ("y",)], ValueError),
        ([("x", 1), 5], TypeError),
        ([("x", 1), ([], 2)], TypeError),
        (5, TypeError),
    ):
        with pytest.raises(error):
            d.update(wrong)
        with pytest.raises(error):
            d |= wrong
    with pytest.raises(TypeError):
        d.update({}, {})
    assert d == before


def test_equal_keys_are_one_key(pool: Any) -> None:
    d = make(pool)
    model: dict[Any, Any] = {}
    utc = datetime.timezone.utc
    keys = [1, 1.0, True, Decimal(1), Fraction(1), 0, False, -0.0, 0.0, complex(1, 0), 0.5]
    keys += [Decimal("0.5"), 2**70, float(2**70), Decimal(2**70), "1", b"1", None, (1, 2)]
    keys += [(1.0, True + 1), frozenset((1, 2)), frozenset((2.0, 1)), range(3), range(0, 3, 1)]
    keys += [datetime.datetime(2020, 1, 1, 12, tzinfo=utc)]
    keys += [
        datetime.datetime(2020, 1, 1, 13, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    ]
    for number, key in enumerate(keys):
        for target in (d, model):
            target[key] = number
        assert d == model
        assert [repr(k) for k in d] == [repr(k) for k in model]
    for key in keys:
        assert key in d and d[key] == d.get(key) == model[key]
        assert d[key] == model[key]
    for key in keys:
        assert d.pop(key, "gone") == model.pop(key, "gone")
        assert d == model


def test_nan_keys_are_found_by_their_bits(pool: Any) -> None:
    d = make(pool, {math.nan: 1})
    assert d[math.nan] == 1 and d[float("nan")] == 1
    d[float("nan")] = 2
    assert d[math.nan] == 2 and len(d) == 1


def test_keys_that_only_python_sees_as_equal(pool: Any) -> None:
    d = make(pool, {"a": 1, 2: 3})
    assert d[Text("a")] == 1 and Text("a") in d and d.get(Text("b"), 0) == 0
    assert d.pop(Text("a")) == 1 and "a" not in d
    d["a"] = 4
    assert d["a"] == 4
    del d[Text("a")]
    assert d == {2: 3}
    with pytest.raises(KeyError):
        del d[Text("a")]
    with pytest.raises(pmemobj.UnstorableError):
        d[Text("a")] = 1
    for use in (d.__getitem__, d.get, d.__contains__, d.pop, d.__delitem__):
        with pytest.raises(TypeError, match="unhashable"):
            use([])


def test_objects_are_keys_by_identity(pool: Any, reopen: Any, tmp_path: Path) -> None:
    p, q = pool.new(Point, 1), pool.new(Point, 1)
    d = make(pool, {p: "p"})
    assert d[p] == "p" and q not in d
    d[q] = "q"
    assert [key.x for key in d] == [1, 1] and list(d) == [p, q]
    del p, q, d
    pool = reopen(pool)
    d = pool.root["dict"]
    (p, q) = d
    assert d[p] == "p" and d[q] == "q"
    for unhashable in (pool.root, pool.new(pmemobj.PersistentList)):
        with pytest.raises(TypeError, match="unhashable"):
            d[unhashable] = 1
    other = pmemobj.create(tmp_path / "other.pmem")
    try:
        foreign = other.new(Point, 1)
        assert foreign not in d and d.get(foreign) is None
        with pytest.raises(pmemobj.ForeignObjectError):
            d[foreign] = 1
        with pytest.raises(pmemobj.ForeignObjectError):
            d["x"] = [foreign]
    finally:
        other.close()


def test_keys_whose_zone_has_no_data(pool: Any, monkeypatch: Any) -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    when = datetime.datetime(2024, 10, 27, 1, 30, tzinfo=zone)
    d = make(pool, {when: 1, zone: 2, (when, 1): 3})

    def no_data(key: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    with monkeypatch.context() as patch:
        patch.setattr(zoneinfo, "ZoneInfo", no_data)
        keys = list(d)
        assert "missing" in repr(keys[0]) and [d[key] for key in keys] == [1, 2, 3]
        assert d.popitem() == (keys[2], 3) and len(d) == 2
    assert d == {when: 1, zone: 2}


def test_tuples_with_objects_are_keys(pool: Any, reopen: Any, tmp_path: Path) -> None:
    p, q = pool.new(Point, 1), pool.new(Point, 2)
    pool.root["points"] = [p, q]
    d = make(pool, {(p, 1): "one"})
    objects = pool.gc().objects
    d[(p, 1)] = "same"
    d[(p, 1.0)] = "same again"
    d.update({(p, True): "and again"})
    assert d == {(p, 1): "and again"} and (q, 1) not in d
    found = pool.gc()
    assert (found.objects, found.freed) == (objects, 0)
    d[(p, (q, "x"))] = [0]
    d[frozenset([(p,), q])] = d
    d["plain"] = {(p, q): {(q, p)}, "set": frozenset([(p, p)])}
    assert pool.check().ok
    del p, q, d
    pool = reopen(pool)
    d = pool.root["dict"]
    p, q = pool.root["points"]
    assert list(d) == [(p, 1), (p, (q, "x")), frozenset([q, (p,)]), "plain"]
    assert d[frozenset([q, (p,)])] is d and (p, (q, "x")) in d and (p, (p, "x")) not in d
    assert d["plain"] == {(p, q): {(q, p)}, "set": frozenset([(p, p)])}
    assert d.pop((p, (q, "x"))) == [0] and d.setdefault((p, 1), 5) == "and again"
    assert d.popitem()[0] == "plain" and d.popitem()[0] == {q, (p,)}
    del d[(p, 1)]
    assert len(d) == 0 and pool.gc().freed == 0 and pool.check().ok
    with pytest.raises(TypeError, match="unhashable"):
        d[(p, d)] = 1
    with pytest.raises(pmemobj.UnstorableError, match=r"^root\['dict'\]\['x'\]: as a key, Text"):
        pool.root["dict"] = {"x": {(p, Text()): 1}}
    with pytest.raises(pmemobj.UnstorableError, match=r": as a key, object cannot be stored"):
        d[(p, object())] = 1
    with pytest.raises(pmemobj.UnstorableError, match="levels"):
        d[nested(p, 60)] = 1
    with pmemobj.create(tmp_path / "other.pmem") as other:
        foreign = (1, other.new(Point, 1))
        assert foreign not in d and d.get(foreign) is None
        with pytest.raises(pmemobj.ForeignObjectError):
            d[foreign] = 1
    assert len(d) == 0


def nested(value: Any, levels: int) -> Any:
    return (nested(value, levels - 1),) if levels else value


def test_an_aborted_key_leaves_nothing(pool: Any) -> None:
    p = pool.new(Point, 1)
    d = make(pool, {(p, 1): 1})
    objects = pool.gc().objects
    with pytest.raises(ZeroDivisionError), pool.transaction():
        d[(p, 2)] = d[(p, 1)] = [1]
        assert len(d) == 2
        raise ZeroDivisionError
    assert d == {(p, 1): 1} and pool.gc().objects == objects and pool.check().ok


def test_iteration_refuses_what_dict_refuses(pool: Any) -> None:
    for size in (1, 3, 500):
        for view in (lambda d: d, lambda d: d.values(), lambda d: d.items(), reversed):
            for change in (
                lambda d: d.__setitem__("new", 1),
                lambda d: d.popitem(),
                lambda d: d.clear(),
            ):
                d = make(pool, {i: i for i in range(size)})
                with pytest.raises(RuntimeError, match="changed size"):
                    for _ in view(d):
                        change(d)
                d = make(pool, {i: i for i in range(size)})
                walk = iter(view(d))
                change(d)
                with pytest.raises(RuntimeError, match="changed size"):
                    next(walk)


def test_values_may_be_replaced_during_iteration(pool: Any) -> None:
    d = make(pool, {i: i for i in range(700)})
    model = {i: i for i in range(700)}
    for target in (d, model):
        for key in target:
            target[key] += 1
        for key, value in target.items():
            target[(key + 1) % 700] = value + 1
        for place, value in enumerate(target.values()):
            target[(place * 7) % 700] = value - 1
        for key, value in reversed(target.items()):
            target[(key * 11) % 700] = value + key
    assert d == model and list(d) == list(model)


def test_iteration_across_transactions(pool: Any) -> None:
    d = make(pool, {i: i for i in range(300)})
    for key in d:
        d[key] = [key]
    for key, value in d.items():
        with pool.transaction():
            d[key] = value[0] + 1
    assert list(d.values()) == list(range(1, 301))
    with pytest.raises(KeyError), pool.transaction():
        del d[299]
        d["uncommitted"] = 1
        walk = iter(d)
        assert next(walk) == 0
        raise KeyError
    assert list(walk) == list(range(1, 300))
    small = make(pool, a=1, b=2)
    with pytest.raises(KeyError), pool.transaction():
        del small["b"]
        small["uncommitted"] = 1
        walk = iter(small)
        assert next(walk) == "a"
        raise KeyError
    with pytest.raises(RuntimeError):
        next(walk)
    with pool.transaction():
        for key in d:
            d[key] = [key]
    assert d[299] == [299] and len(d) == 300


def test_keys_exchanged_during_iteration(pool: Any) -> None:
    d = make(pool, {i: i for i in range(500)})
    with pytest.raises(RuntimeError, match="keys changed"):
        for key in d:
            del d[key]
            d[key, "again"] = 1


def test_views_are_live_sets(pool: Any) -> None:
    d = make(pool, a=1, b=2)
    keys, values, items = d.keys(), d.values(), d.items()
    d["c"] = 3
    assert list(keys) == ["a", "b", "c"] and list(reversed(keys)) == ["c", "b", "a"]
    assert list(values) == [1, 2, 3] and list(reversed(values)) == [3, 2, 1]
    assert list(items) == [("a", 1), ("b", 2), ("c", 3)] and len(items) == 3
    assert ("a", 1) in items and ("a", 2) not in items and "a" not in items and 3 in values
    model = dict(d)
    for operate in (
        lambda x: x.keys() & {"a", "z"},
        lambda x: x.keys() & ["a", "z"],
        lambda x: {"a", "z"} & x.keys(),
        lambda x: x.keys() | ["z"],
        lambda x: {"z"} | x.keys(),
        lambda x: x.keys() - ["a"],
        lambda x: {"a", "z"} - x.keys(),
        lambda x: x.keys() ^ {"a", "z"},
        lambda x: {"a", "z"} ^ x.keys(),
        lambda x: x.items() & [("a", 1), ("b", 5)],
        lambda x: [["a", 1], ("a", 1), ("b", [])] & x.items(),
        lambda x: frozenset([("a", 1), 5]) & x.items(),
        lambda x: x.items() | {("z", 0)},
        lambda x: x.items() - {("a", 1)},
        lambda x: x.items() ^ {("a", 1), ("z", 0)},
        lambda x: x.keys().isdisjoint("xyz"),
        lambda x: x.items().isdisjoint([("a", 1)]),
        lambda x: x.keys() == {"a", "b", "c"},
        lambda x: {"a", "b", "c"} == x.keys(),
        lambda x: x.keys() == model.keys(),
        lambda x: model.keys() == x.keys(),
        lambda x: x.items() == model.items(),
        lambda x: x.keys() < {"a", "b", "c", "d"},
        lambda x: x.keys() <= {"a", "b", "c"},
        lambda x: x.keys() > {"a"},
        lambda x: x.keys() >= {"z"},
        lambda x: x.keys() != {"a"},
        lambda x: x.keys() == ["a", "b", "c"],
        lambda x: repr(x.keys()),
        lambda x: repr(x.values()),
        lambda x: repr(x.items()),
        lambda x: outcome(lambda y: y.keys() & 5, x),
        lambda x: outcome(lambda y: y.keys() < 5, x),
        lambda x: outcome(lambda y: hash(y.keys()), x),
        lambda x: dict(x.keys().mapping) == x,
    ):
        assert operate(d) == operate(model)
    assert isinstance(keys, collections.abc.KeysView)
    assert isinstance(items, collections.abc.ItemsView)
    assert isinstance(values, collections.abc.ValuesView)
    with pytest.raises(TypeError):
        keys.mapping["x"] = 1


class Bare(collections.abc.Mapping[str, int]):
    """A mapping without operators."""

    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_operators_give_plain_dicts(pool: Any) -> None:
    d = make(pool, a=1, b=2)
    other = pool.new(PersistentDict, b=3)
    for result, expected in (
        (d | {"b": 3}, {"a": 1, "b": 3}),
        ({"b": 3} | d, {"b": 2, "a": 1}),
        (d | other, {"a": 1, "b": 3}),
        (d.copy(), {"a": 1, "b": 2}),
    ):
        assert type(result) is dict and list(result.items()) == list(expected.items())
    for foreign in (
        collections.OrderedDict(b=3),
        collections.defaultdict(list, b=3),
        collections.UserDict(b=3),
        collections.ChainMap({"b": 3}, {"c": 4}),
        types.MappingProxyType({"b": 3}),
        Bare(),
        5,
    ):
        for operate in (lambda x, y: x | y, lambda x, y: y | x):
            mine = outcome(lambda y, o=operate: o(d, y), foreign)
            plain = outcome(lambda y, o=operate: o({"a": 1, "b": 2}, y), foreign)
            assert type(mine) is type(plain) and mine == plain
    same = d
    same |= other
    assert same is d and d == {"a": 1, "b": 3}
    with pytest.raises(TypeError):
        d | [("a", 1)]
    with pytest.raises(TypeError):
        hash(d)


def test_plain_values_leave_the_pool(pool: Any, reopen: Any) -> None:
    d = make(pool, {"a": [1], (1, 2): {"k": {3}}})
    d["shared"] = d["a"]
    d["self"] = d
    copies = [pickle.loads(pickle.dumps(d, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    copies += [copy.deepcopy(d), pmemobj.plain(d)]
    assert type(copy.copy(d)) is dict and copy.copy(d)["a"] is d["a"]
    reopen(pool)
    for made in copies:
        assert type(made) is dict and type(made["a"]) is list
        assert made["a"] is made["shared"] and made["self"] is made
        assert made[1, 2] == {"k": {3}}


def test_keyed_defaults_of_subclasses(pool: Any, reopen: Any) -> None:
    d = pool.root["counts"] = pool.new(Counts)
    assert d["x"] == 0 and "x" not in d and d.get("x") is None
    d["x"] += 1
    del d
    pool = reopen(pool)
    assert type(pool.root["counts"]) is Counts and pool.root["counts"] == {"x": 1}


class Counts(PersistentDict):
    def __missing__(self, key: Any) -> int:
        return 0


def test_from_keys_says_what_to_do(pool: Any) -> None:
    with pytest.raises(pmemobj.DetachedObjectError, match=r"dict\.fromkeys"):
        PersistentDict.fromkeys("ab")
    with pytest.raises(pmemobj.DetachedObjectError):
        PersistentDict(a=1)
    with pytest.raises(pmemobj.DetachedObjectError):
        PersistentDict()


def test_popping_is_last_in_first_out(pool: Any) -> None:
    d = make(pool, {i: str(i) for i in range(300)})
    for i in range(0, 300, 2):
        del d[i]
    for i in range(299, 0, -2):
        assert d.popitem() == (i, str(i))
    with pytest.raises(KeyError):
        d.popitem()
    assert d.pop("x", None) is None
    with pytest.raises(KeyError):
        d.pop("x")


def test_threads_share_a_dict(pool: Any) -> None:
    d = make(pool, total=0)

    def work(number: int) -> None:
        for step in range(60):
            d[number, step] = [step]
            with pool.transaction():
                d["total"] += 1
            assert d[number, step][0] == step and (number, step) in d
            assert len(d.copy()) <= 1 + 4 * 60

    together(*(partial(work, number) for number in range(4)))
    assert d["total"] == 4 * 60 == len(d) - 1
    d._check()


def test_mapping_pattern(pool: Any) -> None:
    match make(pool, a=1, b=2):
        case {"a": value, **rest}:
            assert value == 1 and rest == {"b": 2}
        case _:
            pytest.fail("no mapping pattern matched")


KEYS = st.one_of(
    st.integers(-3, 6),
    st.sampled_from([1.0, True, False, 2.5, None, "a", "b", "", b"a", (1,), (1.0,), Decimal(2)]),
    st.text(max_size=3),
)
VALUES = st.one_of(
    st.integers(), st.text(max_size=40), st.none(), st.lists(st.integers(), max_size=3)
)
operations = st.one_of(
    st.builds(lambda k, v: lambda d: d.__setitem__(k, v), KEYS, VALUES),
    st.builds(lambda k: lambda d: d.__delitem__(k), KEYS),
    st.builds(lambda k: lambda d: d[k], KEYS),
    st.builds(lambda k: lambda d: d.get(k, 0), KEYS),
    st.builds(lambda k: lambda d: k in d, KEYS),
    st.builds(lambda k: lambda d: d.pop(k), KEYS),
    st.builds(lambda k, v: lambda d: d.pop(k, v), KEYS, VALUES),
    st.builds(lambda k, v: lambda d: d.setdefault(k, v), KEYS, VALUES),
    st.builds(lambda p: lambda d: d.update(p), st.lists(st.tuples(KEYS, VALUES), max_size=15)),
    st.just(lambda d: d.popitem()),
    st.just(lambda d: list(reversed(d))),
    st.just(lambda d: d.clear()),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(operations, max_size=40))
def test_behaves_as_a_dict(pool: Any, steps: list[Any]) -> None:
    model: dict[Any, Any] = {}
    stored = make(pool)
    for step in steps:
        assert outcome(step, stored) == outcome(step, model)
        assert stored == model and len(stored) == len(model)
        assert [repr(key) for key in stored] == [repr(key) for key in model]
        assert repr(stored) == repr(model)
        for key in model:
            assert stored[key] == model[key]
    stored._check()


def calls_of(monkeypatch: Any, action: Callable[[], Any], *functions: str) -> int:
    """How often *action* calls these functions of the core, as far as the tables' code does."""
    calls = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            nonlocal calls
            calls += name in functions
            return getattr(lib, name)

    with monkeypatch.context() as patch:
        patch.setattr("pmemobj.containers.table.lib", Counting())
        action()
    return calls


READS = ("pmo_table_find", "pmo_table_read", "pmo_table_places")


def test_a_plain_copy_is_read_in_runs(pool: Any, monkeypatch: Any) -> None:
    pool.root = model = {f"key {i}": i for i in range(6000)}
    for copied in (dict, lambda d: {**d}, lambda d: {k: d[k] for k in d}, lambda d: d | {}):
        reads = calls_of(monkeypatch, lambda c=copied: c(pool.root), *READS)
        assert copied(pool.root) == model
        assert reads < 40


def test_values_read_ahead_are_those_of_now(pool: Any) -> None:
    pool.root = {i: [i] for i in range(3000)}
    root = pool.root
    for key in root:
        assert root[key] == [key]
        if key + 1 in root:
            root[key + 1] = [key + 1]
    keys = list(root)
    root[keys[0]] = "other"
    del root[keys[1]]
    assert root[keys[0]] == "other" and keys[1] not in root
    with pytest.raises(ZeroDivisionError), pool.transaction():
        root[keys[5]] = "gone"
        assert dict(root)[keys[5]] == "gone"
        raise ZeroDivisionError
    assert dict(root)[keys[5]] == [keys[5]]


def test_equality_is_compared_in_runs(pool: Any, monkeypatch: Any) -> None:
    model = {f"key {i}": i for i in range(6000)}
    pool.root = {"one": model, "other": dict(reversed(model.items()))}
    one, other = pool.root["one"], pool.root["other"]
    for equal in (lambda: one == other, lambda: one == model, lambda: one.items() == other.items()):
        reads = calls_of(monkeypatch, lambda e=equal: e() or pytest.fail(), *READS)
        assert reads < 40
    other["key 77"] = -1
    assert one != other and one.items() != other.items() and one.keys() == other.keys()


class Name(str):
    """Equal to a str, and found as it."""


class Shouted(str):
    """Not equal to the str it is made of."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shouted) and str.__eq__(self, other)

    __hash__ = str.__hash__


class Half:
    """A number of a type that nobody knows."""

    numerator, denominator = 1, 2

    def __eq__(self, other: object) -> Any:
        return other == 0.5 or isinstance(other, Half)

    def __hash__(self) -> int:
        return hash(0.5)


numbers.Rational.register(Half)


def test_a_key_without_a_codec_is_looked_up_at_once(pool: Any, monkeypatch: Any) -> None:
    model: dict[Any, Any] = {i: i for i in range(5000)}
    model |= {"name": 1, 0.5: 2, ("name", 1): 3, b"b": 4}
    pool.root = model
    Pair = namedtuple("Pair", "a b")

    def look() -> None:
        for key in (
            Name("name"), Shouted("name"), Half(), object(), Pair("name", 1), Pair("x", 1),
            type("B", (bytes,), {})(b"b"), type("I", (int,), {})(77), lambda: 0,
        ):  # fmt: skip
            assert pool.root.get(key) == model.get(key)
            assert (key in pool.root) == (key in model)
        assert pool.root.keys() & {Name("name"), object(), Half()} == {"name", 0.5}
        pool.root.pop(object(), None)

    assert calls_of(monkeypatch, look, "pmo_table_read") == 0
    del pool.root[Name("name")]
    assert "name" not in pool.root
    with pytest.raises(KeyError):
        del pool.root[object()]
    for unhashable in ([], {}, (1, [2])):
        with pytest.raises(TypeError):
            pool.root.get(unhashable)
