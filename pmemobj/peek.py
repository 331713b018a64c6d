"""A look at stored objects for displays: reads what is shown and nothing else.

Makes no handles; the cost depends on how much is looked at, never on how much is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pmemobj import codecs
from pmemobj._native import ffi, lib

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["PREFIX", "Entry", "Facts", "Peeker", "Raw", "Window"]

PREFIX = 4096
"""Bytes of a payload that a look copies at most."""

_HOLES = 1 << 16
"""Positions of a table that a look for its first entries passes over at most."""

_TAIL_HOLES = 64


class Raw(NamedTuple):
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


class Facts(NamedTuple):
    """What the pool knows about one object without reading its contents.

    Attributes:
        used: positions of a table that were written, those of deleted entries included.
    """

    offset: int
    type: int
    layout: int
    length: int
    bytes: int
    refcount: int
    used: int


Entry = tuple[Raw | None, Raw]
"""What an element is found under, and the element; None: under nothing, or its index."""


class Window(NamedTuple):
    """The first elements of a container, how many are left out, and the last ones."""

    head: list[Entry]
    hidden: int
    tail: list[Entry]


class Peeker:
    """Bounded reads from one pool. The caller holds the manager's lock."""

    def __init__(self, manager: MemoryManager) -> None:
        self._manager = manager
        self._context = manager.ctx
        self._key = ffi.new("pmo_value *")
        self._value = ffi.new("pmo_value *")
        self._next = ffi.new("uint64_t *")

    def _check(self, status: int) -> None:
        if status < 0:
            self._manager.finish(status)

    def _cell(self, value: Any) -> Raw:
        tag, number = int(value.tag), int(value.number)
        if tag < codecs.FIRST_PAYLOAD_TAG:
            return Raw(tag, number)
        return Raw(tag, number, bytes(ffi.buffer(value.data, min(number, PREFIX))))

    def root(self) -> Raw:
        """The pool's root."""
        self._check(lib.pmo_root_get(self._context, self._value))
        return self._cell(self._value)

    def facts(self, offset: int) -> Facts:
        """Type, length and memory of the object at *offset*."""
        info = ffi.new("pmo_object_info *")
        self._check(lib.pmo_object_info_get(self._context, offset, info))
        return Facts(
            offset, info.type, info.layout, info.length, info.bytes, info.refcount, info.used
        )

    def blob(self, offset: int) -> Raw:
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

    def decode(self, cell: Raw) -> Any:
        """The value of a whole cell that is no reference."""
        return codecs.decode(cell.tag, cell.number, cell.data, self._manager.allow_pickle)

    def sequence(self, facts: Facts, head: int, tail: int) -> Window:
        """The first *head* and last *tail* items of a sequence; all, where none lie between."""
        length = facts.length
        stop, start = (length, length) if length <= head + tail else (head, length - tail)
        return Window(
            [(None, self._item(facts.offset, index)) for index in range(stop)],
            start - stop,
            [(None, self._item(facts.offset, index)) for index in range(start, length)],
        )

    def _item(self, offset: int, index: int) -> Raw:
        self._check(lib.pmo_sequence_get(self._context, offset, index, self._value))
        return self._cell(self._value)

    def table(self, facts: Facts, head: int, tail: int) -> Window:
        """The first *head* and last *tail* entries of a table, in its order.

        Fewer where very many were deleted between: these are passed over one by one.
        """
        first = head + tail if facts.length <= head + tail else head
        found: list[Entry] = []
        position = 0
        while len(found) < min(first, facts.length):
            entry, position = self._entry(facts.offset, position, position + _HOLES)
            if entry is None:
                break
            found.append(entry)
        last: list[Entry] = []
        if len(found) < facts.length:
            for place in range(facts.used - 1, max(position, facts.used - _TAIL_HOLES) - 1, -1):
                if len(last) >= tail:
                    break
                entry, _ = self._entry(facts.offset, place, place + 1)
                if entry is not None:
                    last.insert(0, entry)
        return Window(found, facts.length - len(found) - len(last), last)

    def _entry(self, offset: int, start: int, stop: int) -> tuple[Entry | None, int]:
        status = lib.pmo_table_peek(
            self._context, offset, start, stop, self._key, self._value, self._next
        )
        if status == lib.PMO_EMISSING:
            return None, stop
        self._check(status)
        return (self._cell(self._key), self._cell(self._value)), int(self._next[0])
