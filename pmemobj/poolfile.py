"""Pools as files: what lies at a path, how a pool comes to be there, and who holds it.

A plain pool is one file. An elastic pool is a directory: ``pool.set`` describes to libpmemobj
a directory ``parts``, which it fills with further files of 128 MiB as the pool grows.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from pmemobj import blocks
from pmemobj._native import failure, ffi, lib
from pmemobj.blocks import sync
from pmemobj.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    LayoutError,
    NotAPoolError,
    PmemobjError,
    PoolError,
    PoolExistsError,
    PoolLockedError,
    PoolNotFoundError,
    PoolPermissionError,
    PoolSystemError,
)
from pmemobj.light import NamedTuple, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

__all__ = [
    "DENIED",
    "LARGEST_POOL",
    "MIN_POOL_SIZE",
    "PARTS_NAME",
    "RESERVATION",
    "PoolFile",
    "about",
    "affordable",
    "boot_id",
    "denied",
    "exists",
    "from_system",
    "full_path",
    "identity",
    "is_own",
    "locate",
    "looks_elastic",
    "looks_like_pool",
    "write_set",
]

MIN_POOL_SIZE = 8 * 1024 * 1024
"""Bytes: libpmemobj's PMEMOBJ_MIN_POOL."""

LARGEST_POOL = 1 << 46
PART_SIZE = 128 * 1024 * 1024
"""Bytes by which libpmemobj makes an elastic pool grow: one part file."""

RESERVATION = 1 << 40
"""Bytes of address space that an elastic pool may grow into."""

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_LAYOUT = b"pmemobj-python"
_SET_NAME = "pool.set"
PARTS_NAME = "parts"
_COMPANION = b"_r0_p0_badblocks.txt"
"""What libpmemobj adds to a name when it looks for a file of its own beside a pool."""

_LONGEST_PATH = 4091
"""Bytes: Linux's limit, less four more digits of a part's number in that name."""

_SIGNATURE = b"PMEMOBJ\0"
_IDENTITY_AT = 24
_IDENTITY_SIZE = 16
_LAYOUT_AT = 4096
_LAYOUT_SIZE = 1024


