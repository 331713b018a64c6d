"""PersistentTuple beyond what CPython's own tests (tests/conformance) cover."""

# ruff: noqa: RUF005, SIM300  (the operators themselves are under test)

from __future__ import annotations

import collections.abc
import copy
import pickle
from typing import Any

import pytest

import pmemobj
from pmemobj import PersistentList, PersistentTuple


def test_identity_and_reopening(pool: Any, reopen: Any) -> None:
    pool.root["t"] = pool.new(PersistentTuple, [1, "a", [2]])
    t = pool.root["t"]
    assert t is pool.root["t"] and type(t) is PersistentTuple
    assert t == (1, "a", [2]) and (1, "a", [2]) == t
    assert type(t[2]) is PersistentList and t[2] is t[2]
    pool = reopen(pool)
    assert type(pool.root["t"]) is PersistentTuple
    assert pool.root["t"] == (1, "a", [2])


def test_plain_tuples_stay_plain(pool: Any, reopen: Any) -> None:
    pool.root["leaves"] = (1, (2, "x"), frozenset((3,)))
    pool.root["holds"] = (1, [2], ({"k": ()},))
    pool = reopen(pool)
    assert type(pool.root["leaves"]) is tuple
    assert pool.root["leaves"] == (1, (2, "x"), frozenset((3,)))
    holds = pool.root["holds"]
    assert type(holds) is tuple and type(holds[2]) is tuple
    assert pmemobj.plain(holds) == (1, [2], ({"k": ()},))


def test_immutable(pool: Any) -> None:
    t = pool.new(PersistentTuple, [1, 2])
    for change in (
        lambda: t.__setitem__(0, 1),
        lambda: t.__delitem__(0),
        lambda: t.append(1),
        lambda: t.sort(),
    ):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError):
        t[0] = 1
    with pytest.raises(TypeError):
        del t[0]
    t.__init__([7, 8, 9])
    assert t == (1, 2)
    pool.root["t"] = t
    same = t
    same += (3,)
    assert same == (1, 2, 3) and type(same) is tuple and t == (1, 2)


def test_hash_equality_and_order(pool: Any) -> None:
    t = pool.new(PersistentTuple, [1, (2, "x")])
    assert hash(t) == hash((1, (2, "x")))
    assert {t: 1}[(1, (2, "x"))] == 1
    assert t == pool.new(PersistentTuple, [1, (2, "x")])
    assert t != [1, (2, "x")] and t != pool.new(PersistentList, [1, (2, "x")])
    assert t < (1, (3,)) and (1,) < t and t >= t
    with pytest.raises(TypeError):
        hash(pool.new(PersistentTuple, [[]]))


def test_operators_give_plain_tuples(pool: Any) -> None:
    t = pool.new(PersistentTuple, [1, 2, 3])
    for result, expected in (
        (t + (4,), (1, 2, 3, 4)),
        ((4,) + t, (4, 1, 2, 3)),
        (t * 2, (1, 2, 3) * 2),
        (t[1:], (2, 3)),
        (t[::-2], (3, 1)),
    ):
        assert type(result) is tuple and result == expected
    with pytest.raises(TypeError):
        t + [1]


def test_repr(pool: Any) -> None:
    assert repr(pool.new(PersistentTuple)) == "()"
    assert repr(pool.new(PersistentTuple, [1])) == "(1,)"
    assert repr(pool.new(PersistentTuple, [1, "a"])) == "(1, 'a')"
    inner = pool.new(PersistentList)
    t = pool.new(PersistentTuple, [inner])
    inner.append(t)
    assert repr(t) == "([(...)],)"


def test_plain_values_leave_the_pool(pool: Any) -> None:
    shared = pool.new(PersistentList, [1])
    t = pool.new(PersistentTuple, [shared, shared, 2])
    for made in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), pmemobj.plain(t)):
        assert type(made) is tuple and made == ([1], [1], 2)
        assert made[0] is made[1] and type(made[0]) is list


def test_stored_as_a_whole_or_not_at_all(pool: Any) -> None:
    with pytest.raises(pmemobj.UnstorableError):
        pool.new(PersistentTuple, [1, object()])
    assert pool.gc().freed == 0
    assert isinstance(pool.new(PersistentTuple), collections.abc.Sequence)


class Pair(PersistentTuple):
    @property
    def left(self) -> Any:
        return self[0]


def test_subclasses(pool: Any, reopen: Any) -> None:
    pool.root["pair"] = pool.new(Pair, "ab")
    assert pool.root["pair"].left == "a"
    pool = reopen(pool)
    assert type(pool.root["pair"]) is Pair and pool.root["pair"].left == "a"


def test_as_a_key_it_is_the_plain_tuple(pool: Any, reopen: Any) -> None:
    class Own(PersistentTuple):
        def __hash__(self) -> int:  # type: ignore[override]
            return 1

    leaves = pool.new(PersistentTuple, (1, "a"))
    holder = pool.new(PersistentTuple, (leaves, 2))
    pool.root["leaves"] = leaves
    pool.root["d"] = {leaves: "leaves", holder: "holder"}
    pool.root["s"] = {(leaves,)}
    d, s = pool.root["d"], pool.root["s"]
    assert d[leaves] == d[(1, "a")] == "leaves"
    assert d[holder] == d[(leaves, 2)] == d[((1, "a"), 2)] == "holder"
    assert ((1, "a"),) in s and (holder,) not in s
    s.add(holder)
    s.add(leaves)
    with pytest.raises(pmemobj.UnstorableError, match="defines __eq__ or __hash__"):
        s.add(pool.new(Own, (1, "a")))
    pool = reopen(pool)
    leaves, d, s = pool.root["leaves"], pool.root["d"], pool.root["s"]
    assert list(map(type, d)) == [tuple, tuple] and list(d)[1][0] is leaves
    assert s == {(leaves,), (leaves, 2), (1, "a")} and next(iter(s))[0] is leaves
