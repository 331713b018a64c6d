"""MemoryManager: objects of one pool made, found again, counted and freed.

Above it are the containers, which it never names; below it the C core, which makes every
mutation one all-or-nothing step.
"""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from pmemobj import codecs
from pmemobj._native import failure, ffi, lib
from pmemobj.codecs.leaves import float_from_bits
from pmemobj.errors import (
    AbortedObjectError,
    DetachedObjectError,
    ForeignObjectError,
    InvalidArgumentError,
    InvalidOidError,
    InvalidTypeError,
    MissingClassError,
    NoTransactionError,
    PoolClosedError,
    PoolCorruptedError,
    UnstorableError,
)
from pmemobj.handles import HandleTable
from pmemobj.staging import Staging, bind_batch, bind_keys
from pmemobj.transaction import OpenTransaction, Transaction, TransactionKeeper
from pmemobj.typetable import TypeTable, register_builtin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pmemobj.codecs import Encoded, EncodedKey

__all__ = [
    "HEADER_SIZE",
    "OID_NULL",
    "POBJECT_TYPE_NUM",
    "MemoryManager",
    "Oid",
    "register_builtin",
]

T = TypeVar("T")
Oid = tuple[int, int]
"""(pool_uuid_lo, offset); an immediate value: (its tag, its number)."""

OID_NULL: Oid = (0, 0)
POBJECT_TYPE_NUM: int = lib.PMO_NUM_OBJECT
"""The libpmemobj type number of memory that starts with an object header."""
HEADER_SIZE = 16
"""Bytes at the start of a custom object that belong to the library."""

_ENCODERS = codecs.ENCODERS
_DERIVED_KEYS = codecs.DERIVED_KEYS
_REF = codecs.REF
_INT = codecs.INT
_FLOAT = codecs.FLOAT
_FIRST_PAYLOAD = codecs.FIRST_PAYLOAD_TAG
_IMMEDIATE = range(codecs.NONE, codecs.FLOAT + 1)
_READ = 4096
_MAX_SIZE = (1 << 63) - 1
_PLAIN = {lib.PMO_TYPE_TUPLE: tuple, lib.PMO_TYPE_FROZENSET: frozenset}


