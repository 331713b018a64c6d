"""MemoryManager: objects of one pool made, found again, counted and freed.

Above it are the containers, which it never names; below it the C core, which makes every
mutation one all-or-nothing step.
"""

from __future__ import annotations

from pmemobj import codecs
from pmemobj._native import ffi, lib
from pmemobj.errors import (
    AbortedObjectError,
    ForeignObjectError,
    InvalidArgumentError,
    InvalidOidError,
    InvalidTypeError,
    NoTransactionError,
    PoolClosedError,
)
from pmemobj.light import operator
from pmemobj.typetable import TypeTable, register_builtin
from pmemobj.values import ValueKeeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    from pmemobj.codecs import Encoded

    T = TypeVar("T")

__all__ = [
    "HEADER_SIZE",
    "OID_NULL",
    "POBJECT_TYPE_NUM",
    "MemoryManager",
    "Oid",
    "register_builtin",
]

Oid = tuple[int, int]
"""(pool_uuid_lo, offset); an immediate value: (its tag, its number)."""

OID_NULL: Oid = (0, 0)
POBJECT_TYPE_NUM: int = lib.PMO_NUM_OBJECT
"""The libpmemobj type number of memory that starts with an object header."""
HEADER_SIZE = 16
"""Bytes at the start of a custom object that belong to the library."""

_REF = codecs.REF
_IMMEDIATE = range(codecs.NONE, codecs.FLOAT + 1)
_MAX_SIZE = (1 << 63) - 1