class PoolFile(NamedTuple):
    """Where a pool lies.

    Attributes:
        path: absolute path of the file, or of an elastic pool's directory.
        parts: directory of an elastic pool's files, or None.
        target: what libpmemobj opens: the file, or the pool-set file.
    """

    path: str
    parts: str | None = None

    @classmethod
    def at(cls, path: str, elastic: bool) -> PoolFile:
        return cls(path, os.path.join(path, PARTS_NAME) if elastic else None)

    @property
    def target(self) -> str:
        if self.parts is None:
            return self.path
        return os.path.join(os.path.dirname(self.parts), _SET_NAME)

    @property
    def elastic(self) -> bool:
        return self.parts is not None

    def require_short_name(self) -> None:
        """Refuse a place whose name is too long for libpmemobj to open a pool there.

        Raises:
            PoolSystemError
            OSError: as the operating system says of the directory.
        """
        folder, name = os.path.split(os.fsencode(self.path))
        if self.parts is None:
            name += _COMPANION
        over = max(
            len(name) - os.pathconf(folder, "PC_NAME_MAX"),
            len(os.fsencode(self.target) + _COMPANION) - _LONGEST_PATH,
        )
        if over > 0:
            raise PoolSystemError(
                errno.ENAMETOOLONG,
                f"{os.strerror(errno.ENAMETOOLONG)}, by {over} bytes: libpmemobj, when it opens a "
                "pool, looks for files beside it with longer names",
                self.path,
            )

    def files(self) -> list[str]:
        """The pool's data files, in order."""
        if self.parts is None:
            return [self.path]
        names = sorted(name for name in os.listdir(self.parts) if name.endswith(".pmem"))
        return [os.path.join(self.parts, name) for name in names]

    def equalise_modes(self) -> None:
        """libpmemobj makes further parts for their owner alone; give them the first one's mode."""
        with suppress(OSError):  # another user's files, or deleted by now: no harm
            first, *others = self.files()
            mode = os.stat(first).st_mode & 0o7777
            for name in others:
                os.chmod(name, mode)

    def sync_folders(self) -> None:
        """Have the disk hold the names of an elastic pool's files."""
        if self.parts is not None:
            for folder in (self.parts, self.path):
                sync(folder)

    def sync_names(self) -> None:
        """The same when the pool has been closed.

        Raises:
            PoolSystemError
        """
        try:
            self.sync_folders()
        except (FileNotFoundError, PermissionError):
            pass  # deleted by now, or made over to another user: nothing to be kept
        except OSError as error:
            raise from_system(error, self.path) from None

    def finish_folders(self, mode: int) -> None:
        """Make an elastic pool's directories searchable where files of *mode* are readable."""
        if self.parts is not None:
            for folder in (self.parts, self.path):
                os.chmod(folder, mode | (mode & 0o444) >> 2)
            self.sync_folders()

    def allocate(self) -> None:
        """Have disk blocks for all of the pool: a store where one is missing would be fatal.

        A snapshot has holes; a copy may have some, or share blocks. What somebody else has
        open is left alone.

        Raises:
            PoolSystemError: the disk has no room for them.
        """
        try:
            for name in self.files():
                _allocate(name)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                return  # opening tells why it cannot be written
            raise PoolSystemError(
                errno.ENOSPC,
                "no room on the disk for the blocks that this copy of a pool does not have yet, or "
                "shares with another: free some, or look at it with scratch=True",
                self.path,
            ) from None

    def open(self, policy: int, reservation: int = RESERVATION) -> object:
        """Open the pool in the core; gives the ``pmo_pool *``.

        Args:
            policy: PMO_POLICY_*.
            reservation: bytes of address space that an elastic pool may grow into.

        Raises:
            PoolLockedError, PoolPermissionError, NotAPoolError, LayoutError, PoolSystemError
        """
        try:
            self.require_short_name()
            if self.parts is not None:
                # The directory may have been moved since.
                reserved = max(affordable(reservation), 2 * _bytes_of(self.files()))
                self._drop_unfinished_part()
                write_set(self, reserved)
        except PoolError:
            raise
        except OSError as error:
            raise from_system(error, self.path) from None
        out = ffi.new("pmo_pool **")
        info = ffi.new("pmo_failure_info *")
        parts = os.fsencode(self.parts or "")
        target = os.fsencode(self.target)
        status = lib.pmo_open(target, parts, policy, boot_id().encode(), out, info)
        if status:
            raise self._explain(status, info)
        return out[0]

    def _drop_unfinished_part(self) -> None:
        """Remove the part that a process was just making when it died; it holds nothing yet."""
        first, *others = self.files()
        if not others or os.stat(others[-1]).st_size >= PART_SIZE:
            return
        with open(first, "rb") as held, open(others[-1], "rb") as part:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # it is being made right now; opening will tell by whom
            size = os.fstat(part.fileno()).st_size
            while size < PART_SIZE and (content := part.read(1 << 20)):
                if content.strip(b"\0"):
                    return  # a truncated copy: not ours to throw away
            if size < PART_SIZE:
                os.unlink(others[-1])

    def _explain(self, status: int, info: object) -> Exception:
        if status == lib.PMO_ESYSTEM:
            number = info.error  # type: ignore[attr-defined]
            if number in (errno.EAGAIN, errno.EWOULDBLOCK):
                from pmemobj.holders import locked

                return locked(self.files()[0], self.path)
            if number == errno.EEXIST:
                return PoolLockedError(
                    errno.EAGAIN,
                    "a copy of it is open in this process, and copies have the same identity: "
                    "close that one first, or open this one in another process",
                    self.path,
                    pid=os.getpid(),
                )
            if number in DENIED:
                return denied(number, self.path)
            text = ffi.string(info.text).decode(errors="replace").strip()  # type: ignore[attr-defined]
            if number == errno.EINVAL:
                return NotAPoolError(
                    errno.EINVAL,
                    f"libpmemobj does not take it as a sound pool ({text}); it may be truncated "
                    "or damaged: restore a copy",
                    self.path,
                )
        return about(failure(status, info=info), self.path)


