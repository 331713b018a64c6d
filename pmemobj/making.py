"""Pools made: at their place whole, or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from pmemobj._native import failure, ffi, lib
from pmemobj.blocks import sync
from pmemobj.drafts import drafting, publish
from pmemobj.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    PoolError,
    PoolNotFoundError,
    PoolSizeError,
)
from pmemobj.poolfile import (
    DENIED,
    LARGEST_POOL,
    MIN_POOL_SIZE,
    PARTS_NAME,
    RESERVATION,
    PoolFile,
    about,
    affordable,
    denied,
    exists,
    from_system,
    full_path,
    write_set,
)

__all__ = ["check_size", "make", "umask"]


def check_size(size: int) -> int:
    """A pool size in bytes that can be made.

    Raises:
        PoolSizeError: too small, or absurdly large.
        InvalidTypeError: no integer.
    """
    if isinstance(size, bool) or not isinstance(size, int):
        raise InvalidTypeError(f"pool_size must be an int (bytes), not {type(size).__name__}")
    if not MIN_POOL_SIZE <= size <= LARGEST_POOL:
        raise PoolSizeError(
            errno.EINVAL,
            f"a pool of {size:,} bytes cannot be made: at least MIN_POOL_SIZE "
            f"({MIN_POOL_SIZE:,}), at most {LARGEST_POOL:,}",
        )
    return size


def _check_mode(mode: int) -> int:
    if isinstance(mode, bool) or not isinstance(mode, int):
        raise InvalidTypeError(f"mode must be an int such as 0o600, not {type(mode).__name__}")
    if not 0 <= mode <= 0o777:
        raise InvalidArgumentError(f"mode {mode:#o}: it must be from 0 to 0o777")
    return mode & ~umask()


def make(path: str | os.PathLike[str], size: int, mode: int, elastic: bool) -> PoolFile:
    """Create a pool at *path*, whole or not at all: made beside it, then given its name.

    Args:
        path: where it shall be.
        size: bytes of a plain pool.
        mode: of the file, the umask applied; an elastic pool's directory is searchable where
            its files are readable.
        elastic: a directory that grows.

    Raises:
        PoolExistsError, PoolNotFoundError, PoolPermissionError, PoolSizeError, PoolSystemError
        InvalidTypeError, InvalidArgumentError: *path* is no path, *mode* no permissions.
    """
    name = full_path(path)
    mode = _check_mode(mode)
    if os.path.lexists(name):
        raise exists(name)
    folder = os.path.dirname(name)
    if not os.path.isdir(folder):
        raise PoolNotFoundError(errno.ENOENT, "the directory for the pool does not exist", folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise denied(errno.EACCES, folder)
    file = PoolFile.at(name, elastic)
    try:
        file.require_short_name()
        with drafting(name) as draft:
            if elastic:
                _make_elastic(draft, mode, name)
            else:
                _call_create(draft, size, mode, name)
            _sync_files(PoolFile.at(draft, elastic))
            publish(draft, name)
    except PoolError:
        raise
    except FileExistsError:
        raise exists(name) from None
    except OSError as error:
        raise from_system(error, name) from None
    return file


def _make_elastic(draft: str, mode: int, name: str) -> None:
    os.mkdir(draft, 0o700)
    os.mkdir(os.path.join(draft, PARTS_NAME), 0o700)
    file = PoolFile.at(draft, elastic=True)
    write_set(file, affordable(RESERVATION))
    _call_create(file.target, 0, mode, name)
    file.finish_folders(mode)


def _call_create(target: str, size: int, mode: int, name: str) -> None:
    info = ffi.new("pmo_failure_info *")
    status = lib.pmo_create(os.fsencode(target), size, mode, info)
    if not status:
        return
    if status == lib.PMO_ESYSTEM and info.error in DENIED:
        raise denied(info.error, name)
    if status == lib.PMO_ESYSTEM and info.error in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        raise PoolSizeError(
            info.error,
            f"no room on the disk for a pool of {size or MIN_POOL_SIZE:,} bytes: ask for less, "
            "or free some",
            name,
        )
    raise about(failure(status, info=info), name)


def _sync_files(file: PoolFile) -> None:
    """Have the disk hold a new pool before its name does; the core waited for nothing."""
    with suppress(PermissionError):  # a mode that forbids to read it
        for part in file.files():
            sync(part)


def umask() -> int:
    """This process's file mode creation mask, unchanged."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
