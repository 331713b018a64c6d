"""Lists, dicts and sets beside their plain counterparts: the same results, errors and contents."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pmemobj

NAN = float("nan")
HUGE = 2**70


class Index:
    """An integer by its ``__index__`` only."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value})"


class FailingIndex:
    def __index__(self) -> int:
        raise ZeroDivisionError


class EqualToAll:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Keys:
    def keys(self) -> list[str]:
        return ["a", "x"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __getitem__(self, key: str) -> str:
        return key * 2


class NoKeys:
    def keys(self) -> int:
        return 5


class Knowing:
    """What may stand on the right of + and *."""

    def __radd__(self, other: Any) -> str:
        return "added"

    def __rmul__(self, other: Any) -> str:
        return "multiplied"


VALUES = [0, 1, -1, True, 1.0, "a", "", None, NAN, HUGE, b"x", (1, 2), (), 1.5, frozenset({1})]
INDICES = [0, 1, -1, 2, 5, -7, True, HUGE, -HUGE, Index(1), Index(HUGE), FailingIndex()]
NO_INDICES = [None, "x", 1.5, (1,)]
SLICES = [
    slice(None),
    slice(1, 3),
    slice(3, 1),
    slice(None, None, -1),
    slice(None, None, 2),
    slice(None, None, -HUGE),
    slice(-HUGE, HUGE, 2**65),
    slice(Index(1), None),
    slice(None, None, 0),
    slice("a", None),
    slice(1.5, None),
    slice(FailingIndex(), None),
]
ITERABLES = [[], [1], [1, 2, 3], "ab", (5,), {1: 2}, range(3), {1}, 5, None, Knowing()]
KEYS = [0, 1, True, 1.0, -0.0, "a", "", None, HUGE, b"x", (1, 2), math.inf, frozenset({1})]
UNHASHABLE: list[Any] = [[], {}, set(), [1]]
MAPPINGS = [
    *(
        {},
        {"a": 1},
        {1: 2, "b": NAN},
        [("a", 1)],
        [(1, 2, 3)],
        [1],
        ["ab"],
        [[1, 2]],
        "ab",
        5,
        None,
    ),
    *(Keys(), NoKeys(), [("a", 1), 5], [([], 1)]),
]
SETS = [set(), {1, 2}, frozenset({1}), [1, 2], "ab", (), {1: 2}, 5, None, [[]], range(2)]

LIST: dict[str, Callable[..., Any]] = {
    "append": lambda it, i, v, t: it.append(v),
    "get": lambda it, i, v, t: it[i],
    "set": lambda it, i, v, t: operator.setitem(it, i, v),
    "set slice": lambda it, i, v, t: operator.setitem(it, i, t) if type(i) is slice else None,
    "del": lambda it, i, v, t: operator.delitem(it, i),
    "insert": lambda it, i, v, t: it.insert(i, v),
    "pop": lambda it, i, v, t: it.pop(i),
    "remove": lambda it, i, v, t: it.remove(v),
    "index": lambda it, i, v, t: it.index(v),
    "index from": lambda it, i, v, t: it.index(v, i),
    "count": lambda it, i, v, t: it.count(v),
    "extend": lambda it, i, v, t: it.extend(t),
    "iadd": lambda it, i, v, t: type(t) is Knowing or len(operator.iadd(it, t)),
    "imul": lambda it, i, v, t: len(operator.imul(it, i)),
    "mul": lambda it, i, v, t: it * i,
    "mul knowing": lambda it, i, v, t: it * Knowing(),
    "add": lambda it, i, v, t: it + t,
    "contains": lambda it, i, v, t: v in it,
    "equal to all": lambda it, i, v, t: EqualToAll() in it,
    "eq": lambda it, i, v, t: it == t,
    "eq own": lambda it, i, v, t: it == list(it),
    "lt": lambda it, i, v, t: it < t,
    "itself": lambda it, i, v, t: it.extend(it),
    "own slice": lambda it, i, v, t: operator.setitem(it, slice(1, 1), it),
    "reverse": lambda it, i, v, t: it.reverse(),
    "sort": lambda it, i, v, t: it.sort(key=repr, reverse=i),
    "reversed": lambda it, i, v, t: list(reversed(it)),
    "str": lambda it, i, v, t: str(it),
}
DICT: dict[str, Callable[..., Any]] = {
    "set": lambda it, k, v, t: operator.setitem(it, k, v),
    "get[]": lambda it, k, v, t: it[k],
    "del": lambda it, k, v, t: operator.delitem(it, k),
    "get": lambda it, k, v, t: it.get(k, v),
    "pop": lambda it, k, v, t: it.pop(k),
    "pop or": lambda it, k, v, t: it.pop(k, v),
    "pop of none": lambda it, k, v, t: (it.clear(), it.pop(k, v)),
    "popitem": lambda it, k, v, t: it.popitem(),
    "setdefault": lambda it, k, v, t: it.setdefault(k, v),
    "update": lambda it, k, v, t: it.update(t),
    "update more": lambda it, k, v, t: it.update(t, z=v),
    "ior": lambda it, k, v, t: len(operator.ior(it, t)),
    "or": lambda it, k, v, t: it | t,
    "ror": lambda it, k, v, t: t | it,
    "in": lambda it, k, v, t: k in it,
    "items": lambda it, k, v, t: list(it.items()),
    "reversed": lambda it, k, v, t: list(reversed(it.values())),
    "eq": lambda it, k, v, t: it == t,
    "in items": lambda it, k, v, t: (k, v) in it.items(),
    "in values": lambda it, k, v, t: v in it.values(),
    "all items": lambda it, k, v, t: all(item in it.items() for item in it.items()),
    "keys &": lambda it, k, v, t: it.keys() & t,
    "keys |": lambda it, k, v, t: it.keys() | t,
    "- keys": lambda it, k, v, t: t - it.keys(),
    "keys ^": lambda it, k, v, t: it.keys() ^ t,
    "items &": lambda it, k, v, t: it.items() & t,
    "keys <=": lambda it, k, v, t: it.keys() <= t,
    "str": lambda it, k, v, t: (str(it), str(it.keys()), str(it.values()), str(it.items())),
}
SET: dict[str, Callable[..., Any]] = {
    "add": lambda it, k, v, t: it.add(k),
    "remove": lambda it, k, v, t: it.remove(k),
    "discard": lambda it, k, v, t: it.discard(k),
    "in": lambda it, k, v, t: k in it,
    "eq": lambda it, k, v, t: it == t,
    **{
        name: lambda it, k, v, t, name=name: getattr(it, name)(t)
        for name in (
            *("update", "intersection_update", "difference_update"),
            *("symmetric_difference_update", "union", "intersection", "difference"),
            *("symmetric_difference", "isdisjoint", "issubset", "issuperset"),
        )
    },
    **{
        name: lambda it, k, v, t, name=name: getattr(operator, name)(it, t)
        for name in ("or_", "and_", "sub", "xor", "le", "lt", "ge", "gt")
    },
    **{
        name: lambda it, k, v, t, name=name: len(getattr(operator, name)(it, t))
        for name in ("ior", "iand", "isub", "ixor")
    },
}


def outcome(operation: Any, container: Any, arguments: Any) -> tuple[str, Any]:
    try:
        return "gives", pmemobj.plain(operation(container, *arguments))
    except Exception as error:
        return "raises", error


def comparable(value: Any) -> Any:
    """The value in a form whose equality tells types and NaNs, but not the order of a set."""
    if isinstance(value, (set, frozenset)):
        return type(value), frozenset(map(_without_nan, value))
    return repr(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_nan, value))
    return "nan" if isinstance(value, float) and math.isnan(value) else value


