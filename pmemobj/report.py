"""What there is to tell about a pool, as frozen dataclasses; and the displays made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pmemobj._native import ffi, lib
from pmemobj.changes import Changes
from pmemobj.describe import variables
from pmemobj.display import html
from pmemobj.display.settings import settings
from pmemobj.display.summary import (
    Badge,
    Fact,
    Meter,
    Part,
    Summary,
    count,
    duration,
    percent,
    printable,
    size,
)
from pmemobj.errors import PmemobjError
from pmemobj.preview import class_missing

if TYPE_CHECKING:
    from pmemobj.checker import CheckReport
    from pmemobj.collector import CollectionReport
    from pmemobj.pool import PersistentObjectPool
    from pmemobj.snapshots import SnapshotReport

__all__ = [
    "PoolInfo",
    "RecoveryInfo",
    "TransactionInfo",
    "Work",
    "check_summary",
    "collection_summary",
    "explain",
    "pool_info",
    "pool_summary",
    "pool_to_html",
    "recovery_info",
    "recovery_summary",
    "short_path",
    "snapshot_summary",
    "transaction_summary",
    "work_done",
    "workspace_summary",
]

_NAMES = 12
"""Names of variables that one line lists at most."""


@dataclass(frozen=True)
class PoolInfo:
    """A pool's state.

    Attributes:
        path: the file, or the directory of an elastic pool.
        size: bytes of the pool's files; an elastic pool's grow.
        used: bytes allocated in it, allocator overhead included.
        on_disk: bytes of disk that the files take; they may be sparse.
        durability: the policy in force, in the words of ``pool.durability``.
        recovered: the last session had not closed it.
        scratch: nothing of this session is written to the file.
        classes: user classes that its type table names.
    """

    path: str
    elastic: bool
    closed: bool
    size: int = 0
    used: int = 0
    on_disk: int = 0
    durability: str = ""
    in_transaction: bool = False
    recovered: bool = False
    scratch: bool = False
    classes: int = 0

    @property
    def free(self) -> int:
        return max(0, self.size - self.used)


@dataclass(frozen=True)
class RecoveryInfo:
    """What opening a pool found."""

    path: str
    clean: bool
    rolled_back: int
    collected: int
    classes_missing: tuple[str, ...]
    failures: tuple[str, ...]
    variables: int


@dataclass(frozen=True)
class Work:
    """Counters of a pool's work so far; two of them differ by the work between."""

    transactions: int
    allocations: int
    frees: int
    bytes_written: int


@dataclass(frozen=True)
class TransactionInfo:
    """How a transaction ended."""

    path: str
    committed: bool
    seconds: float
    work: Work
    reason: str = ""
    changes: Changes | None = None


