"""Iterators that have read ahead go on as those of builtins do, whatever changes meanwhile."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from threads import Worker

import pmemobj
from pmemobj.containers.ahead import Watched

Pool = pmemobj.PersistentObjectPool
MANY = 1000


@pytest.fixture
def numbers(pool: Pool) -> Any:
    pool.root = {"numbers": list(range(MANY))}
    return pool.root["numbers"]


@pytest.fixture
def table(pool: Pool) -> Any:
    pool.root = {"table": {i: -i for i in range(MANY)}}
    return pool.root["table"]


CHANGES: dict[str, Callable[[Any], object]] = {
    "append": lambda found: found.append(7),
    "replace": lambda found: found.__setitem__(500, "other"),
    "replace behind": lambda found: found.__setitem__(2, "other"),
    "insert before": lambda found: found.insert(0, "first"),
    "delete before": lambda found: found.__delitem__(0),
    "delete ahead": lambda found: found.__delitem__(slice(500, 900)),
    "reverse": lambda found: found.reverse(),
    "sort": lambda found: found.sort(key=lambda value: -value),
    "clear": lambda found: found.clear(),
    "refill": lambda found: found.__init__(range(5000, 7000)),
    "text": lambda found: found.__setitem__(400, "x" * 100),
}


@pytest.mark.parametrize("start", [iter, reversed])
@pytest.mark.parametrize("taken", [1, 15, 16, 17, 300, MANY])
@pytest.mark.parametrize("change", CHANGES)
def test_a_list_changed_in_the_middle(
    numbers: Any, change: str, taken: int, start: Callable[[Any], Iterator[Any]]
) -> None:
    plain = list(range(MANY))
    ours, theirs = start(numbers), start(plain)
    assert list(islice(ours, taken)) == list(islice(theirs, taken))
    CHANGES[change](numbers)
    CHANGES[change](plain)
    assert list(ours) == list(theirs)
    numbers.append(1)
    assert list(ours) == []


@pytest.mark.parametrize("what", ["keys", "values", "items"])
@pytest.mark.parametrize("start", [iter, reversed])
def test_a_value_replaced_in_the_middle(
    table: Any, what: str, start: Callable[[Any], Iterator[Any]]
) -> None:
    plain = dict(table.items())
    ours, theirs = (start(getattr(found, what)()) for found in (table, plain))
    for taken in (1, 20, 20):
        assert list(islice(ours, taken)) == list(islice(theirs, taken))
        for key in (5, 45, 500, 990):
            table[key] = plain[key] = f"{key} after {taken}"
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("taken", [1, 16, MANY])
@pytest.mark.parametrize("what", ["keys", "values", "items"])
def test_a_key_inserted_in_the_middle(table: Any, what: str, taken: int) -> None:
    ours = iter(getattr(table, what)())
    list(islice(ours, taken))
    table["new"] = 1
    with pytest.raises(RuntimeError, match="changed size"):
        next(ours)
    assert list(ours) == []


def test_an_abort_takes_back_what_was_read_inside(pool: Pool, numbers: Any) -> None:
    ours = iter(numbers)
    with pytest.raises(ZeroDivisionError), pool.transaction():
        numbers[700] = "never"
        assert list(islice(ours, 400)) == list(range(400))
        raise ZeroDivisionError
    assert list(ours) == list(range(400, MANY))


def test_a_closed_pool_gives_nothing_that_was_read_ahead(pool: Pool, numbers: Any) -> None:
    ours = iter(numbers)
    assert next(ours) == 0
    pool.close()
    with pytest.raises(pmemobj.PoolClosedError):
        next(ours)


def test_several_iterators_of_one_list(numbers: Any) -> None:
    plain = list(range(MANY))
    pairs = [(iter(numbers), iter(plain)) for _ in range(5)]
    for step, (ours, theirs) in enumerate(pairs):
        assert list(islice(ours, 30 * step)) == list(islice(theirs, 30 * step))
    for step in range(20):
        numbers.insert(3 * step, -step)
        plain.insert(3 * step, -step)
        for ours, theirs in pairs:
            assert list(islice(ours, 7)) == list(islice(theirs, 7))
    for ours, theirs in pairs:
        assert list(ours) == list(theirs)


def test_an_iterator_that_is_dropped_leaves_nothing(numbers: Any) -> None:
    ours = iter(numbers)
    next(ours)
    assert type(numbers._p_moves) is Watched
    del ours
    gc.collect()
    assert numbers._p_moves.runs == []
    numbers.append(1)
    assert type(numbers._p_moves) is int


def test_elements_that_another_thread_replaces_are_seen(numbers: Any) -> None:
    """Once it has said that an element is replaced, nobody is given the one before."""
    done = -1
    stop = threading.Event()

    def replace() -> None:
        nonlocal done
        while not stop.is_set():
            for place in range(0, MANY, 3):
                numbers[place] = numbers[place] + MANY
            done += 1

    writer = Worker(replace)
    try:
        for _ in range(15):
            ours = iter(numbers)
            for place in range(MANY):
                passes = done
                value = next(ours)
                assert value % MANY == place
                if place % 3 == 0:
                    assert value // MANY > passes
                else:
                    assert value == place
            assert list(ours) == []
    finally:
        stop.set()
        writer.end()
