"""Transactions: who has one open, how nested ones join it, and how it ends.

The engine's transaction lives in the C core; here are its rules. It belongs to the thread
that began it (which holds the manager's lock until the end), and to the asyncio task, if
there is one. A nested transaction joins the outer one; when a nested block fails, the outer
one can only be rolled back.
"""

from __future__ import annotations

import os
import sys

from pmemobj._native import failure, lib
from pmemobj.awaits import AwaitWatch, current_task
from pmemobj.errors import (
    InvalidTypeError,
    NoTransactionError,
    PoolClosedError,
    TransactionAbortedError,
    TransactionOwnerError,
)
from pmemobj.light import RLock, get_ident, partial, thread_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition
    from types import TracebackType
    from typing import Any, NoReturn


__all__ = ["NoCache", "OpenTransaction", "Transaction", "TransactionKeeper"]


STEPWISE = sys.version_info < (3, 11)
"""May another thread, or a signal handler, come between any two byte codes, not only at calls?

Then every operation takes the lock.
"""


_process = os.getpid()
"""This process, or in a forked child's very first moments still its parent."""


def _note_process() -> None:
    global _process
    _process = os.getpid()


os.register_at_fork(after_in_child=_note_process)


class _ThreadEnd:
    """Lives in a thread's local storage, so that it dies in that thread, with it.

    A forked child loses the other threads' storage, before anything else happens in it:
    nobody will ever give back the locks that they hold there.
    """

    __slots__ = ("keeper",)

    def __init__(self) -> None:
        self.keeper: TransactionKeeper | None = None

    def __del__(self) -> None:
        if self.keeper is not None and os.getpid() == _process:
            self.keeper.thread_ends()


class _Here(thread_local):
    def __init__(self) -> None:
        self.end = _ThreadEnd()


_here = _Here()


class NoCache(dict):  # type: ignore[type-arg]
    """The read cache of all handles that an open transaction has changed: it keeps nothing."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class Gathering(NoCache):
    """The cache of a handle whose changes are gathered, to be given to the core together.

    So that nobody can tell: whatever else is done in the transaction makes the manager ``store``
    them first, as it has to attend to everything that is no such change.
    """

    __slots__ = ()

    def store(self, mm: TransactionKeeper) -> None:
        """Give the changes to the core, and gather no more. The caller holds the lock."""
        raise NotImplementedError

    def drop(self) -> None:
        """Forget the changes, and gather no more."""
        raise NotImplementedError


class OpenTransaction:
    """The state of the one transaction that a manager has open."""

    __slots__ = (
        "depth",
        "doomed",
        "gathered",
        "implicit",
        "left_at",
        "nothing",
        "task",
        "thread",
        "touched",
    )

    def __init__(self) -> None:
        self.depth = 1
        self.doomed = False
        self.left_at: int | None = None
        """Another thread has left the block at this depth: its own thread is to roll it back."""
        self.implicit = False
        """One operation's own: caches stay on, they never hold what it may roll back."""
        self.thread = get_ident()
        self.task = current_task()
        self.nothing = NoCache()
        """The cache of those handles."""
        self.touched: dict[int, Any] = {}
        """id -> handle: those whose read caches are off until the end."""
        self.gathered: dict[int, Gathering] = {}
        """id -> changes that were not given to the core yet."""

    def check_owner(self) -> None:
        """Raise unless the caller is in the task that began the transaction.

        The thread needs no check: another one waits for the lock. A transaction begun
        outside of any task, or by a task that has ended, belongs to the whole thread.
        """
        task = self.task
        if task is None or task is current_task():
            return
        if task.done():
            self.task = None
            return
        raise TransactionOwnerError(
            f"the asyncio task {task.get_name()!r} of this thread has a transaction open on "
            "this pool; do not await inside a transaction, or await that task first"
        )


