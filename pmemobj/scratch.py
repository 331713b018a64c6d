"""Where a private look at an elastic pool may grow: a hidden directory of links beside the pool.

libpmemobj maps the parts copy-on-write through the links and makes further ones beside them, so
that the pool's own directory is not touched. A plain pool needs none of this.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from glob import escape, glob

from pmemobj.errors import PoolSystemError
from pmemobj.poolfile import PoolFile

__all__ = ["Scratch"]

_PREFIX, _SUFFIX = ".pmemobj-", ".scratch"


class Scratch:
    """The temporary directory for one look at one pool."""

    def __init__(self, file: PoolFile) -> None:
        self.file = file
        """What to open in place of the pool's own file."""
        self._owner = os.getpid()
        self._held: int | None = None
        if file.parts is not None:
            try:
                _remove_left(os.path.dirname(file.path))
                self._link(file)
            except OSError as error:
                raise PoolSystemError(
                    error.errno,
                    f"{error.strerror}: a private look at a pool that grows needs a directory for "
                    "links beside it: look at a snapshot or a copy elsewhere",
                    file.path,
                ) from None

    def _link(self, file: PoolFile) -> None:
        self._folder = tempfile.mkdtemp(_SUFFIX, _PREFIX, os.path.dirname(file.path))
        self._held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._held, fcntl.LOCK_SH)  # as long as it is held it is in use
            parts = os.path.join(self._folder, "parts")
            os.mkdir(parts)
            for part in file.files():
                os.link(part, os.path.join(parts, os.path.basename(part)))
        except BaseException:
            self.remove()
            raise
        self.file = replace(file, parts=parts)

    def remove(self) -> None:
        """Remove it, unless it is another process's. Idempotent."""
        held, self._held = self._held, None
        if held is None:
            return
        if os.getpid() == self._owner:
            shutil.rmtree(self._folder, ignore_errors=True)
        os.close(held)


def _remove_left(home: str) -> None:
    """Remove what processes that were killed have left in the directory *home*."""
    for folder in glob(os.path.join(escape(home), f"{_PREFIX}*{_SUFFIX}")):
        with suppress(OSError):  # in use, or another user's
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
