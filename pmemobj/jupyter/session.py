"""Which pools this kernel has open, under which variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from IPython.core.error import UsageError

from pmemobj.pool import PersistentObjectPool
from pmemobj.workspace import Workspace

__all__ = ["SESSION", "Opened", "Session"]


@dataclass(frozen=True)
class Opened:
    """A pool, and the workspace that a variable is bound to."""

    pool: PersistentObjectPool
    workspace: Workspace


class Session:
    """The open pools by variable. A pool that was closed by other means is forgotten."""

    def __init__(self) -> None:
        self._opened: dict[str, Opened] = {}

    def __iter__(self) -> Iterator[str]:
        self._forget_closed()
        return iter(list(self._opened))

    def get(self, variable: str) -> Opened | None:
        """What *variable* was bound to, or None."""
        self._forget_closed()
        return self._opened.get(variable)

    def at(self, path: str) -> Opened | None:
        """What is open of the pool at *path*, or None."""
        place = os.path.realpath(path)
        pools = self.pools().values()
        return next((one for one in pools if os.path.realpath(one.pool.path) == place), None)

    def add(self, variable: str, pool: PersistentObjectPool) -> Opened:
        """Enter *pool* under *variable*.

        Raises:
            WorkspaceRootError: its root cannot hold variables.
        """
        one = self._opened[variable] = Opened(pool, Workspace(pool, variable))
        return one

    def names_of(self, pool: PersistentObjectPool) -> list[str]:
        """All variables that *pool* was opened under."""
        return [variable for variable in self if self._opened[variable].pool is pool]

    def pools(self) -> dict[str, Opened]:
        """Each open pool once, under the variable that it got first."""
        found: dict[int, tuple[str, Opened]] = {}
        for variable in self:
            one = self._opened[variable]
            found.setdefault(id(one.pool), (variable, one))
        return dict(found.values())

    def named(self, variable: str) -> tuple[str, Opened]:
        """The variable and what it was bound to.

        Raises:
            UsageError: no workspace of that name is open.
        """
        one = self.get(variable)
        if one is None:
            there = ", ".join(self._opened) or "none"
            raise UsageError(f"no workspace {variable} is open (open: {there})")
        return variable, one

    def chosen(self, variable: str | None, how: str) -> tuple[str, Opened]:
        """The workspace that a person means; *how* tells how to say which.

        Raises:
            UsageError: none is open, none of that name, or several and no name given.
        """
        if variable is not None:
            return self.named(variable)
        pools = self.pools()
        if not pools:
            raise UsageError("no pool is open: %pmem_open NAME opens or creates one")
        if len(pools) > 1:
            raise UsageError(f"several are open: say {how} with one of {', '.join(self)}")
        return next(iter(pools.items()))

    def _forget_closed(self) -> None:
        for variable in [name for name, one in self._opened.items() if one.pool.closed]:
            del self._opened[variable]


SESSION = Session()
"""Of the process, so that %reload_ext keeps what is open."""
