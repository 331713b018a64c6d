"""Where a private look at an elastic pool may grow: a hidden directory of links beside the pool.

libpmemobj maps the parts copy-on-write through the links and makes further ones beside them, so
that the pool's own directory is not touched. A plain pool needs none of this.
"""

from __future__ import annotations

import os

from pmemobj.drafts import claim, remove_tree, sweep
from pmemobj.errors import PoolSystemError
from pmemobj.poolfile import PARTS_NAME, PoolFile

__all__ = ["Scratch"]


class Scratch:
    """The directory for one look at one pool."""

    def __init__(self, file: PoolFile) -> None:
        self.file = file
        """What to open in place of the pool's own file."""
        self._owner = os.getpid()
        self._held: int | None = None
        if file.parts is not None:
            try:
                self._link(file)
            except OSError as error:
                raise PoolSystemError(
                    error.errno,
                    f"{error.strerror}: a private look at a pool that grows needs a directory for "
                    "links beside it: look at a snapshot or a copy elsewhere",
                    file.path,
                ) from None

    def _link(self, file: PoolFile) -> None:
        home = os.path.dirname(file.path)
        sweep(home)  # what others that were killed have left
        self._folder, self._held = claim(home)
        try:
            parts = os.path.join(self._folder, PARTS_NAME)
            os.mkdir(parts)
            for part in file.files():
                os.link(part, os.path.join(parts, os.path.basename(part)))
        except BaseException:
            self.remove()
            raise
        self.file = file._replace(parts=parts)

    def remove(self) -> None:
        """Remove it, unless it is another process's. Idempotent."""
        held, self._held = self._held, None
        if held is None:
            return
        if os.getpid() == self._owner:
            remove_tree(self._folder)
        os.close(held)
