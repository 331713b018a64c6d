"""The IPython extension: ``%load_ext pmemobj``, then ``%pmem_open NAME``.

Magics parse, call the public interface and display; what they show is made by
report.py. Several pools may be open at once, each under a name of its own.
"""

# IPython's magic decorators carry no types.
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from __future__ import annotations

import ast
import io
import os
import re
import time
import tokenize
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from pmemobj.display import html, text
from pmemobj.display.summary import Summary
from pmemobj.errors import PmemobjError, PoolError, WorkspaceRootError
from pmemobj.pool import PersistentObjectPool, create
from pmemobj.pool import open as open_pool
from pmemobj.report import (
    TransactionInfo,
    Work,
    explain,
    pool_info,
    pool_summary,
    recovery_info,
    recovery_summary,
    transaction_summary,
    work_done,
    workspace_summary,
)
from pmemobj.workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["PmemMagics", "load_ipython_extension", "unload_ipython_extension"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURABILITIES = ("auto", "process", "power")


@dataclass(frozen=True)
class _Opened:
    pool: PersistentObjectPool
    workspace: Workspace


_opened: dict[str, _Opened] = {}
"""Variable name -> what %pmem_open bound to it. Of the process, so that %reload_ext keeps it."""


class _Shown:
    """A Summary in the shape that IPython displays."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def __repr__(self) -> str:
        return text.render(self._summary)

    def _repr_html_(self) -> str:
        return html.render(self._summary)


def _show(summary: Summary) -> None:
    display(_Shown(summary))


def parse_size(words: str) -> int:
    """Bytes of ``64M``, ``1.5GiB`` or ``8388608``.

    Raises:
        UsageError: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", words.strip().upper())
    if match is None:
        raise UsageError(f"--size {words}: give bytes, or a number with K, M, G or T, such as 64M")
    return int(float(match[1]) * _UNITS[match[2]])


def _same_place(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _open_or_create(path: str, size: int | None, durability: str) -> PersistentObjectPool:
    if os.path.lexists(path):
        if size is not None:
            raise UsageError(f"{path} exists: --size is for a new pool; open it without")
        return open_pool(path, durability=durability)
    if size is None:
        return create(path, elastic=True, durability=durability)
    return create(path, size, durability=durability)


@magics_class
class PmemMagics(Magics):
    """Pools as workspaces of this notebook."""

    shell: Any

    @magic_arguments()
    @argument("name", help="the pool: a path; it is created when it does not exist")
    @argument("--as", dest="variable", default="ws", help="the variable to bind (default: ws)")
    @argument(
        "--size", help="make a file of this fixed size, such as 64M (default: grows as needed)"
    )
    @argument(
        "--durability",
        choices=_DURABILITIES,
        help="process: survives kill -9; power: survives power loss too, each commit waits for "
        "the disk; auto: power on persistent memory, process elsewhere",
    )
    @line_magic
    def pmem_open(self, line: str) -> None:
        """Open a pool, or create it, and bind its variables to ``ws``.

        Running the cell again shows what is there; after a crash the first opening
        tells what was recovered.
        """
        args = parse_argstring(self.pmem_open, line)
        variable = args.variable
        if not variable.isidentifier():
            raise UsageError(f"--as {variable}: not a name that a variable can have")
        path = os.path.expanduser(_unquoted(args.name))
        size = None if args.size is None else parse_size(args.size)
        _forget_closed()
        known = next((one for one in _opened.values() if _same_place(one.pool.path, path)), None)
        holder = _opened.get(variable)
        if holder is not None and holder is not known:
            raise UsageError(
                f"{variable} is the workspace of {os.fspath(holder.pool.path)}: close that with "
                f"%pmem_close {variable}, or open this one --as another name"
            )
        if known is not None:
            self._rebind(known, variable, args.durability)
            return
        try:
            pool = _open_or_create(path, size, args.durability or "auto")
        except PoolError as error:
            raise UsageError(explain(error)) from None
        try:
            workspace = Workspace(pool, variable)
        except WorkspaceRootError as error:
            pool.close()
            raise UsageError(explain(error)) from None
        _opened[variable] = _Opened(pool, workspace)
        self.shell.user_ns[variable] = workspace
        if not pool.recovery.clean or pool.recovery.classes_missing:
            _show(recovery_summary(recovery_info(pool)))
        _show(workspace_summary(pool, variable))

    def _rebind(self, known: _Opened, variable: str, durability: str | None) -> None:
        if durability not in (None, "auto", known.pool.durability):
            raise UsageError(
                f"it is open with durability {known.pool.durability}: "
                "%pmem_close first, then open it with another"
            )
        workspace = known.workspace
        if _opened.get(variable) is not known:
            workspace = Workspace(known.pool, variable)
            _opened[variable] = _Opened(known.pool, workspace)
        self.shell.user_ns[variable] = workspace
        _show(workspace_summary(known.pool, variable))

    @magic_arguments()
    @argument("variable", nargs="?", help="only this workspace (default: all that are open)")
    @line_magic
    def pmem(self, line: str) -> None:
        """Show the open workspaces: their pools, and the variables in them."""
        args = parse_argstring(self.pmem, line)
        _forget_closed()
        if args.variable is not None:
            chosen = {args.variable: self._named(args.variable)}
        else:
            chosen = dict(_opened)
        if not chosen:
            _show(Summary("pmem", empty="No pool is open. %pmem_open NAME opens or creates one."))
        shown: set[int] = set()
        for variable, one in chosen.items():
            if id(one.pool) not in shown:
                _show(workspace_summary(one.pool, variable, details=True))
                shown.add(id(one.pool))

    @magic_arguments()
    @argument("variable", nargs="?", help="the workspace to close (default: the one that is open)")
    @line_magic
    def pmem_close(self, line: str) -> None:
        """Close a pool. Its variables stay stored; names that still refer to them raise."""
        args = parse_argstring(self.pmem_close, line)
        _forget_closed()
        one = self._chosen(args.variable, "%pmem_close")
        try:
            one.pool.close()
        except PmemobjError as error:
            raise UsageError(explain(error)) from None
        _forget_closed()
        _show(pool_summary(pool_info(one.pool)))

    @no_var_expand
    @magic_arguments()
    @argument("variable", nargs="?", help="the workspace (default: the one that is open)")
    @cell_magic
    def pmem_transaction(self, line: str, cell: str) -> Any:
        """Run the cell in one transaction: it commits when the cell ends.

        A cell that fails or is interrupted leaves the pool as it was before it.
        Ordinary Python variables are not rolled back.
        """
        args = parse_argstring(self.pmem_transaction, line)
        _forget_closed()
        one = self._chosen(args.variable, "%%pmem_transaction")
        run = self._prepared(cell)
        path = os.fspath(one.pool.path)
        before = work_done(one.pool)
        start = time.perf_counter()

        def ended(committed: bool, reason: str = "") -> Summary:
            seconds = time.perf_counter() - start
            done = _difference(work_done(one.pool), before)
            return transaction_summary(TransactionInfo(path, committed, seconds, done, reason))

        try:
            with one.pool.transaction():
                result = run()
        except BaseException as error:
            if not one.pool.closed:
                _show(ended(False, type(error).__name__))
            self._trim(error)
            raise
        _show(ended(True))
        return result

    def _prepared(self, cell: str) -> Callable[[], Any]:
        shell = self.shell
        # The line in place of the magic's keeps the numbers of the lines below it.
        transformed = "# %%pmem_transaction\n" + shell.transform_cell(cell)
        name = shell.compile.cache(transformed, _cell_number(shell), raw_code=cell)
        tree = shell.transform_ast(shell.compile.ast_parse(transformed, filename=name))
        if _awaits(tree):
            raise UsageError("a transaction cannot span an await: await outside of this cell")
        last = None
        final = tree.body[-1] if tree.body else None
        shown = shell.ast_node_interactivity != "none" and not _silenced(transformed)
        if shown and isinstance(final, ast.Expr):
            del tree.body[-1]
            last = ast.Expression(final.value)
        body_code = shell.compile(tree, name, "exec")
        last_code = None if last is None else shell.compile(last, name, "eval")

        def run() -> Any:
            exec(body_code, shell.user_ns)
            return None if last_code is None else eval(last_code, shell.user_ns)

        return run

    def _trim(self, error: BaseException) -> None:
        """Let IPython show the cell's own frames of *error*, not those that ran the cell."""
        shell = self.shell
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename != __file__:
            own = own.tb_next
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next
        if own is None or own.tb_frame.f_globals is not shell.user_ns:
            return

        def render() -> Any:
            return shell.InteractiveTB.structured_traceback(type(error), error, own, tb_offset=0)

        def forget(*_: object) -> None:
            shell.events.unregister("post_run_cell", forget)
            with suppress(AttributeError):
                del error._render_traceback_  # type: ignore[attr-defined]

        error._render_traceback_ = render  # type: ignore[attr-defined]
        shell.events.register("post_run_cell", forget)

    def _named(self, variable: str) -> _Opened:
        one = _opened.get(variable)
        if one is None:
            there = ", ".join(_opened) or "none"
            raise UsageError(f"no workspace {variable} is open (open: {there})")
        return one

    def _chosen(self, variable: str | None, magic: str) -> _Opened:
        if variable is not None:
            return self._named(variable)
        pools = {id(one.pool): one for one in _opened.values()}
        if not pools:
            raise UsageError("no pool is open: %pmem_open NAME opens or creates one")
        if len(pools) > 1:
            raise UsageError(f"several are open: say {magic} with one of {', '.join(_opened)}")
        return next(iter(pools.values()))


_NOT_CODE = (
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.NEWLINE,
    tokenize.NL,
)


def _silenced(code: str) -> bool:
    """A semicolon at the end of a cell asks not to display its last expression."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    last = [token.string for token in tokens if token.type not in _NOT_CODE][-1:]
    return last == [";"]


def _cell_number(shell: Any) -> int:
    """The number of the cell that is running; IPython has counted on already, or not yet."""
    recorded = len(shell.history_manager.input_hist_parsed) - 1
    return recorded if recorded > 0 else int(shell.execution_count)


def _unquoted(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1] if quoted else name


def _forget_closed() -> None:
    for variable in [name for name, one in _opened.items() if one.pool.closed]:
        del _opened[variable]


def _difference(after: Work, before: Work) -> Work:
    return Work(
        after.transactions - before.transactions,
        after.allocations - before.allocations,
        after.frees - before.frees,
        after.bytes_written - before.bytes_written,
    )


def _awaits(tree: ast.AST) -> bool:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to *shell*. Loading twice is harmless."""
    shell.register_magics(PmemMagics)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away. Pools stay open, their workspaces stay bound."""
    manager = shell.magics_manager
    for kind, names in PmemMagics.magics.items():
        for name in names:
            manager.magics[kind].pop(name, None)
    manager.registry.pop(PmemMagics.__name__, None)
