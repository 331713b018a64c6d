"""Progress of long work: who does it reports its steps, who watches is told.

Work takes a *progress* function. Where the caller gives none, the watcher that an interactive
program has set is asked for one; without either nobody is told and nothing is spent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

__all__ = ["COPY", "Progress", "Watcher", "polling", "reporting", "watch"]

Progress: TypeAlias = Callable[[str, int, "int | None"], object]
"""Called with the phase, the steps done and, where it is known, their total."""

COPY = "copy"
"""The phase whose steps are bytes."""

Watcher: TypeAlias = Callable[[str], "AbstractContextManager[Progress]"]
"""Called with what the work is; its context lasts as long as the work."""

_INTERVAL = 0.25
"""Seconds between two looks at work that does not report by itself."""

_watcher: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """Have *watcher* told of all work of this process that has no *progress* of its own."""
    global _watcher
    _watcher = watcher


@contextmanager
def reporting(work: str, progress: Progress | None = None) -> Iterator[Progress | None]:
    """What *work* is to report to: *progress*, or the watcher's, or None."""
    if progress is not None or _watcher is None:
        yield progress
    else:
        with _watcher(work) as watched:
            yield watched


@contextmanager
def polling(work: str, phase: str, done: Callable[[], int], total: int) -> Iterator[None]:
    """Report, from a thread of its own, what *done* gives while the block is in one long call."""
    with reporting(work) as report:
        if report is None:
            yield
            return
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_INTERVAL):
                report(phase, min(done(), total), total)

        looking = threading.Thread(target=look, name="pmemobj progress", daemon=True)
        looking.start()
        try:
            yield
        finally:
            ended.set()
            looking.join()
