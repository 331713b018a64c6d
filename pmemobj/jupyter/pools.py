"""Magics about whole pools: open, look after, close."""

# IPython's magic decorators carry no types.
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from pmemobj.jupyter.configuration import DURABILITIES, PmemMagics
from pmemobj.jupyter.recovery import show_recovery
from pmemobj.jupyter.session import SESSION, Opened
from pmemobj.jupyter.showing import show
from pmemobj.jupyter.usage import checked_variable, parse, parse_size, usage_errors
from pmemobj.pool import PersistentObjectPool, create
from pmemobj.pool import open as open_pool
from pmemobj.poolfile import looks_like_pool
from pmemobj.report import (
    check_summary,
    collection_summary,
    pool_info,
    pool_summary,
    snapshot_summary,
    workspace_summary,
)
from pmemobj.snapshots import restore

__all__ = ["PoolMagics"]

_UNDONE = "A transaction was open: it was rolled back."
_WHICH = "the workspace (default: the one that is open)"


@magics_class
class PoolMagics(Magics):
    """Pools opened as workspaces of this notebook, looked after, and closed."""

    shell: Any

    def __init__(self, shell: Any, settings: PmemMagics) -> None:
        super().__init__(shell)
        self._settings = settings

    @magic_arguments()
    @argument("name", help="the pool: a path; it is created when it does not exist")
    @argument("--as", dest="variable", help="the variable to bind (default: ws)")
    @argument(
        "--size", help="make a file of this fixed size, such as 64M (default: grows as needed)"
    )
    @argument(
        "--durability",
        choices=DURABILITIES,
        help="process: survives kill -9; power: survives power loss too, each commit waits for "
        "the disk; auto: power on persistent memory, process elsewhere",
    )
    @argument(
        "--scratch",
        action="store_true",
        help="a private look at an existing pool: change what you like, nothing is written",
    )
    @argument(
        "--trust",
        action="store_true",
        help="load pickles and import modules that the pool names, though others than you could "
        "have written it",
    )
    @line_magic
    def pmem_open(self, line: str) -> None:
        """Open a pool, or create it, and bind its variables to ``ws``.

        Running the cell again shows what is there; after a crash the first opening
        tells what was recovered.
        """
        args = parse(self.pmem_open, line)
        path = _path(args.name)
        variable = checked_variable("--as", args.variable or self._settings.workspace)
        size = None if args.size is None else parse_size("--size", args.size)
        known = SESSION.at(path)
        holder = SESSION.get(variable)
        if holder is not None and (known is None or holder.pool is not known.pool):
            raise UsageError(
                f"{variable} is the workspace of {holder.pool.path}: close that with "
                f"%pmem_close {variable}, or open this one --as another name"
            )
        if known is not None:
            _check_same(known.pool, size, args)
            one = holder or SESSION.add(variable, known.pool)
        else:
            one = self._open(path, variable, size, args)
            show_recovery(self.shell, one.pool)
        self.shell.user_ns[variable] = one.workspace
        show(workspace_summary(one.pool, variable))

    def _open(self, path: str, variable: str, size: int | None, args: Any) -> Opened:
        with usage_errors():
            pool = self._open_or_create(path, size, args)
            try:
                return SESSION.add(variable, pool)
            except BaseException:
                pool.close()
                raise

    def _open_or_create(self, path: str, size: int | None, args: Any) -> PersistentObjectPool:
        durability = args.durability or self._settings.durability
        reservation = self._settings.reserved
        if os.path.lexists(path):
            if size is not None:
                raise UsageError(f"{path} exists: --size is for a new pool; open it without")
            return open_pool(
                path,
                durability=durability,
                scratch=args.scratch,
                reservation=reservation,
                allow_pickle=True if args.trust else None,
            )
        if args.scratch:
            raise UsageError(f"{path} does not exist: --scratch is a look at an existing pool")
        if size is None:
            return create(path, elastic=True, durability=durability, reservation=reservation)
        return create(path, size, durability=durability)

    @magic_arguments()
    @argument("workspace", nargs="?", help=_WHICH)
    @line_magic
    def pmem_info(self, line: str) -> None:
        """Show a pool: its file, how full it is, what it survives."""
        _, one = SESSION.chosen(parse(self.pmem_info, line).workspace, "%pmem_info")
        show(pool_summary(pool_info(one.pool)))

    @magic_arguments()
    @argument("workspace", nargs="?", help=_WHICH)
    @line_magic
    def pmem_gc(self, line: str) -> None:
        """Free what no variable leads to any more.

        Only objects that refer to each other in a circle need it; all others are freed at
        once. Interrupting it is safe.
        """
        _, one = SESSION.chosen(parse(self.pmem_gc, line).workspace, "%pmem_gc")
        with usage_errors():
            report = one.pool.gc()
        show(collection_summary(one.pool.path, report))

    @magic_arguments()
    @argument("workspace", nargs="?", help=_WHICH)
    @line_magic
    def pmem_check(self, line: str) -> None:
        """Verify every object of a pool. Changes nothing; interrupting it is safe."""
        _, one = SESSION.chosen(parse(self.pmem_check, line).workspace, "%pmem_check")
        with usage_errors():
            report = one.pool.check()
        show(check_summary(one.pool.path, report))

    @magic_arguments()
    @argument("file", help="where the copy shall be; a directory if the pool is one")
    @argument("-w", "--workspace", help=_WHICH)
    @argument("--overwrite", action="store_true", help="replace the snapshot that is there")
    @line_magic
    def pmem_snapshot(self, line: str) -> None:
        """Make a verified copy of a pool as it is now, whole or not at all.

        The copy is a pool itself: %pmem_open takes it, %pmem_restore goes back to it.
        """
        args = parse(self.pmem_snapshot, line)
        _, one = SESSION.chosen(args.workspace, "%pmem_snapshot -w")
        with usage_errors():
            report = one.pool.snapshot(_path(args.file), overwrite=args.overwrite)
        show(snapshot_summary("snapshot", report))

    @magic_arguments()
    @argument("file", help="the snapshot")
    @argument("path", nargs="?", help="make a pool here (default: put the open one back)")
    @argument("-w", "--workspace", help=_WHICH)
    @argument("--overwrite", action="store_true", help="replace the pool's present content")
    @line_magic
    def pmem_restore(self, line: str) -> None:
        """Put a pool back to a snapshot, or make a new pool of one. The snapshot stays.

        A workspace that is put back is opened again under its name; objects that other names
        hold are those of the closed pool.
        """
        args = parse(self.pmem_restore, line)
        if not looks_like_pool(_path(args.file)):
            raise UsageError(f"{_path(args.file)}: there is no snapshot")
        if args.path is not None:
            if args.workspace is not None:
                raise UsageError("give a path, or -w with a workspace to put back, not both")
            with usage_errors():
                report = restore(_path(args.file), _path(args.path), overwrite=args.overwrite)
            show(snapshot_summary("restored", report))
            return
        variable, one = SESSION.chosen(args.workspace, "%pmem_restore -w")
        if one.pool.scratch:
            raise UsageError(f"{variable} is a scratch: %pmem_close it; the pool is as it was")
        if not args.overwrite:
            raise UsageError(
                f"this replaces all that {variable} holds now: say --overwrite if that is meant"
            )
        self._put_back(one.pool, _path(args.file))

    def _put_back(self, pool: PersistentObjectPool, file: str) -> None:
        """Close, restore, and open again under all of its names, whether it went well or not."""
        path, names = pool.path, SESSION.names_of(pool)
        durability = pool.durability if pool.durability in DURABILITIES else "auto"
        trusted = True if pool.allow_pickle else None
        with usage_errors():
            pool.close()
            try:
                report = restore(file, path, overwrite=True)
            finally:
                reopened = open_pool(
                    path,
                    durability=durability,
                    reservation=self._settings.reserved,
                    allow_pickle=trusted,
                )
                for name in names:
                    self.shell.user_ns[name] = SESSION.add(name, reopened).workspace
        show(snapshot_summary("restored", report))
        show(workspace_summary(reopened, names[0]))

    @magic_arguments()
    @argument("workspace", nargs="?", help=_WHICH)
    @line_magic
    def pmem_close(self, line: str) -> None:
        """Close a pool. Its variables stay stored; names that still refer to them raise."""
        _, one = SESSION.chosen(parse(self.pmem_close, line).workspace, "%pmem_close")
        undone = pool_info(one.pool).in_transaction
        with usage_errors():
            one.pool.close()
        summary = pool_summary(pool_info(one.pool))
        show(replace(summary, warnings=(_UNDONE,)) if undone else summary)


def _path(argument: str) -> str:
    path = os.path.expanduser(argument)
    if not path.strip():
        raise UsageError("the pool needs a name, such as: analysis")
    return path


def _check_same(pool: PersistentObjectPool, size: int | None, args: Any) -> None:
    """Raise unless the open *pool* is what the arguments ask for."""
    if size is not None:
        raise UsageError(f"{pool.path} exists: --size is for a new pool; open it without")
    if args.scratch and not pool.scratch:
        raise UsageError("it is open already, and not as a scratch: %pmem_close first")
    if args.durability not in (None, "auto", pool.durability):
        raise UsageError(
            f"it is open with durability {pool.durability}: "
            "%pmem_close first, then open it with another"
        )
