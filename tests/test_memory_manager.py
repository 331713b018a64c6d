"""MemoryManager: allocation, counting, persist and resurrect, and oids that lead nowhere."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes import run
from ring_buffer import FloatRing, ObjectRing
from ring_buffer import ffi as ring_ffi

import pmemobj
from pmemobj import OID_NULL, POBJECT_TYPE_NUM, MemoryManager
from pmemobj._native import ffi, lib

Pool = pmemobj.PersistentObjectPool
Reopen = Callable[[Pool], Pool]


@pytest.fixture
def mm(pool: Pool) -> MemoryManager:
    return pool.mm


def memory(mm: MemoryManager, oid: Any, size: int) -> Any:
    return ffi.buffer(ffi.cast("char *", mm.direct(oid)), size)


def refcount(mm: MemoryManager, oid: Any) -> int:
    info = ffi.new("pmo_object_info *")
    assert lib.pmo_object_info_get(mm.ctx, oid[1], info) == 0
    return int(info.refcount)


# ---- oids ----


def test_otuple_copies(mm: MemoryManager) -> None:
    raw = ring_ffi.new("oid_t *", (7, 4096))
    copied = mm.otuple(raw)
    raw.off = 1
    assert copied == (7, 4096)
    assert mm.otuple((7, 4096)) == (7, 4096)
    assert mm.otuple(SimpleNamespace(pool_uuid_lo=1, off=2)) == (1, 2)
    assert mm.otuple(OID_NULL) == OID_NULL == (0, 0)


@pytest.mark.parametrize(
    "oid", [None, 5, "ab", (1,), (1, 2, 3), (1, "2"), (1.5, 2), [1, 2], (None, None), object()]
)
def test_what_is_no_oid(mm: MemoryManager, oid: Any) -> None:
    with mm.transaction():
        for use in (mm.otuple, mm.incref, mm.decref, mm.xdecref, mm.resurrect, mm.direct, mm.free):
            with pytest.raises(pmemobj.InvalidOidError) as caught:
                use(oid)
            assert isinstance(caught.value, ValueError)


# ---- memory ----


def test_memory_needs_a_transaction(mm: MemoryManager) -> None:
    with mm.transaction():
        oid = mm.alloc(100, 77)
    uses: list[Callable[[], Any]] = [
        lambda: mm.alloc(10),
        lambda: mm.zalloc(10),
        lambda: mm.free(oid),
        lambda: mm.realloc(oid, 10),
        lambda: mm.zrealloc(oid, 10),
        lambda: mm.snapshot_range(mm.direct(oid), 8),
    ]
    for use in uses:
        with pytest.raises(pmemobj.NoTransactionError, match="transaction") as caught:
            use()
        assert isinstance(caught.value, RuntimeError)
    assert mm.type_num(oid) == 77
    assert mm.usable_size(oid) >= 100


def test_alloc_zalloc_direct(mm: MemoryManager) -> None:
    with mm.transaction():
        oid = mm.alloc(1000, 77)
        assert type(oid) is tuple
        assert oid[0] == mm.uuid_lo
        memory(mm, oid, 1000)[:] = b"\xff" * 1000
        mm.free(oid)
        for _ in range(5):
            zeroed = mm.zalloc(1000)
            assert memory(mm, zeroed, 1000)[:] == bytes(1000)
            assert mm.type_num(zeroed) == POBJECT_TYPE_NUM
            assert mm.direct(zeroed) % 16 == 0


def test_memory_is_kept_and_rolled_back(mm: MemoryManager) -> None:
    with mm.transaction():
        oid = mm.zalloc(64, 77)
        memory(mm, oid, 5)[:] = b"first"
    with pytest.raises(ZeroDivisionError), mm.transaction():
        mm.snapshot_range(mm.direct(oid), 8)
        memory(mm, oid, 5)[:] = b"other"
        raise ZeroDivisionError
    assert memory(mm, oid, 5)[:] == b"first"
    with pytest.raises(ZeroDivisionError), mm.transaction():
        mm.free(oid)
        raise ZeroDivisionError
    assert mm.type_num(oid) == 77
    with mm.transaction():
        mm.snapshot_range(ffi.cast("char *", mm.direct(oid)), 8)
        memory(mm, oid, 5)[:] = b"other"
    assert memory(mm, oid, 5)[:] == b"other"


def test_rolled_back_memory_is_none(mm: MemoryManager) -> None:
    with pytest.raises(ZeroDivisionError), mm.transaction():
        oid = mm.alloc(100)
        raise ZeroDivisionError
    with pytest.raises(pmemobj.InvalidOidError):
        mm.type_num(oid)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize(("old", "new"), [(100, 5000), (5000, 100), (100, 100), (100, 600_000)])
def test_realloc(mm: MemoryManager, old: int, new: int, zero: bool) -> None:
    pattern = bytes(range(1, 251)) * 20
    with mm.transaction():
        oid = mm.zalloc(old, 77)
        size = mm.usable_size(oid)
        memory(mm, oid, old)[:] = pattern[:old]
        filler = mm.alloc(new)  # what lies in free memory is no zeros
        memory(mm, filler, new)[:] = b"\xff" * new
        mm.free(filler)
    with mm.transaction():
        moved = (mm.zrealloc if zero else mm.realloc)(oid, new)
        with pytest.raises(pmemobj.InvalidOidError):
            mm.free(oid)
    assert mm.type_num(moved) == 77
    kept = b"" if zero else (pattern[:old] + bytes(size - old))[:new]
    assert memory(mm, moved, new)[:] == kept + bytes(new - len(kept))
    with pytest.raises(pmemobj.InvalidOidError):
        mm.type_num(oid)


def test_realloc_checks_the_type_number(mm: MemoryManager) -> None:
    with mm.transaction():
        oid = mm.zalloc(100, 77)
        memory(mm, oid, 3)[:] = b"abc"
        for use in (mm.realloc, mm.zrealloc):
            with pytest.raises(pmemobj.InvalidArgumentError, match="77, not 78"):
                use(oid, 200, 78)
        assert memory(mm, mm.realloc(oid, 200, 77), 3)[:] == b"abc"


def test_realloc_rolled_back(mm: MemoryManager) -> None:
    with mm.transaction():
        oid = mm.zalloc(100, 77)
        memory(mm, oid, 3)[:] = b"abc"
    with pytest.raises(ZeroDivisionError), mm.transaction():
        mm.realloc(oid, 10_000)
        raise ZeroDivisionError
    assert memory(mm, oid, 3)[:] == b"abc"
    assert mm.usable_size(oid) < 10_000


@pytest.mark.parametrize("use", ["alloc", "zalloc"])
def test_sizes_and_type_numbers(mm: MemoryManager, use: str) -> None:
    allocate = getattr(mm, use)
    with mm.transaction():
        oid = allocate(64, 77)
        for size in (0, -1, 1 << 63, -(10**30), 10**30):
            for again in (lambda size: allocate(size), lambda size: mm.realloc(oid, size)):
                with pytest.raises(pmemobj.InvalidArgumentError):
                    again(size)
        for size in ("8", None, 1.0, True):
            with pytest.raises(pmemobj.InvalidTypeError, match="size"):
                allocate(size)
        for number in (-1, 1 << 63, 10**30):
            with pytest.raises(pmemobj.InvalidArgumentError, match="type_num"):
                allocate(10, number)
        with pytest.raises(pmemobj.InvalidArgumentError, match="containers' own"):
            allocate(10, lib.PMO_NUM_BODY)
        with pytest.raises(pmemobj.InvalidTypeError, match="type_num"):
            allocate(10, "x")
        with pytest.raises(pmemobj.PoolFullError):
            allocate(1 << 30)
        with pytest.raises(pmemobj.PoolFullError, match=r"15\.9 GiB"):
            allocate(1 << 40)
        assert mm.type_num(allocate(10, 12345)) == 12345


def test_memory_freed_and_allocated_in_one_transaction(mm: MemoryManager) -> None:
    with mm.transaction():
        for _ in range(10):
            oid = mm.alloc(100, 77)
            mm.free(oid)
            with pytest.raises(pmemobj.InvalidOidError):
                mm.free(oid)
        oid = mm.alloc(100, 77)
    assert mm.type_num(oid) == 77
    with mm.transaction():
        mm.free(oid)
        for use in (mm.free, mm.type_num, mm.usable_size, lambda o: mm.realloc(o, 10)):
            with pytest.raises(pmemobj.InvalidOidError):
                use(oid)
    with mm.transaction(), pytest.raises(pmemobj.InvalidOidError):
        mm.free(oid)


def test_the_pools_own_memory_is_not_for_freeing(pool: Pool) -> None:
    mm = pool.mm
    pool.root["list"] = list(range(100))
    pool.root["ring"] = pool.new(FloatRing, 3)  # makes the type table have a body
    own = []
    for offset in range(8192, 16 << 20, 16):
        number = lib.pmo_type_num(mm.ctx, offset)
        if number == lib.PMO_NUM_BODY or number == 0:
            own.append(offset)
    assert len(own) >= 4
    for offset in own:
        with mm.transaction():
            for use in (mm.free, lambda oid: mm.realloc(oid, 10)):
                with pytest.raises(pmemobj.InvalidOidError):
                    use((mm.uuid_lo, offset))
    assert pool.check().ok


def test_snapshots_within_the_pool_only(pool: Pool) -> None:
    mm = pool.mm
    with mm.transaction():
        oid = mm.zalloc(64)
        address = mm.direct(oid)
        for start, size in (
            (0, 8),
            (-5, 8),
            (mm._base, 8),
            (mm._base + 8192, 8),
            (address, 1 << 62),
            (address + (1 << 40), 8),
            (id(pool), 8),
        ):
            with pytest.raises(pmemobj.InvalidOidError):
                mm.snapshot_range(start, size)
        for size in (0, -1, 1 << 63):
            with pytest.raises(pmemobj.InvalidArgumentError):
                mm.snapshot_range(address, size)
        mm.snapshot_range(address, 64)
    assert pool.check().ok


def test_memory_that_nothing_refers_to_is_collected(pool: Pool) -> None:
    mm = pool.mm
    pool.gc()
    before = pool.check().bytes
    with mm.transaction():
        oids = [mm.alloc(1000, number) for number in (77, POBJECT_TYPE_NUM, 1)]
    mm.persist("x" * 1000)
    assert pool.check().garbage == 4
    assert pool.gc().freed == 4
    assert pool.check().bytes == before
    for oid in oids:
        with pytest.raises(pmemobj.InvalidOidError):
            mm.type_num(oid)


# ---- reference counts ----


def test_counting_a_value(mm: MemoryManager) -> None:
    oid = mm.persist("x" * 100)
    assert refcount(mm, oid) == 0
    mm.incref(oid)
    mm.incref(oid)
    mm.decref(oid)
    assert refcount(mm, oid) == 1
    assert mm.resurrect(oid) == "x" * 100
    mm.xdecref(oid)
    for use in (mm.resurrect, mm.incref, mm.decref, mm.xdecref):
        with pytest.raises(pmemobj.InvalidOidError):
            use(oid)


def test_counting_below_zero(pool: Pool) -> None:
    mm = pool.mm
    oid = mm.persist("x" * 100)
    for use in (mm.decref, mm.xdecref):
        with pytest.raises(pmemobj.InvalidOidError):
            use(oid)
    with mm.transaction():
        with pytest.raises(pmemobj.InvalidOidError):
            mm.decref(oid)
        pool.root["a"] = 1
    assert pool.root == {"a": 1}
    assert mm.resurrect(oid) == "x" * 100


def test_counting_is_rolled_back(mm: MemoryManager) -> None:
    oid = mm.persist("x" * 100)
    mm.incref(oid)
    with pytest.raises(ZeroDivisionError), mm.transaction():
        mm.decref(oid)
        with pytest.raises(pmemobj.InvalidOidError):
            mm.incref(oid)  # it is dead already
        raise ZeroDivisionError
    assert refcount(mm, oid) == 1
    assert mm.resurrect(oid) == "x" * 100


def test_null_and_immediate_oids(mm: MemoryManager) -> None:
    mm.xdecref(OID_NULL)
    for use in (mm.incref, mm.decref, mm.resurrect, mm.direct, mm.type_num, mm.usable_size):
        with pytest.raises(pmemobj.InvalidOidError, match="OID_NULL"):
            use(OID_NULL)
    for value in (None, True, 5, 1.5):
        oid = mm.persist(value)
        mm.incref(oid)
        mm.decref(oid)
        mm.xdecref(oid)
        assert mm.resurrect(oid) == value


def test_a_live_handle_keeps_its_object(pool: Pool) -> None:
    mm = pool.mm
    pool.root["list"] = [1, 2]
    numbers = pool.root["list"]
    oid = numbers._p_oid
    mm.incref(oid)
    assert refcount(mm, oid) == 2
    del pool.root["list"]
    mm.decref(oid)
    assert refcount(mm, oid) == 0
    numbers.append(3)
    assert numbers == [1, 2, 3]
    assert mm.resurrect(oid) is numbers
    pool.root["back"] = numbers
    del numbers
    gc.collect()
    assert pool.root["back"] == [1, 2, 3]
    del pool.root["back"]
    assert pool.check().garbage == 0
    with pytest.raises(pmemobj.InvalidOidError):
        mm.resurrect(oid)


def test_freeing_the_object_of_a_live_handle(pool: Pool) -> None:
    mm = pool.mm
    numbers = pool.new(pmemobj.PersistentList, [1])
    with mm.transaction():
        mm.free(numbers._p_oid)
        with pytest.raises(pmemobj.AbortedObjectError):
            numbers[0]
    other = [pool.new(pmemobj.PersistentList, [n]) for n in range(20)]
    with pytest.raises(pmemobj.AbortedObjectError):
        numbers.append(1)
    del numbers
    gc.collect()
    assert [item[0] for item in other] == list(range(20))
    pool.root["kept"] = other
    pool.gc()
    assert pool.check().ok


def test_a_dead_handle_does_not_unpin_its_memorys_next_owner(pool: Pool) -> None:
    mm = pool.mm
    with mm.transaction():
        first = pool.new(pmemobj.PersistentList)
        oid = first._p_oid
        del first
        gc.collect()
        mm.free(oid)
        seconds = [pool.new(pmemobj.PersistentList) for _ in range(3)]
        assert oid in [second._p_oid for second in seconds]
    pool.root["a"] = 1  # now pins of dead handles are released
    for number, second in enumerate(seconds):
        second.append(number)
    assert [second[0] for second in seconds] == [0, 1, 2]
    pool.root["kept"] = seconds
    assert pool.check().ok


def test_moving_the_object_of_a_live_handle(pool: Pool) -> None:
    mm = pool.mm
    ring = pool.new(FloatRing, 3)
    slots = mm.otuple(ring._ring.slots)
    with mm.transaction():
        moved = mm.realloc(ring._p_oid, 500)
        mm.incref(moved)
    assert type(mm.resurrect(moved)) is FloatRing
    assert mm.otuple(mm.resurrect(moved)._ring.slots) == slots
    with pytest.raises(pmemobj.AbortedObjectError):
        len(ring)
    mm.decref(moved)
    gc.collect()
    pool.root["a"] = 1
    assert pool.check().ok


def test_a_custom_object_is_deallocated_when_its_handle_dies(pool: Pool) -> None:
    mm = pool.mm
    pool.gc()
    before = pool.check().bytes
    ring = pool.new(ObjectRing, 3)
    ring.append([1, 2])
    ring.append("x" * 1000)
    assert pool.check().bytes > before
    del ring
    gc.collect()
    pool.root["a"] = 1
    report = pool.check()
    assert (report.garbage, report.ok) == (0, True)
    types = 96 + 16 + 4096  # what the type table took
    assert report.bytes - before < types
    assert mm.transaction_depth() == 0


# ---- persist and resurrect ----

IMMEDIATE = [None, False, True, 0, 5, -5, 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, math.inf, -math.inf]


@pytest.mark.parametrize("value", IMMEDIATE, ids=repr)
def test_immediate_values(pool: Pool, value: Any) -> None:
    mm = pool.mm
    counters = ffi.new("pmo_counters *")
    lib.pmo_count(mm.ctx, counters)
    before = counters.allocations
    oid = mm.persist(value)
    assert type(oid) is tuple
    assert all(type(part) is int and 0 <= part < 1 << 64 for part in oid)
    again = mm.resurrect(oid)
    assert type(again) is type(value)
    assert (
        struct.pack("<d", again) == struct.pack("<d", value)
        if type(value) is float
        else (again == value)
    )
    lib.pmo_count(mm.ctx, counters)
    assert counters.allocations == before


def test_a_nan_keeps_its_bits(mm: MemoryManager) -> None:
    (nan,) = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_1234))
    assert struct.pack("<d", mm.resurrect(mm.persist(nan))) == struct.pack("<d", nan)


@pytest.mark.parametrize("value", ["", "short", "x" * 100, b"", b"\0", 2**64, (1, "a"), 1j])
def test_stored_values(pool: Pool, reopen: Reopen, value: Any) -> None:
    oid = pool.mm.persist(value)
    assert oid[0] == pool.mm.uuid_lo
    assert pool.mm.resurrect(oid) == value
    pool.mm.incref(oid)
    again = reopen(pool)
    assert again.mm.resurrect(oid) == value
    with pytest.raises(pmemobj.PoolClosedError):
        pool.mm.resurrect(oid)


def test_persist_converts_and_keeps_identity(pool: Pool) -> None:
    mm = pool.mm
    oid = mm.persist([1, {"a": {2}}])
    numbers = mm.resurrect(oid)
    assert type(numbers) is pmemobj.PersistentList
    assert numbers == [1, {"a": {2}}]
    assert mm.resurrect(oid) is numbers
    assert mm.persist(numbers) == oid == numbers._p_oid
    assert mm.resurrect(pool.root._p_oid) is pool.root
    assert mm.resurrect(SimpleNamespace(pool_uuid_lo=oid[0], off=oid[1])) is numbers


def test_in_and_out_of_transactions(pool: Pool) -> None:
    mm = pool.mm
    with pytest.raises(ZeroDivisionError), mm.transaction():
        oid = mm.persist("x" * 100)
        mm.incref(oid)
        assert mm.resurrect(oid) == "x" * 100
        raise ZeroDivisionError
    with pytest.raises(pmemobj.InvalidOidError):
        mm.resurrect(oid)
    with mm.transaction():
        oid = mm.persist(("x" * 100, [1]))
        mm.incref(oid)
    text, numbers = mm.resurrect(oid)
    assert (text, pmemobj.plain(numbers)) == ("x" * 100, [1])


@pytest.mark.parametrize("value", [object(), [object()], {1: [object()]}])
def test_persist_refuses_before_anything_is_touched(pool: Pool, value: Any) -> None:
    counters = ffi.new("pmo_counters *")
    lib.pmo_count(pool.mm.ctx, counters)
    before = (counters.transactions, counters.allocations)
    with pytest.raises(pmemobj.UnstorableError, match=r"value.*object cannot be stored"):
        pool.mm.persist(value)
    lib.pmo_count(pool.mm.ctx, counters)
    assert (counters.transactions, counters.allocations) == before


def test_new_wants_a_persistent_class(pool: Pool) -> None:
    for wrong in (list, dict, int, 5, None, "PersistentList", object):
        with pytest.raises(pmemobj.InvalidArgumentError, match="no persistent class"):
            pool.new(wrong)
    assert pool.check().garbage == 0


def test_new_passes_arguments(pool: Pool) -> None:
    class Pair(pmemobj.PersistentObject):
        def __init__(self, one: int, *, other: int) -> None:
            self.both = (one, other)

    assert pool.new(Pair, 1, other=2).both == (1, 2)
    assert pool.mm.new(pmemobj.PersistentDict, {"a": 1}, b=2) == {"a": 1, "b": 2}
    with pytest.raises(TypeError):
        pool.new(Pair)
    assert pool.check().garbage == 0


# ---- oids that lead nowhere ----

WILD = """
    import random, sys
    import pmemobj
    from pmemobj._native import ffi
    pool = pmemobj.create(sys.argv[1], 16 << 20)
    pool.root = {"list": list(range(1000)), "text": "x" * 9000, "sub": [[1], {2}, {"a": (1, [])}]}
    before = pmemobj.plain(pool.root)
    mm, chance = pool.mm, random.Random(int(sys.argv[2]))
    real = [pool.root["list"]._p_oid[1], mm.persist("y" * 500)[1]]
    def offset():
        kind = chance.randrange(6)
        if kind == 0:
            return chance.choice(real) + chance.choice((-64, -16, -8, -1, 1, 8, 16, 32, 64, 4096))
        if kind == 1:
            return chance.randrange(1 << 64)
        if kind == 2:
            return chance.choice((1, 2, 8, 16, 4096, 8192, 16 << 20, (16 << 20) - 16, 1 << 63))
        return chance.randrange(0, 17 << 20, chance.choice((1, 16)))
    tags = [mm.uuid_lo] * 6 + [0, 1, 4, 5, 6, 7, 16, mm.uuid_lo ^ 1, (1 << 64) - 1]
    uses = [mm.free, mm.incref, mm.decref, mm.xdecref, mm.resurrect, mm.type_num, mm.usable_size,
            mm.direct, lambda oid: mm.realloc(oid, 100), lambda oid: mm.zrealloc(oid, 5000)]
    done = refused = 0
    for number in range(6000):
        oid = chance.choice(tags), offset()
        use = chance.choice(uses)
        try:
            if number % 2:
                with mm.transaction():
                    use(oid)
                    raise ZeroDivisionError
            else:
                if use not in (mm.incref, mm.decref, mm.xdecref):
                    use(oid)
        except ZeroDivisionError:
            done += 1
        except (pmemobj.InvalidOidError, pmemobj.NoTransactionError, pmemobj.AbortedObjectError,
                pmemobj.PoolCorruptedError):
            refused += 1
    assert refused > done > 0, (refused, done)
    assert pmemobj.plain(pool.root) == before
    report = pool.check()
    assert report.ok, report
