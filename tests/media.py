"""A pool's bytes, read as docs/format.md tells: which of them mean something, and what.

Independent of the core, which the tests hold against it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from pmemobj._native import ffi

REF, KEYED, FIRST_PAYLOAD = 6, 7, 16
IN_HEAP, IN_BLOB = 254, 255
BLOB, RAW = "blob", "raw"
LAYOUTS = {1: BLOB, 2: "sequence", 3: "set", 4: "sequence", 5: "dict", 6: "set", 7: "sequence"}
LAYOUTS |= {8: RAW, 9: "sequence", 10: "sequence"}
BY_DIGIT = {0: "custom", 1: BLOB, 2: "sequence", 3: "set", 4: "dict", 5: RAW}
STRIDE = {"sequence": 16, "set": 16, "dict": 32}
CELLS = {"sequence": (0,), "set": (0,), "dict": (0, 16)}
ROOT_FIELDS = [
    ("magic", 8),
    ("version", 4),
    ("creator", 4),
    ("hash key", 16),
    ("dirty", 4),
    ("policy", 4),
    ("boot id", 40),
    ("in flight", 8),
    ("types", 8),
    ("root", 16),
    ("used", 8),
    ("journal", 8),
    ("serial", 8),
    ("journal serial", 8),
    ("reserved", 96),
]


class Range(NamedTuple):
    """Bytes with one meaning."""

    what: str
    start: int
    size: int


class Media:
    """The bytes of an open pool, where it is mapped."""

    def __init__(self, pool: Any) -> None:
        self.base = pool.mm._base
        size = sum(os.stat(name).st_size for name in pool._file.files())
        self.bytes = ffi.buffer(ffi.cast("char *", self.base), size)
        self.root = bytes(self.bytes).index(b"PMEMOBJ1")

    def number(self, at: int, size: int = 8) -> int:
        return int.from_bytes(self.bytes[at : at + size], "little")

    def live(self) -> Iterator[Range]:
        """Every byte that the pool's root and its type table lead to."""
        at = self.root
        for name, size in ROOT_FIELDS:
            yield Range(f"root block: {name}", at, size)
            at += size
        self._layouts = dict(LAYOUTS)
        types = self.number(self.root + 88)
        for code, name in enumerate(self._names(types), 64):
            self._layouts[code] = BY_DIGIT[int(name[:1])]
        seen: set[int] = set()
        work = [types, *self._leads(self.root + 96, None)]
        while work:
            offset = work.pop()
            if offset not in seen:
                seen.add(offset)
                yield from self._object(offset, work)

    def _names(self, types: int) -> list[bytes]:
        length, body, capacity = (self.number(types + at) for at in (16, 56, 64))
        names = []
        for i in range(length):
            cell = body + 16 * i
            if self.bytes[cell + 1] == bytes([IN_HEAP]):
                start = body + 16 * capacity + self.number(cell + 8)
                names.append(self.bytes[start : start + self.number(cell + 4, 4)])
            else:
                names.append(self.bytes[cell + 4 : cell + 4 + self.bytes[cell + 1][0]])
        return names

    def _leads(self, cell: int, heap: int | None) -> Iterator[int]:
        tag, length = self.bytes[cell][0], self.bytes[cell + 1][0]
        if tag == REF or (tag >= FIRST_PAYLOAD and length == IN_BLOB):
            yield self.number(cell + 8)
        if tag == KEYED and heap is not None:
            record = heap + self.number(cell + 8)
            if self.bytes[record + 4] == bytes([REF]):
                yield self.number(record + 8)

    def _object(self, offset: int, work: list[int]) -> Iterator[Range]:
        layout = self._layouts[self.number(offset + 8, 4)]
        yield Range(f"{layout}: reference count", offset, 8)
        yield Range(f"{layout}: type", offset + 8, 4)
        yield Range(f"{layout}: header check", offset + 12, 4)
        if layout == BLOB:
            yield Range("blob: length, tag, check", offset + 16, 16)
            yield Range("blob: payload", offset + 32, self.number(offset + 16))
        elif layout == RAW:
            yield Range("raw: length, form, sum, check", offset + 16, 32)
        elif layout in STRIDE:
            yield from self._container(layout, offset, work)

    def _container(self, layout: str, offset: int, work: list[int]) -> Iterator[Range]:
        yield Range(f"{layout}: state", offset + 16, 40)
        yield Range(f"{layout}: geometry", offset + 56, 40)
        _, used, heap_used = struct.unpack_from("<3Q", self.bytes, offset + 16)
        body, capacity, slots = struct.unpack_from("<3Q", self.bytes, offset + 56)
        index = body + STRIDE[layout] * capacity
        heap = index + 4 * slots
        for i in range(used):
            entry = body + STRIDE[layout] * i
            empty = layout != "sequence" and self.bytes[entry] == b"\0"
            yield Range(f"{layout}: {'hole' if empty else 'element'}", entry, STRIDE[layout])
            for cell in CELLS[layout]:
                work.extend(self._leads(entry + cell, heap))
                yield from self._payload(layout, entry + cell, heap)
        yield Range(f"{layout}: index", index, 4 * slots)
        assert heap_used >= 0

    def _payload(self, layout: str, cell: int, heap: int) -> Iterator[Range]:
        tag, length = self.bytes[cell][0], self.bytes[cell + 1][0]
        if tag == KEYED or (tag >= FIRST_PAYLOAD and length == IN_HEAP):
            start = heap + self.number(cell + 8)
            yield Range(f"{layout}: heap", start, self.number(cell + 4, 4))