def compare(pool: Any, kind: type, operations: Any, steps: Any) -> None:
    plain: Any = kind()
    stored = pool.root = kind()
    stored = pool.root
    for name, *arguments in steps:
        if len(plain) > 20:
            plain.clear()
            stored.clear()
        before, saved = comparable(plain), plain.copy()
        how, expected = outcome(operations[name], plain, arguments)
        found_how, found = outcome(operations[name], stored, arguments)
        told = (name, arguments, before, expected, found)
        assert how == found_how, told
        if how == "gives":
            assert comparable(found) == comparable(expected), told
            assert comparable(pmemobj.plain(stored)) == comparable(plain), told
            continue
        assert isinstance(found, type(expected)), told
        # A plain container may keep the first half of a failed operation, a stored one does not.
        assert comparable(pmemobj.plain(stored)) == before, told
        plain = saved  # not a copy of the stored one, so that the NaNs stay the same
    stored._check()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pmemobj.create(tmp_path_factory.mktemp("differential") / "a.pool") as made:
        yield made


def steps(operations: Any, *arguments: list[Any]) -> Any:
    chosen = [st.sampled_from(choice) for choice in arguments]
    return st.lists(st.tuples(st.sampled_from(sorted(operations)), *chosen), max_size=12)


exact = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@exact
@given(steps(LIST, INDICES + NO_INDICES + SLICES, VALUES, ITERABLES))
def test_lists(pool: Any, steps: Any) -> None:
    compare(pool, list, LIST, steps)


