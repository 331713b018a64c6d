"""Pools: created, opened, recovered, closed; the root, from which everything is reached."""

from __future__ import annotations

import atexit
import errno
import os

from pmemobj import codecs, redefined, typetable
from pmemobj._native import failure, ffi, lib
from pmemobj.containers import base as containers
from pmemobj.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    NotAPoolError,
    PoolCorruptedError,
    PoolExistsError,
    PoolNotFoundError,
)
from pmemobj.light import NamedTuple, WeakSet, get_ident
from pmemobj.manager import MemoryManager
from pmemobj.poolfile import (
    MIN_POOL_SIZE,
    RESERVATION,
    PoolFile,
    boot_id,
    is_own,
    locate,
)
from pmemobj.progress import reporting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar

    from pmemobj.checker import CheckReport
    from pmemobj.collector import CollectionReport
    from pmemobj.progress import Progress
    from pmemobj.scratch import Scratch
    from pmemobj.snapshots import SnapshotReport
    from pmemobj.transaction import OpenTransaction, Transaction

    T = TypeVar("T")
    Path = str | os.PathLike[str]

__all__ = ["PersistentObjectPool", "Recovery", "create", "open"]


_POLICIES = {
    "auto": lib.PMO_POLICY_PROCESS,
    "process": lib.PMO_POLICY_PROCESS,
    "power": lib.PMO_POLICY_POWER,
}
_open_managers: WeakSet[MemoryManager] = WeakSet()
"""Not the pools: objects of a pool may be in use when nobody holds the pool object any more."""

containers.CLASS_DEFINED.append(typetable.class_defined)
containers.CLASS_DEFINED.append(redefined.class_defined)


class Recovery(NamedTuple):
    """What opening a pool found.

    Attributes:
        clean: the last session had closed it.
        transactions_rolled_back: 1 if that session died inside a transaction, else 0.
        objects_collected: allocations that it left unreferenced, now freed.
        classes_missing: ``module:qualname`` of classes named in the pool that cannot be found
            yet; their instances come back as placeholders until the classes are defined.
        verified: everything was verified before use (an unclean end and another boot).
        failures: one sentence for each object of a custom class whose ``_p_traverse`` or
            ``_p_substructures`` failed; then nothing was collected. gc() shows the error itself.
    """

    clean: bool = True
    transactions_rolled_back: int = 0
    objects_collected: int = 0
    classes_missing: tuple[str, ...] = ()
    verified: bool = False
    failures: tuple[str, ...] = ()


