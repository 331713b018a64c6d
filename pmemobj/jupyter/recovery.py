"""What opening a pool found that a person should know: a crash, classes that are missing."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pmemobj.jupyter.showing import show
from pmemobj.pool import PersistentObjectPool
from pmemobj.report import recovery_info, recovery_summary

__all__ = ["show_recovery"]

_MODULE = "__main__:"


def show_recovery(shell: Any, pool: PersistentObjectPool) -> None:
    """Show what recovery did and which classes are missing; nothing if all is well."""
    if pool.recovery.clean and not pool.recovery.classes_missing:
        return
    info = recovery_info(pool)
    cells = {name: cell for name in info.classes_missing if (cell := _cell_of(shell, name))}
    show(recovery_summary(info, cells))


def _cell_of(shell: Any, name: str) -> str:
    """Which cell defined the class *name*, as far as IPython's history tells, or ""."""
    if not name.startswith(_MODULE):
        return ""
    qualname = name[len(_MODULE) :].partition(".")[0]
    # IPython keeps what was run in a database, which may be switched off, locked or broken.
    with suppress(Exception):
        history = shell.history_manager
        for session, line, source in history.search(f"*class {qualname}[(:]*", raw=True, n=1):
            when = "" if session == history.session_number else " of an earlier session"
            lines = source.splitlines()
            first = next(text.strip() for text in lines if f"class {qualname}" in text)
            return f"In [{line}]{when}: {first.rstrip(':')}"
    return ""
