"""A private look at a pool: it may change everything, and nothing of it is written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import processes
import pytest

import pmemobj
from pmemobj._native import lib

DIES_IN_A_TRANSACTION = """
import os, sys, pmemobj
pool = pmemobj.open(sys.argv[1])
pool.transaction().begin()
pool.root["kept"].append(3)
print("ready", flush=True)
os._exit(1)
"""
DIES_LOOKING = """
import os, sys, pmemobj
pool = pmemobj.open(sys.argv[1], scratch=True)
pool.root["much"] = "m" * 20_000_000
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=[False, True], ids=["file", "elastic"])
def path(tmp_path, request):
    path = tmp_path / "looked at.pool"
    with pmemobj.create(path, 32 << 20, elastic=request.param) as pool:
        pool.root = {"kept": [1, 2]}
    return path


def content(path):
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return {
        each: (each.stat().st_mtime_ns, hashlib.sha256(each.read_bytes()).hexdigest())
        for each in files
    }


def test_nothing_is_written(path):
    before = content(path)
    with pmemobj.open(path, scratch=True) as pool:
        assert pool.scratch
        assert pool.durability == "scratch"
        assert pool.path == str(path)
        pool.root["kept"].append(3)
        with pool.transaction():
            pool.root["new"] = ["x" * 1000] * 10_000
        assert pool.check().ok
        pool.gc()
        assert list(pool.root["kept"]) == [1, 2, 3]
    assert content(path) == before
    assert os.listdir(path.parent) == [path.name]
    with pmemobj.open(path) as pool:
        assert not pool.scratch
        assert pool.recovery.clean
        assert pool.root == {"kept": [1, 2]}


def test_recovery_is_private_too(path):
    processes.run(DIES_IN_A_TRANSACTION, path, expected=1)
    before = content(path)
    with pmemobj.open(path, scratch=True) as pool:
        assert pool.recovery.transactions_rolled_back == 1
        assert list(pool.root["kept"]) == [1, 2]
    assert content(path) == before
    with pmemobj.open(path) as pool:
        assert pool.recovery.transactions_rolled_back == 1


def test_an_elastic_look_grows_without_the_pool_growing(tmp_path):
    path = tmp_path / "grows.pool"
    with pmemobj.create(path, elastic=True) as pool:
        pool.root = []
    before = content(path)
    with pmemobj.open(path, scratch=True) as pool:
        pool.root.extend(["x" * 1_000_000] * 100)
        assert len(pool.root) == 100
    assert content(path) == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_look_locks_the_pool(path):
    with pmemobj.open(path, scratch=True):
        with pytest.raises(pmemobj.PoolLockedError):
            pmemobj.open(path)
    with pmemobj.open(path):
        with pytest.raises(pmemobj.PoolLockedError):
            pmemobj.open(path, scratch=True)
    assert os.listdir(path.parent) == [path.name]


def test_a_look_that_is_killed_leaves_nothing_for_long(path):
    before = content(path)
    with processes.running(DIES_LOOKING, path):
        pass
    assert content(path) == before
    pmemobj.open(path, scratch=True).close()
    assert os.listdir(path.parent) == [path.name]


def test_only_an_existing_pool_can_be_looked_at(tmp_path):
    with pytest.raises(pmemobj.PoolNotFoundError):
        pmemobj.open(tmp_path / "none.pool", scratch=True)
    with pytest.raises(pmemobj.InvalidArgumentError):
        pmemobj.PersistentObjectPool(tmp_path / "none.pool", "c", scratch=True)
    assert os.listdir(tmp_path) == []


def test_reservation(tmp_path):
    for wrong in (0, -1, True, "1G"):
        with pytest.raises(pmemobj.InvalidArgumentError):
            pmemobj.create(tmp_path / "r.pool", elastic=True, reservation=wrong)
    pmemobj.create(tmp_path / "r.pool", elastic=True, reservation=1 << 31).close()
    assert "2048M" in (tmp_path / "r.pool" / "pool.set").read_text()


def test_a_look_has_no_snapshot(path, tmp_path):
    with pmemobj.open(path, scratch=True) as pool:
        with pytest.raises(pmemobj.InvalidArgumentError, match="in memory only"):
            pool.snapshot(tmp_path / "copy.pool")
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("extent", [0, 8192], ids=["in one piece", "in extents"])
def test_arrays(tmp_path: Path, extent: int) -> None:
    """Views see and make the private changes, and live on when the pool is closed."""
    np = pytest.importorskip("numpy")
    with pmemobj.create(tmp_path / "a.pool") as pool:
        lib.pmo_raw_limits(extent, extent)
        try:
            pool.root = {"a": np.arange(9000.0), "b": np.arange(5000)}
        finally:
            lib.pmo_raw_limits(0, 0)
    before = (tmp_path / "a.pool").read_bytes()
    with pmemobj.open(tmp_path / "a.pool", scratch=True) as pool:
        array = pool.root["a"]
        assert (array == np.arange(9000.0)).all()
        array[5] = -1
        with pytest.raises(KeyError), pool.transaction():
            array[6:8000] = 0
            raise KeyError
        pool.root["new"] = np.ones(50_000)
        new = pool.root["new"]
        expected = np.arange(9000.0)
        expected[5] = -1
        assert (array == expected).all()
        assert (pool.root["b"] == np.arange(5000)).all()
        assert pool.check().ok
    assert (array == expected).all()
    assert new.sum() == 50_000
    array_view = np.asarray(array)
    assert array_view[8999] == 8999
    assert (tmp_path / "a.pool").read_bytes() == before


def test_arrays_in_parts_that_the_look_has_made(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    with pmemobj.create(tmp_path / "a.pool", elastic=True) as pool:
        pool.root = [np.zeros(9_000_000)]
    with pmemobj.open(tmp_path / "a.pool", scratch=True) as pool:
        pool.root.extend(np.full(5_000_000, number) for number in range(1, 4))
        arrays = list(pool.root)
        assert [int(array[0]) for array in arrays] == [0, 1, 2, 3]
        assert pool.check().ok
    assert [float(array.sum()) for array in arrays] == [0, 5e6, 10e6, 15e6]
