"""Classes that lay out their memory by themselves, by the example of tests/ring_buffer.py."""

from __future__ import annotations

import gc
import math
from typing import Any

import pytest
from ring_buffer import FloatRing, ObjectRing

import pmemobj


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
