"""A class with a memory layout of its own: a ring buffer of floats, or of anything storable.

This is the example that the documentation walks through. It shows everything that the
``Persistent`` interface asks for:

* one block of memory of one's own, laid out by a C struct and reached through ``mm.direct``;
* ``mm.snapshot_range`` before each change, so that a rollback restores what was there;
* a second allocation (``_p_substructures``), and references to other objects that are counted
  (``_p_traverse``, ``mm.incref``, ``mm.xdecref``);
* ``_p_deallocate``, which gives both back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cffi

import pmemobj

ffi = cffi.FFI()
ffi.cdef(
    """
    typedef struct { uint64_t pool_uuid_lo; uint64_t off; } oid_t;
    typedef struct {
        char header[16];     /* the library's: reference count and type */
        uint64_t capacity;
        uint64_t start;      /* where the oldest element is */
        uint64_t length;
        oid_t slots;         /* the block that holds the elements */
    } ring_t;
    """
)
SLOTS_TYPE_NUM = 77  # of the block of elements, which is no object


class _Ring:
    """What both rings have in common. Any class will do: no base is needed."""

    element: str  # the C type of one element

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a ring buffer holds at least one element")
        mm = self._p_mm
        ring = self._ring
        # The ring was allocated in this transaction (by _p_new): no snapshot is needed.
        ring.capacity = capacity
        slots = mm.zalloc(capacity * ffi.sizeof(self.element), SLOTS_TYPE_NUM)
        ring.slots.pool_uuid_lo, ring.slots.off = slots

    # -- the interface ---------------------------------------------------------------------

    def _p_new(self, manager: pmemobj.MemoryManager) -> None:
        self._p_mm = manager
        self._p_oid = manager.zalloc(ffi.sizeof("ring_t"))

    def _p_resurrect(self, manager: pmemobj.MemoryManager, oid: tuple[int, int]) -> None:
        self._p_mm = manager
        self._p_oid = oid

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        return iter(())

    def _p_substructures(self) -> Iterator[tuple[int, int]]:
        yield self._p_mm.otuple(self._ring.slots)

    def _p_deallocate(self) -> None:
        self._p_mm.free(self._ring.slots)

    def _p_plain(self) -> list[Any]:
        return list(self)

    # -- memory ----------------------------------------------------------------------------

    @property
    def _ring(self) -> Any:
        return ffi.cast("ring_t *", self._p_mm.direct(self._p_oid))

    @property
    def _slots(self) -> Any:
        return ffi.cast(f"{self.element} *", self._p_mm.direct(self._ring.slots))

    def _snapshot_ring(self) -> None:
        self._p_mm.snapshot_range(self._ring, ffi.sizeof("ring_t"))

    def _snapshot_slot(self, place: int) -> None:
        self._p_mm.snapshot_range(self._slots + place, ffi.sizeof(self.element))

    # -- what a user sees --------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        return int(self._ring.capacity)

    def __len__(self) -> int:
        return int(self._ring.length)

    def __getitem__(self, index: int) -> Any:
        ring = self._ring
        if not 0 <= index < ring.length:
            raise IndexError("ring buffer index out of range")
        return self._load(self._slots[(ring.start + index) % ring.capacity])

    def append(self, value: Any) -> None:
        """Add *value*; in a full ring it takes the place of the oldest element."""
        with self._p_mm.transaction():
            ring = self._ring
            place = (ring.start + ring.length) % ring.capacity
            self._snapshot_slot(place)
            self._store(place, value)
            self._snapshot_ring()
            if ring.length < ring.capacity:
                ring.length += 1
            else:
                ring.start = (ring.start + 1) % ring.capacity

    def _load(self, slot: Any) -> Any:
        raise NotImplementedError

    def _store(self, place: int, value: Any) -> None:
        raise NotImplementedError


class FloatRing(_Ring):
    """A ring buffer of float64, without a single Python object in memory."""

    element = "double"

    def _load(self, slot: float) -> float:
        return slot

    def _store(self, place: int, value: float) -> None:
        self._slots[place] = value


class ObjectRing(_Ring, pmemobj.Persistent):
    """A ring buffer of anything that can be stored. This one states its interface by its base."""

    element = "oid_t"

    def _load(self, slot: Any) -> Any:
        return self._p_mm.resurrect(slot)

    def _store(self, place: int, value: Any) -> None:
        mm = self._p_mm
        new = mm.persist(value)
        mm.incref(new)
        slot = self._slots[place]
        old = mm.otuple(slot)
        slot.pool_uuid_lo, slot.off = new
        mm.xdecref(old)

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        slots = self._slots
        for place in range(self.capacity):
            yield self._p_mm.otuple(slots[place])

    def _p_deallocate(self) -> None:
        for oid in list(self._p_traverse()):
            self._p_mm.xdecref(oid)
        super()._p_deallocate()
