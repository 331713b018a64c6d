"""pool.gc() and pool.check(): what they keep, free, correct and report."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import logging
import pickle
import random
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import run
from threads import Worker

import pmemobj
from pmemobj.checker import check_pool
from pmemobj.collector import collect

MIB = 1024 * 1024
BLOCK_TYPE = 99


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[pmemobj.PersistentObjectPool]:
    with pmemobj.create(tmp_path / "test.pmem", 64 * MIB) as pool:
        pool.root = []
        yield pool


def sound(pool: pmemobj.PersistentObjectPool) -> bool:
    report = pool.check()
    assert report.problems == ()
    return report.ok


def leave_cycle(pool: pmemobj.PersistentObjectPool, *held: Any) -> None:
    """Two lists that hold each other and *held*, and no handle to them."""
    one, two = pool.new(pmemobj.PersistentList), pool.new(pmemobj.PersistentList)
    one.append(two)
    two.append(one)
    one.extend(held)


class Pair(pmemobj.Persistent):
    """Two values and a block of memory: a custom class with everything the protocol has."""

    def _p_new(self, manager: pmemobj.MemoryManager) -> None:
        self._p_mm = manager
        self._p_oid = manager.zalloc(pmemobj.HEADER_SIZE + 48)
        self._words()[4:6] = manager.zalloc(200, BLOCK_TYPE)

    def _p_resurrect(self, manager: pmemobj.MemoryManager, oid: pmemobj.manager.Oid) -> None:
        self._p_mm = manager
        self._p_oid = oid

    def __init__(self, *values: Any) -> None:
        for i, value in enumerate(values):
            oid = self._p_mm.persist(value)
            self._p_mm.incref(oid)
            self._words()[2 * i : 2 * i + 2] = oid

    def _words(self) -> Any:
        address = self._p_mm.direct(self._p_oid) + pmemobj.HEADER_SIZE
        return (ctypes.c_uint64 * 6).from_address(address)

    def __getitem__(self, i: int) -> Any:
        return self._p_mm.resurrect(tuple(self._words()[2 * i : 2 * i + 2]))

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        words = self._words()
        yield tuple(words[0:2])
        yield tuple(words[2:4])

    def _p_substructures(self) -> Iterator[tuple[int, int]]:
        yield tuple(self._words()[4:6])

    def _p_deallocate(self) -> None:
        for oid in self._p_traverse():
            self._p_mm.xdecref(oid)
        for oid in self._p_substructures():
            self._p_mm.free(oid)


# ---- what stays and what goes ----


def test_a_cycle_is_freed(pool: pmemobj.PersistentObjectPool) -> None:
    leave_cycle(pool)
    assert pool.check().garbage == 4
    report = pool.gc()
    assert (report.objects, report.freed, report.corrected) == (1, 4, 0)
    assert report.freed_bytes >= 4 * 64
    assert report.seconds > 0
    assert pool.gc().freed == 0
    assert pool.check().garbage == 0
    assert sound(pool)


def test_a_container_in_itself_is_freed(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root.append({"name": "x" * 6000, "inner": [1, 2]})
    pool.root[0]["self"] = pool.root[0]
    del pool.root[0]
    assert pool.gc().freed == 4  # dict, its storage, list, the long string
    assert sound(pool)


def test_live_handles_keep_their_objects_and_what_these_hold(
    pool: pmemobj.PersistentObjectPool,
) -> None:
    pool.root.append([[1, 2]])
    inner = pool.root[0]
    deeper = inner[0]
    inner.append(inner)
    del pool.root[0], inner
    assert pool.gc().freed == 2  # not what deeper is
    assert deeper == [1, 2]
    deeper.append(3)
    pool.root.append(deeper)
    del deeper
    assert pool.gc().freed == 0
    assert pool.root == [[1, 2, 3]]
    assert sound(pool)


def test_collection_while_iterating_changes_nothing(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root = {i: [i] for i in range(100)}
    seen = []
    for key, value in pool.root.items():
        if key == 50:
            leave_cycle(pool)
            pool.gc()
        seen += value
    assert seen == list(range(100))


def test_values_of_all_kinds_stay(pool: pmemobj.PersistentObjectPool) -> None:
    value = {
        "text": "é" * 9000,
        "tuple": (1, ("a" * 9000, frozenset({2, (3, "b" * 9000)}))),
        (1, "key" * 3000): {1.5, None, b"z" * 9000},
        10**9999: [True, -(10**9999)],
    }
    pool.root = value
    leave_cycle(pool)
    assert pool.gc().freed == 4
    assert pmemobj.plain(pool.root) == value
    assert sound(pool)


def test_100_000_levels_deep(pool: pmemobj.PersistentObjectPool, tmp_path: Path) -> None:
    nested: Any = ["bottom"]
    for _ in range(25_000):
        nested = [({"x": [nested]},)]
    pool.root = [nested, None]
    pool.root[1] = pool.root
    assert pool.gc().freed == 0
    assert sound(pool)
    assert len(repr(pool.root)) < 100_000
    assert len(pool.root._repr_html_()) < 100_000
    plain = pmemobj.plain(pool.root[0])
    for _ in range(100_000):
        (plain,) = plain.values() if isinstance(plain, dict) else plain
        (nested,) = nested.values() if isinstance(nested, dict) else nested
    assert plain == nested == ["bottom"]
    for recursive in (copy.deepcopy, pickle.dumps, lambda root: root == [root[0], 1]):
        with contextlib.suppress(RecursionError):  # as with plain containers
            recursive(pool.root)
    objects = pool.check().objects
    assert objects > 99_900
    assert pool.snapshot(tmp_path / "copy").objects == objects
    pool.root = None
    report = pool.gc()
    assert report.objects == 0
    assert report.freed >= objects
    assert sound(pool)


def test_objects_with_attributes(pool: pmemobj.PersistentObjectPool) -> None:
    one = pool.new(pmemobj.PersistentObject)
    one.twin = pool.new(pmemobj.PersistentObject)
    one.twin.twin = one
    one.twin.note = "n" * 6000
    del one
    assert pool.gc().freed == 5
    assert sound(pool)


def test_a_pool_that_has_grown(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "grows", elastic=True) as pool:
        pool.root = []
        leave_cycle(pool, b"x" * (140 * MIB))
        pool.root.append([1])
        pool.root.append(b"y" * (20 * MIB))
        assert sound(pool)
        report = pool.gc()
        assert (report.objects, report.freed) == (3, 5)
        assert report.freed_bytes > 140 * MIB
        assert sound(pool)


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_exact_after_many_changes(pool: pmemobj.PersistentObjectPool, seed: int) -> None:
    rng = random.Random(seed)
    pool.root = {}
    root = pool.root
    nodes = [root]
    for step in range(1500):
        node = rng.choice(nodes)
        roll = rng.random()
        if roll < 0.35:
            key = rng.randrange(40)
            if rng.random() < 0.3:
                node[key] = rng.choice(nodes)
            else:
                node[key] = rng.choice([1, "s" * 100, "b" * 5000, (1, "t" * 50), {"k": {}}, [[]]])
        elif roll < 0.6 and len(node):
            del node[rng.choice(list(node))]
        elif roll < 0.75:
            child = pool.new(pmemobj.PersistentDict)
            child["up"] = node
            node[rng.randrange(40)] = child
            nodes.append(child)
        elif roll < 0.8:
            try:
                with pool.transaction():
                    node[rng.randrange(40)] = {"lost": node}
                    root.clear()
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
        elif roll < 0.83:
            node.clear()
        elif len(nodes) > 3:
            nodes.pop(rng.randrange(1, len(nodes)))
        if step % 300 == 0:
            assert sound(pool)
            assert pool.gc().corrected == 0 or sound(pool)
    assert sound(pool)
    pool.gc()
    report = pool.check()
    assert (report.problems, report.garbage) == ((), 0)


# ---- after a crash ----


def test_what_a_crash_left_is_freed_at_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "crashed.pmem"
    script = f"""
        import os, signal
        import pmemobj
        pool = pmemobj.create({str(path)!r}, 64 * 1024 * 1024)
        pool.root = {{"kept": [1, 2, 3]}}
        one = pool.new(pmemobj.PersistentList)
        one.append(one)
        alone = pool.new(pmemobj.PersistentDict)
        alone["shared"] = pool.root["kept"]
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(script, expected=-9)
    with pmemobj.open(path) as pool:
        assert not pool.recovery.clean
        assert pool.recovery.objects_collected == 4
        assert pool.root == {"kept": [1, 2, 3]}
        assert pool.gc().freed == 0
        assert pool.check().garbage == 0
        assert sound(pool)


