"""Snapshots: consistent, verified copies of a pool at work; and the way back."""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pmemobj._native import ffi, lib
from pmemobj.copying import PoolCopy
from pmemobj.drafts import drafting, publish
from pmemobj.errors import (
    InvalidArgumentError,
    NotAPoolError,
    PoolCorruptedError,
    PoolError,
    PoolNotFoundError,
    PoolSystemError,
    TransactionError,
)
from pmemobj.poolfile import (
    PoolFile,
    exists,
    from_system,
    full_path,
    held,
    is_own,
    locate,
    looks_elastic,
)
from pmemobj.progress import reporting_bytes
from pmemobj.settling import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from pmemobj.manager import MemoryManager
    from pmemobj.progress import ByteProgress

__all__ = ["SnapshotReport", "restore", "take_snapshot"]

ATTEMPTS = 3


@dataclass(frozen=True)
class SnapshotReport:
    """What came of a snapshot, or of its restoration.

    Attributes:
        path: where the copy is.
        bytes: of its files; fewer are on the disk.
        method: "reflink": the copy shares the disk blocks that neither changes; "sparse copy":
            every block in use was copied.
        objects: how many are in the copy; each was verified there.
        seconds: how long it took.
        paused: of these, how long other threads could not use the pool.
        classes_missing: ``module:qualname`` of classes with a memory layout of their own that
            a new process cannot import. What only their instances lead to was not
            verified; the first opening of the copy collects its garbage.
    """

    path: str
    bytes: int
    method: str
    objects: int
    seconds: float = 0.0
    paused: float = 0.0
    classes_missing: tuple[str, ...] = ()


class _Told:
    """Progress over all steps: a byte counts when it is copied, and again when it is verified."""

    def __init__(self, progress: ByteProgress | None, size: int) -> None:
        self._progress = progress
        self._size = size
        self._copied = 0

    def copied(self, count: int) -> None:
        self._copied += count
        self._tell(min(self._copied, self._size))

    def again(self) -> None:
        self._copied = 0

    def verified(self, done: int, total: int) -> None:
        self._tell(self._size + self._size * done // max(total, 1))

    def end(self) -> None:
        self._tell(2 * self._size)

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, 2 * self._size)


def take_snapshot(
    mm: MemoryManager,
    file: PoolFile,
    path: str | os.PathLike[str],
    overwrite: bool,
    progress: ByteProgress | None,
) -> SnapshotReport:
    """See PersistentObjectPool.snapshot."""
    started = time.perf_counter()
    with mm.lock:
        if mm.transaction_depth():
            raise TransactionError(
                "a snapshot holds what is committed, and cannot be taken inside a transaction: "
                "leave the transaction block first"
            )
        mm.raise_unless_usable()
    name = _target(path, overwrite)
    _refuse_inside(name, file)
    paused = 0.0

    def copy(copying: PoolCopy, told: _Told) -> None:
        nonlocal paused
        copying.prepare()
        with mm.lock:
            stopped = time.perf_counter()
            _copy_still(mm, copying, told)
            paused = time.perf_counter() - stopped

    try:
        with reporting_bytes("snapshot", progress) as told:
            report = _make_copy(
                file, name, overwrite, told, copy, allow_pickle=mm.allow_pickle, restored=False
            )
    except PoolCorruptedError as error:
        raise PoolCorruptedError(
            errno.EIO,
            f"the pool is damaged ({error}), so no snapshot of it was made; check() tells more",
            file.path,
        ) from None
    return replace(report, seconds=time.perf_counter() - started, paused=paused)