def _allocate(name: str) -> None:
    with open(name, "r+b", buffering=0) as file:
        lacking = blocks.lacking(file.fileno())
        if lacking:
            space = os.fstatvfs(file.fileno())
            if space.f_bfree * space.f_frsize < lacking:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # before any is taken
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            blocks.own(file.fileno())


def about(error: Exception, path: str) -> Exception:
    """The core's error, with the path in its message."""
    if isinstance(error, OSError) and error.filename is None:
        error.strerror = str(error)
        error.errno = error.errno or (errno.EINVAL if isinstance(error, LayoutError) else errno.EIO)
        error.filename = path
    return error


def denied(number: int, path: str) -> PoolPermissionError:
    return PoolPermissionError(
        number,
        f"{os.strerror(number)}: this user must be able to read and write a pool's files, and to "
        "write to the directory in which one is made or grows",
        path,
    )


def from_system(error: OSError, path: str) -> PoolError:
    """The error of ours for what the operating system says about *path*."""
    number = error.errno or errno.EIO
    if number in DENIED:
        return denied(number, path)
    return PoolSystemError(number, error.strerror or os.strerror(number), path)


def full_path(path: str | os.PathLike[str]) -> str:
    """*path* as an absolute path that the operating system can take.

    Raises:
        InvalidTypeError, InvalidArgumentError
    """
    try:
        name = os.fsdecode(path)
        encoded = os.fsencode(name)
    except TypeError:
        raise InvalidTypeError(
            f"a pool's filename must be a path, not {type(path).__name__}"
        ) from None
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{path!r} is no path: {error}") from None
    if not encoded or b"\0" in encoded:
        raise InvalidArgumentError(f"{name!r} is no path")
    return os.path.abspath(name)


def identity(file: PoolFile) -> bytes | None:
    """What a pool has in common with its copies, and with no other pool; None: not readable."""
    with suppress(OSError, IndexError):
        with open(file.files()[0], "rb") as first:
            head = first.read(_IDENTITY_AT + _IDENTITY_SIZE)
        found = head[_IDENTITY_AT:]
        if head.startswith(_SIGNATURE) and len(found) == _IDENTITY_SIZE and any(found):
            return found
    return None


def is_own(file: PoolFile) -> bool:
    """Could nobody but this user, and the system's administrator, have written the pool's files?"""
    names = file.files()
    if file.parts is not None:
        names += [file.path, file.parts]
    return all(_is_own(os.stat(name)) for name in names)


def _is_own(status: os.stat_result) -> bool:
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_IWOTH:
        return False
    return not status.st_mode & stat.S_IWGRP or _is_private_group(status.st_gid)


def _is_private_group(number: int) -> bool:
    """Is it the group that many systems give to each user, with that user alone in it?"""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return (
        user.pw_gid == number
        and group.gr_name == user.pw_name
        and set(group.gr_mem) <= {user.pw_name}
    )


