"""Magics about variables: look at them, move them between notebook and workspace, remove them."""

# IPython's magic decorators carry no types.
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from __future__ import annotations

from keyword import iskeyword
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from pmemobj.containers.plain import plain
from pmemobj.display.summary import Fact, Summary, count
from pmemobj.errors import ForeignObjectError, UnstorableError
from pmemobj.jupyter.session import SESSION, Opened
from pmemobj.jupyter.showing import show
from pmemobj.jupyter.usage import SHELL_NAMES, parse, usage_errors
from pmemobj.report import short_path, workspace_summary
from pmemobj.workspace import Workspace

__all__ = ["VariableMagics"]

_WHICH = "the workspace (default: the one that is open)"
_FEW = 8
_NO_DATA = (ModuleType, type, Workspace, FunctionType, BuiltinFunctionType, MethodType)


@magics_class
class VariableMagics(Magics):
    """Variables of workspaces."""

    shell: Any

    @magic_arguments()
    @argument("workspace", nargs="?", help="only this workspace (default: all that are open)")
    @line_magic
    def pmem(self, line: str) -> None:
        """Show the open workspaces: their pools, and the variables in them."""
        name = parse(self.pmem, line).workspace
        chosen = SESSION.pools() if name is None else dict([SESSION.named(name)])
        if not chosen:
            show(Summary("pmem", empty="No pool is open. %pmem_open NAME opens or creates one."))
        for variable, one in chosen.items():
            show(workspace_summary(one.pool, variable, details=True))

    @magic_arguments()
    @argument("workspace", nargs="?", help=_WHICH)
    @line_magic
    def pmem_ls(self, line: str) -> None:
        """List the variables of a workspace: name, type, length, size, preview."""
        variable, one = SESSION.chosen(parse(self.pmem_ls, line).workspace, "%pmem_ls")
        show(workspace_summary(one.pool, variable))

    @magic_arguments()
    @argument("names", nargs="*", help="variables of the notebook")
    @argument("--all", action="store_true", help="all variables that can be stored")
    @argument("-w", "--workspace", help=_WHICH)
    @line_magic
    def pmem_push(self, line: str) -> None:
        """Store variables of the notebook in a workspace, all or none.

        Lists, dicts and sets are copied; change the stored ones afterwards, as ``ws.name``.
        """
        args = parse(self.pmem_push, line)
        variable, one = SESSION.chosen(args.workspace, "%pmem_push -w")
        names = self._pushed(args)
        skipped: list[str] = []
        with usage_errors(), one.pool.transaction():
            for name in names:
                try:
                    one.workspace[name] = self.shell.user_ns[name]
                except (UnstorableError, ForeignObjectError) as error:
                    if not args.all:
                        raise UsageError(f"{name}: {error}; nothing was stored") from None
                    skipped.append(f"{name} was left out: {error}")
        stored = len(names) - len(skipped)
        self._told(variable, one, "stored", stored, names if not skipped else [], skipped)

    def _pushed(self, args: Any) -> list[str]:
        there = self.shell.user_ns
        if args.all:
            if args.names:
                raise UsageError("give names, or --all, not both")
            return [name for name in there if self._is_own(name)]
        if not args.names:
            raise UsageError("say which variables: %pmem_push x y, or %pmem_push --all")
        names = list(dict.fromkeys(args.names))
        if missing := [name for name in names if name not in there]:
            raise UsageError(f"no variable {', '.join(missing)} here; nothing was stored")
        return names

    def _is_own(self, name: str) -> bool:
        """Is it a variable of the person's, with data in it?"""
        if name.startswith("_") or name in self.shell.user_ns_hidden:
            return False
        value = self.shell.user_ns[name]
        return not isinstance(value, _NO_DATA)

    @magic_arguments()
    @argument("names", nargs="*", help="variables of the workspace (default: all)")
    @argument("--all", action="store_true", help="all variables of the workspace")
    @argument("--plain", action="store_true", help="as plain copies, not connected with the pool")
    @argument("-w", "--workspace", help=_WHICH)
    @line_magic
    def pmem_pull(self, line: str) -> None:
        """Bind variables of a workspace to names of the notebook.

        What can change stays connected: changing ``x`` afterwards changes ``ws.x``. --plain makes
        copies that are not.
        """
        args = parse(self.pmem_pull, line)
        variable, one = SESSION.chosen(args.workspace, "%pmem_pull -w")
        if args.all and args.names:
            raise UsageError("give names, or --all, not both")
        there = one.workspace
        if args.names:
            names = list(dict.fromkeys(args.names))
            _check_there(there, names, "nothing was bound")
            if unfit := [why for name in names if (why := _unfit(name))]:
                raise UsageError(f"{unfit[0]}; nothing was bound")
            skipped = []
        else:
            names = [name for name in there if not _unfit(name)]
            skipped = [f"{why}: left out" for name in there if (why := _unfit(name))]
        with usage_errors():
            pulled = {name: plain(there[name]) if args.plain else there[name] for name in names}
        self.shell.user_ns.update(pulled)
        self._told(variable, one, "bound", len(names), names, skipped)

    @magic_arguments()
    @argument("names", nargs="+", help="variables of the workspace")
    @argument("-w", "--workspace", help=_WHICH)
    @line_magic
    def pmem_rm(self, line: str) -> None:
        """Remove variables from a workspace, all or none. What only they lead to is freed."""
        args = parse(self.pmem_rm, line)
        variable, one = SESSION.chosen(args.workspace, "%pmem_rm -w")
        names = list(dict.fromkeys(args.names))
        _check_there(one.workspace, names, "nothing was removed")
        with usage_errors(), one.pool.transaction():
            for name in names:
                del one.workspace[name]
        self._told(variable, one, "removed", len(names), names, [])

    def _told(
        self, variable: str, one: Opened, what: str, number: int, names: list[str], notes: list[str]
    ) -> None:
        listed = ", ".join(names[:_FEW]) + (", …" if len(names) > _FEW else "")
        facts = [Fact("variables", count(number, "variable") + (f": {listed}" if listed else ""))]
        if len(notes) > _FEW:
            notes = [*notes[:_FEW], f"{len(notes) - _FEW} more were left out."]
        show(
            Summary(
                what,
                f"{variable}  {short_path(one.pool.path)}",
                tone="warn" if notes else "good",
                facts=tuple(facts),
                notes=tuple(notes),
            )
        )


def _unfit(name: object) -> str:
    """Why a variable of a workspace cannot be one of the notebook under its name, or ""."""
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        return f"{name!r} is not a name that a variable can have"
    if name in SHELL_NAMES or name in SESSION:
        return f"the notebook has {name} for something else"
    return ""


def _check_there(workspace: Workspace, names: list[str], so: str) -> None:
    if missing := [name for name in names if name not in workspace]:
        raise UsageError(f"no variable {', '.join(missing)} in the workspace; {so}")
