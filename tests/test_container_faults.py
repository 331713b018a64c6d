"""Every allocation and snapshot of every container operation fails once: nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest

import pmemobj
from pmemobj import PersistentObject
from pmemobj._native import lib

LONG = "long enough to need room of its own " * 200


class Thing(PersistentObject):
    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


def a_list(pool: Any) -> Any:
    return pool.new(pmemobj.PersistentList, [5, "two" * 10, [1], None, 4.5, LONG])


def a_dict(pool: Any) -> Any:
    return pool.new(pmemobj.PersistentDict, {"a": 1, "b": [2], 3: LONG, (4, 5): {"k": 6}})


def a_set(pool: Any) -> Any:
    return pool.new(pmemobj.PersistentSet, [1, "two" * 10, (3, 4), LONG])


def a_thing(pool: Any) -> Any:
    return pool.new(Thing, a=1, b=[2], c=LONG)


OPERATIONS = [
    (a_list, lambda x: x.append(LONG + "!")),
    (a_list, lambda x: x.append([1, {2: 3}])),
    (a_list, lambda x: x.extend(range(100))),
    (a_list, lambda x: x.insert(1, [7])),
    (a_list, lambda x: x.__setitem__(2, LONG)),
    (a_list, lambda x: x.__setitem__(0, {"k": [1]})),
    (a_list, lambda x: x.__setitem__(slice(1, 4), [LONG, [8]])),
    (a_list, lambda x: x.__setitem__(slice(None, None, 2), [LONG, [8], 9])),
    (a_list, lambda x: x.__delitem__(slice(None, None, 2))),
    (a_list, lambda x: x.pop(2)),
    (a_list, lambda x: x.clear()),
    (a_list, lambda x: x.reverse()),
    (a_list, lambda x: x.sort(key=repr)),
    (a_list, lambda x: x.__imul__(20)),
    (a_dict, lambda x: x.__setitem__("a", LONG)),
    (a_dict, lambda x: x.__setitem__("new", [1, [2]])),
    (a_dict, lambda x: x.__setitem__(LONG, 1)),
    (a_dict, lambda x: x.update({i: [str(i)] for i in range(40)})),
    (a_dict, lambda x: x.pop("b")),
    (a_dict, lambda x: x.popitem()),
    (a_dict, lambda x: x.setdefault("new", {1})),
    (a_dict, lambda x: x.clear()),
    (a_set, lambda x: x.add(LONG + "!")),
    (a_set, lambda x: x.update(range(60))),
    (a_set, lambda x: x.remove(1)),
    (a_set, lambda x: x.pop()),
    (a_set, lambda x: x.__iand__({1, (3, 4)})),
    (a_set, lambda x: x.__ixor__({1, "new"})),
    (a_set, lambda x: x.__init__(range(50))),
    (a_thing, lambda x: setattr(x, "a", LONG + "!")),
    (a_thing, lambda x: setattr(x, "d", [1, {2: 3}])),
    (a_thing, lambda x: delattr(x, "b")),
]


def content(stored: Any) -> Any:
    if isinstance(stored, Thing):
        return {name: pmemobj.plain(value) for name, value in vars(stored).items()}
    return pmemobj.plain(stored)


def read_one_by_one(stored: Any) -> Any:
    """By way of the caches."""
    if isinstance(stored, Thing):
        return {name: pmemobj.plain(getattr(stored, name)) for name in vars(stored)}
    if isinstance(stored, pmemobj.PersistentDict):
        return {key: pmemobj.plain(stored[key]) for key in stored}
    if isinstance(stored, pmemobj.PersistentSet):
        return {value for value in stored if value in stored}
    return [pmemobj.plain(stored[place]) for place in range(len(stored))]


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize(("make", "operate"), OPERATIONS)
def test_a_full_pool_changes_nothing(pool: Any, make: Any, operate: Any, nested: bool) -> None:
    stored = pool.root["x"] = make(pool)
    before = content(stored)
    for nth in range(1, 2000):
        assert read_one_by_one(stored) == before
        try:
            if nested:
                with pool.transaction():
                    lib.pmo_inject_failure(pool.mm.ctx, nth)
                    operate(stored)
            else:
                lib.pmo_inject_failure(pool.mm.ctx, nth)
                operate(stored)
        except pmemobj.PoolFullError:
            assert nth > 0
        else:
            break
        finally:
            lib.pmo_inject_failure(pool.mm.ctx, 0)
        assert content(stored) == before
        stored._check()
    else:
        pytest.fail("the operation never came through")
    assert content(stored) != before
    stored._check()
    assert read_one_by_one(stored) != before
    assert pool.gc().freed == 0
