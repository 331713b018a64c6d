"""Forked children: their pools are closed, and whatever they do does not reach the parent's."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import environment, in_child, run, running
from threads import paused

import pmemobj

Pool = pmemobj.PersistentObjectPool

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


@pytest.fixture
def filled(pool: Pool) -> Pool:
    pool.root = {"list": [1, 2], "dict": {"a": 1}, "set": {1}}
    return pool


def test_every_use_in_the_child_raises(filled: Pool) -> None:
    root = filled.root
    numbers, table, group = root["list"], root["dict"], root["set"]
    assert (numbers[0], table["a"], 1 in group) == (1, 1, True)  # warm
    flight: Iterator[Any] = iter(numbers)
    next(flight)
    uses: list[Callable[[], Any]] = [
        lambda: filled.root,
        lambda: setattr(filled, "root", 1),
        lambda: filled.new(pmemobj.PersistentList),
        lambda: filled.gc(),
        lambda: filled.check(),
        lambda: filled.transaction().begin(),
        lambda: filled.durability,
        lambda: filled.__enter__(),
        lambda: filled.mm.persist("x" * 100),
        lambda: filled.mm.direct(numbers._p_oid),
        lambda: root["list"],
        lambda: numbers[0],
        lambda: numbers.append(1),
        lambda: numbers.append([1]),
        lambda: table["a"],
        lambda: table.update(a=2),
        lambda: 1 in group,
        lambda: group.add(2),
        lambda: len(root),
        lambda: next(flight),
    ]

    def work() -> None:
        assert filled.closed
        assert "closed" in repr(filled)
        for number, use in enumerate(uses):
            with pytest.raises(pmemobj.PoolForkedError, match="parent") as caught:
                pytest.fail(f"use {number} gave {use()!r}")
            assert isinstance(caught.value, pmemobj.PoolClosedError)

    in_child(work)
    numbers.append(3)
    assert filled.root["list"] == [1, 2, 3]
    assert filled.check().ok


def test_closing_in_the_child_does_not_close(filled: Pool, tmp_path: Path) -> None:
    def work() -> None:
        filled.close()
        filled.close()
        with pytest.raises(pmemobj.PoolLockedError):
            pmemobj.open(filled.path)

    in_child(work)
    filled.root["list"].append(3)
    locked = "import sys, pmemobj\ntry: pmemobj.open(sys.argv[1])\n"
    locked += "except pmemobj.PoolLockedError as error: print(error.pid)\n"
    assert run(locked, filled.path) == str(os.getpid())


def test_the_childs_exit_does_not_mark_it_clean(filled: Pool, tmp_path: Path) -> None:
    run(
        """
        import os, signal, sys, pmemobj
        pool = pmemobj.create(sys.argv[1])
        pool.root = [1]
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        pool.root.append(2)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "a",
        expected=-signal.SIGKILL,
    )
    with pmemobj.open(tmp_path / "a") as pool:
        assert not pool.recovery.clean
        assert pool.root == [1, 2]
        assert pool.check().ok


def test_a_fork_inside_a_transaction(filled: Pool) -> None:
    def work() -> None:
        with pytest.raises(pmemobj.PoolForkedError):
            transaction.commit()
        with pytest.raises(pmemobj.PoolForkedError):
            filled.root["list"].append(4)

    with filled.transaction() as transaction:
        filled.root["list"].append(3)
        in_child(work)
        assert filled.root["list"] == [1, 2, 3]
    assert filled.root["list"] == [1, 2, 3]
    assert filled.check().ok


def test_a_fork_while_another_thread_is_at_work(filled: Pool) -> None:
    def hold() -> Iterator[None]:
        with filled.mm.lock:
            yield

    def work() -> None:
        with pytest.raises(pmemobj.PoolForkedError):  # and does not wait for that lock
            filled.root.update(a=1)

    with paused(hold):
        in_child(work)


def test_a_fork_while_another_thread_is_inside_a_transaction(filled: Pool) -> None:
    def hold() -> Iterator[None]:
        with filled.transaction():
            filled.root["list"].append(3)
            with filled.mm.lock:
                yield

    def work() -> None:
        gc.collect()
        with pytest.raises(pmemobj.PoolForkedError):
            filled.root["list"].append(4)

    with paused(hold):
        in_child(work)
    assert filled.root["list"] == [1, 2, 3]
    assert filled.check().ok


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_while_threads_are_inside_transactions(tmp_path: Path, method: str) -> None:
    script = tmp_path / "busy.py"
    script.write_text(textwrap.dedent(BUSY))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "a", method],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with pmemobj.open(tmp_path / "a") as pool:
        assert pool.recovery.clean
        assert pool.check().ok


