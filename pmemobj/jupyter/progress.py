"""Progress bars for work that takes longer than about a second, where a person looks on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pmemobj.jupyter.configuration import PmemMagics
from pmemobj.progress import COPY

if TYPE_CHECKING:
    from pmemobj.progress import Progress

__all__ = ["Bars"]

PATIENCE = 1.0
"""Seconds of work before a bar appears."""


class Bars:
    """The watcher of the extension; see pmemobj.progress."""

    def __init__(self, shell: Any, settings: PmemMagics) -> None:
        self._kernel = hasattr(shell, "kernel")
        self._settings = settings

    @contextmanager
    def __call__(self, work: str) -> Iterator[Progress]:
        bar = _Bar(work)
        try:
            yield bar.step if self._settings.progress and self._seen() else _nothing
        finally:
            bar.close()

    def _seen(self) -> bool:
        """Is there somebody to look at a bar?"""
        return self._kernel or sys.stderr.isatty()


def _nothing(phase: str, done: int, total: int | None) -> None:
    """Nobody looks on."""


class _Bar:
    def __init__(self, work: str) -> None:
        self._work = work
        self._start = time.monotonic()
        self._phase = ""
        self._bar: Any = None

    def step(self, phase: str, done: int, total: int | None) -> None:
        """Show that *done* of *total* steps of *phase* are done."""
        if time.monotonic() - self._start < PATIENCE:
            return
        if phase != self._phase:
            self.close()
            self._phase = phase
            self._bar = _make(self._work, phase, total)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _make(work: str, phase: str, total: int | None) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    unit = {"unit": "B", "unit_divisor": 1024} if phase == COPY else {"unit": " steps"}
    return tqdm(
        desc=f"{work}: {phase}", total=total, leave=False, unit_scale=True, file=sys.stderr, **unit
    )