class PersistentObjectPool:
    """A pool of persistent objects in a file, or in a directory that grows.

    Args:
        filename: path of the file or directory; ``open`` finds out which.
        flag: "w" open an existing pool; "x" create one, refusing an existing path; "c" create
            it if nothing is there.
        pool_size: bytes of a new plain pool; less is usable, libpmemobj needs about 4 MiB.
        mode: permissions of a new pool's file, the umask applied.
        debug: default for ``gc``'s *debug*.
        durability: what a committed transaction survives: "process", every death of the
            process; "power", also a power cut, at the price of disk writes per transaction;
            "auto", "process" on ordinary files. Real persistent memory survives both anyway.
        elastic: for a new pool: a directory that grows with its content.
        scratch: for an existing pool: a private copy-on-write view of it. Change what you like,
            nothing of the pool is written; closing it forgets the changes. It costs memory for
            the pages that are changed; an elastic pool grows in a hidden directory beside it.
        reservation: bytes of address space that an elastic pool may grow into while it is open;
            less where the process may not have that much.
        allow_pickle: load pickled values, give functions and classes that were stored by name,
            and import the modules of stored classes. Each of these lets whoever wrote
            the pool run any code in this process. None: if this user made the pool and nobody
            else can write to it. Otherwise placeholders stand for such values.

    Raises:
        PoolNotFoundError, PoolExistsError, PoolPermissionError: as the names say.
        NotAPoolError, LayoutError: something else, a damaged pool, or another program's.
        PoolSizeError: too small a size.
        PoolLockedError: another process has it open; names that process.
        PoolCorruptedError: it was not closed cleanly, the machine was restarted since, and
            what is there does not verify. Names the newest good snapshot.

    Opening a pool that was closed cleanly takes milliseconds at any size. After an unclean
    end the last transaction is rolled back and unreferenced objects are freed, which looks at
    every object once, though not at the elements of containers without references.
    """

    # No others: ``pool.runs = []`` would be lost without a word.
    __slots__ = (
        "__weakref__",
        "_file",
        "_root",
        "_root_known",
        "_root_set_in",
        "_scratch",
        "debug",
        "mm",
        "recovery",
    )

    def __init__(
        self,
        filename: Path,
        flag: str = "w",
        pool_size: int = MIN_POOL_SIZE,
        mode: int = 0o666,
        debug: bool = False,
        *,
        durability: str = "auto",
        elastic: bool = False,
        scratch: bool = False,
        reservation: int = RESERVATION,
        allow_pickle: bool | None = None,
    ) -> None:
        if flag not in ("w", "x", "c"):
            raise InvalidArgumentError(
                f"flag must be 'w' (open), 'x' (create) or 'c' (either), not {flag!r}"
            )
        if not isinstance(durability, str) or durability not in _POLICIES:
            raise InvalidArgumentError(
                f"durability must be 'auto', 'process' or 'power', not {durability!r}"
            )
        if scratch and flag != "w":
            raise InvalidArgumentError("scratch=True is a look at an existing pool: flag 'w'")
        if isinstance(reservation, bool) or not isinstance(reservation, int) or reservation <= 0:
            raise InvalidArgumentError(f"reservation must be bytes, not {reservation!r}")
        if allow_pickle not in (None, False, True):
            raise InvalidArgumentError(
                f"allow_pickle must be True, False or None, not {allow_pickle!r}"
            )
        self.debug = debug
        self._root: Any = None
        self._root_known = False
        self._root_set_in: OpenTransaction | None = None
        self._file = _reach(filename, flag, pool_size, mode, elastic)
        own = is_own(self._file)
        policy = lib.PMO_POLICY_SCRATCH if scratch else _POLICIES[durability]
        self._scratch: Scratch | None = None
        if scratch:
            from pmemobj.scratch import Scratch

            self._scratch = Scratch(self._file)
            self._file = self._scratch.file
        try:
            self._open(policy, reservation, own, allow_pickle)
        except (PoolCorruptedError, NotAPoolError) as error:
            raise _with_snapshot(error, self._file) from None
        if self._scratch is None:
            self._file.equalise_modes()
        _open_managers.add(self.mm)

    def _open(self, policy: int, reservation: int, own: bool, allow_pickle: bool | None) -> None:
        try:
            if self._scratch is None:
                self._file.allocate()
            self.mm = MemoryManager(self._file.open(policy, reservation))
        except BaseException:
            if self._scratch is not None:
                self._scratch.remove()
            raise
        if self._scratch is not None:
            import weakref

            weakref.finalize(self.mm, self._scratch.remove)
        try:
            if allow_pickle is None:
                allow_pickle = own and self.mm.creator == os.geteuid()
            self.mm.allow_pickle = bool(allow_pickle)
            self.recovery = self._recover()
        except BaseException:
            self.mm.abandon()
            raise

    def _recover(self) -> Recovery:
        info = self._info()
        recovery = Recovery(classes_missing=self.mm.types.missing())
        if info.was_dirty:
            this_boot = boot_id()
            torn = (
                info.last_policy == lib.PMO_POLICY_PROCESS
                and not info.is_pmem
                and ffi.string(info.last_boot_id).decode(errors="replace") != this_boot
            )
            if torn:
                self._verify()
            from pmemobj.collector import collect

            with reporting("recovering") as report:
                collected = collect(self.mm, self.debug, progress=report, tolerant=True)
            status = lib.pmo_accept(self.mm.ctx, this_boot.encode())
            if status:
                raise failure(status, self.mm.ctx)
            recovery = Recovery(
                clean=False,
                transactions_rolled_back=int(info.was_in_flight),
                objects_collected=collected.freed,
                classes_missing=self.mm.types.missing(),
                verified=torn,
                failures=collected.failures,
            )
        return recovery

    def _verify(self) -> None:
        from pmemobj.checker import check_pool

        with reporting("verifying") as progress:
            report = check_pool(self.mm, progress)
        if not report.ok:
            raise PoolCorruptedError(
                errno.EIO,
                "the pool was in use when the machine went down, or its disk failed, and what is "
                f"there does not fit together ({report.problems[0]}). Nothing was changed; "
                "durability='power' avoids this",
                self.path,
            )

    def _info(self) -> Any:
        info = ffi.new("pmo_pool_info *")
        with self.mm.lock:
            status = lib.pmo_info(self.mm.ctx, info)
        if status:
            raise failure(status, self.mm.ctx)
        return info

    # -- the pool ------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Absolute path of the file, or of an elastic pool's directory."""
        return self._file.path

    @property
    def elastic(self) -> bool:
        """Does the pool grow with its content?"""
        return self._file.elastic

    @property
    def scratch(self) -> bool:
        """Is it a private look, of which nothing is written?"""
        return self._scratch is not None

    @property
    def allow_pickle(self) -> bool:
        """Are pickled values loaded, and modules imported that the pool names?"""
        return self.mm.allow_pickle

    @property
    def closed(self) -> bool:
        """Has ``close`` been called? In a forked child a parent's pool is closed, too."""
        return self.mm.closed or self.mm.forked

    @property
    def durability(self) -> str:
        """What a committed transaction survives, truly.

        "process": every death of the process; "power": also a power cut; "persistent memory":
        the same, without disk writes; "scratch": nothing, not even ``close``.
        """
        info = self._info()
        if info.policy == lib.PMO_POLICY_SCRATCH:
            return "scratch"
        if info.is_pmem:
            return "persistent memory"
        return "process" if info.policy == lib.PMO_POLICY_PROCESS else "power"

    @property
    def root(self) -> Any:
        """The object from which all others are reached; None in a new pool.

        Assigning stores any value that can be stored; plain lists, dicts, ... are converted.
        What is not reachable from the root is freed when the pool is closed, or by ``gc``.
        Durable on return, or when the outermost open transaction commits.

        Raises:
            UnstorableError, ForeignObjectError, PoolFullError: nothing was changed.
        """
        mm = self.mm
        root = self._root  # read before the flag, which the setter clears first
        if self._root_known and not (mm.closed or mm.forked):
            if not mm.attention:
                return root
            state = mm.open_transaction
            if state is not None and state.thread == get_ident():
                state.check_owner()
                return root
        with mm.lock:
            if mm.attention:
                mm.attend()
            read = mm.reading()
            status = lib.pmo_root_get(mm.ctx, read)
            if status:
                mm.finish(status)
            # Held, so that its read cache outlives the expression pool.root["x"].
            self._root = mm.decode(read)
            # Not while the transaction is open that has set it, whose end may bring another back.
            state = mm.open_transaction
            self._root_known = state is None or state is not self._root_set_in
            return self._root

    @root.setter
    def root(self, value: Any) -> None:
        mm = self.mm
        encoded = mm.encode(value)
        if encoded is None:
            with mm.lock, mm.storing(value, None, None) as encoded:
                self._set_root(encoded)
        else:
            self._set_root(encoded)

    def _set_root(self, encoded: codecs.Encoded) -> None:
        mm = self.mm
        with mm.lock:
            if mm.attention:
                mm.attend()
            self._root_known = False
            self._root = None
            self._root_set_in = mm.open_transaction
            status = lib.pmo_root_set(mm.ctx, *encoded)
            if status:
                mm.finish(status)

    def new(self, typ: type[T], /, *args: Any, **kw: Any) -> T:
        """Make an instance of *typ* in this pool; see MemoryManager.new."""
        return self.mm.new(typ, *args, **kw)

    def transaction(self) -> Transaction:
        """A context manager that makes its block one atomic change; see Transaction."""
        return self.mm.transaction()

    def gc(
        self, debug: bool | None = None, *, progress: Progress | None = None
    ) -> CollectionReport:
        """Free everything that neither the root nor a live Python object leads to.

        Only cycles need it: other garbage is freed at once. O(objects). Ctrl-C between steps
        leaves the pool right.

        Args:
            debug: log what is done to the logger "pmemobj.collector"; None: as at opening.
            progress: called with ``(phase, done, total or None)`` after every step.

        Raises:
            TransactionError: inside a transaction.
            PoolCorruptedError: damage was met; nothing was freed.
        """
        from pmemobj.collector import collect

        self.mm.require_open()
        with reporting("collecting", progress) as report:
            return collect(self.mm, self.debug if debug is None else debug, progress=report)

    def check(self, *, progress: Progress | None = None) -> CheckReport:
        """Verify every object, reference count and allocation; changes nothing. O(pool).

        *progress* is called with ``(phase, done, total or None)`` after every step.
        """
        from pmemobj.checker import check_pool

        self.mm.require_open()
        with reporting("checking", progress) as report:
            return check_pool(self.mm, report)

    def snapshot(
        self, path: Path, *, overwrite: bool = False, progress: Progress | None = None
    ) -> SnapshotReport:
        """Make a consistent, verified copy of the pool at *path*: everything committed by now.

        The copy is a pool itself, closed cleanly: ``open`` takes it, and ``pmemobj.restore``
        makes a pool of it again. It appears whole and on the disk, or not at all. Other
        threads go on, and wait only while the files are copied: hardly at all where
        the file system can share blocks (XFS, Btrfs). A transaction that one of them has open
        is not in the copy, and goes on afterwards. O(pool); verified in another process.

        Args:
            path: where; an elastic pool's copy is a directory.
            overwrite: replace the snapshot, or file, that is there.
            progress: called with ``(phase, done, total or None)``: ``"copy"`` and its bytes,
                then what check() and gc() tell of the copy.

        Raises:
            TransactionError: inside a transaction of this thread.
            PoolExistsError: something is at *path* already.
            PoolLockedError: what is to be overwritten is a pool that is open.
            PoolCorruptedError: the pool is damaged; no snapshot was made.
            PoolNotFoundError, PoolPermissionError, PoolSystemError: no such directory, no
                permission, or a full disk, for one.
        """
        self.mm.require_open()
        if self.scratch:
            raise InvalidArgumentError(
                "a private look has its changes in memory only: snapshot the pool itself"
            )
        from pmemobj.snapshots import take_snapshot

        return take_snapshot(self.mm, self._file, path, overwrite, progress)

    def persist_via_pickle(self, *types: type) -> None:
        """Store values of these types as pickles from now on, in this pool object.

        They must be immutable and hold no persistent objects: a pickle is a copy. Types with
        direct support keep it.

        Raises:
            InvalidArgumentError: not a type.
        """
        self.mm.require_open()
        for typ in types:
            if not isinstance(typ, type):
                raise InvalidArgumentError(f"persist_via_pickle takes types, not {typ!r}")
        self.mm.pickled_types.update(types)

    def close(self) -> None:
        """Write everything to the disk, mark the pool as clean and close it. Idempotent.

        An open transaction of this thread is rolled back; one of another thread is waited for.
        Afterwards every use of the pool or of an object of it raises PoolClosedError.

        Raises:
            PoolSystemError: the disk did not take it. The pool is closed all the same, and the
                next opening verifies it.
        """
        if self.mm.closed:
            return
        status = self.mm.close()
        _open_managers.discard(self.mm)
        if self._scratch is not None:
            self._scratch.remove()
        else:
            self._file.equalise_modes()
        if status:
            raise failure(status, self.mm.ctx)
        if self._scratch is None:
            self._file.sync_names()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise InvalidTypeError(
            "a pool cannot be copied or pickled; pmemobj.plain(x) copies what is in a pool"
        )

    def __enter__(self) -> PersistentObjectPool:
        self.mm.require_open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _repr_html_(self) -> str | None:
        """What a notebook shows: state, usage, what a commit survives. O(1)."""
        from pmemobj.report import pool_to_html

        return pool_to_html(self)

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.durability
        kind = "elastic pool" if self.elastic else "pool"
        return f"<pmemobj {kind} {self.path!r} ({state})>"


