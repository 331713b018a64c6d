"""A transaction that is open across an await is told of, by a warning at the await.

Nothing that other tasks do meanwhile belongs to it, and they are refused as long as it lasts,
which nobody means to happen.
"""

from __future__ import annotations

import sys

from pmemobj.light import weak

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pmemobj.transaction import TransactionKeeper

__all__ = ["AwaitWatch", "current_task"]

_MESSAGE = (
    "a transaction is open across an await, or was begun and not ended: until it ends, other "
    "tasks that use the pool get TransactionOwnerError, and nothing of it is committed"
)


def current_task() -> Any:
    """The asyncio task that runs now, or None."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class AwaitWatch:
    """Has the event loop look for an open transaction as soon as it is in control again.

    One look is enough for all transactions until then, so that a watched transaction costs
    next to nothing.
    """

    __slots__ = ("_loop", "_owner")

    def __init__(self, owner: TransactionKeeper) -> None:
        self._owner = weak(owner)
        self._loop: Any = None

    def begun(self, task: Any) -> None:
        """A transaction was begun in *task*, which is running."""
        loop = task.get_loop()
        if self._loop is not loop:
            self._loop = loop
            loop.call_soon(self._look)

    def _look(self) -> None:
        self._loop = None
        owner = self._owner()
        task = owner.task_inside() if owner is not None else None
        if task is not None:
            name, line = _place(task)
            import warnings

            # With a registry of its own: every one is told, not only the first at a place.
            warnings.warn_explicit(_MESSAGE, RuntimeWarning, name, line, registry={})


def _place(task: Any) -> tuple[str, int]:
    """Where *task* waits: in which file, or cell, and line."""
    name, line = "pmemobj", 1
    step = task.get_coro()
    while (frame := getattr(step, "cr_frame", None)) is not None:
        if not frame.f_globals.get("__name__", "").startswith("asyncio"):
            name, line = frame.f_code.co_filename, frame.f_lineno or line
        step = step.cr_await
    return name, line
