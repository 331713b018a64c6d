"""Verification of a whole pool: every object, every reference count, every allocation."""

from __future__ import annotations

import os
import time

from pmemobj._native import failure_info, ffi, lib
from pmemobj.errors import NotAPoolError, PoolCorruptedError, TransactionError
from pmemobj.light import NamedTuple
from pmemobj.manager import MemoryManager
from pmemobj.poolfile import PoolFile, locate
from pmemobj.progress import reporting
from pmemobj.scratch import Scratch
from pmemobj.traversal import ChangedError, begin, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pmemobj.display.summary import Summary
    from pmemobj.progress import Progress

__all__ = ["CheckReport", "check", "check_file", "check_pool"]

BUDGET = 1000
ATTEMPTS = 3
PROBLEMS_MOST = 100


class CheckReport(NamedTuple):
    """What a verification found.

    Attributes:
        objects: objects in use; each was verified.
        bytes: bytes of the pool that are allocated, its own structures included.
        garbage: allocations that nothing leads to: left by a crash or in cycles, no damage;
            gc() frees them. 0 when damage or a missing class keeps them from being known.
        problems: one sentence for each piece of damage, at most a hundred.
        seconds: how long it took.
        classes_missing: ``module:qualname`` of classes with a memory layout of their own
            that are not defined now; what only their instances lead to was not verified.
    """

    objects: int
    bytes: int
    garbage: int
    problems: tuple[str, ...]
    seconds: float
    classes_missing: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if no damage was found."""
        return not self.problems

    def summary(self, name: str = "") -> Summary:
        """What was found in the pool *name*, to be displayed."""
        from pmemobj.display import summary as show
        from pmemobj.preview import class_missing

        facts = [
            show.Fact("objects", f"{self.objects:,}"),
            show.Fact("in use", show.size(self.bytes)),
            show.Fact("took", show.duration(self.seconds)),
        ]
        if self.garbage:
            facts.append(
                show.Fact("unreached", show.count(self.garbage, "allocation") + ", no damage")
            )
        rows = tuple(show.Row((show.printable(problem),)) for problem in self.problems)
        return show.Summary(
            "check",
            name,
            tone="good" if self.ok else "bad",
            badges=(show.Badge("sound", "good") if self.ok else show.Badge("damaged", "bad"),),
            warnings=tuple(class_missing(stored) for stored in self.classes_missing),
            facts=tuple(facts),
            tables=(show.Table((show.Column("damage"),), rows),),
        )

    def __str__(self) -> str:
        from pmemobj.display import text

        return text.render(self.summary())

    def _repr_html_(self) -> str:
        from pmemobj.display import html

        return html.render(self.summary())


def check(
    path: str | os.PathLike[str],
    *,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Verify the closed pool *path*, whatever state it is in; changes nothing. O(bytes in use).

    Damage is listed, not raised, also where it keeps the pool from being opened. A session
    that ended without closing the pool is no damage.

    Args:
        allow_pickle: import the modules of stored classes with a memory layout of their own,
            whose instances only they can verify. That runs code of the pool's choice.
        progress: called with ``(phase, done, total or None)`` after every step.

    Raises:
        PoolLockedError: it is open; ``pool.check()`` verifies an open pool.
        PoolNotFoundError, PoolPermissionError, LayoutError: as the names say.
        NotAPoolError: nothing of a pool is recognisable.
    """
    with reporting("checking", progress) as told:
        return check_file(locate(path), allow_pickle, told)


def check_file(file: PoolFile, allow_pickle: bool | None, progress: Progress | None) -> CheckReport:
    """See check. *allow_pickle* None: if the pool says that this user made it."""
    started = time.perf_counter()
    scratch = Scratch(file)
    try:
        mm = MemoryManager(scratch.file.open(lib.PMO_POLICY_SCRATCH))
        try:
            mm.allow_pickle = mm.creator == os.geteuid() if allow_pickle is None else allow_pickle
            return check_pool(mm, progress)
        finally:
            mm.abandon()
    except (PoolCorruptedError, NotAPoolError) as error:
        problem = error.strerror or str(error)
        return CheckReport(0, 0, 0, (problem,), time.perf_counter() - started)
    finally:
        scratch.remove()


def check_pool(mm: MemoryManager, progress: Progress | None = None) -> CheckReport:
    """Verify everything that the pool's root and the live handles lead to.

    Looks at every byte in use and changes nothing. Other threads wait until it is done.
    O(bytes in use) time; memory for about a sixteenth of them. Damage is listed, not raised.

    Args:
        progress: called with ``(phase, done, total or None)`` after every step; phases are
            ``"mark"`` and ``"verify"``.

    Raises:
        TransactionError: a transaction is open.
        PoolClosedError: the pool has been closed.
    """
    with mm.lock:
        for _ in range(ATTEMPTS):
            try:
                return _check(mm, progress)
            except ChangedError:
                continue
    raise TransactionError(
        "the pool was changed again and again while check() ran: a _p_traverse, a "
        "_p_substructures or a signal handler writes to it"
    )


class _Findings:
    """Collects what the core says about each piece of damage."""

    def __init__(self, ctx: Any) -> None:
        self.problems: list[str] = []
        self._ctx = ctx

    @property
    def enough(self) -> bool:
        return len(self.problems) >= PROBLEMS_MOST

    def note(self, problem: str | None = None) -> None:
        """Enter a problem; None: the one that the core has noted."""
        if problem is None:
            info = failure_info(self._ctx)
            text = ffi.string(info.text).decode(errors="replace")
            problem = f"offset {info.offset:#x}: {text}"
        if not self.enough and problem not in self.problems:
            self.problems.append(problem)


def _check(mm: MemoryManager, progress: Progress | None) -> CheckReport:
    started = time.perf_counter()
    findings = _Findings(mm.ctx)
    found = ffi.new("pmo_gc_report *")
    info = ffi.new("pmo_pool_info *")
    try:
        begin(mm, "check()", verify=True)
        missing = mark(mm, progress=progress, damaged=findings.note)
        unreliable = bool(missing or findings.problems)
        _compare(mm, findings, progress)
        if status := lib.pmo_info(mm.ctx, info):
            mm.finish(status)
    finally:
        lib.pmo_gc_finish(mm.ctx, found)
    return CheckReport(
        objects=found.objects,
        bytes=info.used,
        garbage=0 if unreliable else found.freed,
        problems=tuple(findings.problems),
        seconds=time.perf_counter() - started,
        classes_missing=missing,
    )


def _compare(mm: MemoryManager, findings: _Findings, progress: Progress | None) -> None:
    steps = 0
    while status := lib.pmo_gc_verify(mm.ctx, BUDGET):
        if status == lib.PMO_EINVAL:
            raise ChangedError
        if status == lib.PMO_ECORRUPT:
            findings.note()
            if findings.enough:
                return
        elif status < 0:
            mm.finish(status)
        steps += 1
        if progress is not None:
            progress("verify", steps, None)
