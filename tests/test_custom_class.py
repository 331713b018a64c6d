"""Classes that lay out their memory by themselves, by the example of tests/ring_buffer.py."""

from __future__ import annotations

import gc
import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from ring_buffer import FloatRing, ObjectRing

import pmemobj
from pmemobj._native import ffi, lib
from pmemobj.containers.missing import MissingCustomObject


def test_float_ring_keeps_the_last_elements(pool: Any, reopen: Any) -> None:
    ring = pool.root["ring"] = pool.new(FloatRing, 3)
    assert len(ring) == 0 and ring.capacity == 3
    for value in (1.5, -0.0, math.inf, 2.5):
        ring.append(value)
    assert list(ring) == [-0.0, math.inf, 2.5]
    assert math.copysign(1, ring[0]) == -1
    del ring
    pool = reopen(pool)
    ring = pool.root["ring"]
    assert type(ring) is FloatRing
    assert list(ring) == [-0.0, math.inf, 2.5]
    assert pool.root["ring"] is ring


def test_rollback_restores_elements_and_header(pool: Any) -> None:
    ring = pool.root["ring"] = pool.new(FloatRing, 3)
    ring.append(1.0)
    with pytest.raises(KeyError), pool.transaction():
        for value in (2.0, 3.0, 4.0):
            ring.append(value)
        assert list(ring) == [2.0, 3.0, 4.0]
        raise KeyError
    assert list(ring) == [1.0]


def test_a_failing_init_leaves_nothing(pool: Any) -> None:
    before = pool.gc()
    with pytest.raises(ValueError, match="at least one"):
        pool.new(FloatRing, 0)
    gc.collect()
    assert pool.gc().freed == 0
    assert before.freed == 0


def test_object_ring_counts_its_references(pool: Any, reopen: Any) -> None:
    ring = pool.root["ring"] = pool.new(ObjectRing, 2)
    shared = pool.root["shared"] = [1, 2]
    shared = pool.root["shared"]
    for value in ("a long string " * 10, shared, {"k": ring}):
        ring.append(value)
    assert ring[0] is shared
    assert ring[1]["k"] is ring
    del pool.root["shared"]
    del shared, ring
    gc.collect()
    pool = reopen(pool)
    assert pool.gc().freed == 0
    assert pool.root["ring"][0] == [1, 2]
    assert pool.root["ring"][1]["k"] is pool.root["ring"]
    assert pool.check().ok


def test_a_dead_ring_gives_everything_back(pool: Any) -> None:
    for cls in (FloatRing, ObjectRing):
        pool.root["ring"] = pool.new(cls, 100)
        for value in range(150):
            pool.root["ring"].append(float(value))
        if cls is ObjectRing:
            pool.root["ring"].append("not immediate " * 20)
            pool.root["ring"].append([1, 2, 3])
        gc.collect()
        del pool.root["ring"]
        gc.collect()
        report = pool.gc()
        assert report.freed == 0, cls
    assert pool.check().ok


def test_gc_keeps_what_only_a_ring_refers_to(pool: Any, reopen: Any) -> None:
    ring = pool.root["ring"] = pool.new(ObjectRing, 4)
    ring.append([1, [2, [3]]])
    del ring
    gc.collect()
    pool.gc()
    pool = reopen(pool)
    pool.gc()
    assert pmemobj.plain(pool.root["ring"]) == [[1, [2, [3]]]]


def test_plain_and_missing_plain(pool: Any) -> None:
    pool.root["ring"] = pool.new(FloatRing, 4)
    pool.root["ring"].append(1.0)
    assert pmemobj.plain(pool.root) == {"ring": [1.0]}


def test_unstorable_value_changes_nothing(pool: Any) -> None:
    ring = pool.root["ring"] = pool.new(ObjectRing, 2)
    ring.append(1)
    with pytest.raises(pmemobj.UnstorableError):
        ring.append(object())
    assert list(ring) == [1]


def test_the_interface_is_an_abstract_base(pool: Any) -> None:
    class Half(pmemobj.Persistent):
        def _p_new(self, manager: Any) -> None: ...

    with pytest.raises(TypeError):
        pool.new(Half)
    assert isinstance(pool.root, pmemobj.Persistent)
    assert issubclass(ObjectRing, pmemobj.Persistent)


def test_custom_classes_do_not_mix_with_containers() -> None:
    with pytest.raises(TypeError, match="mixed"):
        type("Mixed", (pmemobj.PersistentList, FloatRing), {})
    with pytest.raises(TypeError, match="mixed"):
        type("Mixed", (pmemobj.PersistentObject, pmemobj.Persistent), {})


# ---- classes that are missing ----


@pytest.fixture
def module() -> Iterator[Any]:
    """A module whose classes come and go."""
    made = types.ModuleType("module_of_rings")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def define(module: Any, base: type, **more: Any) -> Any:
    name = "Mine"
    namespace = {"__module__": module.__name__, "__qualname__": name, **more}
    setattr(module, name, type(base)(name, (base,), namespace))
    return getattr(module, name)


def fill(pool: Any, cls: Any) -> None:
    ring = pool.new(cls, 3)
    pool.root = {"ring": ring, "again": [ring], "other": 5}
    for value in (1.5, 2.5):
        ring.append(value)


