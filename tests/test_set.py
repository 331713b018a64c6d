"""PersistentSet beyond what CPython's own tests (tests/conformance) cover."""

# ruff: noqa: SIM201  (the operators themselves are under test)

from __future__ import annotations

import collections.abc
import copy
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pmemobj
from pmemobj import PersistentSet
from pmemobj._native import ffi, lib


def make(pool: Any, values: Any = ()) -> PersistentSet:
    pool.root["set"] = pool.new(PersistentSet, values)
    return pool.root["set"]


def outcome(operate: Any, target: Any) -> Any:
    """What an operation gives: its value, or the kind of its error."""
    try:
        return operate(target)
    except (KeyError, TypeError) as error:
        return type(error)


def test_identity_and_reopening(pool: Any, reopen: Any) -> None:
    s = make(pool, [1, "x" * 5000, (2, 3), frozenset((4,)), None])
    assert pool.root["set"] is s
    expected = s.copy()
    pool = reopen(pool)
    assert pool.root["set"] == expected and type(pool.root["set"]) is PersistentSet
    with pytest.raises(pmemobj.PoolClosedError):
        s.add(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.add("new"),
        lambda s: s.remove(1),
        lambda s: s.discard(2),
        lambda s: s.pop(),
        lambda s: s.clear(),
        lambda s: s.update([5, 6], {7}),
        lambda s: s.__ior__({8}),
        lambda s: s.__iand__({1, 2}),
        lambda s: s.__iand__({99}),
        lambda s: s.__isub__({1, 99}),
        lambda s: s.__ixor__({1, 99}),
        lambda s: s.__ixor__(s),
        lambda s: s.__isub__(s),
        lambda s: s.intersection_update("a", ["a", 1]),
        lambda s: s.difference_update([1], [2]),
        lambda s: s.__init__("abc"),
        lambda s: s.update(map(str, range(300))),
    ],
)
def test_an_aborted_change_leaves_what_was_there(pool: Any, reopen: Any, change: Any) -> None:
    before = [1, 2, "a", None, (3, 4)]
    s = make(pool, before)
    for value in before:
        assert value in s
    with pytest.raises(RuntimeError), pool.transaction():
        change(s)
        assert s != set(before)
        raise RuntimeError
    assert s == set(before) and list(s) == before
    assert all(value in s for value in before) and "new" not in s and 99 not in s
    s._check()
    change(s)
    changed = s.copy()
    assert changed != set(before) and all(value in s for value in changed)
    pool = reopen(pool)
    assert pool.root["set"] == changed
    pool.root["set"]._check()


def test_a_refused_element_changes_nothing(pool: Any) -> None:
    s = make(pool, [1, 2])
    for change in (
        lambda: s.add(object()),
        lambda: s.update([3, object()]),
        lambda: s.__ior__({4, object()}),
        lambda: s.__ixor__({1, object()}),
        lambda: s.__init__([5, object()]),
    ):
        with pytest.raises(pmemobj.UnstorableError):
            change()
        assert list(s) == [1, 2]
    for change in (lambda: s.update([3, []]), lambda: s.add({}), lambda: s.update([3], 5)):
        with pytest.raises(TypeError):
            change()
        assert list(s) == [1, 2]


def test_a_refused_element_does_not_doom_a_transaction(pool: Any) -> None:
    s = make(pool, [1, 2])
    with pool.transaction():
        for change in (
            lambda: s.add(object()),
            lambda: s.__ixor__({1, object()}),
            lambda: s.__init__([5, object()]),
        ):
            with pytest.raises(pmemobj.UnstorableError):
                change()
        s.add(3)
    assert list(s) == [1, 2, 3]


def test_equal_elements_are_one(pool: Any) -> None:
    s = make(pool, [1, 1.0, True, 0, False, -0.0, "1", (1,), (1.0,)])
    assert s == {1, 0, "1", (1,)}
    assert [repr(value) for value in s] == ["1", "0", "'1'", "(1,)"]


def test_sets_are_looked_for_as_frozensets(pool: Any) -> None:
    s = make(pool, [frozenset("ab"), 1])
    assert {"a", "b"} in s and pool.new(PersistentSet, "ab") in s
    with pytest.raises(KeyError):
        s.remove({"a"})
    s.discard({"z"})
    s.remove({"a", "b"})
    assert s == {1}
    with pytest.raises(TypeError):
        s.add({1})


def test_operators_and_comparisons_with_every_kind_of_set(pool: Any) -> None:
    s = make(pool, "abc")
    stored = pool.new(PersistentSet, "bcd")
    others = (set("bcd"), frozenset("bcd"), stored, dict.fromkeys("bcd").keys())
    others += (pool.new(pmemobj.PersistentDict, dict.fromkeys("bcd")).keys(),)
    for other in others:
        for result, expected in (
            (s | other, "abcd"),
            (s & other, "bc"),
            (s - other, "a"),
            (s ^ other, "ad"),
            (other | s, "abcd"),
            (other & s, "bc"),
            (other - s, "d"),
            (other ^ s, "ad"),
        ):
            assert result == set(expected)
            assert type(result) in (set, frozenset)
        assert s != other and not s == other and not other == s
        assert not s < other and not s >= other and not other <= s
        assert s.union(other) == set("abcd") and s.isdisjoint(other) is False
    assert type(frozenset("a") | s) is frozenset and type(s | frozenset("a")) is set
    for same in (set("abc"), frozenset("abc"), dict.fromkeys("abc").keys()):
        assert s == same and same == s and s <= same and same >= s and not s < same
    assert s > {"a"} and {"a"} < s and s.issuperset("ab") and s.issubset("abcd")
    for wrong in (lambda: s | "a", lambda: s & ["a"], lambda: s < ["a"], lambda: ["a"] - s):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):
        s |= "abc"
    with pytest.raises(TypeError):
        hash(s)


