"""The disk blocks of a file: whether it has them all, and for itself alone.

A store into a mapped page whose block is missing, or shared with another file, makes the file
system allocate one. If it has none the process is killed. So whoever stores into a file that way
has to have its blocks beforehand.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from pmemobj.light import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STEP", "data", "keep_in_place", "lacking", "own", "rewrite", "share", "sync", "write"]

STEP = 8 << 20
"""Bytes that are read and written at once."""

_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOTTY, errno.EXDEV, errno.EBADF)

_FICLONERANGE = 0x4020940D
_RANGE = struct.Struct("=qQQQ")  # source, its start, length, start in the target

_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
_NOCOW = 0x00800000
_FLAGS = struct.Struct("=l")

_FIEMAP = 0xC020660B
_REQUEST = struct.Struct("=QQIIII")  # start, length, flags, found, room, -
_EXTENT = struct.Struct("=QQQQQIIII")  # start, -, length, -, -, flags, -, -, -
_EXTENTS = 64
_LAST, _SHARED = 0x1, 0x2000


def keep_in_place(folder: int) -> None:
    """Have the files made in this directory from now on written in place.

    Btrfs writes every block to a new place otherwise. Nothing happens on other file systems.
    """
    flags = bytearray(_FLAGS.size)
    with suppress(OSError):
        fcntl.ioctl(folder, _GETFLAGS, flags)
        (before,) = _FLAGS.unpack(flags)
        fcntl.ioctl(folder, _SETFLAGS, _FLAGS.pack(before | _NOCOW))


def sync(path: str) -> None:
    """Have the disk hold the file or directory *path* as it is now."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def data(file: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of a range that are no holes."""
    while start < stop:
        begin = _seek(file, start, os.SEEK_DATA, stop)
        start = _seek(file, begin, os.SEEK_HOLE, stop)
        if begin < start:
            yield begin, start


def _seek(file: int, at: int, what: int, stop: int) -> int:
    try:
        return min(os.lseek(file, at, what), stop)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nothing of that kind behind *at*
            raise
        return stop


def share(target: int, source: int) -> bool:
    """Make the empty file *target* share the source's blocks, holes left out.

    False: the file system cannot, or has no room to make them the target's own later.
    """
    size = os.fstat(source).st_size
    parts = list(data(source, 0, size))
    space = os.fstatvfs(target)
    if sum(stop - start for start, stop in parts) > space.f_bfree * space.f_frsize:
        return False
    os.ftruncate(target, size)
    try:
        for start, stop in parts:
            fcntl.ioctl(target, _FICLONERANGE, _RANGE.pack(source, start, stop - start, start))
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def write(file: int, content: bytes, at: int) -> None:
    """Write all of it; the system may take less at a time."""
    rest = memoryview(content)
    while rest:
        done = os.pwrite(file, rest, at)
        at += done
        rest = rest[done:]


def rewrite(file: int, at: int, count: int) -> None:
    """Write what is there already, so that it gets blocks of the file's own."""
    write(file, os.pread(file, count, at), at)


def lacking(file: int) -> int:
    """How many bytes of the file have no block yet, or share it with another file."""
    status = os.fstat(file)
    holes = max(0, status.st_size - 512 * status.st_blocks)
    return holes + sum(stop - start for start, stop in _shared(file))


def own(file: int) -> None:
    """Have blocks for all of the file, for itself alone. O(what is lacking).

    Nobody may change it meanwhile.
    """
    parts = list(_shared(file))
    for start, stop in parts:
        for at in range(start, stop, STEP):
            rewrite(file, at, min(STEP, stop - at))
    if parts:
        os.fsync(file)  # until then the disk's blocks are shared
    os.posix_fallocate(file, 0, os.fstat(file).st_size)


def _shared(file: int) -> Iterator[tuple[int, int]]:
    """The parts of the file whose blocks are other files' as well, as the file system tells."""
    at, size = 0, os.fstat(file).st_size
    answer = bytearray(_REQUEST.size + _EXTENTS * _EXTENT.size)
    while at < size:
        _REQUEST.pack_into(answer, 0, at, size - at, 0, 0, _EXTENTS, 0)
        try:
            fcntl.ioctl(file, _FIEMAP, answer)
        except OSError as error:
            if error.errno in _CANNOT:
                return
            raise
        count = _REQUEST.unpack_from(answer)[3]
        last = count == 0
        for number in range(count):
            start, _, length, _, _, flags, *_ = _EXTENT.unpack_from(
                answer, _REQUEST.size + number * _EXTENT.size
            )
            if flags & _SHARED:
                yield max(start, at), min(start + length, size)
            last = bool(flags & _LAST)
        if last:
            return
        at = start + length
