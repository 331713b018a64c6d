"""Transactions: what is kept, what is not, who may do what meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from threads import Worker, in_thread, together, wait_for

import pmemobj
from pmemobj._native import lib

Pool = pmemobj.PersistentObjectPool
Reopen = Callable[[Pool], Pool]


class Note(pmemobj.PersistentObject):
    def __init__(self, text: str) -> None:
        self.text = text


@pytest.fixture
def filled(pool: Pool) -> Pool:
    pool.root = {"list": [1, 2, 3], "dict": {"a": 1}, "set": {1}, "note": None}
    pool.root["note"] = pool.new(Note, "first")
    return pool


BEFORE = {"list": [1, 2, 3], "dict": {"a": 1}, "set": {1}}


def change_everything(pool: Pool) -> None:
    root = pool.root
    root["list"].append(4)
    root["list"][0] = "x" * 500
    root["dict"]["b"] = [5]
    del root["dict"]["a"]
    root["set"].add("new")
    root["set"].discard(1)
    root["note"].text = "second"
    root["note"].more = 1
    root["extra"] = {"k": "v"}


def check_unchanged(pool: Pool) -> None:
    root = pool.root
    assert {key: pmemobj.plain(root[key]) for key in BEFORE} == BEFORE
    assert list(root) == ["list", "dict", "set", "note"]
    assert root["note"].text == "first"
    assert not hasattr(root["note"], "more")
    assert pool.check().ok


# ---- commit and rollback ----


def test_commit(filled: Pool, reopen: Reopen) -> None:
    with filled.transaction():
        change_everything(filled)
    for again in (False, True):
        pool = reopen(filled) if again else filled
        assert pool.root["list"] == ["x" * 500, 2, 3, 4]
        assert pool.root["dict"] == {"b": [5]}
        assert pool.root["set"] == {"new"}
        assert (pool.root["note"].text, pool.root["note"].more) == ("second", 1)
        assert pool.root["extra"] == {"k": "v"}
        assert pool.check().ok


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_rollback(filled: Pool, reopen: Reopen, error: type[BaseException]) -> None:
    with pytest.raises(error), filled.transaction():
        change_everything(filled)
        raise error
    check_unchanged(filled)
    check_unchanged(reopen(filled))


def test_warm_caches_after_a_rollback(filled: Pool) -> None:
    root = filled.root
    kept = root["list"], root["dict"], root["set"], root["note"]

    def read() -> Any:
        numbers, table, group, note = kept
        return numbers[0], table.get("a"), 1 in group, "new" in group, note.text, len(numbers)

    before = read()
    with pytest.raises(ZeroDivisionError), filled.transaction():
        change_everything(filled)
        assert read() != before
        raise ZeroDivisionError
    assert read() == before
    assert root["list"] is kept[0]
    with filled.transaction():
        kept[0][0] = 5
        assert kept[0][0] == 5
    assert kept[0][0] == 5


def test_ordinary_objects_are_not_rolled_back(pool: Pool) -> None:
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError), pool.transaction():
        seen.append(1)
        raise ZeroDivisionError
    assert seen == [1]


def test_objects_from_before_stay_valid_and_new_ones_are_poisoned(filled: Pool) -> None:
    old = filled.root["list"]
    made: list[Any] = []
    with pytest.raises(ZeroDivisionError), filled.transaction():
        made += [
            filled.new(pmemobj.PersistentList, [1]),
            filled.new(pmemobj.PersistentDict, {"a": 1}),
            filled.new(pmemobj.PersistentSet, [1]),
            filled.new(Note, "x"),
        ]
        filled.root["dict"]["sub"] = [1, 2]
        made.append(filled.root["dict"]["sub"])
        made[3].text, made[0][0], made[4][0]  # warm
        raise ZeroDivisionError
    uses: list[Callable[[], Any]] = [
        lambda: made[0][0],
        lambda: made[0].append(1),
        lambda: len(made[0]),
        lambda: list(made[0]),
        lambda: made[1]["a"],
        lambda: made[1].update(a=2),
        lambda: 1 in made[2],
        lambda: made[2].add(5),
        lambda: made[3].text,
        lambda: setattr(made[3], "text", "y"),
        lambda: made[4][0],
        lambda: filled.root.update(it=made[0]),
        lambda: old.append(made[0]),
        lambda: old.append([made[0]]),
        lambda: setattr(filled, "root", made[0]),
        lambda: filled.mm.resurrect(made[0]._p_oid),
        lambda: filled.mm.incref(made[0]._p_oid),
    ]
    for number, use in enumerate(uses):
        with pytest.raises(pmemobj.AbortedObjectError) as caught:
            pytest.fail(f"use {number} gave {use()!r}")
        assert isinstance(caught.value, ReferenceError)
    old.append(4)
    assert old == [1, 2, 3, 4]
    # The memory is used again; the dead handles must not see it.
    filled.root["dict"]["other"] = [[number] for number in range(50)]
    with pytest.raises(pmemobj.AbortedObjectError):
        made[0][0]
    assert filled.check().ok


def test_a_class_first_stored_in_a_rolled_back_transaction(pool: Pool, reopen: Reopen) -> None:
    class First(pmemobj.PersistentList):
        pass

    class Second(pmemobj.PersistentDict):
        pass

    with pytest.raises(ZeroDivisionError), pool.transaction():
        pool.new(First, [1])
        raise ZeroDivisionError
    pool.root["second"] = pool.new(Second, a=1)
    pool.root["first"] = pool.new(First, [1])
    assert type(pool.root["second"]) is Second
    again = reopen(pool)
    assert again.root["second"] == {"a": 1}
    assert again.root["first"] == [1]


def test_a_class_whose_first_object_finds_no_room(pool: Pool, reopen: Reopen) -> None:
    class First(pmemobj.PersistentList):
        pass

    class Second(pmemobj.PersistentDict):
        pass

    for nth in range(1, 30):
        lib.pmo_inject_failure(pool.mm.ctx, nth)
        try:
            pool.root["first"] = pool.new(First, [1])
        except pmemobj.PoolFullError:
            continue
        else:
            break
        finally:
            lib.pmo_inject_failure(pool.mm.ctx, 0)
            pool.root["second"] = pool.new(Second, a=1)
    assert nth > 5, "no failure between the type's entry and the object"
    again = reopen(pool)
    assert again.root["second"] == {"a": 1}
    assert again.root["first"] == [1]
    assert again.check().ok


# ---- nesting ----


def test_nested_transactions_join(pool: Pool, reopen: Reopen) -> None:
    with pool.transaction():
        pool.root["a"] = 1
        with pool.transaction():
            pool.root["b"] = 2
            with pool.transaction():
                pool.root["c"] = 3
        pool.root["d"] = 4
    assert reopen(pool).root == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_the_outer_one_decides(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError), pool.transaction():
        with pool.transaction():
            pool.root["inner"] = 1
        raise ZeroDivisionError
    assert pool.root == {}


def test_an_inner_failure_dooms_the_outer_one(pool: Pool) -> None:
    with pytest.raises(pmemobj.TransactionAbortedError) as caught, pool.transaction():
        pool.root["outer"] = 1
        with contextlib.suppress(ZeroDivisionError), pool.transaction():
            pool.root["inner"] = 1
            raise ZeroDivisionError
        with pytest.raises(pmemobj.TransactionAbortedError):
            pool.root["later"] = 1
    assert isinstance(caught.value, RuntimeError)
    assert pool.root == {}
    pool.root["after"] = 1
    assert pool.root == {"after": 1}


def test_a_middle_one_of_a_doomed_transaction_says_so(pool: Pool) -> None:
    with pytest.raises(pmemobj.TransactionAbortedError), pool.transaction():
        with pytest.raises(pmemobj.TransactionAbortedError), pool.transaction():
            with contextlib.suppress(ZeroDivisionError), pool.transaction():
                raise ZeroDivisionError
    assert pool.mm.transaction_depth() == 0


def test_a_refused_value_does_not_doom(pool: Pool) -> None:
    with pool.transaction():
        pool.root["a"] = 1
        with pytest.raises(pmemobj.UnstorableError):
            pool.root["b"] = object()
        with pytest.raises(KeyError):
            del pool.root["none"]
        pool.root["c"] = 2
    assert pool.root == {"a": 1, "c": 2}


def test_a_full_pool_inside_a_transaction(pool: Pool) -> None:
    pool.root["kept"] = 1
    with pytest.raises(pmemobj.PoolFullError), pool.transaction():
        pool.root["kept"] = 2
        pool.root["huge"] = b"x" * (64 << 20)
    assert pool.root == {"kept": 1}
    assert pool.check().ok


# ---- by hand ----


def test_begin_and_commit(pool: Pool) -> None:
    transaction = pool.transaction()
    transaction.begin()
    pool.root["a"] = 1
    transaction.commit()
    assert pool.root == {"a": 1}
    transaction.begin()  # again
    pool.root["a"] = 2
    transaction.abort()
    assert pool.root == {"a": 1}


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_ending_what_was_not_begun(pool: Pool, end: str) -> None:
    transaction = pool.transaction()
    with pytest.raises(pmemobj.NoTransactionError, match="not begun"):
        getattr(transaction, end)()
    with pool.transaction():
        pool.root["a"] = 1
        with pytest.raises(pmemobj.NoTransactionError):
            getattr(transaction, end)()
    transaction.begin()
    getattr(transaction, end)()
    with pytest.raises(pmemobj.NoTransactionError):
        getattr(transaction, end)()
    assert pool.root == {"a": 1}


def test_begun_twice_is_ended_twice(pool: Pool) -> None:
    transaction = pool.transaction()
    transaction.begin()
    transaction.begin()
    pool.root["a"] = 1
    transaction.commit()
    assert pool.mm.transaction_depth() == 1
    transaction.abort()
    assert pool.root == {}


def test_an_inner_abort_by_hand(pool: Pool) -> None:
    outer, inner = pool.transaction(), pool.transaction()
    outer.begin()
    pool.root["a"] = 1
    inner.begin()
    inner.abort()
    with pytest.raises(pmemobj.TransactionAbortedError):
        outer.commit()
    assert pool.root == {}
    assert pool.mm.transaction_depth() == 0


def test_ended_by_hand_inside_its_block(pool: Pool) -> None:
    with pytest.raises(pmemobj.NoTransactionError), pool.transaction() as transaction:
        pool.root["a"] = 1
        transaction.commit()
    assert pool.root == {"a": 1}
    with pytest.raises(ZeroDivisionError), pool.transaction() as transaction:
        transaction.abort()
        raise ZeroDivisionError


def test_gc_and_check_are_refused_inside(pool: Pool) -> None:
    with pool.transaction():
        pool.root["a"] = 1
        for refused in (pool.gc, pool.check):
            with pytest.raises(pmemobj.TransactionError, match="inside a transaction"):
                refused()
    assert pool.root == {"a": 1}


@pytest.mark.parametrize("where", ["commit", "check_ending", "_end"])
def test_an_interrupted_end_leaves_nothing_open(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    genuine = getattr(pool.mm, where)
    calls = []

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.undo()
        calls.append(genuine)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pool.transaction():
        pool.root["a"] = 1
        monkeypatch.setattr(pool.mm, where, interrupted)
    assert len(calls) == 1
    assert pool.mm.transaction_depth() == 0
    assert not lib.pmo_tx_is_open(pool.mm.ctx)
    assert pool.root == {}
    pool.root["b"] = 1
    assert in_thread(lambda: dict(pool.root)) == {"b": 1}


def test_an_interrupted_inner_end_dooms(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> Any:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with pytest.raises(pmemobj.TransactionAbortedError), pool.transaction():
        with pytest.raises(KeyboardInterrupt), pool.transaction():
            pool.root["a"] = 1
            monkeypatch.setattr(pool.mm, "commit", interrupted)
        assert pool.mm.transaction_depth() == 1
    assert pool.root == {}


def test_an_interrupted_settling_is_made_up_for(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pool.transaction():
        made.append(pool.new(pmemobj.PersistentList, [1]))
        monkeypatch.setattr(pool.mm, "settle", interrupted)
        raise ZeroDivisionError
    pool.root["reuses the memory"] = [[1], [2], [3]]
    with pytest.raises(pmemobj.AbortedObjectError):
        made[0].append(2)


# ---- other threads ----


def test_other_threads_wait_and_never_see_what_is_not_committed(filled: Pool) -> None:
    root = filled.root
    numbers, note = root["list"], root["note"]
    assert (numbers[0], note.text, root["list"] is numbers) == (1, "first", True)  # warm
    begun = threading.Event()

    def read() -> Any:
        wait_for(begun)
        return numbers[0], note.text, len(numbers), root.get("extra")

    readers = [Worker(read) for _ in range(4)]
    with pytest.raises(ZeroDivisionError), filled.transaction():
        change_everything(filled)
        begun.set()
        assert all(reader.busy() for reader in readers)
        raise ZeroDivisionError
    assert [reader.end() for reader in readers] == [(1, "first", 3, None)] * 4


def test_another_threads_writes_come_after(pool: Pool) -> None:
    pool.root["list"] = []
    numbers = pool.root["list"]
    with pool.transaction():
        numbers.append(1)
        writer = Worker(numbers.append, 3)
        assert writer.busy()
        numbers.append(2)
    writer.end()
    assert numbers == [1, 2, 3]


def test_another_thread_cannot_end_it(pool: Pool) -> None:
    transaction = pool.transaction()
    transaction.begin()
    for end in (transaction.commit, transaction.abort):
        with pytest.raises(pmemobj.TransactionOwnerError, match="another thread"):
            in_thread(end)
    pool.root["a"] = 1
    transaction.commit()
    assert pool.root == {"a": 1}


def test_a_thread_that_ends_inside_a_transaction(filled: Pool) -> None:
    made = []

    def work() -> None:
        filled.transaction().begin()
        change_everything(filled)
        made.append(filled.new(pmemobj.PersistentList, [1]))

    threads = threading.enumerate()
    with pytest.warns(RuntimeWarning, match="rolled back"):
        in_thread(work)
    assert threading.enumerate() == threads
    check_unchanged(filled)
    with pytest.raises(pmemobj.AbortedObjectError):
        made[0].append(2)
    in_thread(lambda: filled.root["list"].append(4))  # that thread may have the same number
    assert filled.root["list"] == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:a thread has ended with a transaction")
def test_a_waiting_thread_goes_on_when_the_other_one_ends(pool: Pool) -> None:
    begun, waiting = threading.Event(), threading.Event()

    def work() -> None:
        pool.transaction().begin()
        pool.root["a"] = 1
        begun.set()
        wait_for(waiting)

    def wait() -> dict[str, int]:
        wait_for(begun)
        waiting.set()
        return dict(pool.root)

    assert together(work, wait) == [None, {}]


def begun_inside(pool: Pool) -> Generator[int]:
    """A generator that has begun a transaction and waits inside of it."""

    def generate() -> Generator[int]:
        with pool.transaction():
            pool.root["a"] = 1
            yield 1

    generator = generate()
    next(generator)
    return generator


def test_an_abandoned_generator(pool: Pool) -> None:
    generator = begun_inside(pool)
    assert pool.mm.transaction_depth() == 1
    del generator
    gc.collect()
    assert pool.mm.transaction_depth() == 0
    assert pool.root == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_block_in_a_context_manager_function(pool: Pool, fails: bool) -> None:
    """What is done while its generator waits is part of the transaction."""

    @contextlib.contextmanager
    def renaming() -> Iterator[None]:
        with pool.transaction():
            pool.root["in it"] = 1
            yield

    with contextlib.suppress(ZeroDivisionError), renaming():
        pool.root["while it waits"] = {2}
        1 / (not fails)
    assert pool.root == ({} if fails else {"in it": 1, "while it waits": {2}})


def test_a_generator_finished_by_another_thread(pool: Pool) -> None:
    generator = begun_inside(pool)
    with pytest.raises(pmemobj.TransactionOwnerError):
        in_thread(lambda: list(generator))
    assert pool.mm.transaction_depth() == 1  # of this thread, which must end it
    pool.mm.abort()
    assert pool.root == {}


def test_a_generator_closed_by_another_thread(pool: Pool) -> None:
    generator = begun_inside(pool)
    with pytest.raises(pmemobj.TransactionOwnerError):
        in_thread(generator.close)
    with pool.transaction():  # not a part of the one that was left
        pool.root["b"] = 2
    assert pool.root == {"b": 2}
    assert pool.mm.transaction_depth() == 0


def test_a_generator_closed_by_another_thread_inside_a_transaction(pool: Pool) -> None:
    with pytest.raises(pmemobj.TransactionAbortedError), pool.transaction():
        generator = begun_inside(pool)
        with pytest.raises(pmemobj.TransactionOwnerError):
            in_thread(generator.close)
        with contextlib.suppress(pmemobj.TransactionAbortedError):
            pool.root["b"] = 2
    assert pool.root == {}
    pool.root["c"] = 3
    assert pool.root == {"c": 3}


def test_closing_waits_for_another_threads_transaction(pool: Pool, reopen: Reopen) -> None:
    begun = threading.Event()

    def work() -> None:
        with pool.transaction():
            pool.root["a"] = 1
            begun.set()
            time.sleep(0.1)
            pool.root["b"] = 2

    worker = Worker(work)
    wait_for(begun)
    again = reopen(pool)
    worker.end()
    assert again.root == {"a": 1, "b": 2}
    assert again.recovery.clean


def test_many_threads(pool: Pool, reopen: Reopen) -> None:
    """Money moves between accounts; each thread also counts in a list and a dict of its own."""
    accounts, threads, rounds = 8, 6, 60
    pool.root = {"accounts": [100] * accounts, "log": [], "counts": {}, "objects": {}}

    def work(number: int) -> None:
        chance = random.Random(number)
        root = pool.root
        for turn in range(rounds):
            one, other = chance.sample(range(accounts), 2)
            with contextlib.suppress(ZeroDivisionError), pool.transaction():
                amount = chance.randrange(20)
                root["accounts"][one] -= amount
                root["log"].append((number, turn))
                root["accounts"][other] += amount
                if turn % 5 == 0:
                    raise ZeroDivisionError
            root["counts"][f"{number}-{turn}"] = "x" * chance.randrange(200)
            root["objects"][number] = [turn, {"of": number}]
            assert sum(root["accounts"][:]) == 100 * accounts
            assert root["objects"][number][1]["of"] == number

    together(*(partial(work, number) for number in range(threads)))
    for again in (False, True):
        checked = reopen(pool) if again else pool
        root = checked.root
        assert sum(root["accounts"][:]) == 100 * accounts
        assert sorted(root["log"]) == [
            (number, turn) for number in range(threads) for turn in range(rounds) if turn % 5
        ]
        assert len(root["counts"]) == threads * rounds
        assert root["objects"] == {n: [rounds - 1, {"of": n}] for n in range(threads)}
        report = checked.check()
        assert report.ok
        assert report.garbage == 0


# ---- other tasks ----


@pytest.mark.filterwarnings("ignore:a transaction is open across an await")
def test_another_task_is_refused(pool: Pool) -> None:
    pool.root["n"] = 0
    refused = []

    async def owner(begun: asyncio.Event, done: asyncio.Event) -> None:
        with pool.transaction():
            pool.root["n"] = 1
            begun.set()
            await done.wait()
            pool.root["n"] += 1

    async def other(begun: asyncio.Event, done: asyncio.Event) -> None:
        await begun.wait()
        uses: list[Callable[[], Any]] = [
            lambda: pool.root,
            lambda: setattr(pool, "root", 1),
            lambda: pool.transaction().begin(),
            lambda: pool.new(pmemobj.PersistentList),
            lambda: pool.mm.persist("x" * 100),
            lambda: pool.close(),
            lambda: pool.gc(),
        ]
        for use in uses:
            with pytest.raises(pmemobj.TransactionOwnerError, match="task"):
                use()
            refused.append(use)
        done.set()

    async def both() -> None:
        begun, done = asyncio.Event(), asyncio.Event()
        await asyncio.gather(owner(begun, done), other(begun, done))

    asyncio.run(both())
    assert len(refused) == 7
    assert pool.root == {"n": 2}


@pytest.mark.filterwarnings("ignore:a transaction is open across an await")
def test_a_cancelled_task_rolls_back(pool: Pool) -> None:
    async def owner() -> None:
        with pool.transaction():
            pool.root["a"] = 1
            await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(owner())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert pool.root == {}


@pytest.mark.filterwarnings("ignore:a transaction is open across an await")
def test_a_transaction_left_open_by_a_task_that_ended(pool: Pool) -> None:
    async def owner() -> None:
        pool.transaction().begin()
        pool.root["a"] = 1

    async def after() -> None:
        await asyncio.create_task(owner())
        assert pool.root == {"a": 1}
        pool.mm.abort()

    asyncio.run(after())
    assert pool.root == {}


def test_a_transaction_across_an_await_is_told_each_time(pool: Pool) -> None:
    async def wait_inside() -> None:
        with pool.transaction():
            pool.root["a"] = 1
            await asyncio.sleep(0)

    async def twice() -> None:
        await wait_inside()
        await wait_inside()

    with pytest.warns(RuntimeWarning, match="across an await") as told:
        asyncio.run(twice())
    assert len(told) == 2
    assert {warning.filename for warning in told} == {__file__}
    line = wait_inside.__code__.co_firstlineno + 3
    assert {warning.lineno for warning in told} == {line}


def test_transactions_between_awaits_are_fine(pool: Pool, recwarn: pytest.WarningsRecorder) -> None:
    async def change() -> None:
        for number in range(3):
            with pool.transaction():
                pool.root["a"] = number
                pool.root["b"] = [number]
            await asyncio.sleep(0)
        with pool.transaction():
            pool.root["c"] = 1

    asyncio.run(change())
    assert pool.root == {"a": 2, "b": [2], "c": 1}
    assert not [one for one in recwarn if "await" in str(one.message)]


# ---- two pools ----


def test_one_thread_has_one_transaction(pool: Pool, tmp_path: Path) -> None:
    pool.root = {"n": 1, "list": [1]}
    with pmemobj.create(tmp_path / "other") as other:
        other.root = {"n": 1, "list": [1], "sub": {}}
        root, numbers = other.root, other.root["list"]
        uses: list[Callable[[], Any]] = [
            lambda: root.update(n=2),
            lambda: numbers.append(2),
            lambda: numbers.append([2]),
            lambda: root.pop("sub"),
            lambda: setattr(other, "root", 5),
            lambda: other.transaction().begin(),
            lambda: other.new(pmemobj.PersistentList),
            lambda: other.mm.persist("x" * 100),
        ]
        with pool.transaction():
            pool.root["n"] = 2
            for number, use in enumerate(uses):
                with pytest.raises(pmemobj.OtherPoolTransactionError, match="another pool"):
                    pytest.fail(f"use {number} gave {use()!r}")
            assert (root["n"], list(numbers)) == (1, [1])  # reading is no change
            in_thread(lambda: numbers.append(2))
            pool.root["n"] = 3
        assert pool.root["n"] == 3
        assert pmemobj.plain(root) == {"n": 1, "list": [1, 2], "sub": {}}
        assert other.check().ok


def test_handles_that_die_in_another_pools_transaction(pool: Pool, tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "other") as other:
        other.root = []
        loose = [other.new(pmemobj.PersistentList, [n]) for n in range(20)]
        with pool.transaction():
            loose.clear()
            assert other.root == []  # not the time to free them
        other.root.append(1)
        assert other.check().garbage == 0


def test_objects_of_another_pool(pool: Pool, tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "other") as other:
        other.root = [1]
        stranger = other.root
        pool.root["a"] = 1
        uses: list[Callable[[], Any]] = [
            lambda: pool.root.update(x=stranger),
            lambda: pool.root.update(x=[[stranger]]),
            lambda: setattr(pool, "root", stranger),
            lambda: pool.new(pmemobj.PersistentList, [stranger]),
            lambda: pool.mm.persist(stranger),
            lambda: pool.mm.persist((1, stranger)),
        ]
        for use in uses:
            with pytest.raises(pmemobj.ForeignObjectError, match="plain") as caught:
                use()
            assert isinstance(caught.value, ValueError)
        assert pool.root == {"a": 1}
        pool.root["x"] = pmemobj.plain(stranger)
        assert pool.root == {"a": 1, "x": [1]}