def restore(
    snapshot: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: ByteProgress | None = None,
) -> SnapshotReport:
    """Make the pool *path* of a snapshot, which is left as it is. O(pool).

    The new pool appears whole, verified and on the disk, or not at all; what *path* was stays
    until then. Any closed pool will do for a snapshot.

    Args:
        overwrite: replace the pool, or the file, that is at *path*.
        progress: called with ``(bytes done, bytes in all)``; each byte is copied and verified.

    Raises:
        PoolExistsError: something is at *path* already.
        PoolLockedError: *path*, or the snapshot, is open.
        PoolCorruptedError: the snapshot is damaged; *path* was not touched.
        PoolNotFoundError, NotAPoolError, LayoutError: no such snapshot, or it is none.
        PoolPermissionError, PoolSystemError: the disk is full, for one.
    """
    started = time.perf_counter()
    source = locate(snapshot, write=False)
    name = _target(path, overwrite)
    _refuse_inside(name, source)

    def copy(copying: PoolCopy, told: _Told) -> None:
        copying.prepare()
        if not copying.shared:
            copying.run(told.copied)
        copying.allocate()

    try:
        with held(source, shared=True), reporting_bytes("restoring", progress) as told:
            trust = None if is_own(source) else False
            report = _make_copy(
                source, name, overwrite, told, copy, allow_pickle=trust, restored=True
            )
    except PoolCorruptedError as error:
        raise PoolCorruptedError(
            errno.EIO,
            f"the snapshot is damaged ({error}); nothing was restored from it",
            source.path,
        ) from None
    return replace(report, seconds=time.perf_counter() - started)


def _target(path: str | os.PathLike[str], overwrite: bool) -> str:
    name = full_path(path)
    if os.path.islink(name):
        name = os.path.realpath(name)
    folder = os.path.dirname(name)
    if not os.path.isdir(folder):
        raise PoolNotFoundError(errno.ENOENT, "there is no such directory", folder)
    if not os.path.lexists(name):
        return name
    if not overwrite:
        raise exists(name)
    if os.path.isdir(name) and not looks_elastic(name):
        raise NotAPoolError(errno.EISDIR, "a directory that is no pool is not replaced", name)
    return name


def _refuse_inside(name: str, file: PoolFile) -> None:
    if file.parts is not None:
        parts = os.path.realpath(file.parts)
        if os.path.commonpath((os.path.realpath(name), parts)) == parts:
            raise InvalidArgumentError(f"{name!r} lies within the pool's own files")


def _make_copy(
    source: PoolFile,
    name: str,
    overwrite: bool,
    progress: ByteProgress | None,
    copy: Callable[[PoolCopy, _Told], None],
    *,
    allow_pickle: bool | None,
    restored: bool,
) -> SnapshotReport:
    try:
        with drafting(name) as draft, PoolCopy(source, draft) as copying:
            told = _Told(progress, copying.size)
            copy(copying, told)
            settled = settle(copying.file, told.verified, allow_pickle)
            copying.finish(least=0o600 if restored else 0)
            size = sum(os.stat(part).st_size for part in copying.file.files())
            with ExitStack() as stack:
                if overwrite and os.path.lexists(name):
                    stack.enter_context(_replaceable(name))
                publish(draft, name, replace=overwrite)
            told.end()
    except PoolError:
        raise
    except FileExistsError:
        raise exists(name) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PoolSystemError(
                errno.ENOSPC, "the disk is full; nothing was changed there", name
            ) from None
        raise from_system(error, name) from None
    return SnapshotReport(
        path=name,
        bytes=size,
        method="reflink" if copying.shared else "sparse copy",
        objects=settled.objects,
        classes_missing=settled.classes_missing,
    )


def _replaceable(name: str) -> ExitStack:
    """Keeps the pool at *name*, which is to be replaced, from being opened; refuses a live one."""
    stack = ExitStack()
    try:
        stack.enter_context(held(locate(name)))
    except NotAPoolError:
        pass  # a file that is none, or is one no more
    return stack


def _copy_still(mm: MemoryManager, copying: PoolCopy, told: _Told) -> None:
    """Copy while nothing changes. Caller: holds the lock.

    A transaction that another thread has open does not matter: the copy's undo log has what
    is needed to roll it back, as after a crash at this moment.
    """
    for _ in range(ATTEMPTS):
        before = _work(mm)
        told.again()
        copying.run(told.copied)
        if _work(mm) == before:
            return
    raise TransactionError(
        "the pool was changed again and again while it was copied: by a signal handler, a "
        "__del__ or the progress function"
    )


def _work(mm: MemoryManager) -> bytes:
    counters = ffi.new("pmo_counters *")
    lib.pmo_count(mm.ctx, counters)
    return bytes(ffi.buffer(counters))
