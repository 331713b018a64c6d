"""Files in the making: a private directory beside their place, and the moment of publication.

Whoever makes a file or directory that must appear whole or not at all makes it in a draft
directory and publishes it from there. The directory is locked while its maker lives, so that
the next maker in the same place can tell what a killed one has left, and removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress

from pmemobj._native import ffi, lib
from pmemobj.blocks import keep_in_place, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["claim", "drafting", "publish", "remove_tree", "sweep"]

_PREFIX = ".pmemobj-"
_SUFFIX = ".draft"
_ATTEMPTS = 10


@contextmanager
def drafting(target: str) -> Iterator[str]:
    """A path for the draft of *target*: on its file system, in a directory of its own.

    Nobody else may look into that directory, and nobody can foretell its name. It is removed
    at the end, with whatever is in it by then.

    Raises:
        OSError: as the operating system says.
    """
    folder = os.path.dirname(target)
    sweep(folder)
    place, held = claim(folder)
    try:
        yield os.path.join(place, "new")
    finally:
        remove_tree(place)
        os.close(held)


def remove_tree(place: str) -> None:
    """Remove a directory and what is in it, as far as it can be."""
    import shutil  # slow to import, and seldom needed

    shutil.rmtree(place, ignore_errors=True)


def claim(folder: str) -> tuple[str, int]:
    """A new directory in *folder*, and the descriptor that locks it."""
    for _ in range(_ATTEMPTS):
        place = os.path.join(folder, f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}")
        os.mkdir(place, 0o700)
        held = _lock(place)
        if held is not None:
            keep_in_place(held)
            return place, held
        with suppress(OSError):  # swept away by another process, before it was locked
            os.rmdir(place)
    raise OSError(errno.ENOLCK, "this file system locks no directories", folder)


def _lock(place: str) -> int | None:
    """A descriptor that locks the directory *place*; None: it is another's, or gone."""
    try:
        held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(held)
        if status.st_uid == os.geteuid() and os.path.samestat(status, os.lstat(place)):
            return held
    except OSError:
        pass
    os.close(held)
    return None


def sweep(folder: str) -> None:
    """Remove the drafts that a process left in *folder* when it was killed."""
    names: list[str] = []
    with suppress(OSError):  # a directory that may be written to but not read
        names = os.listdir(folder)
    for name in names:
        if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
            held = _lock(os.path.join(folder, name))
            if held is not None:
                remove_tree(os.path.join(folder, name))
                os.close(held)


def publish(draft: str, name: str, replace: bool = False) -> None:
    """Give the finished *draft* its name, in one step that is on the disk on return.

    What it replaces is left where the draft was.

    Raises:
        FileExistsError: something is at *name*, and *replace* is false.
        OSError: as the operating system says; ENOTSUP where the file system cannot replace
            a directory in one step.
    """
    if replace and os.path.lexists(name):
        _exchange(draft, name)
    else:
        _put(draft, name)
    with suppress(PermissionError):  # a directory that may be written to but not read
        sync(os.path.dirname(name))


def _exchange(draft: str, name: str) -> None:
    info = ffi.new("pmo_failure_info *")
    if lib.pmo_exchange(os.fsencode(draft), os.fsencode(name), info):
        if os.path.isdir(draft) or os.path.isdir(name):
            raise OSError(errno.ENOTSUP, "this file system cannot exchange directories", name)
        os.replace(draft, name)


def _put(draft: str, name: str) -> None:
    try:
        if os.path.isdir(draft):
            os.rename(draft, name)  # refused if a non-empty directory or a file is there
        else:
            os.link(draft, name)
            os.unlink(draft)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENOTEMPTY):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        os.rename(draft, name)  # a file system without hard links