@exact
@given(steps(DICT, KEYS + UNHASHABLE, VALUES, MAPPINGS + SETS))
def test_dicts(pool: Any, steps: Any) -> None:
    compare(pool, dict, DICT, steps)


@exact
@given(steps(SET, KEYS + UNHASHABLE, VALUES, SETS))
def test_sets(pool: Any, steps: Any) -> None:
    compare(pool, set, SET, steps)


@pytest.mark.parametrize(
    "use",
    [
        lambda it: it.insert(HUGE, 1),
        lambda it: it.pop(HUGE),
        lambda it: it.pop(9),
        lambda it: it.remove("x"),
        lambda it: operator.add(it, (1,)),
        lambda it: it * "x",
        lambda it: operator.imul(it, 1.5),
        lambda it: it[HUGE],
        lambda it: operator.delitem(it, Index(HUGE)),
        lambda it: operator.setitem(it, -HUGE, 1),
        lambda it: operator.setitem(it, slice(None, None, 2), 5),
        lambda it: operator.setitem(it, slice(0, 1), 5),
        lambda it: it.index(1, None),
        lambda it: it["x"],
    ],
)
def test_the_words_of_errors_are_lists(pool: Any, use: Any) -> None:
    with pytest.raises((TypeError, ValueError, LookupError, OverflowError)) as expected:
        use([1, 2])
    pool.root = [1, 2]
    with pytest.raises(type(expected.value)) as found:
        use(pool.root)
    assert str(found.value).replace("PersistentList", "list") == str(expected.value)


class Clearing:
    """Empties the list whose slice is being made."""

    def __init__(self, target: Any, value: int) -> None:
        self.target = target
        self.value = value

    def __index__(self) -> int:
        self.target.clear()
        return self.value


def test_a_slice_whose_bounds_change_the_list(pool: Any) -> None:
    for use in (
        lambda it: it[Clearing(it, 1) :],
        lambda it: it[Clearing(it, 1) : 3 : 2],
        lambda it: operator.setitem(it, slice(Clearing(it, 1), 3), "ab"),
        lambda it: operator.delitem(it, slice(Clearing(it, 1), 3)),
    ):
        plain = [1, 2, 3]
        pool.root = [1, 2, 3]
        assert use(pool.root) == use(plain)
        assert pool.root == plain


def test_a_nan_is_found_by_its_bits(pool: Any) -> None:
    pool.root = {"list": [1, NAN], "dict": {"k": NAN}}
    items, table = pool.root["list"], pool.root["dict"]
    other = -NAN
    for nan in (NAN, float("nan"), items[1]):
        assert nan in items and items.index(nan) == 1 and items.count(nan) == 1
        assert nan in table.values() and ("k", nan) in table.items()
        assert items == [1, nan] and [1, nan] == items and table == {"k": nan}
    assert other not in items and items != [1, other] and table != {"k": other}
    assert items == items and items == pmemobj.plain(items) and not items < [1, NAN]
    items.remove(NAN)
    assert items == [1]


def test_a_hint_that_is_none_is_refused(pool: Any) -> None:
    class Lying:
        def __init__(self, hint: Any) -> None:
            self.hint = hint

        def __length_hint__(self) -> Any:
            return self.hint

        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    pool.root = []
    for hint, error in ((-1, ValueError), ("x", TypeError)):
        with pytest.raises(error):
            pool.root.extend(Lying(hint))
    pool.root.extend(Lying(2**40))
    assert pool.root == [1, 2]
