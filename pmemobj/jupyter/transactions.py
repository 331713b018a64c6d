"""``%%pmem_transaction``: a cell that commits as a whole, or leaves no trace in the pool."""

# IPython's magic decorators carry no types.
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from __future__ import annotations

import ast
import io
import time
import tokenize
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from pmemobj.changes import Changes, ChangeWatch
from pmemobj.display.summary import Summary
from pmemobj.errors import PmemobjError
from pmemobj.jupyter.session import SESSION, Opened
from pmemobj.jupyter.showing import show
from pmemobj.jupyter.usage import parse, usage_errors
from pmemobj.report import TransactionInfo, Work, explain, transaction_summary, work_done

__all__ = ["TransactionMagics"]


class _Watched:
    """One transaction, from before it until it is told how it ended."""

    def __init__(self, one: Opened) -> None:
        self._pool = one.pool
        self._before = work_done(one.pool)
        self._watch = ChangeWatch(one.pool.mm)
        self._changes = Changes()
        self._start = time.perf_counter()
        self.begun = False

    def run(self, work: Callable[[], Any]) -> Any:
        """Do *work*; if it fails, find out what of it there is to undo."""
        self.begun = True
        try:
            return work()
        except BaseException:
            with suppress(PmemobjError):  # the cell may have closed the pool
                self._changes = self._watch.so_far()
            raise

    def ended(self, committed: bool, reason: str = "") -> Summary:
        """The display of its end."""
        seconds = time.perf_counter() - self._start
        done = _difference(work_done(self._pool), self._before)
        path = self._pool.path
        return transaction_summary(
            TransactionInfo(path, committed, seconds, done, reason, self._changes)
        )


@magics_class
class TransactionMagics(Magics):
    """Cells as transactions."""

    shell: Any

    @no_var_expand
    @magic_arguments()
    @argument("workspace", nargs="?", help="the workspace (default: the one that is open)")
    @cell_magic
    def pmem_transaction(self, line: str, cell: str) -> Any:
        """Run the cell in one transaction: it commits when the cell ends.

        A cell that fails or is interrupted leaves the pool as it was before it.
        Ordinary Python variables are not rolled back.
        """
        args = parse(self.pmem_transaction, line)
        _, one = SESSION.chosen(args.workspace, "%%pmem_transaction")
        run = self._prepared(cell)
        if one.pool.mm.transaction_depth():
            raise UsageError(
                "a transaction is open on this pool, and the cell would only be a part of it: "
                "commit or abort that first"
            )
        with usage_errors():
            watched = _Watched(one)
        try:
            with one.pool.transaction():
                result = watched.run(run)
        except BaseException as error:
            if not watched.begun and isinstance(error, PmemobjError):
                raise UsageError(explain(error)) from None
            if not one.pool.closed:
                show(watched.ended(False, type(error).__name__))
            self._trim(error)
            raise
        show(watched.ended(True))
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