class _Block:
    """Lives as long as a with statement is inside its block, or in its end.

    Ctrl-C may arrive just when the statement calls ``__exit__``, before that does anything:
    then it is this object's death that tells. No traceback can keep it alive, as only the
    statement itself refers to it.
    """

    __slots__ = ("_count", "_thread", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._count = len(transaction._outer)
        self._thread = get_ident()
        self._transaction: Transaction | None = transaction

    def __del__(self) -> None:
        transaction = getattr(self, "_transaction", None)  # None: interrupted in __init__
        if transaction is not None:
            transaction._left(self._count, self._thread)


class _Exit:
    """The ``__exit__`` of a transaction; a with statement gets it bound, with a _Block."""

    def __get__(self, transaction: Transaction | None, owner: type) -> Any:
        if transaction is None:
            return self
        leave = partial(self, transaction)
        leave.block = _Block(transaction)  # type: ignore[attr-defined]
        return leave

    def __call__(
        self,
        transaction: Transaction,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        transaction._leave(kind)


class Transaction:
    """A transaction on one pool, made by ``pool.transaction()``.

    As a context manager it commits at the normal end of the block and rolls back when an
    exception leaves it (KeyboardInterrupt too). ``begin``, ``commit`` and ``abort`` do the
    same by hand. It can be used again after its end.

    Durable (per the pool's durability) when the outermost one has committed; until then a
    crash leaves the state before it. Only persistent objects are rolled back, not ordinary
    Python objects.
    """

    __slots__ = ("_mm", "_outer")

    def __init__(self, mm: TransactionKeeper) -> None:
        self._mm = mm
        self._outer: list[int] = []  # for each begin, how many transactions were open around it

    def begin(self) -> None:
        """Open the transaction, or join the one this thread has open.

        Waits while another thread has one open.

        Raises:
            TransactionOwnerError: another asyncio task of this thread has one open.
            OtherPoolTransactionError: this thread has one open on another pool.
            PoolClosedError: the pool is closed.
        """
        mm = self._mm
        depth = mm.transaction_depth()
        try:
            mm.begin()
            self._outer.append(depth)
        except BaseException:
            # Ctrl-C may arrive between any two steps: nothing may stay open behind it.
            mm.unwind(depth)
            raise

    def commit(self) -> None:
        """Make all changes since ``begin`` permanent, if this is the outermost one.

        Raises:
            TransactionAbortedError: a nested transaction or an operation in it had failed;
                everything was rolled back.
            NoTransactionError: it was not begun.
        """
        self._end(self._mm.commit)

    def abort(self) -> None:
        """Roll back. In a nested transaction, the outer one can then only be rolled back.

        Raises:
            NoTransactionError: it was not begun.
        """
        self._end(self._mm.abort)

    def _end(self, end: Callable[[], None]) -> None:
        if not self._outer:
            raise NoTransactionError("this transaction was not begun, or has ended already")
        if self._mm.closed:
            self._outer.clear()
            raise PoolClosedError(
                "the pool was closed inside this transaction, which was rolled back"
            )
        self._mm.check_ending()
        depth = self._outer[-1]
        try:
            self._outer.pop()
            end()
        except BaseException:
            self._mm.unwind(depth, failed=True)
            raise

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise InvalidTypeError(
            "a transaction cannot be copied or pickled; pmemobj.plain(x) copies what is in a pool"
        )

    def __enter__(self) -> Transaction:
        self.begin()
        return self

    __exit__ = _Exit()

    def _leave(self, kind: type[BaseException] | None) -> None:
        if kind is None:
            self.commit()
            return
        try:
            self.abort()
        except (PoolClosedError, NoTransactionError):
            return  # rolled back already; the block's own exception tells more

    def _left(self, count: int, thread: int) -> None:
        """No block is inside any more but *count*: roll back those that were not ended.

        *thread* began them. Where it is another one, a generator was finished there.
        """
        if len(self._outer) > count:
            depth = self._outer[count]
            del self._outer[count:]
            if self._mm.closed:
                return
            if thread == get_ident():
                self._mm.unwind(depth, failed=True)
            else:
                self._mm.leave_to(thread, depth)


class TransactionKeeper:
    """The part of a memory manager that begins and ends transactions.

    ``lock`` guards every call into the core. While a transaction is open, ``attention`` is
    set, and whoever takes the lock calls ``wait_turn``, which lets only its owner pass.
    """

    ctx: Any
    closed: bool

    def __init__(self) -> None:
        self.lock = RLock()
        self.attention: object = STEPWISE
        self.uncached: NoCache | None = None
        """Handles with this cache need no attention, though a transaction is open."""
        self.open_transaction: OpenTransaction | None = None
        self._unsettled: list[Any] | None = None
        self._ended: Condition | None = None
        """Of other threads' transactions; there is one as soon as somebody waits."""
        self._awaits = AwaitWatch(self)

    def transaction(self) -> Transaction:
        """A context manager that makes its block one atomic change; see Transaction. O(1)."""
        return Transaction(self)

    def wait_turn(self) -> OpenTransaction | None:
        """Wait until no other thread has a transaction open; gives this thread's own, if any.

        The caller holds the lock; it is given up while waiting.
        """
        state = self.open_transaction
        me = get_ident()
        while state is not None and state.thread != me:
            self.endings().wait()
            state = self.open_transaction
        if state is not None and state.left_at is not None:
            self.unwind(state.left_at, failed=True)
            state = self.open_transaction
        if state is not None:
            state.check_owner()
        return state

    def endings(self) -> Condition:
        """What tells those who wait that a transaction has ended. Caller: holds the lock."""
        if self._ended is None:
            from threading import Condition

            self._ended = Condition(self.lock)
        return self._ended

    def tell_ended(self) -> None:
        """Wake those who wait. Caller: holds the lock."""
        if self._ended is not None:
            self._ended.notify_all()

    def leave_to(self, thread: int, depth: int) -> None:
        """Let *thread* roll its transaction back to *depth*, when it next uses the pool.

        libpmemobj ends a transaction only in the thread that began it.
        """
        with self.lock:
            state = self.open_transaction
            if state is not None and state.thread == thread:
                state.left_at = depth if state.left_at is None else min(depth, state.left_at)

    def transaction_depth(self) -> int:
        """How many nested transactions this thread has open on this pool."""
        state = self.open_transaction
        return state.depth if state is not None and state.thread == get_ident() else 0

    def doom(self) -> None:
        """The open transaction can only be rolled back. Caller: holds the lock."""
        state = self.open_transaction
        if state is not None:
            state.doomed = True
            self.drop_gathered(state)
            lib.pmo_tx_doom(self.ctx)

    def store_gathered(self, state: OpenTransaction) -> None:
        """Give the core the changes that it does not know of yet. Caller: holds the lock."""
        while state.gathered:
            for gathering in tuple(state.gathered.values()):
                gathering.store(self)
                state.gathered.pop(id(gathering), None)

    def drop_gathered(self, state: OpenTransaction) -> None:
        """Forget those changes: they are to be rolled back."""
        while state.gathered:
            state.gathered.popitem()[1].drop()

    def begin(self) -> None:
        """See Transaction.begin."""
        with self.lock:
            state = self.wait_turn()
            if state is not None:
                state.depth += 1
                return
            if self.attention:
                self.attend()
            status = lib.pmo_tx_begin(self.ctx)
            if status:
                raise failure(status, self.ctx)
            try:
                self.open_transaction = state = OpenTransaction()
                self.attention = True
                self.uncached = None if STEPWISE or state.task is not None else state.nothing
                _here.end.keeper = self
                if state.task is not None:
                    self._awaits.begun(state.task)
            except BaseException:
                lib.pmo_tx_abort(self.ctx)
                raise

    def task_inside(self) -> Any:
        """The task whose transaction is open in this thread, or None."""
        state = self.open_transaction
        return state.task if state is not None and state.thread == get_ident() else None

    def unwind(self, depth: int, failed: bool = False) -> None:
        """Back to *depth* nested transactions, where an exception interrupted begin or an end.

        *failed*: it was an end; the transaction around it can then only be rolled back.
        """
        with self.lock:
            state = self.open_transaction
            if state is not None and state.thread == get_ident():
                if depth == 0:
                    self._end(lib.pmo_tx_abort)
                elif state.depth > depth:
                    state.left_at = None
                    state.depth = depth
                    if failed:
                        self.doom()
            elif state is None and lib.pmo_tx_is_open(self.ctx):
                lib.pmo_tx_abort(self.ctx)

    def commit(self) -> None:
        """See Transaction.commit."""
        with self.lock:
            state = self.check_ending()
            if state.depth > 1:
                state.depth -= 1
                if state.doomed:
                    raise TransactionAbortedError(
                        "an inner transaction failed, so the whole transaction is rolled back"
                    )
                return
            self.store_gathered(state)
            status = self._end(lib.pmo_tx_commit)
            if status:
                self.finish(status)

    def abort(self) -> None:
        """See Transaction.abort."""
        with self.lock:
            state = self.check_ending()
            if state.depth > 1:
                self.doom()
                state.depth -= 1
                return
            status = self._end(lib.pmo_tx_abort)
        if status:
            raise failure(status, self.ctx)

    def check_ending(self) -> OpenTransaction:
        """The open transaction, if the caller may end it.

        Raises:
            NoTransactionError: none is open.
            TransactionOwnerError: another thread or asyncio task began it.
            PoolClosedError, PoolForkedError: the pool cannot be used any more.
        """
        state = self.open_transaction
        if state is None:
            self.raise_unless_usable()
            raise NoTransactionError("no transaction is open on this pool")
        if state.thread != get_ident():
            raise TransactionOwnerError("another thread has this pool's transaction open")
        if state.left_at:
            self.unwind(state.left_at, failed=True)
        state.check_owner()
        return state

    def _end(self, finish: Any) -> int:
        """Call the core's commit or abort and put the volatile side right. Holds the lock."""
        state = self.open_transaction
        status: int = 0
        self._unsettled = list(state.touched.values()) if state is not None else []
        try:
            if state is not None:
                self.drop_gathered(state)
            status = finish(self.ctx)
        finally:
            # Interrupted before the core's call, or refused by it: nothing is kept.
            if status != lib.PMO_FOREIGN_DEAD and lib.pmo_tx_is_open(self.ctx):
                lib.pmo_tx_abort(self.ctx)
            self.open_transaction = self.uncached = None
            _here.end.keeper = None
            self.tell_ended()
            self.settle_rest()
        return status

    def settle_rest(self) -> None:
        """Settle the transaction that has ended, unless that was done. Holds the lock."""
        touched = self._unsettled
        if touched is not None:
            self.settle(touched)
            self._unsettled = None  # only now: an exception on the way means once more

    def thread_ends(self) -> None:
        """The calling thread is about to end and has left a transaction open: roll it back."""
        with self.lock:
            state = self.open_transaction
            if state is None or state.thread != get_ident():
                return
            self._end(lib.pmo_tx_abort)
        import warnings

        # Not logged: a log record asks for the current thread, which threading has forgotten.
        warnings.warn(
            "a thread has ended with a transaction open, which was rolled back",
            RuntimeWarning,
            stacklevel=3,
        )

    def raise_unless_usable(self) -> None:
        """Raise if the pool is closed, or belongs to the process that this one forked from.

        Raises:
            PoolClosedError, PoolForkedError: as the names say.
        """
        with self.lock:
            status: int = lib.pmo_type_count(self.ctx)
        if status < 0:
            raise failure(status, self.ctx)

    def settle(self, touched: list[Any]) -> None:
        """A transaction has ended: poison what it made if it was rolled back, caches on again."""
        raise NotImplementedError

    def attend(self, handle: Any = None) -> None:
        """Do what must be done before the next operation (see MemoryManager.attend)."""
        raise NotImplementedError

    def finish(self, status: int, handle: Any = None) -> None:
        """Act on a nonzero status of the core (see ObjectKeeper.finish)."""
        raise NotImplementedError