BUSY = """
    import multiprocessing, sys, threading, pmemobj

    def work(number):
        try:
            pool.root.append(1)
        except (NameError, pmemobj.PoolForkedError):
            return number
        raise SystemExit("the child wrote to the parent's pool")

    def churn():
        while not stop.is_set():
            with pool.transaction():
                mine.append(1)
                mine.append(2)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[2])
        with pmemobj.create(sys.argv[1]) as pool:
            pool.root = []
            pool.root.append([])
            mine, stop = pool.root[0], threading.Event()
            thread = threading.Thread(target=churn)
            thread.start()
            for round in range(5):
                child = context.Process(target=work, args=(round,))
                child.start()
                child.join(30)
                assert child.exitcode == 0, child.exitcode
            stop.set()
            thread.join(30)
            assert len(pool.root) == 1 and len(mine) % 2 == 0 and len(mine) > 0
"""


def test_the_child_uses_a_pool_of_its_own(filled: Pool, tmp_path: Path) -> None:
    def work() -> None:
        with pmemobj.create(tmp_path / "child") as pool:
            pool.root = {"list": list(range(100))}
        with pmemobj.open(tmp_path / "child") as pool, pool.transaction():
            pool.root["list"].append(1)

    in_child(work)
    filled.root["list"].append(3)
    with pmemobj.open(tmp_path / "child") as pool:
        assert len(pool.root["list"]) == 101
        assert filled.root["list"] == [1, 2, 3]


def test_raw_memory_in_the_child_is_a_copy(filled: Pool) -> None:
    from pmemobj._native import ffi

    mm = filled.mm
    with filled.transaction():
        oid = mm.zalloc(64)
        memory = ffi.cast("char *", mm.direct(oid))
        ffi.memmove(memory, b"parent's", 8)

    def work() -> None:
        assert ffi.buffer(memory, 8)[:] == b"parent's"
        ffi.memmove(memory, b"child's!", 8)

    in_child(work)
    assert ffi.buffer(memory, 8)[:] == b"parent's"


@pytest.mark.parametrize("elastic", [False, True])
def test_the_parents_death_releases_the_lock_while_a_child_lives(
    tmp_path: Path, elastic: bool
) -> None:
    path = tmp_path / "a b"
    code = """
        import os, sys, pmemobj
        pool = pmemobj.create(sys.argv[1], 32 << 20, elastic=sys.argv[2] == "True")
        pool.root = [b"x" * (6 << 20), b"y" * (6 << 20)]
        print("made", flush=True)
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            sys.stdin.read()
            os._exit(0)
        os.wait()
    """
    with running(code, path, elastic) as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        os.kill(child, 0)  # lives
        with pmemobj.open(path) as pool:
            assert not pool.recovery.clean
            assert [len(item) for item in pool.root] == [6 << 20] * 2


def test_started_programs_do_not_hold_the_lock(tmp_path: Path) -> None:
    code = """
        import subprocess, sys, pmemobj
        pool = pmemobj.create(sys.argv[1])
        print("made", flush=True)
        sleeper = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
        print(sleeper.pid, flush=True)
        sys.stdin.read()
    """
    with running(code, tmp_path / "a") as process:
        sleeper = int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            pmemobj.open(tmp_path / "a").close()
        finally:
            os.kill(sleeper, signal.SIGKILL)


WORKERS = """
    import multiprocessing, sys, pmemobj

    def work(number):
        if number == 0:
            try:
                pool.root
            except (NameError, pmemobj.PoolForkedError) as error:
                return type(error).__name__
            return "worked"
        with pmemobj.create(f"{sys.argv[1]}-{number}") as own:
            own.root = [number] * 10
            return sum(own.root)

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[2])
        with pmemobj.create(sys.argv[1]) as pool:
            pool.root = [1]
            with context.Pool(2) as workers:
                results = workers.map(work, range(3))
            assert results == [sys.argv[3], 10, 20], results
            pool.root.append(2)
            assert pool.root == [1, 2]
            assert pool.check().ok
"""


@pytest.mark.parametrize(
    ("method", "error"),
    [("fork", "PoolForkedError"), ("spawn", "NameError"), ("forkserver", "NameError")],
)
def test_multiprocessing(tmp_path: Path, method: str, error: str) -> None:
    from textwrap import dedent

    assert method in multiprocessing.get_all_start_methods()
    script = tmp_path / "workers.py"
    script.write_text(dedent(WORKERS))
    done = subprocess.run(
        [sys.executable, script, tmp_path / "a", method, error],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with pmemobj.open(tmp_path / "a") as pool:
        assert pool.recovery.clean


def test_a_dropped_pools_objects_are_closed_in_the_child(tmp_path: Path) -> None:
    numbers = pmemobj.create(tmp_path / "a")
    numbers.root = [1, 2]
    numbers = numbers.root
    assert numbers[0] == 1  # warm

    def work() -> None:
        with pytest.raises(pmemobj.PoolForkedError):
            numbers[0]

    in_child(work)
    assert numbers[0] == 1
    numbers._p_mm.close()


def test_a_killed_child_changes_nothing(filled: Pool) -> None:
    before = pmemobj.plain(filled.root)
    child = os.fork()
    if child == 0:
        try:
            filled.root["list"].append(4)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert filled.root == before
    filled.root["list"].append(3)
    assert filled.check().ok
