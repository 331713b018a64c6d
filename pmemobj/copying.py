"""Copies of a pool's files: blocks shared where the file system can, holes left out elsewhere."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from pmemobj.poolfile import PARTS_NAME, PoolFile, umask

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PoolCopy"]

STEP = 8 << 20
"""Bytes copied between two reports of progress."""

BLOCK = 1 << 16
"""Bytes that are left out together if all of them are zero."""

_ZEROS = bytes(BLOCK)
_FICLONE = 0x40049409
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY, errno.EXDEV, errno.EBADF)


class FileCopy:
    """One file being copied; the copy is its owner's alone until it is finished."""

    def __init__(self, source: str, target: str) -> None:
        self.target = target
        self._from = os.open(source, os.O_RDONLY)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._to = os.open(target, flags, 0o600)
        except BaseException:
            os.close(self._from)
            raise

    @property
    def mode(self) -> int:
        """The original's permissions."""
        return os.fstat(self._from).st_mode & 0o777

    @property
    def size(self) -> int:
        """The original's size in bytes."""
        return os.fstat(self._from).st_size

    def share(self) -> bool:
        """Make the copy share the original's blocks; False: the file system cannot."""
        try:
            fcntl.ioctl(self._to, _FICLONE, self._from)
        except OSError as error:
            if error.errno in _CANNOT:
                return False
            raise
        return True

    def fill(self, told: Callable[[int], None]) -> None:
        """Copy the original's bytes. *told* gets the number of bytes done, holes included."""
        os.ftruncate(self._to, 0)
        size = self.size
        os.ftruncate(self._to, size)
        at = 0
        while at < size:
            start = self._seek(at, os.SEEK_DATA, size)
            told(start - at)
            stop = self._seek(start, os.SEEK_HOLE, size)
            for at in range(start, stop, STEP):
                count = min(STEP, stop - at)
                self.copy_range(at, count)
                told(count)
            at = stop

    def _seek(self, at: int, what: int, size: int) -> int:
        try:
            return min(os.lseek(self._from, at, what), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing of that kind behind *at*
                raise
            return size

    def copy_range(self, start: int, count: int) -> None:
        """Copy these bytes; blocks of zeros stay holes where they are holes."""
        for at in range(start, start + count, BLOCK):
            block = os.pread(self._from, min(BLOCK, start + count - at), at)
            if block != _ZEROS[: len(block)]:
                os.pwrite(self._to, block, at)

    def allocate(self) -> None:
        """Have disk blocks for all of the copy, so that none can be missing later."""
        os.posix_fallocate(self._to, 0, os.fstat(self._to).st_size)

    def finish(self, mode: int) -> None:
        """Give the copy its permissions and have the disk hold it."""
        os.fchmod(self._to, mode)
        os.fsync(self._to)

    def close(self) -> None:
        os.close(self._from)
        os.close(self._to)


class PoolCopy:
    """The copy of a pool that is being made at *place*, where nothing is yet.

    Attributes:
        file: the copy, as a pool.
        shared: its blocks are the original's, until either is changed.
    """

    def __init__(self, source: PoolFile, place: str) -> None:
        self._source = source
        parts = os.path.join(place, PARTS_NAME) if source.elastic else None
        self.file = PoolFile(place, parts)
        self.shared = False
        self._copies: dict[str, FileCopy] = {}
        if parts is not None:
            os.mkdir(place, 0o700)
            os.mkdir(parts, 0o700)

    def __enter__(self) -> PoolCopy:
        return self

    def __exit__(self, *error: object) -> None:
        for copy in self._copies.values():
            copy.close()

    @property
    def size(self) -> int:
        """Bytes of the original's files now."""
        return sum(os.stat(name).st_size for name in self._source.files())

    def prepare(self) -> None:
        """Find out whether blocks can be shared, and have the original's on the disk if so.

        For a pool at work: what ``run`` has to wait for is then little.
        """
        self._open_files()
        self.shared = all(copy.share() for copy in self._copies.values())

    def run(self, told: Callable[[int], None]) -> None:
        """Copy everything, again if need be. Nobody may write to the original meanwhile."""
        self._open_files()
        for copy in self._copies.values():
            size = copy.size
            if self.shared and copy.share():
                told(size)
            else:
                self.shared = False
                copy.fill(told)

    def allocate(self) -> None:
        """Have disk blocks for all of the copy."""
        for copy in self._copies.values():
            copy.allocate()

    def finish(self, least: int = 0) -> None:
        """Permissions as the original's, the umask applied, *least* in any case; all on disk."""
        mask = umask()
        for copy in self._copies.values():
            mode = (copy.mode | least) & ~mask
            copy.finish(mode)
        self.file.finish_folders(mode)

    def _open_files(self) -> None:
        for source in self._source.files():
            if source not in self._copies:
                name = self.file.path
                if self.file.parts is not None:
                    name = os.path.join(self.file.parts, os.path.basename(source))
                self._copies[source] = FileCopy(source, name)
