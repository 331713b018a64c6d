"""Ctrl-C at any instant: what it interrupts has happened or has not, and nothing stays open."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import random_work
from crash_cases import Account
from interrupts import Interrupter
from laboratory import LONG, POOL_SIZE, TALLY, canonical, handles, inspect
from test_full import CASES
from threads import in_thread

import pmemobj
from pmemobj._native import lib

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def require_at_rest(pool: pmemobj.PersistentObjectPool) -> None:
    """No transaction is open and no lock is held."""
    assert not lib.pmo_tx_is_open(pool.mm.ctx), "a transaction is open"
    assert pool.mm.open_transaction is None

    def try_lock() -> bool:
        free: bool = pool.mm.lock.acquire(timeout=1)
        if free:
            pool.mm.lock.release()
        return free

    assert in_thread(try_lock), "the pool's lock is held"


def same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and (one == other or one != one))


def require_true_caches(root: Any) -> None:
    """What single reads give, which may come from a cache, is what the pool holds."""
    for handle in handles(root):
        if isinstance(handle, pmemobj.PersistentList):
            for place, value in enumerate(handle.copy()):
                assert same(handle[place], value)
        elif isinstance(handle, pmemobj.PersistentDict):
            for key, value in handle.copy().items():
                assert same(handle[key], value)
        elif isinstance(handle, pmemobj.PersistentSet):
            for value in handle.copy():
                assert value in handle
        elif isinstance(handle, pmemobj.PersistentObject):
            for name, value in dict(handle.__dict__).items():
                assert same(getattr(handle, name), value)


def warm(root: Any) -> list[Any]:
    """Every container of the pool, its caches filled; keeps the handles alive."""
    require_true_caches(root)
    return list(handles(root))


EXHAUSTIVE = [
    "list append int in place",
    "list append nested",
    "list insert middle growing",
    "list set nested for nested",
    "list delete extended slice",
    "list sort by key",
    "list pop nested",
    "dict set new nested",
    "dict replace nested by int",
    "dict update many",
    "dict popitem",
    "set add heaped",
    "set ixor",
    "object set replacing nested",
    "root replaced",
    "new object",
    "first list of a class",
    "nested transactions",
    "transaction moving",
    "transaction gathering",
    "custom store nested",
    "custom death",
]


@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_an_interrupt_at_every_point(tmp_path: Path, name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    with pmemobj.create(tmp_path / "pool.pmem", POOL_SIZE) as pool:
        case.prepare(pool)
        before = canonical(pool.root)
        case.change(pool)
        after = canonical(pool.root)
        number = 0
        while True:
            number += 1 if LONG or number < 30 else 3
            case.prepare(pool)
            held = warm(pool.root)
            kept: BaseException | None = None
            with Interrupter(number) as interrupter:
                try:
                    case.change(pool)
                except KeyboardInterrupt as error:
                    kept = error  # as a shell does: frames of the traceback stay alive
            if interrupter.points < number:
                break
            require_at_rest(pool)
            assert canonical(pool.root) in (before, after), f"at point {number}"
            require_true_caches(pool.root)
            del held, kept
            TALLY.interrupts += 1
        inspect(pool)
    assert number > 3
    with pmemobj.open(tmp_path / "pool.pmem") as pool:
        assert inspect(pool) == after


def test_no_interrupt_can_be_lost_where_objects_die(tmp_path: Path) -> None:
    """CPython swallows what is raised there, so no Python code, that signals could enter, runs."""
    entered: list[str] = []

    def note(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            entered.append(frame.f_code.co_name)

    with pmemobj.create(tmp_path / "pool.pmem", POOL_SIZE) as pool:
        pool.root = {"list": [[i] for i in range(9)], "object": (7, [8]), "set": {1}}
        held = [*pool.root["list"], pool.root["object"], pool.root["set"]]
        pool.root["number"] = 1
        assert not pool.mm.handles.dead
        sys.setprofile(note)
        held.clear()
        sys.setprofile(None)
        assert entered == []
        assert pool.mm.handles.dead
        pool.root["number"] = 2
        assert not pool.mm.handles.dead
        assert pool.check().ok


def interrupted(action: Callable[[], object], delay: float) -> BaseException | None:
    """Run *action* with a signal after *delay* seconds; the KeyboardInterrupt that ended it."""
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            action()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt as error:
        TALLY.interrupts += 1
        return error
    return None


def raise_interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def test_signals_at_random(tmp_path: Path) -> None:
    path = tmp_path / "pool.pmem"
    instants = random.Random(6)
    former = signal.signal(signal.SIGALRM, raise_interrupt)
    hits = 0
    try:
        pool = pmemobj.create(path, POOL_SIZE)
        pool.root = random_work.fill()
        pool.root["object"] = pool.new(Account, "Ada", 1)
        model = pmemobj.plain(pool.root)
        for number in range(6000 if LONG else 600):
            operation = random_work.Operation(number)
            held = list(pool.root.values())
            error = interrupted(lambda: operation.on_pool(pool), instants.uniform(1e-6, 4e-4))  # noqa: B023
            if error is None:
                operation.on_plain(model)
            else:
                hits += 1
                require_at_rest(pool)
                if canonical(pool.root) != canonical(model):
                    operation.on_plain(model)
                    assert canonical(pool.root) == canonical(model), f"operation {number} is torn"
            del held, error
            if number % 20 == 0:
                require_true_caches(pool.root)
                assert inspect(pool) == canonical(model)
        pool.close()
        with pmemobj.open(path) as pool:
            assert inspect(pool) == canonical(model)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert hits > 50


LONG_WORK = {
    "gc": lambda pool, copy: pool.gc(),
    "check": lambda pool, copy: pool.check(),
    "snapshot": lambda pool, copy: pool.snapshot(copy, overwrite=True),
    "conversion": lambda pool, copy: pool.root.update(x=[[i, {"n": (i, [i])}] for i in range(500)]),
    "plain": lambda pool, copy: pmemobj.plain(pool.root),
}


@pytest.mark.parametrize("name", LONG_WORK)
def test_signals_during_long_work(tmp_path: Path, name: str) -> None:
    instants = random.Random(name)
    former = signal.signal(signal.SIGALRM, raise_interrupt)
    hits = 0
    try:
        with pmemobj.create(tmp_path / "pool.pmem", POOL_SIZE) as pool:
            pool.root = {"kept": [[i, {"n": [i]}] for i in range(500)]}
            before = canonical(pool.root)
            started = time.perf_counter()
            LONG_WORK[name](pool, tmp_path / "copy.pmem")
            duration = time.perf_counter() - started
            after = canonical(pool.root)
            for _ in range(60 if LONG else 8):
                pool.root.pop("x", None)
                error = interrupted(
                    lambda: LONG_WORK[name](pool, tmp_path / "copy.pmem"),
                    instants.uniform(duration / 100, duration / 2),
                )
                hits += error is not None
                require_at_rest(pool)
                assert canonical(pool.root) in (before, after)
                assert pool.check().ok
                left = {entry.name for entry in tmp_path.iterdir()}
                assert left <= {"pool.pmem", "copy.pmem"}
        with pmemobj.open(tmp_path / "pool.pmem") as pool:
            assert pool.recovery.clean
            assert inspect(pool) in (before, after)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert hits
