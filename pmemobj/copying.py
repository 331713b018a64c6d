"""Copies of a pool's files: blocks shared where the file system can, holes left out elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pmemobj import blocks
from pmemobj.making import umask
from pmemobj.poolfile import PARTS_NAME, PoolFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PoolCopy"]

BLOCK = 1 << 16
"""Bytes that are left out together if all of them are zero."""

_ZEROS = bytes(BLOCK)


class FileCopy:
    """One file being copied; the copy is its owner's alone until it is finished.

    Attributes:
        shared: its blocks are the original's, until ``separate``.
    """

    def __init__(self, source: str, target: str) -> None:
        self.shared = False
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
        """Make the copy share the original's blocks; False: it cannot."""
        os.ftruncate(self._to, 0)
        self.shared = blocks.share(self._to, self._from)
        return self.shared

    def fill(self, told: Callable[[int], None]) -> None:
        """Copy the original's bytes. *told* gets the number of bytes done, holes included."""
        self.shared = False
        os.ftruncate(self._to, 0)
        os.ftruncate(self._to, self.size)
        for start, count in self._pieces(self._from, told):
            self.copy_range(start, count)

    def separate(self, told: Callable[[int], None]) -> None:
        """Share no block any more, so that neither file needs one to be changed. As fill."""
        for start, count in self._pieces(self._to, told):
            blocks.rewrite(self._to, start, count)
        os.fsync(self._to)

    def _pieces(self, file: int, told: Callable[[int], None]) -> Iterator[tuple[int, int]]:
        """Where the file has data, and how much; told when it was dealt with."""
        done, size = 0, os.fstat(file).st_size
        for start, stop in blocks.data(file, 0, size):
            for at in range(start, stop, blocks.STEP):
                count = min(blocks.STEP, stop - at)
                yield at, count
                told(at + count - done)
                done = at + count
        told(size - done)

    def copy_range(self, start: int, count: int) -> None:
        """Copy these bytes; blocks of zeros stay holes where they are holes."""
        for at in range(start, start + count, BLOCK):
            block = os.pread(self._from, min(BLOCK, start + count - at), at)
            if block != _ZEROS[: len(block)]:
                blocks.write(self._to, block, at)

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
    """

    def __init__(self, source: PoolFile, place: str) -> None:
        self._source = source
        parts = os.path.join(place, PARTS_NAME) if source.elastic else None
        self.file = PoolFile(place, parts)
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

    @property
    def shared(self) -> bool:
        """Were its blocks the original's at first?"""
        return all(copy.shared for copy in self._copies.values())

    def prepare(self) -> None:
        """Have what is to be shared on the disk, so that ``run`` waits for little of it."""
        self._open_files()
        for copy in self._copies.values():
            copy.share()

    def run(self, told: Callable[[int], None]) -> None:
        """Copy everything, again if need be. Nobody may write to the original meanwhile.

        Blocks are shared where they can be, and ``separate`` is due.
        """
        self._open_files()
        for copy in self._copies.values():
            if not copy.share():
                copy.fill(told)

    def fill(self, told: Callable[[int], None]) -> None:
        """As run, but no block is shared."""
        self._open_files()
        for copy in self._copies.values():
            copy.fill(told)

    def separate(self, told: Callable[[int], None]) -> None:
        """Share no block any more. The original may be changed meanwhile."""
        for copy in self._copies.values():
            if copy.shared:
                copy.separate(told)

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