@pytest.mark.parametrize("base", [FloatRing, ObjectRing])
def test_a_missing_class_loses_nothing(pool: Any, reopen: Any, module: Any, base: Any) -> None:
    fill(pool, define(module, base))
    del module.Mine
    gc.collect()
    pool = reopen(pool)
    assert pool.root["other"] == 5 and len(pool.root) == 3
    ring = pool.root["ring"]
    assert isinstance(ring, MissingCustomObject) and pool.root["again"][0] is ring
    assert "module_of_rings:Mine" in repr(ring) and "module_of_rings:Mine" in repr(pool.root)
    for use in (
        lambda it: it.append(1.0),
        lambda it: it[0],
        len,
        list,
        pmemobj.plain,
    ):
        with pytest.raises(pmemobj.MissingClassError, match="module_of_rings:Mine") as caught:
            use(ring)
        assert caught.value.name == "module_of_rings:Mine"
    assert not hasattr(ring, "capacity")
    pool.root["third"] = ring
    assert pool.gc().classes_missing == ("module_of_rings:Mine",)
    cls = define(module, base)
    assert list(ring) == [1.5, 2.5] and type(ring) is cls
    ring.append(3.5)
    assert pool.root["ring"] is ring and pool.root["third"] is ring
    del ring
    pool = reopen(pool)
    assert list(pool.root["third"]) == [1.5, 2.5, 3.5]
    assert pool.gc().freed == 0 and pool.check().ok


def test_a_placeholder_is_real_as_soon_as_its_class_derives_from_persistent(
    pool: Any, reopen: Any, module: Any
) -> None:
    fill(pool, define(module, ObjectRing))
    del module.Mine
    pool = reopen(pool)
    ring = pool.root["ring"]
    cls = define(module, ObjectRing)
    assert type(ring) is cls and pool.root["again"][0] is ring


def test_a_class_of_another_shape_gets_new_handles(pool: Any, reopen: Any, module: Any) -> None:
    fill(pool, define(module, FloatRing))
    del module.Mine
    pool = reopen(pool)
    ring = pool.root["ring"]
    cls = define(module, FloatRing, __slots__=("extra",))
    with pytest.raises(pmemobj.MissingClassError, match="read the object from the pool again"):
        len(ring)
    assert type(pool.root["ring"]) is cls and list(pool.root["ring"]) == [1.5, 2.5]
    pool.root.clear()
    del ring
    gc.collect()
    assert pool.gc().freed == 0 and pool.check().garbage == 0


def test_a_placeholder_may_be_dropped(pool: Any, reopen: Any, module: Any) -> None:
    fill(pool, define(module, ObjectRing))
    pool.root["ring"].append([1, 2])
    del module.Mine
    gc.collect()
    pool = reopen(pool)
    pool.root.clear()
    gc.collect()
    assert pool.gc().freed >= 2  # the slots, and the list
    assert pool.check().garbage == 0 and pool.check().ok


class Failing(ObjectRing):
    """Cannot say what it refers to."""

    def _p_traverse(self) -> Any:
        raise ZeroDivisionError("a bug of the class")


def test_a_failing_class_does_not_keep_a_pool_closed(pool: Any, reopen: Any) -> None:
    ring = pool.root["ring"] = pool.new(Failing, 3)
    ring.append([1, 2])
    left = pool.root["left"] = []
    left.append(left)
    del left, pool.root["left"], ring
    path = pool.path
    pool.mm.abandon()
    with pmemobj.open(path) as again:
        assert not again.recovery.clean and again.recovery.objects_collected == 0
        assert (
            len(again.recovery.failures) == 1 and "a bug of the class" in again.recovery.failures[0]
        )
        assert again.root["ring"][0] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            again.gc()


@pytest.mark.parametrize("kept", [True, False])
def test_used_is_known_though_nothing_may_be_freed(pool: Any, module: Any, kept: bool) -> None:
    fill(pool, define(module, ObjectRing))
    gc.collect()
    pool.gc()
    used = pool._info().used
    path = pool.path
    pool.mm.abandon()
    if not kept:
        del module.Mine
    with pmemobj.open(path) as again:
        assert not again.recovery.clean
        assert again._info().used == used


@pytest.mark.parametrize("attentive", [False, True])
def test_the_last_reference_of_one_is_deleted(
    pool: pmemobj.PersistentObjectPool, attentive: bool
) -> None:
    """That a custom object died thereby is no sign that there was none."""
    members = pool.root["set"] = pool.new(pmemobj.PersistentSet)
    holder = pool.root["object"] = pool.new(pmemobj.PersistentObject)
    pool.root["ring"] = holder.ring = pool.new(FloatRing, 3)
    del holder.ring
    holder.ring = pool.new(FloatRing, 3)
    members.add(pool.new(FloatRing, 3))
    if attentive:
        pool.new(pmemobj.PersistentList)  # its handle dies at once
    del pool.root["ring"]
    del holder.ring
    members.discard(next(iter(members)))
    assert list(pool.root) == ["set", "object"]
    assert not hasattr(holder, "ring")
    assert len(members) == 0
    assert pool.check().ok


def test_one_that_is_freed_while_others_are_released(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a signal handler: its memory, and its pin, may be another object's then."""
    rings = [pool.new(FloatRing, 3) for _ in range(2)]
    memory = {ring._p_oid: next(iter(ring._p_substructures())) for ring in rings}
    mm = pool.mm
    finish = mm.finish
    made: list[FloatRing] = []

    def come_in(*arguments: Any) -> None:
        finish(*arguments)
        if made:
            return
        (oid,) = (oid for oid in memory if lib.pmo_direct(mm.ctx, oid[1]) != ffi.NULL)
        with pool.transaction():
            mm.free(memory[oid])
            mm.free(oid)
        made.append(pool.new(FloatRing, 3))
        while made[-1]._p_oid != oid:
            made.append(pool.new(FloatRing, 3))

    monkeypatch.setattr(mm, "finish", come_in)
    rings.clear()
    pool.root = None
    assert made
    made[-1].append(1.5)
    pool.root = made[-1]
    assert pool.check().ok
    assert list(pool.root) == [1.5]
