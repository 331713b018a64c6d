"""PersistentList beyond what CPython's own tests (tests/conformance) cover."""

# ruff: noqa: RUF005, SIM202, SIM300  (the operators themselves are under test)

from __future__ import annotations

import collections.abc
import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pmemobj
from pmemobj import PersistentList

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.binary(max_size=30),
    st.tuples(st.integers(), st.text(max_size=5)),
)
INDEXES = st.one_of(st.none(), st.integers(-12, 12))
STEPS = st.one_of(st.none(), st.integers(-4, 4).filter(bool))


def make(pool: Any, values: Any = ()) -> PersistentList:
    pool.root["list"] = pool.new(PersistentList, values)
    return pool.root["list"]


def outcome(operate: Any, target: Any) -> Any:
    """What an operation gives: its value, or the kind of its error."""
    try:
        return operate(target)
    except (IndexError, ValueError, TypeError) as error:
        return type(error)


def test_identity_and_reopening(pool: Any, reopen: Any) -> None:
    a = make(pool, [1, "x" * 5000, [2, [3]]])
    assert pool.root["list"] is a
    assert a[2] is a[2]
    assert a[2][1] is pool.root["list"][2][1]
    pool = reopen(pool)
    assert pool.root["list"] == [1, "x" * 5000, [2, [3]]]
    assert type(pool.root["list"]) is PersistentList
    with pytest.raises(pmemobj.PoolClosedError):
        a[0]
    with pytest.raises(pmemobj.PoolClosedError):
        a.append(1)


def test_a_handle_dies_and_its_object_stays(pool: Any) -> None:
    pool.root = {"list": [1, 2]}
    first = weakref.ref(next(iter(pool.root.values())))  # iteration fills no cache
    gc.collect()
    assert first() is None
    assert pool.root["list"] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.append(9),
        lambda a: a.extend([7, [8]]),
        lambda a: a.__setitem__(1, {"k": 1}),
        lambda a: a.__setitem__(slice(1, 3), "long " * 900),
        lambda a: a.__setitem__(slice(None, None, 2), [[], [], []]),
        lambda a: a.__delitem__(0),
        lambda a: a.__delitem__(slice(None, None, 2)),
        lambda a: a.insert(2, [5]),
        lambda a: a.pop(0),
        lambda a: a.remove(3),
        lambda a: a.clear(),
        lambda a: a.reverse(),
        lambda a: a.sort(key=str, reverse=True),
        lambda a: a.__imul__(3),
        lambda a: a.__imul__(0),
        lambda a: a.__init__([0]),
    ],
)
def test_an_aborted_change_leaves_what_was_there(pool: Any, reopen: Any, change: Any) -> None:
    a = make(pool, [3, "two", [1], 0, 5])
    before = [3, "two", [1], 0, 5]
    inner = a[2]
    for place in range(5):
        a[place]  # into the cache
    with pytest.raises(KeyError), pool.transaction():
        change(a)
        assert a != before
        raise KeyError
    assert a == before
    assert [a[place] for place in range(5)] == before
    assert a[2] is inner
    a._check()
    change(a)
    assert a != before
    changed = pmemobj.plain(a)
    assert [a[place] for place in range(len(a))] == changed
    pool = reopen(pool)
    assert pool.root["list"] == changed
    pool.root["list"]._check()


@pytest.mark.parametrize(
    "change",
    [
        lambda a, bad: a.append(bad),
        lambda a, bad: a.extend([1, bad]),
        lambda a, bad: a.__iadd__([[1, {2: bad}]]),
        lambda a, bad: a.__setitem__(0, bad),
        lambda a, bad: a.__setitem__(slice(0, 1), [1, [bad]]),
        lambda a, bad: a.insert(0, bad),
        lambda a, bad: a.__init__([1, bad]),
    ],
)
def test_an_unstorable_value_is_refused_before_anything_changes(pool: Any, change: Any) -> None:
    a = make(pool, [1, 2])
    with pytest.raises(pmemobj.UnstorableError):
        change(a, object())
    assert a == [1, 2]
    with pytest.raises(TypeError):
        change(a, object())
    assert pool.gc().freed == 0


def test_failing_iterables_and_keys_change_nothing(pool: Any) -> None:
    a = make(pool, [3, 1, 2])

    def broken() -> Any:
        yield 1
        raise KeyError

    for change in (a.extend, a.__iadd__, a.__init__, lambda it: a.__setitem__(slice(1), it)):
        with pytest.raises(KeyError):
            change(broken())
    with pytest.raises(TypeError):
        a.sort(key=lambda value: value if value != 2 else "two")
    assert a == [3, 1, 2]


def test_operations_on_itself(pool: Any) -> None:
    a = make(pool, [1, 2, 3])
    a.extend(a)
    assert a == [1, 2, 3] * 2
    a[:] = a
    assert a == [1, 2, 3] * 2
    a[1:1] = a
    assert a == [1] + [1, 2, 3] * 2 + [2, 3, 1, 2, 3]
    a[::-1] = a
    assert a[0] == 3
    a += a
    assert len(a) == 24
    a[:] = reversed([1, 2])
    a.append(a)
    assert a[2] is a
    assert repr(a) == "[2, 1, [...]]"
    assert a == a