def test_recovering_reads_no_cells_that_refer_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "crashed.pmem"
    making = f"""
        import os, signal
        import pmemobj
        pool = pmemobj.create({str(path)!r}, 128 * 1024 * 1024)
        pool.root = {{"list": list(map(str, range(1_000_000))), "set": set(range(100_000))}}
        pool.root["dict"] = {{str(i): "x" * 40 for i in range(100_000)}}
        one = pool.new(pmemobj.PersistentList)
        one.append(one)
        del one
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run(making, expected=-9)
    looking = f"""
        import pmemobj
        pool = pmemobj.open({str(path)!r})
        assert pool.recovery.objects_collected == 2
        used = pool._info().used
        mapped, ours = 0, False
        for line in open("/proc/self/smaps"):
            if "-" in line.split()[0]:
                ours = line.rstrip().endswith({path.name!r})
            elif ours and line.startswith("Rss:"):
                mapped += int(line.split()[1]) * 1024
        print(used, mapped)
    """
    used, mapped = map(int, run(looking).split())
    assert used > 20 * MIB
    assert mapped < used / 5


# ---- custom classes ----


def test_a_custom_class_keeps_what_it_traverses(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root = [pool.new(Pair, ["a"], "b" * 6000), pool.new(Pair, 17)]
    pool.root[0][0].append(pool.root)
    leave_cycle(pool)
    pool.root[1]  # a live handle beside
    report = pool.gc()
    assert (report.objects, report.freed, report.corrected) == (5, 4, 0)
    assert pool.root[0][0][0] == "a"
    assert pool.root[0][1] == "b" * 6000
    assert pool.root[1][0] == 17
    assert sound(pool)
    pool.root = None
    assert pool.gc().freed == 9  # two lists with storage, two pairs with a block, a string
    assert sound(pool)


@pytest.fixture
def lost_class(pool: pmemobj.PersistentObjectPool) -> Iterator[str]:
    """An instance of a custom class in the pool, and no such class any more."""
    module = types.ModuleType("module_of_a_lost_class")
    sys.modules[module.__name__] = module
    lost = type("Lost", (Pair,), {"__module__": module.__name__})
    module.Lost = lost  # type: ignore[attr-defined]
    pool.root = [pool.new(lost, ["only", "it", "knows"], [1])]
    sys.modules.pop(module.__name__)
    yield f"{module.__name__}:Lost"
    sys.modules.pop(module.__name__, None)


def test_nothing_is_freed_while_a_custom_class_is_missing(
    pool: pmemobj.PersistentObjectPool, lost_class: str
) -> None:
    leave_cycle(pool)
    path = pool.path
    pool.close()
    with pmemobj.open(path) as again:
        report = again.gc()
        assert (report.freed, report.corrected) == (0, 0)
        assert report.classes_missing == (lost_class,)
        checked = again.check()
        assert (checked.problems, checked.garbage) == ((), 0)
        assert checked.classes_missing == (lost_class,)
        module = types.ModuleType(lost_class.partition(":")[0])
        module.Lost = type("Lost", (Pair,), {"__module__": module.__name__})  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        report = again.gc()
        assert (report.freed, report.classes_missing) == (4, ())
        assert again.root[0][0] == ["only", "it", "knows"]
        assert sound(again)


class Careless(Pair):
    """Stores into the pool whenever it is traversed."""

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        self._p_mm.new(pmemobj.PersistentList).append(1)
        return super()._p_traverse()


def test_a_traverse_that_writes_is_an_error(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root = [pool.new(Careless, "x" * 6000)]
    leave_cycle(pool)
    for look in (pool.gc, pool.check):
        with pytest.raises(pmemobj.TransactionError, match="again and again"):
            look()
    assert pool.root[0][0] == "x" * 6000


class Broken(Pair):
    """Cannot be traversed, in one way or another."""

    failure: Any = None

    def _p_traverse(self) -> Any:
        if isinstance(self.failure, Exception):
            raise self.failure
        return [self.failure]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ValueError("of the class"), ValueError),
        ("no oid", pmemobj.InvalidOidError),
        ((None, 5), pmemobj.InvalidOidError),
    ],
)
def test_a_traverse_that_fails_frees_nothing(
    pool: pmemobj.PersistentObjectPool,
    monkeypatch: pytest.MonkeyPatch,
    failure: Any,
    error: type[Exception],
) -> None:
    pool.root = [pool.new(Broken, "kept" * 3000)]
    leave_cycle(pool)
    monkeypatch.setattr(Broken, "failure", failure)
    with pytest.raises(error):
        pool.gc()
    report = pool.check()
    assert not report.ok
    assert "cannot be traversed" in report.problems[0]
    assert pool.root[0][0] == "kept" * 3000


@pytest.mark.parametrize("distance", [1, 16, 1 << 50, -(1 << 40)])
def test_a_traverse_with_wild_oids_frees_nothing(
    pool: pmemobj.PersistentObjectPool, monkeypatch: pytest.MonkeyPatch, distance: int
) -> None:
    broken = pool.new(Broken, "kept" * 3000)
    pool.root = [broken]
    leave_cycle(pool)
    uuid_lo, offset = broken._p_oid
    monkeypatch.setattr(Broken, "failure", (uuid_lo, offset + distance))
    with pytest.raises((pmemobj.PoolCorruptedError, pmemobj.InvalidOidError)):
        pool.gc()
    assert not pool.check().ok
    assert broken[0] == "kept" * 3000


# ---- when it may run, and what disturbs it ----


def test_not_inside_a_transaction(pool: pmemobj.PersistentObjectPool) -> None:
    for look in (pool.gc, pool.check):
        with pytest.raises(pmemobj.TransactionError, match="inside a transaction"):
            with pool.transaction():
                pool.root.append(1)
                look()
    assert pool.root == []


def test_it_waits_for_another_threads_transaction(pool: pmemobj.PersistentObjectPool) -> None:
    with pool.transaction():
        worker = Worker(pool.gc)
        pool.root.append([1])
        assert worker.busy()
    report = worker.end()
    assert (report.objects, report.freed) == (2, 0)


def test_a_closed_pool_is_refused(pool: pmemobj.PersistentObjectPool) -> None:
    pool.close()
    for look in (pool.gc, pool.check):
        with pytest.raises(pmemobj.PoolClosedError):
            look()


@pytest.mark.parametrize("stop", range(1, 9))
def test_an_interrupted_collection_is_harmless(
    pool: pmemobj.PersistentObjectPool, stop: int
) -> None:
    with pool.transaction():
        for _ in range(900):
            leave_cycle(pool, pool.root)
    steps = []

    def interrupt(phase: str, done: int, total: int | None) -> None:
        steps.append((phase, done, total))
        if len(steps) == stop:
            raise KeyboardInterrupt

    try:
        collect(pool.mm, progress=interrupt)
    except KeyboardInterrupt:
        assert len(steps) == stop
    left = pool.check()
    assert left.problems == ()
    pool.root.append("still usable")
    assert pool.gc().freed == left.garbage
    assert pool.root == ["still usable"]
    assert sound(pool)
    assert {phase for phase, _, _ in steps} <= {"mark", "sweep"}


def test_progress_is_told(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root = [[i] for i in range(30_000)]
    for look, last in ((collect, "sweep"), (check_pool, "verify")):
        steps: list[tuple[str, int, int | None]] = []
        look(pool.mm, progress=lambda *step, steps=steps: steps.append(step))
        assert [phase for phase, _, _ in steps] == sorted(phase for phase, _, _ in steps)
        assert {phase for phase, _, _ in steps} == {"mark", last}
        for phase in ("mark", last):
            done = [count for name, count, _ in steps if name == phase]
            assert done == sorted(set(done))


def test_debug_is_logged(
    pool: pmemobj.PersistentObjectPool, caplog: pytest.LogCaptureFixture
) -> None:
    leave_cycle(pool)
    with caplog.at_level(logging.INFO, logger="pmemobj.collector"):
        pool.gc()
        assert not caplog.records
        pool.gc(debug=True)
    assert "1 objects in use, 0 allocations (0 bytes) freed" in caplog.text


def test_reports_are_values(pool: pmemobj.PersistentObjectPool) -> None:
    for report in (pool.gc(), pool.check()):
        assert report.objects == 1
        with pytest.raises(AttributeError):
            report.objects = 2  # type: ignore[misc]


# ---- damage ----


def words(pool: pmemobj.PersistentObjectPool, obj: Any, count: int) -> Any:
    return (ctypes.c_uint64 * count).from_address(pool.mm.direct(obj._p_oid))


@pytest.mark.parametrize("planted", [0, 1, 7])
def test_a_wrong_reference_count_is_found_and_put_right(
    pool: pmemobj.PersistentObjectPool, planted: int
) -> None:
    shared = pool.new(pmemobj.PersistentList)
    pool.root = [shared, shared]
    words(pool, shared, 1)[0] = planted
    assert "reference count is too" in pool.check().problems[0]
    report = pool.gc()
    assert (report.freed, report.corrected) == (0, 1)
    assert words(pool, shared, 1)[0] == 2
    assert sound(pool)
    del pool.root[0], shared
    assert pool.root == [[]]
    assert sound(pool)


@pytest.mark.parametrize("word", range(1, 12))
def test_a_damaged_word_is_reported_and_nothing_is_freed(
    pool: pmemobj.PersistentObjectPool, word: int
) -> None:
    inner = pool.new(pmemobj.PersistentDict)
    inner["a"] = ["kept"]
    pool.root = [inner]
    leave_cycle(pool)
    before = pool.check()
    words(pool, inner, 12)[word] ^= 1
    with pytest.raises(pmemobj.PoolCorruptedError):
        pool.gc()
    report = pool.check()
    assert not report.ok
    assert report.bytes == before.bytes
    words(pool, inner, 12)[word] ^= 1
    assert sound(pool)
    assert pool.gc().freed == 4
    assert pool.root == [{"a": ["kept"]}]


def test_no_more_than_a_hundred_problems_are_listed(pool: pmemobj.PersistentObjectPool) -> None:
    pool.root = [[] for _ in range(300)]
    for inner in pool.root:
        words(pool, inner, 1)[0] = 5
    report = pool.check()
    assert len(report.problems) == 100
    assert len(set(report.problems)) == 100
    assert pool.gc().corrected == 300
    assert sound(pool)
