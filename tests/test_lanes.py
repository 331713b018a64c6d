"""Pools have few of libpmemobj's lanes, and libpmemobj uses no more than they have."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from processes import run

import pmemobj

LANES = 64
USUAL = 1024
DESCRIPTOR = 4096
COUNT_AT = DESCRIPTOR + 1032
SUM_AT = DESCRIPTOR + 2040

MANY_THREADS = """
    import os, sys, threading
    path, setting = sys.argv[1:]
    os.environ.pop("PMEMOBJ_NLANES", None)
    if setting != "unset":
        os.environ["PMEMOBJ_NLANES"] = setting
    import pmemobj
    if setting == "late":  # set by the program behind the back of a loaded core
        os.environ["PMEMOBJ_NLANES"] = "5000"
    threads, rounds = 200, 3
    with pmemobj.open(path) as pool:
        pool.root = {"list": [], "dict": {}}
        numbers, table = pool.root["list"], pool.root["dict"]
        together = threading.Barrier(threads)
        def work(number):
            together.wait()
            for turn in range(rounds):
                numbers.append(number)
                with pool.transaction():
                    table[number, turn] = str(turn)
                    numbers.append(-number)
        workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert sum(numbers) == 0 and len(numbers) == 2 * threads * rounds
        assert len(table) == threads * rounds
    assert not pmemobj.check(path).problems
    print("done")
"""


def checksum(descriptor: bytes) -> int:
    low = high = 0
    for (word,) in struct.iter_unpack("<I", descriptor[:-8] + bytes(8)):
        low = (low + word) & 0xFFFFFFFF
        high = (high + low) & 0xFFFFFFFF
    return high << 32 | low


def lanes_of(file: Path) -> int:
    descriptor = file.read_bytes()[DESCRIPTOR : SUM_AT + 8]
    assert int.from_bytes(descriptor[-8:], "little") == checksum(descriptor)
    return int.from_bytes(descriptor[COUNT_AT - DESCRIPTOR :][:8], "little")


def set_lanes(file: Path, lanes: int) -> None:
    with file.open("r+b") as pool:
        pool.seek(DESCRIPTOR)
        descriptor = bytearray(pool.read(2048))
        struct.pack_into("<Q", descriptor, COUNT_AT - DESCRIPTOR, lanes)
        struct.pack_into("<Q", descriptor, SUM_AT - DESCRIPTOR, checksum(bytes(descriptor)))
        pool.seek(DESCRIPTOR)
        pool.write(descriptor)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    path = tmp_path / "closed.pool"
    pmemobj.create(path, pool_size=32 << 20).close()
    return path


def test_a_new_pool_has_few_lanes(closed: Path) -> None:
    assert lanes_of(closed) == LANES


def test_an_elastic_pool_has_few_lanes(tmp_path: Path) -> None:
    path = tmp_path / "elastic"
    pmemobj.create(path, elastic=True).close()
    assert lanes_of(min(path.rglob("*.pmem"))) == LANES
    with pmemobj.open(path) as pool:
        pool.root = [1]
    assert not pmemobj.check(path).problems


def test_a_pool_that_its_owner_may_not_write_has_few_lanes(tmp_path: Path) -> None:
    path = tmp_path / "guarded.pool"
    pmemobj.create(path, pool_size=32 << 20, mode=0o400).close()
    path.chmod(0o600)
    assert lanes_of(path) == LANES


@pytest.mark.parametrize("lanes", [LANES, USUAL])
@pytest.mark.parametrize("setting", ["unset", "4", "5000", "64 or so", "0", "-1", "late"])
def test_more_threads_than_lanes(closed: Path, lanes: int, setting: str) -> None:
    set_lanes(closed, lanes)
    assert run(MANY_THREADS, closed, setting) == "done"
    assert lanes_of(closed) == lanes


def test_a_pool_with_fewer_lanes_than_are_used_is_refused(closed: Path) -> None:
    set_lanes(closed, LANES // 2)
    with pytest.raises(pmemobj.PoolError, match="lanes"):
        pmemobj.open(closed)
    set_lanes(closed, LANES)
    with pmemobj.open(closed) as pool:
        pool.root = [1]
