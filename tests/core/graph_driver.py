"""Containers that refer to each other, and the collector over them, through the C interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core_driver import Core, CoreError, Reference, canon, encode

from pmemobj._native import ffi, lib

LARGE = "l" * 5000  # a blob of its own
STATE = 16  # where a container's state starts
GEOMETRY = 56
REFERS = 1 << 63  # in the state's fourth word: a cell may refer to an object
LAYOUTS = {
    lib.PMO_TYPE_LIST: "list",
    lib.PMO_TYPE_TUPLE: "tuple",
    lib.PMO_TYPE_DICT: "dict",
    lib.PMO_TYPE_SET: "set",
    lib.PMO_TYPE_FROZENSET: "frozenset",
}
NUM_OBJECT = 20  # libpmemobj's type number for memory that starts with a header


class Graph:
    """Containers that refer to each other, and the collector over them."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.custom: dict[int, tuple[list[int], list[int]]] = {}
        self.top = self.list()
        self.root(Reference(self.top))

    @property
    def ctx(self) -> Any:
        return self.core.ctx

    def new(self, type_code: int) -> int:
        """A new object with no reference to it."""
        offset = ffi.new("uint64_t *")
        self.core.check(lib.pmo_object_new(self.ctx, type_code, offset))
        return int(offset[0])

    def list(self, *values: Any) -> int:
        offset = self.new(lib.PMO_TYPE_LIST)
        for value in values:
            self.append(offset, value)
        return offset

    def append(self, owner: int, value: Any) -> None:
        self.core.check(lib.pmo_sequence_append(self.ctx, owner, *encode(value)))

    def put(self, owner: int, key: Any, value: Any = None) -> None:
        given = canon(key)
        self.core.check(
            lib.pmo_table_set(self.ctx, owner, *encode(key), given, len(given), *encode(value))
        )

    def remove(self, owner: int, key: Any) -> None:
        given = canon(key)
        self.core.check(lib.pmo_table_delete(self.ctx, owner, *encode(key), given, len(given)))

    def hold(self, owner: int, target: int) -> None:
        """Make owner, of any layout, refer to target."""
        layout = self.core.info(owner).layout
        if layout == lib.PMO_LAYOUT_SEQUENCE:
            self.append(owner, Reference(target))
        else:
            self.put(owner, Reference(target), 0)

    def refers(self, offset: int) -> bool:
        """Does a collection read this container's cells?"""
        return bool(int.from_bytes(self.memory(offset + STATE + 24, 8)[:], "little") & REFERS)

    def root(self, value: Any) -> None:
        self.core.check(lib.pmo_root_set(self.ctx, *encode(value)))

    def cycle(self, *more: int) -> tuple[int, int]:
        """Two lists that hold each other and *more*, and that nothing else holds."""
        one, two = self.list(), self.list()
        self.append(one, Reference(two))
        self.append(two, Reference(one))
        for target in more:
            self.append(one, Reference(target))
        return one, two

    def foreign(self, references: list[int], substructures: list[int]) -> int:
        """An object of a custom layout; collect() is told what it holds."""
        code = ffi.new("uint32_t *")
        name = b"0 tests:Custom"
        if lib.pmo_type_count(self.ctx) == 0:
            self.core.check(
                lib.pmo_type_define(self.ctx, lib.PMO_LAYOUT_FOREIGN, name, len(name), code)
            )
        offset = self.block(64, NUM_OBJECT)
        with self.core.transaction():
            self.core.check(lib.pmo_object_stamp(self.ctx, offset, lib.PMO_FIRST_USER_TYPE))
            for reference in references:
                self.core.check(lib.pmo_incref(self.ctx, reference))
        self.custom[offset] = (references, substructures)
        return offset

    def block(self, size: int, number: int) -> int:
        offset = ffi.new("uint64_t *")
        with self.core.transaction():
            self.core.check(lib.pmo_alloc(self.ctx, size, number, 1, offset))
        return int(offset[0])

    def free(self, offset: int) -> None:
        with self.core.transaction():
            self.core.check(lib.pmo_free(self.ctx, offset))

    def memory(self, offset: int, size: int) -> Any:
        return ffi.buffer(ffi.cast("char *", lib.pmo_base(self.ctx)) + offset, size)

    def refcount(self, offset: int) -> int:
        return int(self.core.info(offset).refcount)

    def set_refcount(self, offset: int, count: int) -> None:
        self.memory(offset, 8)[:] = count.to_bytes(8, "little")

    def body(self, offset: int) -> int:
        return int.from_bytes(self.memory(offset + GEOMETRY, 8), "little")

    # ---- the collector ----

    def mark(self, budget: int = 1000, damaged: Callable[[], None] | None = None) -> None:
        offset = ffi.new("uint64_t *")
        while status := lib.pmo_gc_mark(self.ctx, budget, offset):
            if status == 2:
                references, substructures = self.custom[offset[0]]
                for one in references:
                    self.core.check(lib.pmo_gc_reference(self.ctx, one))
                for one in substructures:
                    self.core.check(lib.pmo_gc_keep(self.ctx, one))
            elif status == lib.PMO_ECORRUPT and damaged is not None:
                damaged()
            else:
                self.core.check(status)

    def sweep(self, budget: int = 1000) -> None:
        while self.core.check(lib.pmo_gc_sweep(self.ctx, budget)):
            pass

    def finish(self) -> Any:
        report = ffi.new("pmo_gc_report *")
        self.core.check(lib.pmo_gc_finish(self.ctx, report))
        return report

    def start(self, verify: int = 0) -> None:
        self.core.check(lib.pmo_gc_start(self.ctx, verify))

    def collect(self, budget: int = 1000) -> Any:
        try:
            self.start()
            self.mark(budget)
            self.sweep(budget)
        except CoreError:
            self.finish()
            raise
        return self.finish()

    def problems(self, budget: int = 1000) -> tuple[list[str], Any]:
        """What a verification finds, and its report."""
        found: list[str] = []
        seen = set()
        failure = ffi.new("pmo_failure_info *")

        def note() -> None:
            lib.pmo_failure(self.ctx, failure)
            text = ffi.string(failure.text).decode()
            if (failure.offset, text) not in seen:
                seen.add((failure.offset, text))
                found.append(text)

        self.start(verify=1)
        self.mark(budget, note)
        while status := lib.pmo_gc_verify(self.ctx, budget):
            if status == lib.PMO_ECORRUPT:
                note()
            else:
                self.core.check(status)
        return found, self.finish()


def counts(report: Any) -> tuple[int, int, int]:
    return report.objects, report.freed, report.corrected