def test_in_place_operators_keep_the_object(pool: Any) -> None:
    s = same = make(pool, [1, 2, 3])
    s |= {4}
    s &= {1, 2, 4}
    s -= {1}
    s ^= {2, 9}
    assert s is same and list(s) == [4, 9]
    s ^= s
    assert s is same and len(s) == 0


def test_iteration_refuses_changes_of_size(pool: Any) -> None:
    for size in (1, 3, 300):
        for change in (lambda s: s.add("new"), lambda s: s.pop(), lambda s: s.clear()):
            s = make(pool, range(size))
            with pytest.raises(RuntimeError, match="changed size"):
                for _ in s:
                    change(s)
    s = make(pool, range(10))
    for value in s:
        s.add(value)
    assert s == set(range(10))


def test_plain_values_leave_the_pool(pool: Any) -> None:
    s = make(pool, [1, (2, 3), frozenset((4,))])
    copies = [pickle.loads(pickle.dumps(s, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for made in (*copies, copy.copy(s), copy.deepcopy(s), pmemobj.plain(s), s.copy()):
        assert type(made) is set and made == s
    assert isinstance(s, collections.abc.MutableSet)


def test_repr(pool: Any) -> None:
    assert repr(make(pool)) == "set()"
    assert repr(make(pool, [1, "a"])) == "{1, 'a'}"
    assert repr(pool.new(Tags, "a")) == "Tags({'a'})" and repr(pool.new(Tags)) == "Tags()"
    assert len(repr(make(pool, range(50_000)))) < 10_000


class Tags(PersistentSet):
    pass


def test_subclasses(pool: Any, reopen: Any) -> None:
    pool.root["tags"] = pool.new(Tags, "ab")
    pool = reopen(pool)
    assert type(pool.root["tags"]) is Tags and pool.root["tags"] == set("ab")
    with pytest.raises(pmemobj.DetachedObjectError):
        PersistentSet("a")


ELEMENTS = st.one_of(
    st.integers(-3, 8),
    st.sampled_from([1.0, True, 2.5, None, "a", "", b"a", (1,), frozenset((1,))]),
    st.text(max_size=2),
)
MANY = st.lists(ELEMENTS, max_size=10)
operations = st.one_of(
    st.builds(lambda v: lambda s: s.add(v), ELEMENTS),
    st.builds(lambda v: lambda s: s.discard(v), ELEMENTS),
    st.builds(lambda v: lambda s: s.remove(v), ELEMENTS),
    st.builds(lambda v: lambda s: v in s, ELEMENTS),
    st.builds(lambda m: lambda s: s.update(m), MANY),
    st.builds(lambda m: lambda s: s.intersection_update(m), MANY),
    st.builds(lambda m: lambda s: s.difference_update(m), MANY),
    st.builds(lambda m: lambda s: s.symmetric_difference_update(m), MANY),
    st.builds(lambda m: lambda s: s | set(m), MANY),
    st.builds(lambda m: lambda s: s & set(m), MANY),
    st.builds(lambda m: lambda s: set(m) - s, MANY),
    st.builds(lambda m: lambda s: s <= set(m), MANY),
    st.builds(lambda m: lambda s: s.isdisjoint(m), MANY),
    st.just(lambda s: s.clear()),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(start=MANY, steps=st.lists(operations, max_size=30))
def test_behaves_as_a_set(pool: Any, start: list[Any], steps: list[Any]) -> None:
    model = set(start)
    stored = make(pool, start)
    for step in steps:
        assert outcome(step, stored) == outcome(step, model)
        assert stored == model and len(stored) == len(model)
    while model:
        value = stored.pop()
        model.remove(value)
        assert stored == model
    stored._check()


def test_operations_cost_what_the_smaller_operand_has(pool: Any, monkeypatch: Any) -> None:
    pool.root["set"] = set(range(20_000))
    large = pool.root["set"]
    pool.root["small"] = {1, 5, 99_999}
    small = pool.root["small"]

    def operate() -> None:
        assert large & {1, -1} == {1} == {1, -1} & large
        assert large >= {1, 2} and not large <= {1, 2} and {1, 2} <= large
        assert large.isdisjoint([-1]) and not small.isdisjoint(large)
        assert large & small == {1, 5} == small & large
        assert small - large == {99_999} and {1, -1} - large == {-1}
        assert large.issuperset(range(50)) and not small.issubset(large)
        assert {1, 2} != large
        large.difference_update([3, -3])
        large.symmetric_difference_update([3, 4])

    reads = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            nonlocal reads
            reads += name == "pmo_table_read"
            return getattr(lib, name)

    with monkeypatch.context() as patch:
        patch.setattr("pmemobj.containers.table.lib", Counting())
        operate()
    assert reads < 20  # of the small one
    assert len(large) == 19_999 and 4 not in large and 3 in large


def test_removing_a_part_is_one_transaction(pool: Any) -> None:
    counters = ffi.new("pmo_counters *")

    def transactions() -> int:
        lib.pmo_count(pool.mm.ctx, counters)
        return int(counters.transactions)

    for change in (
        lambda s: s.difference_update(range(0, 500, 2)),
        lambda s: s.intersection_update([1, 2, 3, 10_000]),
        lambda s: s.symmetric_difference_update(range(400, 900)),
        lambda s: s.__iand__({1}),
        lambda s: s.__isub__({1, 2}),
    ):
        pool.root["set"] = model = set(range(500))
        stored = pool.root["set"]
        assert len(stored) == 500  # what was there before is freed by now
        before = transactions()
        change(stored)
        assert transactions() == before + 1
        change(model)
        assert stored == model
        stored._check()