class _Pending:
    """A plain tuple or frozenset inside another one, not yet made."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Storing(Transaction):
    """The block in which staged values are stored; a transaction, if objects must be made.

    Made by MemoryManager.storing and its like.
    """

    __slots__ = ("_bind", "_keeps", "_kept", "_owner", "_staging")

    def __init__(
        self,
        mm: MemoryManager,
        staging: Staging,
        owner: Any,
        bind: Callable[[], Any],
        keeps: bool = False,
    ) -> None:
        """*bind* gives what the block gets; if *keeps*, and what must live as long."""
        super().__init__(mm)
        self._staging = staging
        self._owner = owner
        self._bind = bind
        self._keeps = keeps
        self._kept: Any = None

    def __enter__(self) -> Any:
        mm = self._mm
        if not self._staging.builds:
            mm.attend_if_needed(self._owner)
            return self._bound()
        self.begin()
        try:
            mm.attend_if_needed(self._owner)
            self._staging.build()
            return self._bound()
        except BaseException:
            self.abort()
            raise

    def _bound(self) -> Any:
        if not self._keeps:
            return self._bind()
        bound, self._kept = self._bind()
        return bound

    def _leave(self, kind: type[BaseException] | None) -> None:
        if self._staging.builds:
            super()._leave(kind)


class MemoryManager(TransactionKeeper):
    """The memory of one pool. Use ``pool.mm``; never make one.

    All methods are atomic: when the process dies inside one, it has happened or it has not.
    All may be called inside a transaction, and are then part of it. Object identifiers (oids)
    are tuples (pool_uuid_lo, offset).
    """

    def __init__(self, pool_ptr: Any, type_table: TypeTable | None = None) -> None:
        super().__init__()
        self.ctx = ffi.gc(pool_ptr, lib.pmo_release)
        self.closed = False
        self.forked = False
        self.value = ffi.new("pmo_value *")
        self.pickled_types: set[type] = set()
        self.allow_pickle = True
        self.handles = HandleTable(self._handle_died)
        self._burying = False
        self.custom = False
        """Are there classes in the pool that lay out their memory by themselves?"""
        try:
            info = ffi.new("pmo_pool_info *")
            status = lib.pmo_info(self.ctx, info)
            if status:
                raise failure(status, self.ctx)
            self.uuid_lo = int(info.uuid_lo)
            self.types = TypeTable(self) if type_table is None else type_table
        except BaseException:
            lib.pmo_abandon(self.ctx)  # or its release would call the pool clean
            raise
        self._base = int(ffi.cast("uintptr_t", lib.pmo_direct(self.ctx, 8192))) - 8192

    # -- the documented interface ------------------------------------------------------------

    def new(self, typ: type[T], *args: Any, **kw: Any) -> T:
        """Make an instance of *typ* in this pool: ``_p_new``, then ``__init__(*args, **kw)``.

        Durable on return, or when the outermost open transaction commits; it lives on after
        its handle only if it is reachable from the root by then. One transaction: if
        ``__init__`` raises, nothing is left.

        Raises:
            InvalidArgumentError: *typ* is no persistent class.
            PoolFullError: no room; nothing was written.
        """
        if not (isinstance(typ, type) and hasattr(typ, "_p_new")):
            raise InvalidArgumentError(
                f"{typ!r} is no persistent class: derive it from PersistentObject, or give it "
                "the Persistent interface (_p_new, _p_resurrect, ...)"
            )
        with self.transaction():
            obj: Any = typ.__new__(typ, *args, **kw)
            obj._p_new(self)
            if self.handles.get(obj._p_oid[1]) is not obj:
                self._enter_custom(obj)
            obj.__init__(*args, **kw)
        return obj  # type: ignore[no-any-return]

    def transaction(self) -> Transaction:
        """A context manager that makes its block one atomic change; see Transaction. O(1)."""
        return Transaction(self)

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
            self._forget_object(offset)

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
            MissingClassError: a custom class that is not defined.
            PoolCorruptedError: what lies there is damaged.
        """
        tag, number = oid = self.otuple(oid)
        if tag in _IMMEDIATE and tag != self.uuid_lo:
            self.require_open()
            if not 0 <= number < 1 << 64 or (tag < codecs.INT and number) or tag == _REF:
                raise InvalidOidError(f"{oid} is no oid that persist() gives")
            if tag == codecs.INT or tag == codecs.FLOAT:
                number = number - (1 << 64) if number >= 1 << 63 else number
            return self._leaf(tag, number, b"")
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
            InvalidOidError: not memory of this pool.
            PoolClosedError: the pool is closed.
        """
        offset = self._memory_offset(oid)
        with self.lock:
            address = lib.pmo_direct(self.ctx, offset)
        if address == ffi.NULL:
            self.raise_unless_usable()
            raise InvalidOidError(f"offset {offset:#x} lies outside of the pool")
        return int(ffi.cast("uintptr_t", address))

    # -- what custom classes need besides ----------------------------------------------------

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
            address = int(ffi.cast("uintptr_t", address))
        self._check_size(size)
        if address <= self._base:
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

    # -- operations of the containers ----------------------------------------------------------

    def attend(self, handle: Any = None) -> None:
        """Before an operation, if ``attention`` is set. Caller: holds the lock.

        Waits for other threads' transactions, refuses other tasks', releases the objects of
        dead handles. *handle*, if given, is about to change: inside an explicit transaction its
        read cache is off until the end, so that nobody sees what may be rolled back.
        """
        state = self.wait_turn()
        if state is None:
            self.attention = self.custom
            if self.custom and not self._burying and lib.pmo_tx_is_open(self.ctx):
                # Ctrl-C came when the core had just said that custom objects had died.
                self.unwind(0)
            self.settle_rest()
            if self.handles.dead or self.handles.undead:
                self.release_dead()
        elif handle is not None and id(handle) not in state.touched:
            state.touched[id(handle)] = handle
            handle._p_suspend()

    def finish(self, status: int, handle: Any = None) -> None:
        """Act on a nonzero status of the core.

        PMO_FOREIGN_DEAD: complete the operation: give the custom objects that died back, then
        commit. Anything negative is raised.
        """
        if status == lib.PMO_FOREIGN_DEAD:
            self._bury_foreign()
        elif status == lib.PMO_EPOISONED or (status == lib.PMO_EINVAL and handle is not None):
            self.raise_unless_usable()
            raise self._gone(handle)
        else:
            raise failure(status, self.ctx)

    def encode(self, value: Any) -> Encoded | None:
        """(tag, number, data) of a leaf or of a persistent object of this pool; None: convert it.

        Raises:
            ForeignObjectError: the object lives in another pool.
        """
        encoder = _ENCODERS.get(type(value), codecs.encode)
        try:
            encoded = encoder(value)
        except UnstorableError:
            return None  # staging names the place
        return encoded or self.encode_persistent(value)

    def encode_persistent(self, value: Any) -> Encoded | None:
        """The reference to a persistent object, or None for anything else."""
        oid = getattr(type(value), "_p_oid", None)
        if oid is None and "_p_oid" not in getattr(value, "__dict__", ()):
            return None
        mm = value._p_mm
        if mm is not self:
            if isinstance(mm, MemoryManager):
                mm.raise_unless_usable()
                raise ForeignObjectError(
                    f"this {type(value).__name__} lives in another pool; store a copy of it: "
                    "pmemobj.plain(x)"
                )
            raise DetachedObjectError(
                f"this {type(value).__name__} belongs to no pool: make it with "
                f"pool.new({type(value).__name__}, ...)"
            )
        return _REF, value._p_oid[1], b""

    def encode_key(self, value: Any) -> EncodedKey:
        """(tag, number, data, canon) of a key.

        Raises:
            TypeError: not hashable.
            UnstorableError: hashable, but nothing that can be a stored key.
        """
        derived = _DERIVED_KEYS.get(type(value))
        if derived is not None:
            return (*derived(value), b"")
        encoded = codecs.encode_key(value)
        return self.encode_special_key(value) if encoded is None else encoded

    def encode_special_key(self, value: Any) -> EncodedKey:
        """As encode_key, for keys without a codec: persistent objects, nominated types."""
        hash(value)
        persistent = self.encode_persistent(value)
        if persistent is not None:
            hashed: Any = type(value).__hash__
            if hashed is not object.__hash__:
                raise UnstorableError(
                    f"a persistent object is a key by its identity, but "
                    f"{type(value).__name__} defines __eq__ or __hash__"
                )
            return (*persistent, b"")
        if type(value) in self.pickled_types:
            return codecs.encode_pickle_key(value)
        raise UnstorableError(
            f"{type(value).__name__} cannot be stored; only immutable values and persistent "
            "objects that are compared by identity can be keys or set elements"
        )

    def decode(self, value: Any) -> Any:
        """The Python value for a filled ``pmo_value *``. Caller: holds the lock."""
        tag = value.tag
        if tag == _INT:
            return value.number
        if tag == _REF:
            return self.resurrect_offset(value.number, value.type)
        if tag >= _FIRST_PAYLOAD:
            number = value.number
            return self._leaf(tag, number, ffi.unpack(value.data, number) if number else b"")
        return self._leaf(tag, value.number, b"")

    def read_batch(self, batch: Any) -> list[Any]:
        """The Python values of a filled ``pmo_batch *``. Caller: holds the lock."""
        return self._read_batch(batch, self.resurrect_offset)

    def storing(self, value: Any, owner: Any, key: Any) -> Storing:
        """A context manager for a value that encode gave None for: its (tag, number, data).

        The value is checked completely before anything is touched; then, in one transaction
        with what the block does, its objects are made. Caller: holds the lock, by a with
        statement of its own.

        Args:
            value: what is to be stored.
            owner: the container, or None.
            key: its key or index there; for the path in errors.
        """
        staging = Staging(self, lambda _: self._place(owner, key))
        batch = staging.values([value])

        def bind() -> Encoded:
            staging.located(batch)
            return batch.tag, batch.numbers[0], batch.data

        return Storing(self, staging, owner, bind)

    def storing_many(self, values: list[Any], owner: Any, start: int) -> Storing:
        """As storing: a ``pmo_batch *`` of many values, for positions *start* on."""
        staging = Staging(self, lambda value: self._place(owner, start + _index_of(values, value)))
        batch = staging.values(values)
        return Storing(self, staging, owner, lambda: bind_batch(staging.located(batch)), True)

    def storing_pairs(self, pairs: Iterable[tuple[Any, Any]], owner: Any) -> Storing:
        """As storing: a ``pmo_keys *`` and a ``pmo_batch *`` of many key-value pairs."""
        keys, values = [], []
        for key, value in pairs:
            keys.append(key)
            values.append(value)
        staging = Staging(self, lambda v: self._place(owner, _key_of(keys, values, v)))
        key_batch, batch = staging.pairs(keys, values)

        def bind() -> tuple[tuple[Any, Any], Any]:
            bound_keys, kept_keys = bind_keys(key_batch)
            bound, kept = bind_batch(staging.located(batch))
            return (bound_keys, bound), (kept_keys, kept)

        return Storing(self, staging, owner, bind, True)

    def storing_keys(self, keys: list[Any], owner: Any) -> Storing:
        """As storing: a ``pmo_keys *`` of many keys or set elements."""
        staging = Staging(self, lambda _: self.name_of(owner))
        key_batch = staging.keys(keys)
        return Storing(self, staging, owner, lambda: bind_keys(key_batch), True)

    # -- handles ---------------------------------------------------------------------------------

    def create(self, handle: Any) -> None:
        """Make the empty stored object for a new handle of a container class."""
        with self.lock:
            self.attend_if_needed()
            out = ffi.new("uint64_t *")
            with self.transaction():
                status = lib.pmo_object_new(self.ctx, self.types.code_of(type(handle)), out)
                if status:
                    raise failure(status, self.ctx)
                handle._p_off = int(out[0])
                self.adopt(handle)

    def adopt(self, handle: Any) -> None:
        """Pin the object of *handle* and enter it in the identity table."""
        with self.lock:
            offset = handle._p_oid[1]
            status = lib.pmo_pin(self.ctx, offset)
            if status:
                self.finish(status, handle)
            self.handles.add(offset, handle)

    def _enter_custom(self, obj: Any) -> None:
        offset = self._valid_offset(self.otuple(obj._p_oid))
        with self.lock:
            status = lib.pmo_object_stamp(self.ctx, offset, self.types.code_of(type(obj)))
            if status:
                raise failure(status, self.ctx)
            self.adopt(obj)

    def resurrect_offset(self, offset: int, type_code: int | None = None) -> Any:
        """The live handle (or plain value) of the object at *offset*. Caller: holds the lock."""
        handle = self.handles.get(offset)
        if handle is not None:
            return handle
        if type_code is None:
            type_code = self._type_at(offset)
        if type_code in _PLAIN:
            return self._plain(offset)
        if type_code == lib.PMO_TYPE_BLOB:
            return self._blob(offset)
        cls: Any = self.types.class_of(type_code)
        handle = cls.__new__(cls)
        handle._p_resurrect(self, (self.uuid_lo, offset))
        if self.handles.get(offset) is not handle:
            self.adopt(handle)
        return handle

    def reclass(self, old: type, new: type, was_missing: bool) -> None:
        """Live instances of *old* become instances of *new*, a later definition of it."""
        for _, handle in self.handles.live():
            if type(handle) is old:
                try:
                    handle.__class__ = new
                except TypeError:  # another memory layout (__slots__): the handle stays as it was
                    continue
                if was_missing and hasattr(handle, "_v__init__"):
                    handle._v__init__()

    def settle(self, touched: list[Any]) -> None:
        """See TransactionKeeper.settle."""
        count = ffi.new("uint64_t *")
        created = lib.pmo_tx_created(self.ctx, count)
        for i in range(count[0]):
            self._forget_object(created[i])
        self.types.forget_undone()
        for handle in touched:
            handle._p_refresh()

    def release_dead(self) -> None:
        """Unpin the objects of handles that Python has dropped; frees those nothing refers to."""
        offsets = self.handles.take_dead()
        try:
            while offsets:
                status = lib.pmo_unpin(self.ctx, offsets[-1])
                if status == lib.PMO_EOTHERPOOL:
                    return  # when that transaction has ended
                offsets.pop()
                if status == lib.PMO_FOREIGN_DEAD:
                    self.finish(status)
        except BaseException:
            if self.open_transaction is None:
                self.unwind(0)
            raise
        finally:
            if offsets:
                self.handles.undead = offsets
                self.attention = True

    def drop_caches(self) -> None:
        """Let every handle ask the core next time: after close and fork that gives the error."""
        for _, handle in self.handles.live():
            if hasattr(handle, "_p_refresh"):
                handle._p_refresh()

    def close(self) -> int:
        """Close the pool in the core; gives its status. Waits for other threads' transactions."""
        with self.lock:
            state = self.wait_turn()
            self.closed = True
            status: int = lib.pmo_close(self.ctx)
            self._forget(state)
        return status

    def abandon(self) -> None:
        """Close without marking the pool as clean, and without any other write."""
        with self.lock:
            self.closed = True
            lib.pmo_abandon(self.ctx)
            self._forget(self.open_transaction)

    def close_at_exit(self) -> None:
        """Close, when the interpreter ends: whatever a thread is still doing, do not hang.

        A pool in which another thread has a transaction open, or is at work, for more than a
        second is left as it is; the next one to open it rolls that back.
        """
        if self.lock.acquire(timeout=1.0):
            try:
                state = self.open_transaction
                me = threading.get_ident()
                if state is not None and state.thread != me:
                    self._ended.wait_for(lambda: self.open_transaction is None, timeout=1.0)
                    state = self.open_transaction
                if state is None or state.thread == me:
                    self.closed = True
                    lib.pmo_close(self.ctx)
                    self._forget(state)
                    return
            finally:
                self.lock.release()
        ffi.gc(self.ctx, None)

    def forget_parent(self) -> None:
        """In a forked child: the pool is the parent's, and whoever held the lock is not here."""
        super().__init__()
        self.forked = True
        lib.pmo_leave_to_parent(self.ctx)
        self.drop_caches()

    def _forget(self, state: OpenTransaction | None) -> None:
        self.open_transaction = None
        self._ended.notify_all()
        self.drop_caches()
        if state is not None:
            for handle in state.touched.values():
                handle._p_refresh()

    # -- inner ------------------------------------------------------------------------------------

    def _handle_died(self, ref: Any) -> None:
        self.handles.dead.append(ref)
        self.attention = True

    def attend_if_needed(self, handle: Any = None) -> None:
        """Attend, if there is a reason. Caller: holds the lock."""
        if self.attention:
            self.attend(handle)

    def _attend_open(self) -> None:
        self.attend_if_needed()
        if self.open_transaction is None:
            self.raise_unless_usable()
            raise NoTransactionError(
                "this needs an open transaction: use it inside 'with mm.transaction():'"
            )

    def _gone(self, handle: Any) -> Exception:
        if handle is not None and handle._p_oid[1] == 0:
            return DetachedObjectError(
                f"this {type(handle).__name__} belongs to no pool: make it with "
                f"pool.new({type(handle).__name__}, ...)"
            )
        return failure(lib.PMO_EPOISONED, self.ctx)

    def _forget_object(self, offset: int) -> None:
        """The object at *offset* was freed, or was never made."""
        handle = self.handles.get(offset)
        self.handles.remove(offset)
        if handle is not None:
            self._poison(handle)

    def _poison(self, handle: Any) -> None:
        if hasattr(handle, "_p_poison"):
            handle._p_poison()
        else:
            handle._p_oid = (self.uuid_lo, 1)

    def _bury_foreign(self) -> None:
        if self._burying:
            return
        own = self.open_transaction is None
        self._burying = True
        try:
            if own:
                self.open_transaction = OpenTransaction()
                self.attention = True
            while True:
                offset = lib.pmo_next_dead(self.ctx)
                if offset == 0:
                    break
                self._bury_one(offset)
            status = self._end(lib.pmo_tx_commit) if own else 0
        except BaseException:
            if own:
                self.unwind(0)
            elif self.open_transaction is not None:
                self.open_transaction.doomed = True
                lib.pmo_tx_doom(self.ctx)
            raise
        finally:
            self._burying = False
        if status:
            raise failure(status, self.ctx)

    def _bury_one(self, offset: int) -> None:
        try:
            handle = self.resurrect_offset(offset)
        except MissingClassError:
            handle = None  # what it alone refers to waits for the next gc
        if hasattr(handle, "_p_deallocate"):
            handle._p_deallocate()
        status = lib.pmo_free(self.ctx, offset)
        if status:
            self.finish(status)
        self._forget_object(offset)
        del handle

    def _alloc(self, size: int, type_num: int, zero: bool) -> Oid:
        self._check_size(size)
        if isinstance(type_num, bool) or not isinstance(type_num, int):
            raise InvalidTypeError(f"type_num must be an int, not {type(type_num).__name__}")
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
            self._forget_object(offset)
        return self.uuid_lo, int(out[0])

    def _check_size(self, size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int):
            raise InvalidTypeError(f"size must be an int (bytes), not {type(size).__name__}")
        if not 0 < size <= _MAX_SIZE:
            raise InvalidArgumentError(f"a size of {size:,} bytes; it must be from 1 on")

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

    def _leaf(self, tag: int, number: int, payload: bytes) -> Any:
        if tag == _FLOAT:
            return float_from_bits(number)
        return codecs.decode(tag, number, payload, self.allow_pickle)

    def _type_at(self, offset: int) -> int:
        info = ffi.new("pmo_object_info *")
        status = lib.pmo_object_info_get(self.ctx, offset, info)
        if status:
            self.finish(status)
        return int(info.type)

    def _blob(self, offset: int) -> Any:
        value = ffi.new("pmo_value *")
        status = lib.pmo_blob_get(self.ctx, offset, value)
        if status:
            self.finish(status)
        return self.decode(value)

    def _read_batch(self, batch: Any, resolve: Callable[[int], Any]) -> list[Any]:
        count = batch.count
        if count == 0:
            return []
        tags = None
        # Copies: resolving a reference may read another run into the same memory.
        if batch.tags != ffi.NULL:
            tags = ffi.buffer(batch.tags, count)[:]
        numbers = ffi.buffer(batch.numbers, 8 * count)[:]
        data = ffi.buffer(batch.data, batch.data_length)[:] if batch.data_length else b""
        return codecs.decode_batch(
            count, batch.tag, tags, numbers, data, resolve, self.allow_pickle
        )

    def _elements(self, offset: int, resolve: Callable[[int], Any]) -> list[Any]:
        """All elements of the plain tuple or frozenset at *offset*."""
        batch = ffi.new("pmo_batch *")
        elements: list[Any] = []
        if self._type_at(offset) == lib.PMO_TYPE_TUPLE:
            length = lib.pmo_length(self.ctx, offset)
            while len(elements) < length:
                status = lib.pmo_sequence_read(self.ctx, offset, len(elements), _READ, batch)
                if status:
                    self.finish(status)
                elements += self._read_batch(batch, resolve)
            return elements
        start, following = 0, ffi.new("uint64_t *")
        while True:
            status = lib.pmo_table_read(
                self.ctx, offset, start, start + _READ, batch, ffi.NULL, following
            )
            if status:
                self.finish(status)
            if batch.count == 0 and following[0] <= start:
                return elements
            elements += self._read_batch(batch, resolve)
            start = following[0]

    def _shallow(self, offset: int) -> Any:
        handle = self.handles.get(offset)
        if handle is not None:
            return handle
        code = self._type_at(offset)
        return _Pending(offset) if code in _PLAIN else self.resurrect_offset(offset, code)

    def _plain(self, offset: int) -> Any:
        """The plain tuple or frozenset at *offset*, however deep others are nested in it."""
        made: dict[int, Any] = {}
        open_parts: dict[int, list[Any]] = {}
        work = [offset]
        while work:
            at = work[-1]
            if at in made:
                work.pop()
                continue
            if at not in open_parts:
                parts = open_parts[at] = self._elements(at, self._shallow)
                waiting = [p.offset for p in parts if type(p) is _Pending and p.offset not in made]
                if any(part in open_parts for part in waiting):
                    raise PoolCorruptedError("a stored tuple contains itself", offset=at)
                if waiting:
                    work += waiting
                    continue
            parts = [made[p.offset] if type(p) is _Pending else p for p in open_parts.pop(at)]
            made[at] = _PLAIN[self._type_at(at)](parts)
            work.pop()
        return made[offset]

    def name_of(self, owner: Any) -> str:
        """What an error message calls a container: ``root``, or its class."""
        if owner is None:
            return "value"
        value = ffi.new("pmo_value *")
        with self.lock:
            status = lib.pmo_root_get(self.ctx, value)
        is_root = status == 0 and value.tag == _REF and value.number == owner._p_oid[1]
        return "root" if is_root else f"<{type(owner).__name__}>"

    def _place(self, owner: Any, key: Any) -> str:
        name = self.name_of(owner)
        if owner is None or key is None:
            return name
        return name + (f".{key}" if hasattr(owner, "_v__init__") else f"[{key!r}]")

    def require_open(self) -> None:
        """Raise if the pool is closed.

        Raises:
            PoolClosedError: it is.
        """
        if self.closed:
            raise PoolClosedError("the pool is closed; open it again")
        self.raise_unless_usable()


def _index_of(values: list[Any], value: Any) -> int:
    return next(i for i, item in enumerate(values) if item is value)


def _key_of(keys: list[Any], values: list[Any], value: Any) -> Any:
    for key, item in zip(keys, values, strict=True):
        if item is value:
            return key
    return value