def _with_snapshot(
    error: PoolCorruptedError | NotAPoolError, file: PoolFile
) -> PoolCorruptedError | NotAPoolError:
    """The same error, naming the newest good snapshot of the pool."""
    from pmemobj.snapshots import newest_good

    snapshot = newest_good(file)
    if snapshot is None:
        hint = "No good snapshot of it was found beside it, or where the last ones were made"
    else:
        hint = (
            f"The newest good snapshot is {snapshot!r}: "
            f"pmemobj.restore({snapshot!r}, {file.path!r}, overwrite=True) goes back to it"
        )
    what = (error.strerror or str(error)).rstrip(".")
    if isinstance(error, NotAPoolError):
        return NotAPoolError(error.errno, f"{what}. {hint}", file.path)
    return PoolCorruptedError(
        error.errno or errno.EIO,
        f"{what}. {hint}",
        file.path,
        offset=error.offset,
        snapshot=snapshot,
    )


def _reach(filename: Path, flag: str, size: int, mode: int, elastic: bool) -> PoolFile:
    if flag != "x":
        try:
            return locate(filename)
        except PoolNotFoundError:
            if flag == "w":
                raise
    from pmemobj.making import check_size, make

    try:
        return make(filename, check_size(size), mode, elastic)
    except PoolExistsError:
        if flag == "x":
            raise
        return locate(filename)  # another process was faster