def explain(error: PmemobjError) -> str:
    """An error's message for a person: the path first, no errno."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return place + error.strerror
    return str(error)


def _on_disk(path: str) -> int:
    names = [path]
    if os.path.isdir(path):
        names = [os.path.join(home, name) for home, _, found in os.walk(path) for name in found]
    blocks = 0
    for name in names:
        with suppress(OSError):
            blocks += os.stat(name).st_blocks
    return 512 * blocks


def short_path(path: str) -> str:
    """*path* as a person would write it here: relative below this directory, or from ``~``."""
    homes = [(os.path.expanduser("~"), "~/")]
    with suppress(OSError):  # this directory may have been deleted
        homes.insert(0, (os.getcwd(), ""))
    for home, prefix in homes:
        start = home.rstrip("/") + "/"
        if path.startswith(start):
            return printable(prefix + path[len(start) :])
    return printable(path)


def pool_info(pool: PersistentObjectPool) -> PoolInfo:
    """The present state of *pool*, closed or open. O(1); one stat call for each of its files."""
    path = os.fspath(pool.path)
    if pool.closed:
        return PoolInfo(path, pool.elastic, closed=True)
    manager = pool.mm
    info = ffi.new("pmo_pool_info *")
    with manager.lock:
        status = lib.pmo_info(manager.ctx, info)
        if status:
            manager.finish(status)
        in_transaction = bool(lib.pmo_tx_is_open(manager.ctx))
        classes = max(0, lib.pmo_type_count(manager.ctx))
    return PoolInfo(
        path=path,
        elastic=pool.elastic,
        closed=False,
        size=info.size,
        used=info.used,
        on_disk=_on_disk(path),
        durability=pool.durability,
        in_transaction=in_transaction,
        recovered=not pool.recovery.clean,
        scratch=pool.scratch,
        classes=classes,
    )


def recovery_info(pool: PersistentObjectPool) -> RecoveryInfo:
    """What opening *pool* found."""
    found = pool.recovery
    return RecoveryInfo(
        os.fspath(pool.path),
        found.clean,
        found.transactions_rolled_back,
        found.objects_collected,
        tuple(found.classes_missing),
        tuple(found.failures),
        variables(pool.mm).total,
    )


def work_done(pool: PersistentObjectPool) -> Work:
    """The counters of *pool* now."""
    counters = ffi.new("pmo_counters *")
    with pool.mm.lock:
        lib.pmo_count(pool.mm.ctx, counters)
    return Work(
        counters.transactions,
        counters.allocations,
        counters.frees,
        counters.undo_bytes + counters.fresh_bytes,
    )


_POWER = Badge(
    "survives power loss",
    "good",
    "What is committed is on the medium: it survives the process, the system and the power.",
)
_PROCESS = Badge(
    "survives kill -9",
    "good",
    "What is committed survives the death of this process, however sudden; "
    "after a power cut the pool may not open.",
)
_PRIVATE = "A private look: what you change here is never written to the file."
_SCRATCH = Badge("scratch", "info", _PRIVATE)
_RECOVERED = Badge("recovered", "info", "The session before this one did not close the pool.")
_UNCOMMITTED = "A transaction is open: what it changed is not committed yet."


def _badges(info: PoolInfo) -> tuple[Badge, ...]:
    if info.closed:
        return (Badge("closed", "plain", "Open it again to use it."),)
    if info.scratch:
        return (_SCRATCH,)
    state = _RECOVERED if info.recovered else Badge("open", "good")
    return (state, _PROCESS if info.durability == "process" else _POWER)


def _meter(info: PoolInfo) -> Meter:
    written = min(info.on_disk, info.size)
    idle = max(0, written - info.used)
    sparse = info.size - max(written, info.used)
    parts = (Part("used", info.used), Part("free, on disk" if sparse else "free", idle, "plain"))
    share = percent(info.used / info.size) if info.size else ""
    caption = f"{share or '<1%'} of {size(info.size)} used"
    if info.elastic:  # a share of what grows tells nothing
        caption = f"{size(info.size)} so far, grows as needed"
    return Meter(parts, info.size, caption, "free, takes no disk yet")


def pool_summary(info: PoolInfo) -> Summary:
    """The pool card."""
    name = short_path(info.path)
    if info.closed:
        return Summary("pool", name, badges=_badges(info))
    facts = [
        Fact("on disk", size(info.on_disk)),
        Fact("kind", "directory that grows" if info.elastic else "file of fixed size"),
    ]
    if info.classes:
        facts.append(Fact("classes", f"{info.classes:,}"))
    return Summary(
        "pool",
        name,
        tone="warn" if info.in_transaction else "plain",
        badges=_badges(info),
        warnings=(_UNCOMMITTED,) if info.in_transaction else (),
        meter=_meter(info),
        facts=tuple(facts),
        notes=(_PRIVATE,) if info.scratch else (),
    )


def pool_to_html(pool: PersistentObjectPool) -> str | None:
    """The pool card for a notebook; None where notebooks get text alone."""
    return html.render(pool_summary(pool_info(pool))) if settings.html else None


def workspace_summary(
    pool: PersistentObjectPool, name: str = "ws", nested: bool = True, details: bool = False
) -> Summary:
    """The variables under the root of *pool*, in order. O(rows shown).

    Args:
        name: what the workspace is called.
        nested: tell the contents of containers too, which only HTML shows.
        details: tell what the pool card tells as well.
    """
    info = pool_info(pool)
    card = pool_summary(info)
    if info.closed:
        again = f"This pool is closed: %pmem_open {card.subtitle} opens it."
        return replace(card, title=name, notes=(again,))
    contents = variables(pool.mm, info.used, nested)
    meter = card.meter
    if meter is not None and contents.total:
        meter = replace(meter, caption=f"{count(contents.total, 'variable')}, {meter.caption}")
    return replace(
        card,
        title=name,
        meter=meter,
        facts=card.facts if details else (),
        tables=(contents.table,),
        empty=f"Nothing is stored yet. {name}.x = 1 stores a variable x.",
        notes=card.notes + contents.notes,
    )


def recovery_summary(info: RecoveryInfo, cells: Mapping[str, str] | None = None) -> Summary:
    """What happened before, and what of it matters now.

    *cells*: for missing classes, which cell defined them, in words.
    """
    name = short_path(info.path)
    missing = tuple(
        class_missing(stored, printable((cells or {}).get(stored, "")))
        for stored in info.classes_missing
    )
    if info.clean:
        return Summary("opened", name, "warn" if missing else "info", warnings=missing)
    facts = [Fact("intact", count(info.variables, "variable"))]
    if info.rolled_back:
        words = count(info.rolled_back, "transaction") + " that had not been committed"
        facts.append(Fact("rolled back", words))
    if info.collected:
        facts.append(Fact("freed", count(info.collected, "object") + " that nothing refers to"))
    return Summary(
        "recovered",
        name,
        tone="warn" if missing or info.failures else "good",
        badges=(Badge("everything committed is here", "good"),),
        warnings=missing + tuple(f"Nothing was freed: {printable(one)}" for one in info.failures),
        facts=tuple(facts),
        notes=("The session before this one ended without closing the pool.",),
    )


def transaction_summary(info: TransactionInfo) -> Summary:
    """How a transaction ended, in one line and a few facts."""
    name = short_path(info.path)
    if info.committed:
        written = count(info.work.allocations, "allocation")
        facts = (
            Fact("written", size(info.work.bytes_written)),
            Fact("new", written),
            Fact("took", duration(info.seconds)),
        )
        return Summary("committed", name, tone="good", facts=facts)
    note = f"Every persistent change of this cell was rolled back; {name} is as it was before it."
    return Summary(
        "rolled back",
        name,
        tone="bad",
        badges=(Badge(printable(info.reason), "bad"),) if info.reason else (),
        facts=(
            Fact("undone", size(info.work.bytes_written) + " of changes"),
            *([] if info.changes is None else _undone(info.changes)),
        ),
        notes=(note, "Ordinary Python variables keep what the cell did to them."),
    )


def _undone(changes: Changes) -> list[Fact]:
    facts = []
    for label, names in (
        ("removed again", changes.added),
        ("brought back", changes.removed),
        ("set back", changes.changed),
    ):
        if names:
            shown = ", ".join(printable(name) for name in names[:_NAMES])
            more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
            facts.append(Fact(label, shown + more))
    if changes.inner:
        facts.append(Fact("inside of them", count(changes.inner, "object") + " as before"))
    return facts


def check_summary(path: str, report: CheckReport) -> Summary:
    """What a verification found."""
    return report.summary(short_path(path))


def collection_summary(path: str, report: CollectionReport) -> Summary:
    """What a garbage collection freed."""
    missing = tuple(class_missing(stored) for stored in report.classes_missing)
    freed = f"{size(report.freed_bytes)} in {count(report.freed, 'allocation')}"
    facts = [
        Fact("freed", freed if report.freed else "nothing: all is in use"),
        Fact("in use", count(report.objects, "object")),
    ]
    if report.corrected:
        facts.append(Fact("corrected", count(report.corrected, "reference count")))
    facts.append(Fact("took", duration(report.seconds)))
    held = "Nothing was freed: what the objects of a missing class refer to is not known."
    return Summary(
        "gc",
        short_path(path),
        tone="warn" if missing else "good",
        warnings=(*missing, held) if missing else (),
        facts=tuple(facts),
    )


def snapshot_summary(what: str, report: SnapshotReport) -> Summary:
    """What came of a snapshot, or of its restoration: *what* says which."""
    ways = {"reflink": "blocks shared, then copied", "sparse copy": "every block in use copied"}
    return Summary(
        what,
        short_path(report.path),
        tone="good",
        badges=(Badge("verified", "good", "It was opened and checked in another process."),),
        facts=(
            Fact("objects", f"{report.objects:,}"),
            Fact("size", size(report.bytes)),
            Fact("how", ways[report.method]),
            Fact("took", duration(report.seconds)),
        ),
        warnings=tuple(class_missing(stored) for stored in report.classes_missing),
    )