class MemoryManager(ValueKeeper):
    """The memory of one pool. Use ``pool.mm``; never make one.

    All methods are atomic: when the process dies inside one, it has happened or it has not.
    All may be called inside a transaction, and are then part of it. Object identifiers (oids)
    are tuples (pool_uuid_lo, offset).
    """

    def __init__(
        self, pool_ptr: Any, type_table: TypeTable | None = None, *, allow_pickle: bool = False
    ) -> None:
        if not isinstance(pool_ptr, ffi.CData):
            raise InvalidTypeError("a MemoryManager is made with its pool: use pool.mm")
        super().__init__(pool_ptr, type_table, allow_pickle)
        self._base = int(ffi.cast("uintptr_t", lib.pmo_base(self.ctx)))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise InvalidTypeError("a pool's memory cannot be copied or pickled")

    def new(self, typ: type[T], /, *args: Any, **kw: Any) -> T:
        """Make an instance of *typ* in this pool: ``_p_new``, then ``__init__(*args, **kw)``.

        Durable on return, or when the outermost open transaction commits; it lives on after
        its handle only if it is reachable from the root by then. One transaction: if
        ``__init__`` raises, nothing is left.

        Raises:
            InvalidArgumentError: *typ* is no persistent class.
            PoolFullError: no room; nothing was written.
        """
        cls: Any = getattr(typ, "__origin__", None) or typ  # Box for Box[int]
        if not (isinstance(cls, type) and hasattr(cls, "_p_new")):
            raise InvalidArgumentError(
                f"{typ!r} is no persistent class: derive it from PersistentObject, or give it "
                "the Persistent interface (_p_new, _p_resurrect, ...)"
            )
        make = getattr(typ, "_p_make", None)
        with self.transaction():
            if make is not None:
                return make(self, *args, **kw)  # type: ignore[no-any-return]
            obj: Any = cls.__new__(cls, *args, **kw)
            if isinstance(obj, cls):  # as type.__call__ asks
                self._enter_new(obj)
                kind: Any = type(obj)
                kind.__init__(obj, *args, **kw)
                if hasattr(kind, "_p_made"):
                    kind._p_made(obj)
        return obj  # type: ignore[no-any-return]

    def _enter_new(self, obj: Any) -> None:
        mm = getattr(obj, "_p_mm", None)
        if isinstance(mm, MemoryManager):  # __new__ gave an object that there was
            if mm is not self:
                raise ForeignObjectError(
                    f"{type(obj).__qualname__}.__new__ gave an object that lives in another pool"
                )
            return
        obj._p_new(self)
        if self.handles.get(obj._p_oid[1]) is not obj:
            self.enter_custom(obj, self._memory_offset(obj._p_oid))

    def otuple(self, oid: Any) -> Oid:
        """*oid* as a tuple: a copy that later changes of the memory it was read from do not reach.

        Takes a tuple or any structure with ``pool_uuid_lo`` and ``off`` (a PMEMoid in a pool).
        """
        try:
            uuid_lo, offset = oid if isinstance(oid, tuple) else (oid.pool_uuid_lo, oid.off)
            return operator.index(uuid_lo), operator.index(offset)
        except (AttributeError, TypeError, ValueError):
            raise InvalidOidError(
                f"{oid!r} is no oid: a tuple (pool_uuid_lo, offset) or a PMEMoid is one"
            ) from None

    def alloc(self, size: int, type_num: int = POBJECT_TYPE_NUM) -> Oid:
        """*size* bytes of new memory, their content undefined. O(1).

        Raises:
            NoTransactionError: outside of a transaction.
            PoolFullError: no room.
            InvalidArgumentError: size below 1.
        """
        return self._alloc(size, type_num, zero=False)

    def zalloc(self, size: int, type_num: int = POBJECT_TYPE_NUM) -> Oid:
        """As alloc, the memory zeroed. O(size)."""
        return self._alloc(size, type_num, zero=True)

    def free(self, oid: Any) -> None:
        """Give the memory at *oid* back to the pool, when the transaction commits.

        Raises:
            NoTransactionError: outside of a transaction.
            InvalidOidError: not memory of this pool, or freed already in this transaction.
        """
        offset = self._memory_offset(oid)
        with self.lock:
            self._attend_open()
            status = lib.pmo_free(self.ctx, offset)
            if status:
                self.finish(status)
            self.forget_object(offset)

    def realloc(self, oid: Any, size: int, type_num: int | None = None) -> Oid:
        """Move the memory at *oid* to *size* new bytes: truncated, or filled up with zeros.

        The old memory is freed. O(size).

        Raises:
            NoTransactionError: outside of a transaction.
            InvalidArgumentError: *type_num* is given and is not the memory's.
            InvalidOidError, PoolFullError: as for free and alloc.
        """
        return self._realloc(oid, size, type_num, zero=False)

    def zrealloc(self, oid: Any, size: int, type_num: int | None = None) -> Oid:
        """As realloc, but all of the new memory is zeroed: nothing is copied."""
        return self._realloc(oid, size, type_num, zero=True)

    def incref(self, oid: Any) -> None:
        """Count one more reference to the object at *oid*. An immediate oid has no count.

        Raises:
            InvalidOidError: no object of this pool, or OID_NULL.
        """
        offset = self._object_offset(oid)
        if offset is not None:
            with self.lock:
                self.attend_if_needed()
                status = lib.pmo_incref(self.ctx, offset)
                if status:
                    self.finish(status)

    def decref(self, oid: Any) -> None:
        """Count one reference less to the object at *oid*.

        At zero its ``_p_deallocate`` is called, if it has one, and its memory is freed, unless
        a live Python handle still keeps it; then both happen when the handle dies.

        Raises:
            InvalidOidError: no object of this pool, one without a reference, or OID_NULL (see
                xdecref).
        """
        offset = self._object_offset(oid)
        if offset is not None:
            with self.lock:
                self.attend_if_needed()
                status = lib.pmo_decref(self.ctx, offset)
                if status:
                    self.finish(status)

    def xdecref(self, oid: Any) -> None:
        """decref, unless *oid* is OID_NULL."""
        if self.otuple(oid) != OID_NULL:
            self.decref(oid)
        else:
            self.require_open()

    def persist(self, obj: Any) -> Oid:
        """An oid that stands for *obj*; its representation is made in the pool if need be.

        None, bool, int within 64 bits and float give an immediate oid: the value itself, with
        nothing stored. A new representation has no references yet: incref it where it is kept,
        or the next gc frees it. O(size).

        Raises:
            UnstorableError: no codec for the value; nothing was written.
            ForeignObjectError: *obj* lives in another pool.
            PoolFullError: no room.
        """
        encoded = self.encode(obj)
        if encoded is None:
            with self.lock, self.storing(obj, None, None) as encoded:
                return self._oid_for(encoded)
        return self._oid_for(encoded)

    def resurrect(self, oid: Any) -> Any:
        """The Python object for what is stored at *oid*.

        An immutable value is made anew; a persistent object has one live handle, which reads
        and writes the pool. O(size) for values, O(1) for handles.

        Raises:
            InvalidOidError: no object of this pool, or OID_NULL.
            PoolCorruptedError: what lies there is damaged.
        """
        tag, number = oid = self.otuple(oid)
        if tag in _IMMEDIATE and tag != self.uuid_lo:
            self.require_open()
            self._check_immediate(oid)
            if tag == codecs.INT or tag == codecs.FLOAT:
                number = number - (1 << 64) if number >= 1 << 63 else number
            return self.leaf(tag, number, b"")
        with self.lock:
            self.attend_if_needed()
            offset = self._valid_offset(oid)
            if self.handles.get(offset) is None:
                self.type_num(oid)  # the header of an object that was freed may still be there
            return self.resurrect_offset(offset)

    def direct(self, oid: Any) -> int:
        """The address of the memory at *oid*, an int to be used with ``ffi.cast``.

        Valid until the pool is closed. Writing through it is only safe inside a transaction,
        after snapshot_range, or into memory allocated in the same transaction.

        Raises:
            InvalidOidError: no allocation of this pool starts there, or it was freed.
            PoolClosedError: the pool is closed.
        """
        offset = self._memory_offset(oid)
        with self.lock:
            address = lib.pmo_direct(self.ctx, offset)
        if address == ffi.NULL:
            self.raise_unless_usable()
            raise InvalidOidError(f"there is no memory at offset {offset:#x}, or none any more")
        return int(ffi.cast("uintptr_t", address))

    def snapshot_range(self, address: Any, size: int) -> None:
        """Announce a write of *size* bytes at *address*: undone if the transaction is rolled back.

        Args:
            address: an int (from direct) or a cffi pointer into this pool.
            size: bytes, at least 1.

        Raises:
            NoTransactionError: outside of a transaction.
            InvalidOidError: the range is not within this pool.
        """
        if not isinstance(address, int):
            if not isinstance(address, ffi.CData):
                raise InvalidTypeError(
                    f"an address is an int or a cffi pointer, not {type(address).__name__}"
                )
            address = int(ffi.cast("uintptr_t", address))
        self._check_size(size)
        if not self._base < address <= _MAX_SIZE:
            raise InvalidOidError("the range to snapshot is not within this pool")
        with self.lock:
            self._attend_open()
            status = lib.pmo_snapshot(self.ctx, address - self._base, size)
            if status:
                self.finish(status)

    def usable_size(self, oid: Any) -> int:
        """Bytes that the allocation at *oid* offers: at least what was asked for. O(1)."""
        offset = self._memory_offset(oid)
        with self.lock:
            size: int = lib.pmo_usable_size(self.ctx, offset)
            if size < 0:
                self.finish(size)
        return size

    def type_num(self, oid: Any) -> int:
        """The libpmemobj type number of the allocation at *oid*. O(1)."""
        offset = self._memory_offset(oid)
        with self.lock:
            number: int = lib.pmo_type_num(self.ctx, offset)
            if number < 0:
                self.finish(number)
        return number

    def _attend_open(self) -> None:
        self.attend_if_needed()
        if self.open_transaction is None:
            self.raise_unless_usable()
            raise NoTransactionError(
                "this needs an open transaction: use it inside 'with mm.transaction():'"
            )

    def _alloc(self, size: int, type_num: int, zero: bool) -> Oid:
        self._check_size(size)
        self._check_type_num(type_num)
        if not 0 <= type_num < 1 << 63 or type_num == lib.PMO_NUM_BODY:
            raise InvalidArgumentError(
                f"type_num {type_num}: it must be from 0 to 2**63 - 1, and {lib.PMO_NUM_BODY} is "
                "the containers' own"
            )
        out = ffi.new("uint64_t *")
        with self.lock:
            self._attend_open()
            status = lib.pmo_alloc(self.ctx, size, type_num, zero, out)
            if status:
                self.finish(status)
        return self.uuid_lo, int(out[0])

    def _realloc(self, oid: Any, size: int, type_num: int | None, zero: bool) -> Oid:
        self._check_size(size)
        if type_num is not None:
            self._check_type_num(type_num)
        offset = self._memory_offset(oid)
        out = ffi.new("uint64_t *")
        with self.lock:
            self._attend_open()
            if type_num is not None and self.type_num(oid) != type_num:
                raise InvalidArgumentError(
                    f"the memory has type number {self.type_num(oid)}, not {type_num}"
                )
            status = lib.pmo_realloc(self.ctx, offset, size, zero, out)
            if status:
                self.finish(status)
            self.forget_object(offset)
        return self.uuid_lo, int(out[0])

    def _check_type_num(self, type_num: int) -> None:
        if isinstance(type_num, bool) or not isinstance(type_num, int):
            raise InvalidTypeError(f"type_num must be an int, not {type(type_num).__name__}")

    def _check_size(self, size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int):
            raise InvalidTypeError(f"size must be an int (bytes), not {type(size).__name__}")
        if not 0 < size <= _MAX_SIZE:
            raise InvalidArgumentError(f"a size of {size:,} bytes; it must be from 1 on")

    def _check_immediate(self, oid: Oid) -> None:
        tag, number = oid
        if not 0 <= number < 1 << 64 or (tag < codecs.INT and number) or tag == _REF:
            raise InvalidOidError(f"{oid} is no oid that persist() gives")

    def _memory_offset(self, oid: Any) -> int:
        return self._valid_offset(self.otuple(oid))

    def _valid_offset(self, oid: Oid) -> int:
        uuid, offset = oid
        if oid == OID_NULL:
            raise InvalidOidError("OID_NULL, where memory is needed")
        if uuid != self.uuid_lo:
            raise InvalidOidError(
                f"the oid {oid} is not of this pool (pool_uuid_lo {self.uuid_lo:#x})"
            )
        if not 1 <= offset <= _MAX_SIZE:
            raise InvalidOidError(f"the oid {oid} has an impossible offset")
        if offset == 1:
            raise AbortedObjectError("the object of this oid no longer exists")
        return offset

    def _object_offset(self, oid: Any) -> int | None:
        oid = self.otuple(oid)
        if oid[0] in _IMMEDIATE and oid[0] != self.uuid_lo:
            self.require_open()
            self._check_immediate(oid)
            return None
        return self._valid_offset(oid)

    def _oid_for(self, encoded: Encoded) -> Oid:
        tag, number, data = encoded
        if tag == _REF:
            return self.uuid_lo, number
        if tag in _IMMEDIATE:
            self.require_open()
            return tag, number % (1 << 64)
        out = ffi.new("uint64_t *")
        with self.lock:
            self.attend_if_needed()
            status = lib.pmo_blob_new(self.ctx, tag, number, data, out)
            if status:
                self.finish(status)
        return self.uuid_lo, int(out[0])

    def require_open(self) -> None:
        """Raise if the pool is closed.

        Raises:
            PoolClosedError: it is.
        """
        if self.closed:
            raise PoolClosedError("the pool is closed; open it again")
        self.raise_unless_usable()
