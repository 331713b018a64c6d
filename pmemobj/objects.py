"""The objects of a pool: their handles, their classes, their life and death.

A handle is registered when it is made and poisoned when its object turns out not to exist. The
part of a memory manager below values.py.
"""

from __future__ import annotations

import threading
from types import BuiltinFunctionType
from typing import Any

from pmemobj._native import failure, ffi, lib
from pmemobj.errors import DetachedObjectError
from pmemobj.handles import HandleTable
from pmemobj.transaction import STEPWISE, OpenTransaction, TransactionKeeper
from pmemobj.typetable import TypeTable

__all__ = ["ObjectKeeper", "allocate"]


def allocate(cls: Any) -> Any:
    """An empty instance of *cls* for an object that is found again: not by its own ``__new__``.

    That may want arguments, and has run when the object was made.
    """
    own = getattr(cls, "_p_allocate", None)
    if own is not None:
        return own(cls)
    new = next(
        vars(base)["__new__"]
        for base in cls.__mro__
        if isinstance(vars(base).get("__new__"), BuiltinFunctionType)
    )
    return new(cls)


class ObjectKeeper(TransactionKeeper):
    """The part of a memory manager that knows which objects have a handle."""

    def __init__(self, pool_ptr: Any, type_table: TypeTable | None, allow_pickle: bool) -> None:
        super().__init__()
        self.allow_pickle = allow_pickle
        """Is the pool trusted: may its pickles be loaded, and modules that it names imported?"""
        self.ctx = ffi.gc(pool_ptr, lib.pmo_release)
        self.closed = False
        self.forked = False
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
            self.creator = int(info.created_by)
            """User id of who made the pool, or so it says."""
            self.types = TypeTable(self) if type_table is None else type_table
        except BaseException:
            lib.pmo_abandon(self.ctx)  # or its release would call the pool clean
            raise

    def resurrect_offset(self, offset: int, type_code: int | None = None) -> Any:
        """The live handle of the object at *offset* (see ValueKeeper)."""
        raise NotImplementedError

    def attend(self, handle: Any = None) -> None:
        """Before an operation, if ``attention`` is set. Caller: holds the lock.

        Waits for other threads' transactions, refuses other tasks', releases the objects of
        dead handles. *handle*, if given, is about to change: inside an explicit transaction its
        read cache is off until the end, so that nobody sees what may be rolled back.
        """
        state = self.wait_turn()
        if state is None:
            self.attention = self.custom or STEPWISE
            if self.custom and not self._burying and lib.pmo_tx_is_open(self.ctx):
                # Ctrl-C came when the core had just said that custom objects had died.
                self.unwind(0)
            self.settle_rest()
            if self.handles.dead or self.handles.undead:
                self.release_dead()
            return
        if state.gathered:
            self.store_gathered(state)
        if handle is not None and not state.implicit and id(handle) not in state.touched:
            state.touched[id(handle)] = handle
            handle._p_suspend(state.nothing)

    def attend_if_needed(self, handle: Any = None) -> None:
        """Attend, if there is a reason. Caller: holds the lock."""
        if self.attention:
            self.attend(handle)

    def finish(self, status: int, handle: Any = None) -> None:
        """Act on a nonzero status of the core.

        PMO_FOREIGN_DEAD: complete the operation: give the custom objects that died back, then
        commit. Anything negative is raised.
        """
        if status == lib.PMO_FOREIGN_DEAD:
            self._bury_foreign()
        elif status == lib.PMO_GROWN:
            return
        elif status == lib.PMO_EPOISONED or (status == lib.PMO_EINVAL and handle is not None):
            self.raise_unless_usable()
            raise self._gone(handle)
        else:
            raise failure(status, self.ctx)

    def settled(self, status: int, handle: Any) -> bool:
        """What a nonzero status means that the core gave to a caller without the lock.

        False: PMO_EBUSY, nothing was done, take the lock. Otherwise as finish.
        """
        if status == lib.PMO_EBUSY:
            return False
        with self.lock:
            self.finish(status, handle)
        return True

    def make(self, cls: type) -> int:
        """The offset of a new empty stored object of a container class."""
        out = ffi.new("uint64_t *")
        with self.lock:
            self.attend_if_needed()
            with self.transaction():
                status = lib.pmo_object_new(self.ctx, self.types.code_of(cls), out)
                if status:
                    raise failure(status, self.ctx)
        return int(out[0])

    def adopt(self, handle: Any) -> None:
        """Pin the object of *handle* and enter it in the identity table."""
        with self.lock:
            offset = handle._p_oid[1]
            status = lib.pmo_pin(self.ctx, offset)
            if status:
                self.finish(status, handle)
            self.handles.add(offset, handle)

    def enter_custom(self, obj: Any, offset: int) -> None:
        """Write the header of a new custom object, and adopt it."""
        with self.lock:
            status = lib.pmo_object_stamp(self.ctx, offset, self.types.code_of(type(obj)))
            if status:
                raise failure(status, self.ctx)
            self.adopt(obj)

    def reclass(self, old: type, new: type, was_missing: bool) -> None:
        """Live instances of *old* become instances of *new*, a later definition of it."""
        retired = False
        for offset, handle in self.handles.live():
            if type(handle) is old and not self._become(handle, offset, old, new, was_missing):
                retired = was_missing
        if retired:
            self.drop_caches()

    def _become(self, handle: Any, offset: int, old: type, new: type, was_missing: bool) -> bool:
        try:
            object.__setattr__(handle, "__class__", new)
        except TypeError:  # another memory layout (__slots__): the handle stays as it was
            if was_missing:
                self.handles.retire(offset)
            return False
        reclassed = getattr(handle, "_p_reclassed", None)
        if reclassed is not None:
            reclassed()
        if was_missing:
            if not hasattr(new, "_p_allocate"):
                return self._resurrect_custom(handle, offset, old)
            if hasattr(handle, "_v__init__"):
                handle._v__init__()
        return True

    def _resurrect_custom(self, handle: Any, offset: int, old: type) -> bool:
        vars(handle).clear()
        try:
            handle._p_resurrect(self, (self.uuid_lo, offset))
        except Exception:  # who reads the object next will see it
            object.__setattr__(handle, "__class__", old)
            handle._p_resurrect(self, (self.uuid_lo, offset))
            self.handles.retire(offset)
            return False
        return True

    def settle(self, touched: list[Any]) -> None:
        """See TransactionKeeper.settle."""
        count = ffi.new("uint64_t *")
        created = lib.pmo_tx_created(self.ctx, count)
        for i in range(count[0]):
            self.forget_object(created[i])
        self.types.forget_undone()
        for handle in touched:
            handle._p_refresh()

    def release_dead(self) -> None:
        """Unpin the objects of handles that Python has dropped; frees those nothing refers to."""
        dead = self.handles.take_dead()
        offsets = ffi.new("uint64_t[]", dead)
        done = ffi.new("uint64_t *")  # the core counts: an interruption must not release twice
        try:
            while done[0] < len(dead):
                status = lib.pmo_unpin_many(self.ctx, offsets, len(dead), done)
                if status == lib.PMO_EOTHERPOOL:
                    return  # when that transaction has ended
                if status == lib.PMO_FOREIGN_DEAD:
                    self.finish(status)
        except BaseException:
            if self.open_transaction is None:
                self.unwind(0)
            raise
        finally:
            if done[0] < len(dead):
                self.handles.undead += dead[done[0] :]
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
        if self.open_transaction is not None:
            self.drop_gathered(self.open_transaction)
        TransactionKeeper.__init__(self)
        self.forked = True
        lib.pmo_leave_to_parent(self.ctx)
        self.drop_caches()

    def _forget(self, state: OpenTransaction | None) -> None:
        self.open_transaction = self.uncached = None
        self._ended.notify_all()
        self.drop_caches()
        if state is not None:
            self.drop_gathered(state)
            for handle in state.touched.values():
                handle._p_refresh()

    def _handle_died(self, ref: Any) -> None:
        self.handles.dead.append(ref)
        self.attention = True

    def _gone(self, handle: Any) -> Exception:
        if handle is not None and handle._p_oid[1] == 0:
            return DetachedObjectError(
                f"this {type(handle).__name__} belongs to no pool: make it with "
                f"pool.new({type(handle).__name__}, ...)"
            )
        return failure(lib.PMO_EPOISONED, self.ctx)

    def forget_object(self, offset: int) -> None:
        """The object at *offset* was freed, or was never made."""
        for handle in self.handles.remove(offset):
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
            status = lib.PMO_FOREIGN_DEAD
            while status == lib.PMO_FOREIGN_DEAD:
                if own:
                    self.open_transaction = OpenTransaction()
                    self.attention = True
                while offset := lib.pmo_next_dead(self.ctx):
                    self._bury_one(offset)
                status = self._end(lib.pmo_tx_commit) if own else 0
        except BaseException:
            if own:
                self.unwind(0)
            else:
                self.doom()
            raise
        finally:
            self._burying = False
        if status:
            raise failure(status, self.ctx)

    def _bury_one(self, offset: int) -> None:
        handle = self.resurrect_offset(offset)
        # Without its class, what it alone refers to waits for the next gc.
        if hasattr(handle, "_p_deallocate"):
            handle._p_deallocate()
        status = lib.pmo_free(self.ctx, offset)
        if status:
            self.finish(status)
        self.forget_object(offset)
        del handle