def boot_id() -> str:
    """The kernel's name for the time since the machine was started; if unknown, a new one."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            return file.read().decode().strip()
    except OSError:
        return f"unknown {os.urandom(8).hex()}"


def locate(path: str | os.PathLike[str], write: bool = True) -> PoolFile:
    """What is at *path*, checked as far as can be without opening it as a pool.

    *write*: it must be writable.

    Raises:
        PoolNotFoundError, PoolPermissionError, NotAPoolError, LayoutError, PoolSystemError
        InvalidTypeError, InvalidArgumentError: *path* is no path.
    """
    name = full_path(path)
    try:
        if os.path.isdir(name):
            found = PoolFile.at(name, elastic=True)
            if not looks_elastic(name):
                raise NotAPoolError(
                    errno.EISDIR, "a directory that is no elastic pool (it has no pool.set)", name
                )
            first = found.files()[:1]
            if not first:
                raise NotAPoolError(errno.EINVAL, "an elastic pool without its part files", name)
            _recognise(first[0], name, write)
            return found
        _recognise(name, name, write)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "there is no such pool; pmemobj.create() makes one"
        if os.path.islink(name):
            what = "a symbolic link to something that does not exist"
        raise PoolNotFoundError(error.errno, what, name) from None
    except PoolError:
        raise
    except OSError as error:
        raise from_system(error, name) from None
    return PoolFile(name)


def looks_elastic(name: str) -> bool:
    """Is *name* a directory with what every elastic pool has, sound or not?"""
    return os.path.isdir(name) and {_SET_NAME, PARTS_NAME} <= set(os.listdir(name))


def looks_like_pool(path: str | os.PathLike[str]) -> bool:
    """Is there a pool at *path*, as far as a look at its first bytes tells? Never raises."""
    try:
        name = full_path(path)
        if os.path.isdir(name):
            return looks_elastic(name)
        if not os.path.isfile(name):
            return False
        with open(name, "rb", buffering=0) as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except (OSError, PmemobjError):
        return False


def _recognise(file_name: str, shown: str, write: bool) -> None:
    if not stat.S_ISREG(os.stat(file_name).st_mode):
        raise NotAPoolError(errno.EINVAL, "it is no ordinary file", shown)
    with open(file_name, "r+b" if write else "rb", buffering=0) as file:
        head = file.read(_LAYOUT_AT + _LAYOUT_SIZE)
        size = os.fstat(file.fileno()).st_size
    if not head.startswith(_SIGNATURE):
        raise NotAPoolError(errno.EINVAL, "it is no libpmemobj pool", shown)
    if size < MIN_POOL_SIZE or len(head) < _LAYOUT_AT + _LAYOUT_SIZE:
        raise NotAPoolError(
            errno.EINVAL, f"a truncated pool: {size:,} bytes, less than any pool has", shown
        )
    layout = head[_LAYOUT_AT:].split(b"\0", 1)[0]
    if layout != _LAYOUT:
        raise LayoutError(
            errno.EINVAL,
            f"a libpmemobj pool of another program (layout {layout.decode(errors='replace')!r})",
            shown,
        )


_OPENING = "pmemobj.open() opens a pool, flag 'c' opens or creates one"


def exists(name: str, advice: str = _OPENING) -> PoolExistsError:
    """The error for a place that is taken."""
    return PoolExistsError(
        errno.EEXIST, f"something exists there already, and was not touched; {advice}", name
    )


def _bytes_of(files: list[str]) -> int:
    return sum(os.stat(file).st_size for file in files)


def affordable(reservation: int) -> int:
    """Address space to reserve: less where the process may not have that much."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return reservation
    while reservation > limit // 2 and reservation > 1 << 28:
        reservation //= 2
    return reservation


def write_set(file: PoolFile, reservation: int) -> None:
    text = f"PMEMPOOLSET\nOPTION SINGLEHDR\n{reservation >> 20}M {_expressible(file.parts or '')}\n"
    try:
        with open(file.target, encoding="utf-8", errors="surrogateescape") as old:
            if old.read() == text:
                return
    except FileNotFoundError:
        pass
    draft = f"{file.target}.{os.getpid():x}"
    with open(draft, "w", encoding="utf-8", errors="surrogateescape") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    os.replace(draft, file.target)


_folders: dict[tuple[int, int], str] = {}


def _expressible(folder: str) -> str:
    """A path of *folder* that the pool-set format can express: no white space, no ``#``.

    Any other is reached through a descriptor that stays open, one per directory.
    """
    if not any(c.isspace() or c == "#" for c in folder):
        return folder
    status = os.stat(folder)
    key = (status.st_dev, status.st_ino)
    if key not in _folders:
        _folders[key] = f"/proc/self/fd/{os.open(folder, os.O_RDONLY | os.O_DIRECTORY)}"
    return _folders[key]
