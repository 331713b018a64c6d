"""Progress of long work: who does it reports its steps, who watches is told.

Work takes a *progress* function. Where the caller gives none, the watcher that an interactive
program has set is asked for one; without either nobody is told and nothing is spent.
"""

from __future__ import annotations

from pmemobj.light import nullcontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import TypeAlias

    Progress: TypeAlias = Callable[[str, int, int | None], object]
    """Called with the phase, the steps done and, where it is known, their total."""

    Watcher: TypeAlias = Callable[[str], AbstractContextManager[Progress]]
    """Called with what the work is; its context lasts as long as the work."""

__all__ = ["COPY", "Progress", "Watcher", "polling", "reporting", "watch"]

COPY = "copy"
"""The phase whose steps are bytes."""

_INTERVAL = 0.25
"""Seconds between two looks at work that does not report by itself."""

_watcher: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """Have *watcher* told of all work of this process that has no *progress* of its own."""
    global _watcher
    _watcher = watcher


def reporting(
    work: str, progress: Progress | None = None
) -> AbstractContextManager[Progress | None]:
    """What *work* is to report to, as a context: *progress*, or the watcher's, or None."""
    if progress is not None or _watcher is None:
        return nullcontext(progress)
    return _watcher(work)


class polling:
    """Report, from a thread of its own, what *done* gives while the block is in one long call."""

    def __init__(self, work: str, phase: str, done: Callable[[], int], total: int) -> None:
        self._context = reporting(work)
        self._phase, self._done, self._total = phase, done, total
        self._stop: Callable[[], None] | None = None

    def __enter__(self) -> None:
        report = self._context.__enter__()
        if report is None:
            return
        from threading import Event, Thread

        ended = Event()

        def look() -> None:
            while not ended.wait(_INTERVAL):
                report(self._phase, min(self._done(), self._total), self._total)

        looking = Thread(target=look, name="pmemobj progress", daemon=True)
        looking.start()

        def stop() -> None:
            ended.set()
            looking.join()

        self._stop = stop

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stop is not None:
            self._stop()
        self._context.__exit__(kind, error, trace)
