"""A look at stored objects for displays: reads what is shown and nothing else.

Makes no handles; the cost depends on how much is looked at, never on how much is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pmemobj import codecs
from pmemobj._native import ffi, lib

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["PREFIX", "Cell", "Facts", "Peeker"]

PREFIX = 4096
"""Bytes of a payload that a look copies at most."""

_SCAN = 64  # positions looked at in one step
_LARGEST_SCAN = 1 << 16  # where there are only holes
_SCANS = 64
_DERIVED_CANON = frozenset(
    (
        lib.PMO_NONE,
        lib.PMO_FALSE,
        lib.PMO_TRUE,
        lib.PMO_INT,
        lib.PMO_FLOAT,
        lib.PMO_REF,
        lib.PMO_STR,
        lib.PMO_BYTES,
    )
)


@dataclass(frozen=True)
class Cell:
    """One stored value, undecoded.

    Attributes:
        number: the int, the float's bits, a reference's offset, or the payload's length.
        data: the payload, or its first PREFIX bytes.
    """

    tag: int
    number: int
    data: bytes = b""

    @property
    def has_payload(self) -> bool:
        return self.tag >= codecs.FIRST_PAYLOAD_TAG

    @property
    def is_whole(self) -> bool:
        return not self.has_payload or len(self.data) == self.number


@dataclass(frozen=True)
class Facts:
    """What the pool knows about one object without reading its contents."""

    offset: int
    type: int
    layout: int
    length: int
    bytes: int
    refcount: int


class Peeker:
    """Bounded reads from one pool. The caller holds the manager's lock."""

    def __init__(self, manager: MemoryManager) -> None:
        self._manager = manager
        self._context = manager.ctx
        self._value = ffi.new("pmo_value *")

    def _check(self, status: int) -> None:
        if status < 0:
            self._manager.finish(status)

    def _cell(self, value: Any) -> Cell:
        tag, number = int(value.tag), int(value.number)
        if tag < codecs.FIRST_PAYLOAD_TAG:
            return Cell(tag, number)
        return Cell(tag, number, bytes(ffi.buffer(value.data, min(number, PREFIX))))

    def root(self) -> Cell:
        """The pool's root."""
        self._check(lib.pmo_root_get(self._context, self._value))
        return self._cell(self._value)

    def facts(self, offset: int) -> Facts:
        """Type, length and memory of the object at *offset*."""
        info = ffi.new("pmo_object_info *")
        self._check(lib.pmo_object_info_get(self._context, offset, info))
        return Facts(offset, info.type, info.layout, info.length, info.bytes, info.refcount)

    def blob(self, offset: int) -> Cell:
        """The value of a blob object."""
        self._check(lib.pmo_blob_get(self._context, offset, self._value))
        return self._cell(self._value)

    def type_name(self, code: int) -> tuple[str, str]:
        """``module:qualname`` of a user's type code, and the name of the container below it."""
        layout = ffi.new("uint32_t *")
        self._check(lib.pmo_type_get(self._context, code, layout, self._value))
        words = self._cell(self._value).data.decode("utf-8", "replace")
        name, _, base = words.partition(" ")[2].rpartition(" ")
        return name, base

    def decode(self, cell: Cell) -> Any:
        """The value of a whole cell that is no reference."""
        return codecs.decode(cell.tag, cell.number, cell.data, self._manager.allow_pickle)

    def items(self, offset: int, start: int, stop: int) -> list[Cell]:
        """Items start..stop-1 of a sequence."""
        cells = []
        for index in range(start, stop):
            status = lib.pmo_sequence_get(self._context, offset, index, self._value)
            self._check(status)
            cells.append(self._cell(self._value))
        return cells

    def keys(self, offset: int, limit: int) -> list[Cell]:
        """The first *limit* keys of a table; fewer where it starts with very many holes."""
        batch = ffi.new("pmo_batch *")
        position = ffi.new("uint64_t *")
        found: list[Cell] = []
        window = _SCAN
        for _ in range(_SCANS):
            start = position[0]
            self._check(
                lib.pmo_table_read(
                    self._context, offset, start, start + window, batch, ffi.NULL, position
                )
            )
            count = batch.count
            found.extend(_cells_of(batch))
            lib.pmo_batch_release(batch)
            if len(found) >= limit or position[0] == start:
                break
            window = _SCAN if count else min(2 * window, _LARGEST_SCAN)
        return found[:limit]

    def entry(self, offset: int, key: Cell) -> Cell:
        """The value of *key* in a table; *key* as keys() gave it."""
        canon = b""
        if key.tag not in _DERIVED_CANON:
            encoded = codecs.encode_key(self.decode(key))
            canon = b"" if encoded is None else encoded[3]
        self._check(
            lib.pmo_table_find(
                self._context,
                offset,
                key.tag,
                key.number,
                key.data,
                canon or ffi.NULL,
                len(canon),
                self._value,
            )
        )
        return self._cell(self._value)

    def entries(self, offset: int, limit: int) -> list[tuple[Cell, Cell]]:
        """The first *limit* entries of a dict, in its order."""
        return [(key, self.entry(offset, key)) for key in self.keys(offset, limit)]


def _cells_of(batch: Any) -> list[Cell]:
    count = int(batch.count)
    tags = bytes(ffi.buffer(batch.tags, count)) if batch.tags else bytes([batch.tag]) * count
    cells = []
    start = 0
    for index in range(count):
        tag, number = tags[index], int(batch.numbers[index])
        if tag < codecs.FIRST_PAYLOAD_TAG:
            cells.append(Cell(tag, number))
        else:
            cells.append(Cell(tag, number, bytes(ffi.buffer(batch.data + start, number))))
            start += number
    return cells