def test_iteration_sees_changes_as_a_list_does(pool: Any) -> None:
    for start in (0, 1, 5, 200):
        plain = list(range(start))
        stored = make(pool, plain)
        for a in (plain, stored):
            seen = 0
            for place, value in enumerate(a):
                if len(a) < 400:
                    a.append(place)
                if place % 3 == 0:
                    a[place] = value + 1
                if place % 50 == 49:
                    del a[0]
                seen += value
            a.append(seen)
        assert stored == plain
    backwards = []
    for value in reversed(stored):
        backwards.append(value)
        if len(stored) > 10:
            stored.pop()
            stored.pop()
    expected = plain[:]
    got = []
    for value in reversed(expected):
        got.append(value)
        if len(expected) > 10:
            expected.pop()
            expected.pop()
    assert backwards == got
    assert stored == expected


def test_sort_is_stable_atomic_and_refuses_interference(pool: Any) -> None:
    values = [(i % 5, i) for i in range(300)]
    a = make(pool, values)
    a.sort(key=lambda pair: pair[0])
    assert a == sorted(values, key=lambda pair: pair[0])
    a.sort(key=lambda pair: pair[0], reverse=True)
    expected = sorted(values, key=lambda pair: pair[0])
    expected.sort(key=lambda pair: pair[0], reverse=True)
    assert a == expected
    with pytest.raises(ValueError, match="modified"):
        a.sort(key=lambda pair: a.append(1) or pair)
    with pytest.raises(TypeError):
        a.sort(lambda pair: pair)


def test_operators_give_plain_lists(pool: Any) -> None:
    a = make(pool, [1, 2])
    b = pool.new(PersistentList, [3])
    for result, expected in (
        (a + [3], [1, 2, 3]),
        ([3] + a, [3, 1, 2]),
        (a + b, [1, 2, 3]),
        (a * 2, [1, 2, 1, 2]),
        (2 * a, [1, 2, 1, 2]),
        (a * -1, []),
        (a[:], [1, 2]),
        (a[::-1], [2, 1]),
        (a.copy(), [1, 2]),
    ):
        assert type(result) is list
        assert result == expected
    for wrong in (
        lambda: a + (1,),
        lambda: (1,) + a,
        lambda: a * 1.0,
        lambda: a * a,
        lambda: a + 1,
    ):
        with pytest.raises(TypeError):
            wrong()


def test_comparison(pool: Any) -> None:
    a = make(pool, [1, [2, 3]])
    b = pool.new(PersistentList, [1, [2, 3]])
    assert a == b and a == [1, [2, 3]] and [1, [2, 3]] == a
    assert not a != b
    assert a != (1, [2, 3]) and a != pool.new(pmemobj.PersistentTuple, [1, [2, 3]])
    assert a < [1, [2, 4]] and [1] < a and a >= b and a > [] and [2] > a
    with pytest.raises(TypeError):
        assert a < (1,)
    with pytest.raises(TypeError):
        hash(a)


