"""Processes at work on a pool are killed at random; nothing that was committed is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import random_work
from crash_cases import HEAPED, Account, cyclic
from laboratory import LONG, POOL_SIZE, TALLY, canonical, inspect
from processes import PATIENCE

import pmemobj
from pmemobj.poolfile import PART_SIZE

REPORT = struct.Struct("<cq")
BEGINS, DONE = b"b", b"d"
TIMES = 20 if LONG else 1


class Victim:
    """A forked process that runs *work*, told how to report, until it is killed."""

    def __init__(self, work: Callable[[Callable[[bytes, int], None]], None]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(int(PATIENCE))  # one that hangs dies of it
            status = 1
            try:
                os.close(self._reader)
                work(lambda kind, number: os.write(writer, REPORT.pack(kind, number)) and None)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)

    def wait_for_report(self) -> None:
        assert os.read(self._reader, REPORT.size), "the process ended before it did anything"

    def kill(self) -> tuple[bool, list[tuple[bytes, int]]]:
        """End it by SIGKILL. Was it still at work, and what it had reported."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        data = b""
        while part := os.read(self._reader, 1 << 16):
            data += part
        os.close(self._reader)
        TALLY.kills += 1
        killed = os.WIFSIGNALED(status)
        ended = os.WTERMSIG(status) == signal.SIGKILL if killed else os.WEXITSTATUS(status) == 0
        assert ended, "the process failed by itself, or it hung"
        return killed, list(REPORT.iter_unpack(data))


def new_pool(path: Path, elastic: bool = False) -> None:
    pool = pmemobj.create(path, POOL_SIZE, elastic=elastic)
    pool.root = random_work.fill()
    pool.root["object"] = pool.new(Account, "Ada", 1)
    pool.close()


def read(path: Path) -> Any:
    """The content of the pool as plain values, verified."""
    with pmemobj.open(path) as pool:
        # A session that ended cleanly may have left cycles behind.
        inspect(pool, garbage=None if pool.recovery.clean else 0)
        return pmemobj.plain(pool.root)


def work_from(path: Path, number: int, closing: bool) -> Callable[[Any], None]:
    """Operations from *number* on, each reported before it begins and after it is committed."""

    def work(report: Callable[[bytes, int], None]) -> None:
        pool = pmemobj.open(path)
        at = number
        while True:
            report(BEGINS, at)
            random_work.Operation(at).on_pool(pool)
            report(DONE, at)
            at += 1
            if closing and at % 8 == 0:
                pool.close()
                pool = pmemobj.open(path)

    return work


@pytest.mark.parametrize("elastic", [False, True], ids=["file", "directory"])
@pytest.mark.parametrize("closing", [False, True], ids=["one session", "many sessions"])
def test_a_killed_process_loses_nothing_committed(
    tmp_path: Path, closing: bool, elastic: bool
) -> None:
    path = tmp_path / "killed.pmem"
    new_pool(path, elastic)
    instants = random.Random(1 + closing)
    model = read(path)
    number = 0
    for _ in range((10 if elastic else 40) * TIMES):
        victim = Victim(work_from(path, number, closing))
        victim.wait_for_report()
        time.sleep(instants.uniform(0, 0.04))
        killed, reports = victim.kill()
        assert killed
        done = max([number, *(at + 1 for kind, at in reports if kind == DONE)])
        for at in range(number, done):
            random_work.Operation(at).on_plain(model)
        found = read(path)
        if canonical(found) != canonical(model):
            random_work.Operation(done).on_plain(model)
            assert canonical(found) == canonical(model), f"operation {done} is torn"
            done += 1
        TALLY.commits += done - number
        number = done
    assert number > 20, "the processes were killed before they did anything"


def test_a_process_killed_while_it_opens_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "opening.pmem"
    new_pool(path)
    instants = random.Random(3)
    for round_ in range(6 * TIMES):
        victim = Victim(work_from(path, 1000 * round_, closing=False))
        victim.wait_for_report()
        time.sleep(instants.uniform(0, 0.02))
        victim.kill()
        copy = tmp_path / "copy.pmem"
        shutil.copyfile(path, copy)
        content = canonical(read(copy))
        for attempt in range(8):
            opener = Victim(open_and_end(path, "close" if attempt % 4 == 3 else "abandon"))
            time.sleep(instants.uniform(0, 0.015))
            opener.kill()
        assert canonical(read(path)) == content


SIZE = 4_000_000


def grow_from(path: Path, number: int) -> Callable[[Any], None]:
    def work(report: Callable[[bytes, int], None]) -> None:
        pool = pmemobj.open(path)
        at = number
        while True:
            report(BEGINS, at)
            pool.root["list"].append(bytes([at % 256]) * SIZE)
            report(DONE, at)
            at += 1

    return work


