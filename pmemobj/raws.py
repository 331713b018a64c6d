"""RawBytes: the handle of bytes in a pool that are viewed where they lie.

A view is anything that refers to the memory: an array, a memoryview, a frame's column. Each
keeps its RawBytes, which keeps the bytes: they are not freed while a view lives, whatever
happens to the variables that led to them.

Sealed bytes are viewed on private pages, each reader's own, because libraries write past the
mark of a read-only buffer; what they write there, nobody else sees.
"""

from __future__ import annotations

import sys
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any

from pmemobj._native import failure, ffi, lib
from pmemobj.errors import InvalidArgumentError
from pmemobj.kinds import register_kind

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["MAPPED", "RawBytes", "in_place", "sealed_at"]

MAPPED = 1 << 20
"""Bytes from which on private pages are mapped; fewer are copied. A process has some 65,000
mappings, and reading from a new one takes longer than copying so much."""

_ALIGNED = 64
_allocate = ffi.new_allocator(should_clear_after_alloc=False)


class RawBytes:
    """Bytes of one length in a pool.

    Attributes:
        address: where they are in this process, as long as this handle lives; also after the
            pool was closed, when they are a private copy.
        length: how many.
        sealed: they never change.
    """

    __slots__ = ("__weakref__", "_p_mm", "_p_off", "_window", "address", "length", "sealed")

    def __init__(self, mm: MemoryManager, offset: int) -> None:
        """Caller: holds the lock."""
        self._p_mm = mm
        self._p_off = offset
        length, sealed = ffi.new("uint64_t *"), ffi.new("int *")
        status = lib.pmo_raw_info_get(mm.ctx, offset, length, sealed)
        if status:
            raise failure(status, mm.ctx)
        self.length = int(length[0])
        self.sealed = bool(sealed[0])
        address, window = ffi.new("char **"), ffi.new("pmo_window **")
        status = lib.pmo_window_enter(mm.ctx, offset, address, window)
        if status:
            raise failure(status, mm.ctx)
        self._window = ffi.gc(window[0], lib.pmo_window_leave)
        self.address = int(ffi.cast("uintptr_t", address[0]))

    @property
    def _p_oid(self) -> tuple[int, int]:
        return (self._p_mm.uuid_lo, self._p_off)

    def _p_poison(self) -> None:
        self._p_off = 1

    @classmethod
    def create(cls, mm: MemoryManager, length: int) -> RawBytes:
        """*length* new bytes, their content undefined; freed with the last view unless stored.

        Takes effect at once, whether a transaction is open or not. O(1).

        Raises:
            PoolFullError: no room.
            InvalidArgumentError: more bytes than can be addressed.
        """
        if length > sys.maxsize:
            raise InvalidArgumentError(f"{length:,} bytes are more than can be addressed")
        out = ffi.new("uint64_t *")
        with mm.lock:
            mm.attend_if_needed()
            status = lib.pmo_raw_new(mm.ctx, length, out)
            if status:
                raise failure(status, mm.ctx)
            try:
                raw = cls(mm, int(out[0]))
                mm.handles.add(raw._p_off, raw)
            except BaseException:
                # Not now: an open transaction would take part in it.
                mm.handles.undead.append(int(out[0]))
                mm.attention = True
                raise
        return raw

    @property
    def memory(self) -> Any:
        """A writable buffer of the bytes, which keeps them."""
        # At its end is_ gets the address: nothing happens, and no Python code runs there.
        start = ffi.gc(ffi.cast("char *", self.address), partial(is_, self))
        return ffi.buffer(start, self.length)

    def holds(self, address: int) -> bool:
        """Is it one of these bytes that lies at *address*?"""
        return self.address <= address < self.address + self.length

    def private(self) -> Any:
        """A writable buffer of the sealed bytes for one reader, which keeps them.

        It is a copy that is made page by page, where it is written to. O(1), O(length) of few.
        """
        mm = self._p_mm
        with mm.lock:
            address, held = self._mapped() or self._copied()
        mm.sealed[address] = (self, held)
        # At its end pop gets the pointer as its default: no Python code runs there either.
        start = ffi.gc(ffi.cast("char *", address), partial(mm.sealed.pop, address))
        return ffi.buffer(start, self.length)

    def _mapped(self) -> tuple[int, Any] | None:
        """Private pages: their address, and what holds them; None: to be copied."""
        if self.length < MAPPED:
            return None
        address, window = ffi.new("char **"), ffi.new("pmo_window **")
        status = lib.pmo_window_private(self._p_mm.ctx, self._p_off, address, window)
        if status == lib.PMO_ESYSTEM:
            return None
        if status:
            self._p_mm.finish(status, self)
        return int(ffi.cast("uintptr_t", address[0])), ffi.gc(window[0], lib.pmo_window_leave)

    def _copied(self) -> tuple[int, Any]:
        block = _allocate("char[]", self.length + _ALIGNED)
        address = int(ffi.cast("uintptr_t", block))
        address += -address % _ALIGNED
        ffi.memmove(ffi.cast("char *", address), ffi.cast("char *", self.address), self.length)
        return address, block

    def fill(self, position: int, data: Any, size: int | None = None) -> None:
        """Store bytes that no committed state has yet. *data*: a contiguous buffer, or None.

        None stands for *size* zeros. Durable on return.
        """
        mm = self._p_mm
        with mm.lock:
            if data is None:
                status = lib.pmo_raw_zero(mm.ctx, self._p_off, position, size)
            else:
                source = ffi.from_buffer(data)
                status = lib.pmo_raw_fill(mm.ctx, self._p_off, position, source, len(source))
            if status:
                mm.finish(status, self)

    def seal(self) -> None:
        """The bytes are final. O(length)."""
        mm = self._p_mm
        with mm.lock:
            status = lib.pmo_raw_seal(mm.ctx, self._p_off)
            if status:
                mm.finish(status, self)
        self.sealed = True

    def changing(self, ranges: Any, count: int) -> None:
        """Announce writes to *count* ranges, an array of uint64 (position, size) pairs.

        Caller: holds the lock, in a transaction, which then covers them.
        """
        mm = self._p_mm
        mm.attend_if_needed()
        pairs = ffi.from_buffer("uint64_t[]", ranges)
        status = lib.pmo_raw_change(mm.ctx, self._p_off, pairs, count)
        if status:
            mm.finish(status, self)

    def flush(self, position: int, size: int) -> None:
        """Wait until the disk has these bytes, whatever the pool's durability."""
        mm = self._p_mm
        with mm.lock:
            mm.attend_if_needed()
            status = lib.pmo_raw_flush(mm.ctx, self._p_off, position, size)
            if status:
                mm.finish(status, self)


def in_place(mm: MemoryManager, address: int) -> bool:
    """Is *address* in sealed bytes that a reader views, without a copy? O(views)."""
    return any(
        start <= address < start + raw.length and ffi.typeof(held).kind == "pointer"
        for start, (raw, held) in tuple(mm.sealed.items())
    )


def sealed_at(mm: MemoryManager, address: int, memory: memoryview) -> RawBytes | None:
    """The sealed bytes of which *memory*, at *address*, is a private view that did not change.

    O(length) if it is such a view.
    """
    raw, _ = mm.sealed.get(address, (None, None))
    if raw is None or raw.length != memory.nbytes or raw._p_off <= 1:
        return None
    return raw if raw.memory == ffi.buffer(ffi.from_buffer(memory)) else None


def _load(mm: MemoryManager, offset: int) -> RawBytes:
    raw = RawBytes(mm, offset)
    mm.adopt(raw)
    return raw


register_kind(lib.PMO_TYPE_RAW, _load)