def create(
    filename: Path,
    pool_size: int = MIN_POOL_SIZE,
    mode: int = 0o666,
    debug: bool = False,
    *,
    durability: str = "auto",
    elastic: bool = False,
    reservation: int = RESERVATION,
    allow_pickle: bool | None = None,
) -> PersistentObjectPool:
    """Create a pool and open it; see PersistentObjectPool for arguments and errors.

    Raises:
        PoolExistsError: something is at *filename* already; it was not touched.
    """
    return PersistentObjectPool(
        filename,
        "x",
        pool_size,
        mode,
        debug,
        durability=durability,
        elastic=elastic,
        reservation=reservation,
        allow_pickle=allow_pickle,
    )


def open(  # the reference's name
    filename: Path,
    debug: bool = False,
    *,
    durability: str = "auto",
    scratch: bool = False,
    reservation: int = RESERVATION,
    allow_pickle: bool | None = None,
) -> PersistentObjectPool:
    """Open an existing pool, plain or elastic; see PersistentObjectPool for errors.

    Raises:
        PoolNotFoundError: there is none.
    """
    return PersistentObjectPool(
        filename,
        "w",
        debug=debug,
        durability=durability,
        scratch=scratch,
        reservation=reservation,
        allow_pickle=allow_pickle,
    )


def _close_all() -> None:
    for mm in list(_open_managers):
        mm.close_at_exit()


def _leave_to_parent() -> None:
    """In a forked child: drop its claim on the parent's pools."""
    managers = list(_open_managers)
    _open_managers.clear()
    for mm in managers:
        mm.forget_parent()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_leave_to_parent)