def test_plain_values_leave_the_pool(pool: Any, reopen: Any) -> None:
    a = make(pool, [1, [2], {"k": {3}}])
    a.append(a[1])
    a.append(a)
    copies = [pickle.loads(pickle.dumps(a, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    copies += [copy.deepcopy(a), pmemobj.plain(a)]
    shallow = copy.copy(a)
    assert type(shallow) is list and shallow[1] is a[1]
    reopen(pool)
    for made in copies:
        assert type(made) is list and type(made[1]) is list and type(made[2]) is dict
        assert made[:3] == [1, [2], {"k": {3}}]
        assert made[3] is made[1] and made[4] is made


def test_abstract_types_and_patterns(pool: Any) -> None:
    a = make(pool, [1, 2, 3])
    assert isinstance(a, collections.abc.MutableSequence)
    match a:
        case [first, *rest]:
            assert (first, rest) == (1, [2, 3])
        case _:
            pytest.fail("no sequence pattern matched")
    assert PersistentList[int] is not None


def test_long_and_deep_reprs_are_bounded(pool: Any) -> None:
    a = make(pool, range(100_000))
    assert len(repr(a)) < 10_000 and repr(a).endswith("...]")
    a[:] = ["x" * 1_000_000] * 3
    assert len(repr(a)) < 200_000
    deep = pool.new(PersistentList, [])
    a.append(deep)
    for _ in range(3000):
        deeper = pool.new(PersistentList, [])
        deep.append(deeper)
        deep = deeper
    assert repr(a[3]).startswith("[[[[")


def test_made_without_a_pool() -> None:
    with pytest.raises(pmemobj.DetachedObjectError):
        PersistentList([1])
    with pytest.raises(TypeError, match=r"pool\.new"):
        PersistentList()


def test_cache_follows_every_change(pool: Any) -> None:
    a = make(pool, list(range(20)))
    model = list(range(20))

    def agree() -> bool:
        return [a[i] for i in range(len(a))] == model and [a[-i - 1] for i in range(3)] == [
            model[-i - 1] for i in range(3)
        ]

    assert agree()
    for change in (
        lambda x: x.__setitem__(-1, 7),
        lambda x: x.insert(3, 8),
        lambda x: x.pop(2),
        lambda x: x.pop(),
        lambda x: x.append(5),
        lambda x: x.reverse(),
        lambda x: x.sort(),
        lambda x: x.__setitem__(slice(0, 6, 2), [9, 9, 9]),
        lambda x: x.__delitem__(slice(1, 9, 3)),
        lambda x: x.__setitem__(True, 11),
        lambda x: x.extend([1, 2]),
        lambda x: x.remove(9),
    ):
        change(a)
        change(model)
        assert agree()


def test_uncommitted_values_are_not_cached(pool: Any) -> None:
    a = make(pool, [1, 2])
    assert a[0] == 1
    with pytest.raises(KeyError), pool.transaction():
        a[0] = 5
        assert a[0] == 5 and a[1] == 2
        a.append(3)
        assert a[2] == 3
        raise KeyError
    assert a[0] == 1
    with pytest.raises(IndexError):
        a[2]


def test_objects_of_a_rolled_back_transaction_are_gone(pool: Any) -> None:
    with pytest.raises(KeyError), pool.transaction():
        lost = pool.new(PersistentList, [1])
        pool.root["lost"] = lost
        raise KeyError
    assert "lost" not in pool.root
    for use in (lambda: lost[0], lambda: len(lost), lambda: lost.append(1), lambda: list(lost)):
        with pytest.raises(pmemobj.AbortedObjectError):
            use()
    assert "rolled back" in repr(lost)


class Named(PersistentList):
    _v_note = "class"

    def first(self) -> Any:
        return self[0]


def test_subclasses(pool: Any, reopen: Any) -> None:
    a = pool.root["named"] = pool.new(Named, [4, 5])
    assert pool.root["named"] is a and type(a) is Named and a.first() == 4
    a._v_note = "volatile"
    with pytest.raises(AttributeError, match="_v_"):
        a.title = "lost"
    del a
    pool = reopen(pool)
    assert type(pool.root["named"]) is Named
    assert pool.root["named"]._v_note == "class"


class Recording(PersistentList):
    def extend(self, values: Any) -> None:
        raise AssertionError("a builtin method called an overridden one")

    clear = index = insert = __getitem__ = __len__ = __iter__ = extend


def test_methods_do_not_call_overridden_ones(pool: Any) -> None:
    a = pool.root["recording"] = pool.new(Recording, [1, 2])
    a.append([3])
    a += [4]
    a *= 2
    a.remove(1)
    assert a.pop() == 4
    a.sort(key=str)
    a.reverse()
    for times in (2**100, -(2**100)):
        with pytest.raises(OverflowError):
            a *= times
    assert PersistentList.__len__(a) == 6
    a *= 0
    assert a == [] and a.copy() == []


operations = st.one_of(
    st.builds(lambda v: lambda x: x.append(v), LEAVES),
    st.builds(lambda i, v: lambda x: x.__setitem__(i, v), st.integers(-8, 8), LEAVES),
    st.builds(lambda i: lambda x: x.__delitem__(i), st.integers(-8, 8)),
    st.builds(lambda i, v: lambda x: x.insert(i, v), st.integers(-12, 12), LEAVES),
    st.builds(lambda i: lambda x: x.pop(i), st.integers(-8, 8)),
    st.builds(lambda vs: lambda x: x.extend(vs), st.lists(LEAVES, max_size=12)),
    st.builds(
        lambda a, b, c, vs: lambda x: x.__setitem__(slice(a, b, c), vs),
        INDEXES,
        INDEXES,
        STEPS,
        st.lists(LEAVES, max_size=8),
    ),
    st.builds(lambda a, b, c: lambda x: x.__delitem__(slice(a, b, c)), INDEXES, INDEXES, STEPS),
    st.builds(lambda a, b, c: lambda x: x[slice(a, b, c)], INDEXES, INDEXES, STEPS),
    st.builds(lambda v: lambda x: x.remove(v), LEAVES),
    st.builds(lambda v: lambda x: x.index(v), LEAVES),
    st.builds(lambda v: lambda x: x.count(v), LEAVES),
    st.builds(lambda r: lambda x: x.sort(key=repr, reverse=r), st.booleans()),
    st.just(lambda x: x.reverse()),
    st.builds(lambda n: lambda x: x.__imul__(n) and None, st.integers(-1, 3)),
    st.just(lambda x: x.clear()),
    st.just(lambda x: x[-1]),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(start=st.lists(LEAVES, max_size=20), steps=st.lists(operations, max_size=25))
def test_behaves_as_a_list(pool: Any, start: list[Any], steps: list[Any]) -> None:
    model = list(start)
    stored = make(pool, start)
    for step in steps:
        if len(model) > 200:
            break
        assert outcome(step, stored) == outcome(step, model)
        assert stored == model
        assert len(stored) == len(model)
        assert [repr(value) for value in stored] == [repr(value) for value in model]
    stored._check()
