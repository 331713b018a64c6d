"""Garbage collection: mark from the root and from live handles, free the rest."""

from __future__ import annotations

import sys
import time

from pmemobj._native import ffi, lib
from pmemobj.errors import TransactionError
from pmemobj.light import NamedTuple
from pmemobj.traversal import ChangedError, begin, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager
    from pmemobj.progress import Progress

__all__ = ["CollectionReport", "collect"]

BUDGET = 1000
ATTEMPTS = 3
_UNHEARD = ("DEBUG", "INFO")
"""Levels that logging passes by where nobody has configured it."""


def _log(level: str, message: str, *details: object) -> None:
    if level in _UNHEARD and "logging" not in sys.modules:
        return  # nobody can have asked for it, and the import takes longer than most collections
    import logging

    logging.getLogger(__name__).log(getattr(logging, level), message, *details)


class CollectionReport(NamedTuple):
    """What one collection did.

    Attributes:
        objects: objects in use, reached from the root or from live handles.
        freed: allocations that were given back to the pool.
        freed_bytes: their size in the pool, allocation overhead included.
        corrected: objects whose stored reference count was put right.
        seconds: how long it took.
        classes_missing: ``module:qualname`` of classes with a memory layout of their own
            that are not defined now. If there are any, nothing was freed or corrected: what
            their instances refer to is unknown. Define or import the classes and collect again.
        failures: one sentence for each custom object that could not say what it refers to,
            when a pool was opened after an unclean end; then nothing was freed either.
    """

    objects: int
    freed: int
    freed_bytes: int
    corrected: int
    seconds: float
    classes_missing: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def collect(
    mm: MemoryManager,
    debug: bool = False,
    *,
    progress: Progress | None = None,
    tolerant: bool = False,
) -> CollectionReport:
    """Free every object of the pool that neither its root nor a live handle leads to.

    Other threads wait until it is done. What is freed is durable at once, in transactions of
    up to a thousand objects each; an interruption leaves the rest for the next collection.
    O(objects in the pool, and elements of the containers that refer to any) time; memory for
    about a sixteenth of the bytes in use.

    Args:
        debug: log the phases and counts to the logger ``pmemobj.collector``, level INFO
            instead of DEBUG.
        progress: called with ``(phase, done, total or None)`` after every step; phases are
            ``"mark"`` and ``"sweep"``.
        tolerant: what a custom class raises while it is traversed is reported, not raised.

    Raises:
        TransactionError: a transaction is open, or a ``_p_traverse`` writes to the pool.
        PoolCorruptedError: damage was found; nothing was freed.
        Exception: whatever a ``_p_traverse`` raises; nothing was freed.
    """
    level = "INFO" if debug else "DEBUG"
    with mm.lock:
        if mm.wait_turn() is None:
            # Read caches keep handles alive, even those of garbage that refers to itself.
            mm.drop_caches()
            mm.attend()
        for _ in range(ATTEMPTS):
            try:
                return _collect(mm, level, progress, tolerant)
            except ChangedError:
                _log(level, "the pool was changed meanwhile: starting again")
    problem = (
        "the pool was changed again and again while gc() ran: a _p_traverse, a "
        "_p_substructures or a signal handler writes to it"
    )
    if tolerant:
        _log("WARNING", "nothing freed: %s", problem)
        return CollectionReport(0, 0, 0, 0, 0.0, failures=(problem,))
    raise TransactionError(problem)


def _collect(
    mm: MemoryManager, level: str, progress: Progress | None, tolerant: bool
) -> CollectionReport:
    started = time.perf_counter()
    found = ffi.new("pmo_gc_report *")
    failures: list[str] = []
    try:
        begin(mm, "gc()", verify=False)
        missing = mark(mm, progress=progress, failed=failures.append if tolerant else None)
        _log(level, "marked in %.3f s", time.perf_counter() - started)
        if missing:
            _log(level, "nothing freed, classes missing: %s", ", ".join(missing))
        for failure in failures:
            _log("WARNING", "nothing freed: %s", failure)
        _sweep(mm, progress)
    finally:
        lib.pmo_gc_finish(mm.ctx, found)
    report = CollectionReport(
        objects=found.objects,
        freed=found.freed,
        freed_bytes=found.freed_bytes,
        corrected=found.corrected,
        seconds=time.perf_counter() - started,
        classes_missing=missing,
        failures=tuple(failures),
    )
    _log(
        level,
        "%d objects in use, %d allocations (%d bytes) freed, %d reference counts corrected, %.3f s",
        report.objects,
        report.freed,
        report.freed_bytes,
        report.corrected,
        report.seconds,
    )
    return report


def _sweep(mm: MemoryManager, progress: Progress | None) -> None:
    steps = 0
    while status := lib.pmo_gc_sweep(mm.ctx, BUDGET):
        if status == lib.PMO_EINVAL:
            raise ChangedError
        if status < 0:
            mm.finish(status)
        steps += 1
        if progress is not None:
            progress("sweep", steps, None)
