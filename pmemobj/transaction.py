"""Transactions: who has one open, how nested ones join it, and how it ends.

The engine's transaction lives in the C core; here are its rules. It belongs to the thread
that began it (which holds the manager's lock until the end), and to the asyncio task, if
there is one. A nested transaction joins the outer one; when a nested block fails, the outer
one can only be rolled back.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from pmemobj._native import failure, lib
from pmemobj.errors import (
    NoTransactionError,
    PoolClosedError,
    TransactionAbortedError,
    TransactionOwnerError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from pmemobj.manager import MemoryManager

__all__ = ["OpenTransaction", "Transaction"]


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class OpenTransaction:
    """The state of the one transaction that a manager has open."""

    __slots__ = ("depth", "doomed", "task", "thread", "touched")

    def __init__(self) -> None:
        self.depth = 1
        self.doomed = False
        self.thread = threading.get_ident()
        self.task = _current_task()
        self.touched: dict[int, Any] = {}
        """id -> handle: those whose read caches are off until the end."""

    def check_owner(self) -> None:
        """Raise unless the caller is in the task that began the transaction.

        The thread needs no check: another one waits for the lock. A transaction begun
        outside of any task, or by a task that has ended, belongs to the whole thread.
        """
        task = self.task
        if task is None or task is _current_task():
            return
        if task.done():
            self.task = None
            return
        raise TransactionOwnerError(
            f"the asyncio task {task.get_name()!r} of this thread has a transaction open on "
            "this pool; do not await inside a transaction, or await that task first"
        )


class Transaction:
    """A transaction on one pool, made by ``pool.transaction()``.

    As a context manager it commits at the normal end of the block and rolls back when an
    exception leaves it (KeyboardInterrupt too). ``begin``, ``commit`` and ``abort`` do the
    same by hand. It can be used again after its end.

    Durable (per the pool's durability) when the outermost one has committed; until then a
    crash leaves the state before it. Only persistent objects are rolled back, not ordinary
    Python objects.
    """

    __slots__ = ("_begun", "_mm")

    def __init__(self, mm: MemoryManager) -> None:
        self._mm = mm
        self._begun = 0

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
            self._begun += 1
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
        self._ending()
        self._mm.commit()

    def abort(self) -> None:
        """Roll back. In a nested transaction, the outer one can then only be rolled back.

        Raises:
            NoTransactionError: it was not begun.
        """
        self._ending()
        self._mm.abort()

    def _ending(self) -> None:
        if self._begun == 0:
            raise NoTransactionError("this transaction was not begun, or has ended already")
        if self._mm.closed:
            self._begun = 0
            raise PoolClosedError(
                "the pool was closed inside this transaction, which was rolled back"
            )
        self._mm.check_ending()
        self._begun -= 1

    def __enter__(self) -> Transaction:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.commit()
            return
        try:
            self.abort()
        except (PoolClosedError, NoTransactionError):
            return  # rolled back already; the block's own exception tells more


class TransactionKeeper:
    """The part of a memory manager that begins and ends transactions.

    ``lock`` guards every call into the core. While a transaction is open, ``attention`` is
    set, and whoever takes the lock calls ``wait_turn``, which lets only its owner pass.
    """

    ctx: Any
    closed: bool

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.attention = False
        self.open_transaction: OpenTransaction | None = None
        self._ended = threading.Condition(self.lock)

    def wait_turn(self) -> OpenTransaction | None:
        """Wait until no other thread has a transaction open; gives this thread's own, if any.

        The caller holds the lock; it is given up while waiting.
        """
        state = self.open_transaction
        me = threading.get_ident()
        while state is not None and state.thread != me:
            self._ended.wait()
            state = self.open_transaction
        if state is not None:
            state.check_owner()
        return state

    def transaction_depth(self) -> int:
        """How many nested transactions this thread has open on this pool."""
        state = self.open_transaction
        return state.depth if state is not None and state.thread == threading.get_ident() else 0

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
                self.open_transaction = OpenTransaction()
                self.attention = True
            except BaseException:
                lib.pmo_tx_abort(self.ctx)
                raise

    def unwind(self, depth: int) -> None:
        """Undo a begin that an exception interrupted: back to *depth* nested transactions."""
        with self.lock:
            state = self.open_transaction
            if state is not None and state.thread == threading.get_ident():
                if depth > 0:
                    state.depth = depth
                elif state.depth > depth:
                    self._end(lib.pmo_tx_abort)
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
            status = self._end(lib.pmo_tx_commit)
        if status:
            raise failure(status, self.ctx)

    def abort(self) -> None:
        """See Transaction.abort."""
        with self.lock:
            state = self.check_ending()
            if state.depth > 1:
                state.doomed = True
                lib.pmo_tx_doom(self.ctx)
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
        """
        state = self.open_transaction
        if state is None:
            raise NoTransactionError("no transaction is open on this pool")
        if state.thread != threading.get_ident():
            raise TransactionOwnerError("another thread has this pool's transaction open")
        state.check_owner()
        return state

    def _end(self, finish: Any) -> int:
        """Call the core's commit or abort and put the volatile side right. Holds the lock."""
        state = self.open_transaction
        status = 0
        try:
            status = finish(self.ctx)
        finally:
            # Interrupted before the core's call, or refused by it: nothing is kept.
            if lib.pmo_tx_is_open(self.ctx):
                lib.pmo_tx_abort(self.ctx)
            self.open_transaction = None
            self._ended.notify_all()
            self.settle(list(state.touched.values()) if state is not None else [])
        return status

    def settle(self, touched: list[Any]) -> None:
        """A transaction has ended: poison what it made if it was rolled back, caches on again."""
        raise NotImplementedError

    def attend(self, handle: Any = None) -> None:
        """Do what must be done before the next operation (see MemoryManager.attend)."""
        raise NotImplementedError