"""


@pytest.mark.parametrize("seed", range(3))
def test_wild_oids_do_no_harm(tmp_path: Path, seed: int) -> None:
    run(WILD, tmp_path / "a", seed)


def test_oids_of_another_pool(pool: Pool, tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "other") as other:
        oid = other.mm.persist("x" * 100)
        with pool.transaction():
            for use in (pool.mm.resurrect, pool.mm.incref, pool.mm.free, pool.mm.direct):
                with pytest.raises(pmemobj.InvalidOidError, match="not of this pool"):
                    use(oid)


@pytest.mark.parametrize(
    "oid", [(1, 5), (2, 1), (3, 1 << 70), (4, -1), (4, 1 << 64), (5, 1 << 70), (6, 8192)]
)
def test_immediate_oids_that_nobody_made(mm: MemoryManager, oid: Any) -> None:
    with pytest.raises(pmemobj.InvalidOidError):
        mm.resurrect(oid)


def test_an_object_whose_memory_was_freed_is_not_resurrected(pool: Pool) -> None:
    mm = pool.mm
    oids = [mm.persist(["x" * 100, number]) for number in range(10)]
    pool.gc()
    for oid in oids:
        for use in (mm.resurrect, mm.incref, mm.decref):
            with pytest.raises(pmemobj.InvalidOidError):
                use(oid)


def test_every_allocation_is_known_as_one(pool: Pool) -> None:
    mm = pool.mm
    made = set()
    with mm.transaction():
        for size in (1, 100, 1000, 5000, 50_000, 262_144 - 16, 262_144, 600_000, 2_000_000):
            for _ in range(3):
                made.add(mm.alloc(size, 77)[1])
    inside = {
        offset for offset in range(8192, 24 << 20, 16) if lib.pmo_type_num(mm.ctx, offset) == 77
    }
    assert inside == made
    with mm.transaction():
        for offset in made:
            mm.free((mm.uuid_lo, offset))
    assert all(lib.pmo_type_num(mm.ctx, offset) == lib.PMO_EINVAL for offset in made)
    assert pool.check().ok


# ---- misuse: errors of the family, and nothing handed out ----


def test_arguments_that_make_no_sense(pool: Any) -> None:
    mm = pool.mm
    oid = pool.new(pmemobj.PersistentList, [1])._p_oid
    with pool.transaction():
        for address in (2**70, 2**63, -(2**70), 0, mm._base):
            with pytest.raises(pmemobj.InvalidOidError):
                mm.snapshot_range(address, 1)
        for address in (None, "x", 1.5, [1]):
            with pytest.raises(pmemobj.InvalidTypeError):
                mm.snapshot_range(address, 1)
        for use in (
            lambda: mm.alloc("5"),
            lambda: mm.alloc(5, "x"),
            lambda: mm.realloc(oid, 5, "x"),
            lambda: mm.zrealloc(oid, 5, 1.5),
        ):
            with pytest.raises(pmemobj.InvalidTypeError):
                use()
    with pytest.raises(pmemobj.InvalidTypeError, match=r"pool\.mm"):
        pmemobj.MemoryManager(None)


@pytest.mark.parametrize("oid", [(4, 2**64), (4, -1), (1, 5), (5, 2**70)])
def test_immediate_oids_that_persist_never_gives(pool: Any, oid: Any) -> None:
    for use in (pool.mm.incref, pool.mm.decref, pool.mm.xdecref, pool.mm.resurrect):
        with pytest.raises(pmemobj.InvalidOidError):
            use(oid)


def test_only_the_start_of_living_memory_has_an_address(pool: Any) -> None:
    mm = pool.mm
    with pool.transaction():
        freed = mm.alloc(64, 77)
        mm.free(freed)
        with pytest.raises(pmemobj.InvalidOidError):
            mm.direct(freed)
        made = [mm.alloc(64, 77) for _ in range(300)]
        assert len({mm.direct(oid) for oid in made}) == 300
    assert len({mm.direct(oid) for oid in made}) == 300
    with pool.transaction():
        for oid in made:
            mm.free(oid)
    for oid in made:
        with pytest.raises(pmemobj.InvalidOidError):
            mm.direct(oid)
    start = pool.new(pmemobj.PersistentList, [1])._p_oid[1]
    for offset in (start + 8, start + 16, start + 4096, 4096, 8192, 2**40):
        with pytest.raises(pmemobj.InvalidOidError):
            mm.direct((mm.uuid_lo, offset))
    with pytest.raises(KeyError), pool.transaction():
        lost = mm.alloc(64, 77)
        raise KeyError
    with pytest.raises(pmemobj.InvalidOidError):
        mm.direct(lost)


def test_pools_are_not_copied(pool: Any) -> None:
    for thing in (pool, pool.mm, pool.transaction()):
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(pmemobj.InvalidTypeError, match="cannot be copied or pickled"):
                take(thing)
    view = pool.new(pmemobj.PersistentDict, a=1).keys()
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle 'dict_keys' object"):
            take(view)


NOTHING_TO_DO = {
    "extend": lambda o: o.list.extend([]),
    "iadd": lambda o: o.list.__iadd__([]),
    "imul": lambda o: o.list.__imul__(1),
    "slice": lambda o: o.list.__setitem__(slice(0, 0), []),
    "delete": lambda o: o.list.__delitem__(slice(0, 0)),
    "clear": lambda o: o.empty.clear(),
    "update": lambda o: o.dict.update(),
    "ior": lambda o: o.dict.__ior__({}),
    "pop": lambda o: o.dict.pop(5, None),
    "set.update": lambda o: o.set.update(),
    "set.ior": lambda o: o.set.__ior__(set()),
    "discard": lambda o: o.set.discard(5),
    "difference": lambda o: o.set.difference_update(),
    "isub": lambda o: o.set.__isub__(set()),
    "symmetric": lambda o: o.set.symmetric_difference_update([]),
    "incref": lambda o: o.mm.incref((4, 5)),
    "decref": lambda o: o.mm.decref((4, 5)),
    "xdecref": lambda o: o.mm.xdecref(pmemobj.OID_NULL),
    "nominate": lambda o: o.pool.persist_via_pickle(),
}


@pytest.mark.parametrize("name", NOTHING_TO_DO)
def test_what_changes_nothing_still_needs_an_open_pool(pool: Any, name: str) -> None:
    objects = SimpleNamespace(
        pool=pool,
        mm=pool.mm,
        list=pool.new(pmemobj.PersistentList, [1]),
        empty=pool.new(pmemobj.PersistentList),
        dict=pool.new(pmemobj.PersistentDict, a=1),
        set=pool.new(pmemobj.PersistentSet, [1]),
    )
    NOTHING_TO_DO[name](objects)
    pool.close()
    with pytest.raises(pmemobj.PoolClosedError):
        NOTHING_TO_DO[name](objects)