def test_a_process_killed_while_its_pool_grows_loses_nothing(tmp_path: Path) -> None:
    """Making another part file takes long enough to be hit by many of the kills."""
    path = tmp_path / "growing.pmem"
    instants = random.Random(7)
    unfinished = 0
    for _ in range(14 * TIMES):
        with pmemobj.create(path, elastic=True) as pool:
            pool.root = {"list": []}
        victim = Victim(grow_from(path, 0))
        victim.wait_for_report()
        time.sleep(instants.uniform(0, 0.1))
        _, reports = victim.kill()
        done = max([0, *(at + 1 for kind, at in reports if kind == DONE)])
        parts = sorted((path / "parts").iterdir())
        unfinished += len(parts) > 1 and parts[-1].stat().st_size < PART_SIZE
        with pmemobj.open(path) as pool:
            assert pool.check().ok
            found = pool.root["list"]
            assert len(found) in (done, done + 1)
            assert all(found[at] == bytes([at % 256]) * SIZE for at in range(len(found)))
        TALLY.commits += done
        clean(tmp_path)
    assert unfinished > 0 or not LONG


@pytest.mark.parametrize("size", [0, 1, 4096, 3 << 20])
def test_an_unfinished_part_of_a_growing_pool_is_dropped(tmp_path: Path, size: int) -> None:
    path = tmp_path / "grown.pmem"
    with pmemobj.create(path, elastic=True) as pool:
        pool.root = {"list": [HEAPED]}
    part = path / "parts" / "000001.pmem"
    part.write_bytes(bytes(size))
    with pmemobj.open(path) as pool:
        assert not part.exists()
        with pytest.raises(pmemobj.PoolLockedError):
            pmemobj.open(path)
        for at in range(3):
            pool.root["list"].append(bytes([at]) * SIZE)
        assert part.stat().st_size == PART_SIZE
    with pmemobj.open(path) as pool:
        assert pool.root["list"][1:] == [bytes([at]) * SIZE for at in range(3)]


def test_a_truncated_part_that_holds_something_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "truncated.pmem"
    with pmemobj.create(path, elastic=True) as pool:
        pool.root = [bytes([at]) * SIZE for at in range(1, 5)]
    part = path / "parts" / "000001.pmem"
    assert part.stat().st_size == PART_SIZE
    os.truncate(part, 1 << 20)
    content = part.read_bytes()
    with pytest.raises(pmemobj.PoolError):
        pmemobj.open(path)
    assert part.read_bytes() == content


def open_and_end(path: Path, end: str) -> Callable[[Any], None]:
    def work(report: Callable[[bytes, int], None]) -> None:
        pool = pmemobj.open(path)
        getattr(pool if end == "close" else pool.mm, end)()

    return work


def collect_for_ever(path: Path) -> Callable[[Any], None]:
    def work(report: Callable[[bytes, int], None]) -> None:
        pool = pmemobj.open(path)
        report(BEGINS, 0)
        while True:
            for _ in range(20):
                pool.root["cycle"] = cyclic()
            del pool.root["cycle"]
            pool.gc()

    return work


def test_a_process_killed_while_it_collects_garbage_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "collecting.pmem"
    new_pool(path)
    content = read(path)
    instants = random.Random(4)
    for _ in range(20 * TIMES):
        victim = Victim(collect_for_ever(path))
        victim.wait_for_report()
        time.sleep(instants.uniform(0, 0.03))
        victim.kill()
        found = read(path)
        cycle = found.pop("cycle", None)
        assert cycle is None or canonical(cycle) == canonical(cyclic())
        assert canonical(found) == canonical(content)


@pytest.mark.parametrize("elastic", [False, True], ids=["file", "directory"])
def test_a_process_killed_while_it_creates_leaves_nothing_or_a_pool(
    tmp_path: Path, elastic: bool
) -> None:
    path = tmp_path / "created.pmem"
    instants = random.Random(5)
    started = time.perf_counter()
    pmemobj.create(path, elastic=elastic).close()
    longest = 2.5 * (time.perf_counter() - started)
    clean(tmp_path)
    outcomes = {True: 0, False: 0}
    for _ in range((6 if elastic else 40) * TIMES):
        victim = Victim(lambda report: make(path, elastic, report))
        victim.wait_for_report()
        time.sleep(instants.uniform(0, longest))
        _, reports = victim.kill()
        there = path.exists()
        outcomes[there] += 1
        longest *= 0.9 if there else 1.1  # a machine with other work may need much longer
        if there:
            with pmemobj.open(path) as pool:
                assert inspect(pool) == canonical(None)
        assert there or not reports, "a pool that was created is gone"
        clean(tmp_path)
    assert elastic or min(outcomes.values()) > 0, outcomes


def make(path: Path, elastic: bool, report: Callable[[bytes, int], None]) -> None:
    report(BEGINS, 0)
    pool = pmemobj.create(path, elastic=elastic)
    report(DONE, 0)
    pool.close()


def clean(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            with suppress(FileNotFoundError):
                entry.unlink()
