"""The objects of a pool: their handles, their classes, their life and death.

A handle is registered when it is made and poisoned when its object turns out not to exist. The
part of a memory manager below values.py.
"""

from __future__ import annotations

from pmemobj._native import failure, ffi, lib
from pmemobj.errors import DetachedObjectError
from pmemobj.handles import HandleTable
from pmemobj.light import BuiltinFunctionType, get_ident
from pmemobj.transaction import STEPWISE, OpenTransaction, TransactionKeeper
from pmemobj.typetable import TypeTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


class Release:
    """Pins that are being released. The core counts: an interruption releases none twice.

    When an object of a custom class dies, Python code runs in between, which may free objects
    whose pins are still to be released; their memory is another object's then.
    """

    def __init__(self, offsets: list[int]) -> None:
        self._count = len(offsets)
        self._offsets = ffi.new("uint64_t[]", offsets)
        self._done = ffi.new("uint64_t *")
        self._places: dict[int, list[int]] | None = None

    def step(self, ctx: Any) -> int:
        """Go on to the next object that Python code has to bury, or to the end."""
        return int(lib.pmo_unpin_many(ctx, self._offsets, self._count, self._done))

    def done(self) -> bool:
        """Is none left?"""
        return bool(self._done[0] == self._count)

    def left(self) -> list[int]:
        """Offsets that are still to be unpinned."""
        if self.done():
            return []
        rest = ffi.unpack(self._offsets + self._done[0], self._count - self._done[0])
        return [offset for offset in rest if offset]

    def forget(self, offset: int) -> None:
        """The object at *offset* is no more, and nor are its pins."""
        if self._places is None:
            self._places = {}
            for place in range(self._done[0], self._count):
                self._places.setdefault(self._offsets[place], []).append(place)
        for place in self._places.pop(offset, ()):
            self._offsets[place] = 0


class ObjectKeeper(TransactionKeeper):
    """The part of a memory manager that knows which objects have a handle."""

    def __init__(self, pool_ptr: Any, type_table: TypeTable | None, allow_pickle: bool) -> None:
        super().__init__()
        self.allow_pickle = allow_pickle
        """Is the pool trusted: may its pickles be loaded, and modules that it names imported?"""
        self.ctx = ffi.gc(pool_ptr, lib.pmo_release)
        self.closed = False
        self.forked = False
        self.handles = HandleTable()
        self._burying = False
        self._releases: list[Release] = []
        self.custom = False
        """Are there classes in the pool that lay out their memory by themselves?"""
        self._attend_when_due()
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
            self._attend_when_due()
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
        release = Release(self.handles.take_dead())
        self._releases.append(release)
        try:
            while not release.done():
                status = release.step(self.ctx)
                if status == lib.PMO_EOTHERPOOL:
                    return  # when that transaction has ended
                if status == lib.PMO_FOREIGN_DEAD:
                    self.finish(status)
        except BaseException:
            if self.open_transaction is None:
                self.unwind(0)
            raise
        finally:
            self._releases.remove(release)
            if left := release.left():
                self.handles.undead += left
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
                me = get_ident()
                if state is not None and state.thread != me:
                    self.endings().wait_for(lambda: self.open_transaction is None, timeout=1.0)
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
        self.tell_ended()
        self.drop_caches()
        if state is not None:
            self.drop_gathered(state)
            for handle in state.touched.values():
                handle._p_refresh()

    def _attend_when_due(self) -> None:
        """From now on ``attention`` is set as soon as a handle dies: it is the list of these."""
        self.attention = self.custom or STEPWISE or self.handles.dead

    def _gone(self, handle: Any) -> Exception:
        if handle is not None and handle._p_oid[1] == 0:
            return DetachedObjectError(
                f"this {type(handle).__name__} belongs to no pool: make it with "
                f"pool.new({type(handle).__name__}, ...)"
            )
        return failure(lib.PMO_EPOISONED, self.ctx)

    def forget_object(self, offset: int) -> None:
        """The object at *offset* was freed, or was never made."""
        for release in self._releases:
            release.forget(offset)
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
