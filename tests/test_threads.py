"""Changes of one element need no lock: several threads, and what comes between the steps."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from threads import in_thread, together, wait_for

import pmemobj
from pmemobj._native import lib
from pmemobj.transaction import STEPWISE

Pool = pmemobj.PersistentObjectPool


class Counter(pmemobj.PersistentObject):
    def __init__(self) -> None:
        self.value = 0


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as the interpreter allows."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(former)


@pytest.mark.usefixtures("hasty")
def test_changes_of_several_threads_all_arrive(pool: Pool) -> None:
    pool.root = {"list": [], "dict": {}, "set": set()}
    numbers, table, members = (pool.root[name] for name in ("list", "dict", "set"))
    rounds = 400

    def work(number: int) -> None:
        for turn in range(rounds):
            numbers.append(number)
            numbers[0] = turn
            table[f"{number}-{turn}"] = turn
            table["shared"] = turn
            members.add(number * rounds + turn)
            if turn % 7 == 0:
                assert table[f"{number}-{turn}"] == turn
                del table[f"{number}-{turn}"]
            if turn % 50 == 0:
                numbers.insert(0, number)
                with pool.transaction():
                    table["shared"] = -1
                    numbers.append(number)

    together(*(lambda number=number: work(number) for number in range(3)))  # type: ignore[misc]
    assert len(numbers) == 3 * (rounds + 2 * (rounds // 50))
    assert len(table) == 3 * (rounds - len(range(0, rounds, 7))) + 1
    assert members == set(range(3 * rounds))
    assert {key: table[key] for key in table} == table.copy()
    assert [numbers[i] for i in range(len(numbers))] == numbers.copy()
    assert pool.check().ok


@pytest.mark.usefixtures("hasty")
def test_caches_are_true_after_changes_by_several_threads(pool: Pool) -> None:
    pool.root = {"dict": dict.fromkeys("abc", 0), "list": [0, 0, 0]}
    table, numbers = pool.root["dict"], pool.root["list"]
    counter = pool.root["counter"] = pool.new(Counter)
    counter = pool.root["counter"]

    def work(number: int) -> None:
        for turn in range(1500):
            key, place = "abc"[turn % 3], turn % 3
            table[key] = 10 * turn + number
            numbers[place] = 10 * turn + number
            counter.value = 10 * turn + number
            table[key], numbers[place], counter.value

    together(*(lambda number=number: work(number) for number in range(3)))  # type: ignore[misc]
    assert {key: table[key] for key in "abc"} == table.copy()
    assert [numbers[i] for i in range(3)] == numbers.copy()
    assert counter.value == counter.__dict__["value"]


def test_whoever_holds_the_lock_is_undisturbed(pool: Pool) -> None:
    pool.root = numbers = [1, 2, 3]
    numbers = pool.root
    numbers.append(4)
    order = []
    held, released = threading.Event(), threading.Event()

    def holder() -> None:
        with pool.mm.lock:
            before = len(numbers)
            held.set()
            released.wait(0.2)
            assert len(numbers) == before
            order.append("holder")

    def writer() -> None:
        wait_for(held)
        numbers.append(5)
        order.append("writer")

    together(holder, writer)
    assert order == ["holder", "writer"]
    assert numbers == [1, 2, 3, 4, 5]


def test_a_thread_that_did_not_come_in_last_is_refused(pool: Pool) -> None:
    pool.root = [0]
    numbers = pool.root
    numbers.append(1)  # now it has room for more
    ctx, offset = pool.mm.ctx, numbers._p_oid[1]
    found = []

    def other() -> None:
        found.append(lib.pmo_sequence_append_int(ctx, offset, 2))
        with pool.mm.lock:
            found.append(lib.pmo_claim(ctx))
            found.append(lib.pmo_sequence_append_int(ctx, offset, 3))

    in_thread(other)
    assert found == [lib.PMO_EBUSY, lib.PMO_OK, lib.PMO_OK]
    assert lib.pmo_sequence_append_int(ctx, offset, 4) == lib.PMO_EBUSY
    numbers.append(4)
    assert lib.pmo_sequence_append_int(ctx, offset, 5) == lib.PMO_OK
    assert numbers == [0, 1, 3, 4, 5]


def test_a_change_waits_for_another_threads_transaction(pool: Pool) -> None:
    pool.root = {"n": 0, "list": []}
    root, numbers = pool.root, pool.root["list"]
    begun = threading.Event()
    seen = []

    def owner() -> None:
        with pool.transaction():
            root["n"] = 1
            numbers.append(1)
            begun.set()
            time.sleep(0.1)
            numbers.append(2)
            root["n"] = 2

    def other() -> None:
        wait_for(begun)
        numbers.append(3)
        seen.append(root["n"])
        root["n"] = 3

    together(owner, other)
    assert numbers == [1, 2, 3]
    assert seen == [2]
    assert root["n"] == 3


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**200, 1.5, True, None, "text", b"\0"])
def test_values_that_are_not_an_int64(pool: Pool, value: Any) -> None:
    pool.root = {"list": [0], "dict": {"k": 0}, "counter": pool.new(Counter)}
    numbers, table, counter = (pool.root[name] for name in ("list", "dict", "counter"))
    for container, key in ((numbers, 0), (table, "k"), (table, "\ud800"), (table, "a\0b")):
        container[key] = value
        assert container[key] == value
        assert type(container[key]) is type(value)
        container[key] = value
        assert container[key] == value
    numbers.append(value)
    counter.value = value
    assert counter.value == value
    assert numbers.copy() == [value, value]
    assert counter.__dict__["value"] == value


def test_what_was_read_before_stays_warm(pool: Pool) -> None:
    pool.root = {"list": [0], "dict": {"k": 0}}
    numbers, table = pool.root["list"], pool.root["dict"]
    assert (numbers[0], table["k"]) == (0, 0)
    numbers[0] = table["k"] = 7
    if not STEPWISE:
        assert numbers._p_cache == {0: 7}
        assert table._p_cache == {"k": 7}
    with pytest.raises(ZeroDivisionError), pool.transaction():
        numbers[0] = table["k"] = 8
        numbers[0] = table["k"] = 9
        assert (numbers[0], table["k"]) == (9, 9)
        raise ZeroDivisionError
    assert (numbers[0], table["k"]) == (7, 7)


def at_each_point(
    prepare: Callable[[], object], work: Callable[[], object], come: Callable[[int], object]
) -> None:
    """Do *work* again and again; *come* comes in between, each time at a later point.

    A profiler is called where a signal handler would be: after each call into the core.
    """
    for step in range(1, 5000):
        prepare()
        points = 0

        def handler(frame: Any, event: str, called: Any) -> None:
            nonlocal points
            points += event in ("call", "c_return")
            if points == step:  # noqa: B023
                sys.setprofile(None)
                come(step)  # noqa: B023

        sys.setprofile(handler)
        try:
            work()
        finally:
            sys.setprofile(None)
        if points < step:
            return
    pytest.fail("not every point was tried")


def test_a_signal_handler_between_a_change_and_its_cache(pool: Pool) -> None:
    pool.root = {"list": [0], "dict": {"k": 0}, "counter": pool.new(Counter)}
    numbers, table, counter = (pool.root[name] for name in ("list", "dict", "counter"))
    fresh = itertools.count(1)

    def change(number: int) -> None:
        numbers[0] = number
        table["k"] = number
        counter.value = number

    def read() -> tuple[Any, ...]:
        return numbers[0], table["k"], counter.value

    def require_true() -> None:
        assert read() == (numbers.copy()[0], table.copy()["k"], counter.__dict__["value"])

    def come(step: int) -> None:
        read()
        if step % 2:
            change(-step)
        read()

    at_each_point(require_true, lambda: change(next(fresh)), come)
    require_true()


@pytest.mark.parametrize("keeps", [True, False])
def test_a_signal_handler_while_dead_handles_are_released(pool: Pool, keeps: bool) -> None:
    pool.root = {"list": [0], "count": 0}
    root = pool.root
    held: list[Any] = []

    def prepare() -> None:
        root._p_cache.clear()
        if held:
            assert root["list"] is held[0]
        held.clear()
        assert root["list"] is root["list"]  # and nobody keeps it: the handle dies
        root._p_cache.clear()

    def come(step: int) -> None:
        held.append(root["list"])
        if not keeps:
            held.clear()

    at_each_point(prepare, lambda: len(root), come)


@pytest.mark.parametrize("name", ["list", "dict", "ahead", "object"])
def test_a_signal_handler_changes_what_is_being_read(pool: Pool, name: str) -> None:
    keys = [f"k{i}" for i in range(40)]
    pool.root = {"list": [0], "dict": {}, "ahead": {}, "object": pool.new(Counter)}
    stored = pool.root[name]

    def write(value: str) -> None:
        if name == "list":
            stored[0] = value
        elif name == "object":
            stored.value = value
        else:
            stored.update(dict.fromkeys(keys, value))

    def read() -> Any:
        if name == "list":
            return stored[0]
        if name == "object":
            return stored.value
        if name == "dict":
            return stored["k5"]
        return [stored[key] for key in keys][20]

    def prepare() -> None:
        write("old" * 20)
        stored._p_refresh()
        found.clear()

    def come(step: int) -> None:
        write("new" * 20)
        found.append(None)

    def work() -> None:
        assert read() in ("old" * 20, "new" * 20)
        if found:
            assert read() == "new" * 20

    found: list[None] = []
    at_each_point(prepare, work, come)


def test_a_signal_handler_closes_the_pool_that_is_being_read(tmp_path: Any) -> None:
    path = tmp_path / "test.pmem"
    with pmemobj.create(path) as pool:
        pool.root = ["text" * 100]
    pools: list[Pool] = []

    def prepare() -> None:
        pools[:] = [pmemobj.open(path)]
        roots[:] = [pools[0].root]

    def work() -> None:
        try:
            assert roots[0][0] == "text" * 100
        except pmemobj.PoolClosedError:
            pass
        sys.setprofile(None)
        pools[0].close()

    roots: list[Any] = []
    at_each_point(prepare, work, lambda step: pools[0].close())
