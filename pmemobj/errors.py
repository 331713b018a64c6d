"""Every exception of this library; each keeps the builtin parent that a caller would expect.

Imports nothing, so that every layer can raise any of them.
"""

from __future__ import annotations

__all__ = [
    "AbortedObjectError",
    "DetachedObjectError",
    "ForeignObjectError",
    "InvalidArgumentError",
    "InvalidOidError",
    "InvalidTypeError",
    "LayoutError",
    "MissingAttributeError",
    "MissingClassError",
    "NoTransactionError",
    "NotAPoolError",
    "OtherPoolTransactionError",
    "PmemobjError",
    "PoolClosedError",
    "PoolCorruptedError",
    "PoolError",
    "PoolExistsError",
    "PoolForkedError",
    "PoolFullError",
    "PoolLockedError",
    "PoolNotFoundError",
    "PoolPermissionError",
    "PoolSizeError",
    "PoolSystemError",
    "TransactionAbortedError",
    "TransactionError",
    "TransactionOwnerError",
    "UnstorableError",
    "WorkspaceNameError",
    "WorkspaceRootError",
]


class PmemobjError(Exception):
    """The parent of every error that pmemobj raises by itself."""


class PoolError(PmemobjError):
    """Something about a pool as a whole: its file, its state, its room."""


class PoolExistsError(PoolError, FileExistsError):
    """A pool was to be created where something already exists; nothing was touched."""


class PoolNotFoundError(PoolError, FileNotFoundError):
    """There is no file or directory of that name, or no directory to create it in."""


class PoolPermissionError(PoolError, PermissionError):
    """The operating system does not let this user read and write the pool."""


class NotAPoolError(PoolError, OSError):
    """The file or directory exists but is no pmemobj pool, or is a truncated one."""


class LayoutError(PoolError, OSError):
    """A libpmemobj pool of another program, or of a newer layout version."""


class PoolSizeError(PoolError, OSError, ValueError):
    """A pool of that size cannot be made: smaller than MIN_POOL_SIZE, or absurdly large."""


class PoolLockedError(PoolError, BlockingIOError):
    """Another process holds the pool; a pool has one user at a time.

    Attributes:
        pid: the holder's process id, or None where it cannot be found out.
        kernel: True if that process is a Jupyter kernel.
        command: its command line, or None.
        notebook: the notebook that the kernel belongs to, where Jupyter tells, or None.
    """

    def __init__(
        self,
        *args: object,
        pid: int | None = None,
        kernel: bool = False,
        command: str | None = None,
        notebook: str | None = None,
    ) -> None:
        super().__init__(*args)
        self.notebook = notebook
        self.pid = pid
        self.kernel = kernel
        self.command = command


class PoolFullError(PoolError, MemoryError):
    """The pool has no room; nothing was written.

    Attributes:
        requested: bytes asked for.
        free: bytes free then, in many pieces.
        largest: bytes of the largest piece; a container that grows needs one for its new
            storage before the old one is free.
    """

    def __init__(self, *args: object, requested: int = 0, free: int = 0, largest: int = 0) -> None:
        super().__init__(*args)
        self.requested = requested
        self.free = free
        self.largest = largest


class PoolClosedError(PoolError, ValueError):
    """The pool, or the pool of this object, has been closed."""


class PoolForkedError(PoolClosedError):
    """The pool was opened by a parent process; a forked child may not use it."""


class PoolCorruptedError(PoolError, OSError):
    """The pool's bytes make no sense; no value was made of them.

    Attributes:
        offset: where in the pool the damage was found, or None.
        snapshot: path of the pool's newest snapshot that verifies, when it was looked for
            (a pool that cannot be opened), or None.
    """

    def __init__(
        self, *args: object, offset: int | None = None, snapshot: str | None = None
    ) -> None:
        super().__init__(*args)
        self.offset = offset
        self.snapshot = snapshot


class PoolSystemError(PoolError, OSError):
    """The operating system or libpmemobj refused; the message tells their reason."""


class TransactionError(PmemobjError, RuntimeError):
    """A transaction was used in a way it cannot be used."""


class NoTransactionError(TransactionError):
    """The operation needs an open transaction and there is none."""


class TransactionAbortedError(TransactionError):
    """The transaction was rolled back, or can only be rolled back, because a part of it failed."""


class TransactionOwnerError(TransactionError):
    """Another asyncio task of this thread, or another thread, has the transaction."""


class OtherPoolTransactionError(TransactionError):
    """This thread has a transaction open on another pool; libpmemobj runs one per thread."""


class UnstorableError(PmemobjError, TypeError):
    """A value that no codec covers; nothing was written.

    Attributes:
        path: where in the value it was found, such as ``root['cfg'][3]``.
    """

    def __init__(self, *args: object, path: str = "") -> None:
        super().__init__(*args)
        self.path = path


class ForeignObjectError(PmemobjError, ValueError):
    """The object lives in another pool."""


class InvalidOidError(PmemobjError, ValueError):
    """No object identifier, OID_NULL where an object is needed, or one of another pool."""


class InvalidArgumentError(PmemobjError, ValueError):
    """An argument outside of what the function takes; nothing was done."""


class InvalidTypeError(PmemobjError, TypeError):
    """An argument of a type that the function does not take; nothing was done."""


class DetachedObjectError(PmemobjError, TypeError):
    """The object belongs to no pool: make it with ``pool.new(cls, ...)``."""


class AbortedObjectError(PmemobjError, ReferenceError):
    """The object was made in a transaction that was rolled back, or its memory was freed."""


class MissingClassError(PmemobjError, LookupError):
    """A stored object's class is not defined; nothing is lost.

    Attributes:
        name: ``module:qualname`` of the class.
    """

    def __init__(self, *args: object, name: str = "") -> None:
        super().__init__(*args)
        self.name = name


class WorkspaceRootError(PmemobjError, TypeError):
    """The pool's root is no PersistentDict, so it cannot hold named variables."""


class WorkspaceNameError(PmemobjError, AttributeError):
    """No variable of that name, or a name that only ``ws["name"]`` can reach."""


class MissingAttributeError(MissingClassError, AttributeError):  # type: ignore[misc]
    """An attribute that the missing class of a placeholder may have; ``hasattr`` gives False.

    Attributes:
        name: ``module:qualname`` of the class.
    """
