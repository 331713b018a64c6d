"""Snapshots: consistent, verified copies of a pool at work; and the way back."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from pmemobj._native import ffi, lib
from pmemobj.copying import PoolCopy
from pmemobj.drafts import drafting, publish
from pmemobj.errors import (
    InvalidArgumentError,
    NotAPoolError,
    PmemobjError,
    PoolCorruptedError,
    PoolError,
    PoolNotFoundError,
    PoolSystemError,
    TransactionError,
)
from pmemobj.holders import locked
from pmemobj.poolfile import (
    PoolFile,
    exists,
    from_system,
    full_path,
    identity,
    is_own,
    locate,
    looks_elastic,
)
from pmemobj.progress import COPY, reporting
from pmemobj.settling import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pmemobj.manager import MemoryManager
    from pmemobj.progress import Progress

__all__ = ["SnapshotReport", "newest_good", "restore", "take_snapshot"]

_REPLACING = "overwrite=True (--overwrite) replaces a pool"

ATTEMPTS = 3
REMEMBERED = 8
"""Snapshots in other directories whose places are kept with a pool."""

CANDIDATES = 3
"""Snapshots that are verified, in search of a good one."""

_ATTRIBUTE = "user.pmemobj.snapshots"


class SnapshotReport(NamedTuple):
    """What came of a snapshot, or of its restoration.

    Attributes:
        path: where the copy is.
        bytes: of its files; fewer are on the disk.
        method: "reflink": the copy shared the pool's disk blocks at first, and got its own while
            others were at work; "sparse copy": every block in use was copied meanwhile.
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


class _Copied:
    """Tells how many of *size* bytes have been copied."""

    def __init__(self, progress: Progress | None, size: int) -> None:
        self._progress = progress
        self._size = size
        self._done = 0

    def again(self) -> None:
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(COPY, self._done, max(self._done, self._size))


def take_snapshot(
    mm: MemoryManager,
    file: PoolFile,
    path: str | os.PathLike[str],
    overwrite: bool,
    progress: Progress | None,
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

    def copy(copying: PoolCopy, copied: _Copied) -> None:
        nonlocal paused
        copying.prepare()
        with mm.lock:
            stopped = time.perf_counter()
            _copy_still(mm, copying, copied)
            paused = time.perf_counter() - stopped
        copying.separate(copied.add)

    try:
        with reporting("snapshot", progress) as told:
            report = _make_copy(
                file, name, overwrite, told, copy, allow_pickle=mm.allow_pickle, restored=False
            )
    except PoolCorruptedError as error:
        raise PoolCorruptedError(
            errno.EIO,
            f"the pool is damaged ({error}), so no snapshot of it was made; check() tells more",
            file.path,
        ) from None
    _remember(file, name)
    return report._replace(seconds=time.perf_counter() - started, paused=paused)


def restore(
    snapshot: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SnapshotReport:
    """Make the pool *path* of a snapshot, which is left as it is. O(pool).

    The new pool appears whole, verified and on the disk, or not at all; what *path* was stays
    until then. Any closed pool will do for a snapshot.

    Args:
        overwrite: replace the pool, or the file, that is at *path*.
        progress: called with ``(phase, done, total or None)``: ``"copy"`` and its bytes, then
            what check() and gc() tell of the copy.

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

    def copy(copying: PoolCopy, copied: _Copied) -> None:
        copying.fill(copied.add)
        copying.allocate()

    try:
        with _held(source, shared=True), reporting("restoring", progress) as told:
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
    return report._replace(seconds=time.perf_counter() - started)


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
        raise exists(name, _REPLACING)
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
    progress: Progress | None,
    copy: Callable[[PoolCopy, _Copied], None],
    *,
    allow_pickle: bool | None,
    restored: bool,
) -> SnapshotReport:
    try:
        PoolFile.at(name, source.elastic).require_short_name()
        with drafting(name) as draft, PoolCopy(source, draft) as copying:
            copy(copying, _Copied(progress, copying.size))
            settled = settle(copying.file, progress, allow_pickle)
            copying.finish(least=0o600 if restored else 0)
            size = sum(os.stat(part).st_size for part in copying.file.files())
            with ExitStack() as stack:
                if overwrite and os.path.lexists(name):
                    stack.enter_context(_replaceable(name))
                publish(draft, name, replace=overwrite)
    except PoolError:
        raise
    except FileExistsError:
        raise exists(name, _REPLACING) from None
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
        stack.enter_context(_held(locate(name)))
    except NotAPoolError:
        pass  # a file that is none, or is one no more
    return stack


def _copy_still(mm: MemoryManager, copying: PoolCopy, copied: _Copied) -> None:
    """Copy while nothing changes. Caller: holds the lock.

    A transaction that another thread has open does not matter: the copy's undo log has what
    is needed to roll it back, as after a crash at this moment.
    """
    for _ in range(ATTEMPTS):
        status = lib.pmo_claim(mm.ctx)  # from now on no thread changes anything without the lock
        if status:
            mm.finish(status)
        before = _work(mm)
        copied.again()
        copying.run(copied.add)
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


# ---- finding them again ------------------------------------------------------------------


def newest_good(file: PoolFile) -> str | None:
    """The newest snapshot of the pool *file* that verifies, or None. O(its size).

    Looks at the pools of the same identity that are beside it, and where its last snapshots
    were made. Neither is changed. The pool itself may be damaged beyond recognition.
    """
    found = {}
    own = identity(file)
    remembered = _remembered(file.path)
    for path in (*_beside(file.path), *remembered):
        with suppress(PmemobjError, OSError):
            snapshot = locate(path, write=False)
            parts = [os.stat(part) for part in snapshot.files()]
            owned = all(part.st_uid == os.stat(file.path).st_uid for part in parts)
            unknown = own is None and path in remembered
            if owned and (unknown or identity(snapshot) == own):
                found[os.path.realpath(path)] = max(part.st_mtime_ns for part in parts), snapshot
    found.pop(os.path.realpath(file.path), None)
    for _, snapshot in sorted(found.values(), key=lambda one: one[0], reverse=True)[:CANDIDATES]:
        with suppress(PmemobjError, OSError):
            settle(snapshot, None, allow_pickle=False, look=True)
            return snapshot.path
    return None


def _beside(path: str) -> list[str]:
    folder = os.path.dirname(path)
    with suppress(OSError):
        with os.scandir(folder) as entries:
            return [
                entry.path
                for entry in entries
                if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
            ]
    return []


def _remembered(path: str) -> list[str]:
    try:
        return [os.fsdecode(name) for name in os.getxattr(path, _ATTRIBUTE).split(b"\0") if name]
    except OSError:  # none, or a file system that has no such attributes
        return []


def _remember(file: PoolFile, snapshot: str) -> None:
    """Keep with the pool where a snapshot of it was made, unless that is beside it."""
    if os.path.dirname(snapshot) == os.path.dirname(file.path):
        return
    others = [path for path in _remembered(file.path) if path != snapshot]
    names = [snapshot, *others][:REMEMBERED]
    with suppress(OSError):
        os.setxattr(file.path, _ATTRIBUTE, b"\0".join(map(os.fsencode, names)))


@contextmanager
def _held(file: PoolFile, shared: bool = False) -> Iterator[None]:
    """Keep everybody from opening the pool *file* while the block runs.

    *shared*: others may do the same.

    Raises:
        PoolLockedError: somebody has it open.
        OSError: as the operating system says.
    """
    with open(file.files()[0], "rb") as first:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(first, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise locked(file.files()[0], file.path) from None
        yield
