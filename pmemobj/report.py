"""What there is to tell about a pool, as frozen dataclasses; and the displays made of them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pmemobj._native import ffi, lib
from pmemobj.describe import variables
from pmemobj.display.summary import (
    Badge,
    Fact,
    Meter,
    Part,
    Summary,
    count,
    printable,
    size,
)
from pmemobj.errors import PmemobjError

if TYPE_CHECKING:
    from pmemobj.checker import CheckReport
    from pmemobj.pool import PersistentObjectPool

__all__ = [
    "PoolInfo",
    "RecoveryInfo",
    "TransactionInfo",
    "Work",
    "check_summary",
    "explain",
    "pool_info",
    "pool_summary",
    "recovery_info",
    "recovery_summary",
    "short_path",
    "transaction_summary",
    "work_done",
    "workspace_summary",
]


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


def _durability_badge(info: PoolInfo) -> Badge:
    if info.durability == "process":
        return Badge(
            "survives kill -9",
            "info",
            "What is committed survives the death of this process, however sudden; "
            "after a power cut the pool may not open.",
        )
    return Badge(
        "survives power loss",
        "good",
        "What is committed is on the medium: it survives the process, the system and the power.",
    )


def _badges(info: PoolInfo) -> tuple[Badge, ...]:
    if info.closed:
        return (Badge("closed", "plain", "Open it again to use it."),)
    state = Badge("open", "good")
    if info.recovered:
        state = Badge("recovered", "warn", "The session before this one did not close the pool.")
    badges = [state, _durability_badge(info)]
    if info.in_transaction:
        hint = "What it changed is not committed yet."
        badges.append(Badge("transaction open", "warn", hint))
    return tuple(badges)


def _meter(info: PoolInfo, holds: str = "") -> Meter:
    grows = ", grows as needed" if info.elastic else ""
    caption = f"{holds}{size(info.used)} of {size(info.size)} used{grows}"
    return Meter((Part(f"{size(info.used)} used", info.used),), info.size, caption)


def pool_summary(info: PoolInfo) -> Summary:
    """The pool card."""
    name = short_path(info.path)
    if info.closed:
        return Summary("pool", name, badges=_badges(info))
    facts = [
        Fact("free", size(info.free)),
        Fact("on disk", size(info.on_disk)),
        Fact("kind", "directory that grows" if info.elastic else "file of fixed size"),
    ]
    if info.classes:
        facts.append(Fact("classes", f"{info.classes:,}"))
    return Summary(
        "pool",
        name,
        tone="warn" if info.in_transaction else "good",
        badges=_badges(info),
        meter=_meter(info),
        facts=tuple(facts),
    )


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
    path = short_path(info.path)
    if info.closed:
        again = f"%pmem_open {path}"
        return Summary(
            name, path, badges=_badges(info), notes=(f"This pool is closed: {again} opens it.",)
        )
    contents = variables(pool.mm, info.used, nested)
    return Summary(
        name,
        path,
        badges=_badges(info),
        meter=_meter(info, count(contents.total, "variable") + ", " if contents.total else ""),
        facts=pool_summary(info).facts if details else (),
        table=contents.table,
        empty=f"Nothing is stored yet. {name}.x = 1 stores a variable x.",
        notes=contents.notes,
    )


def _missing_note(name: str) -> str:
    module, _, qualname = name.partition(":")
    if module == "__main__":
        return f"Class {qualname} is not defined yet: run the cell that defines it."
    return f"Class {qualname} is not defined yet: import it from {module}."


def recovery_summary(info: RecoveryInfo) -> Summary:
    """What happened before, and what of it matters now."""
    notes = tuple(_missing_note(printable(name)) for name in info.classes_missing)
    if info.clean:
        return Summary("opened", short_path(info.path), tone="info", notes=notes)
    facts = [Fact("intact", count(info.variables, "variable"))]
    if info.rolled_back:
        words = count(info.rolled_back, "transaction") + " that had not been committed"
        facts.append(Fact("rolled back", words))
    if info.collected:
        facts.append(Fact("freed", count(info.collected, "object") + " that nothing refers to"))
    ended = "The session before this one ended without closing the pool."
    return Summary(
        "recovered",
        short_path(info.path),
        tone="warn" if notes else "good",
        badges=(Badge("everything committed is here", "good"),),
        facts=tuple(facts),
        notes=(ended, *notes),
    )


def _duration(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.1f} s"


def transaction_summary(info: TransactionInfo) -> Summary:
    """How a transaction ended, in one line and a few facts."""
    name = short_path(info.path)
    if info.committed:
        written = count(info.work.allocations, "allocation")
        facts = (
            Fact("written", size(info.work.bytes_written)),
            Fact("new", written),
            Fact("took", _duration(info.seconds)),
        )
        return Summary("committed", name, tone="good", facts=facts)
    note = f"Every persistent change of this cell was rolled back; {name} is as it was before it."
    return Summary(
        "rolled back",
        name,
        tone="bad",
        badges=(Badge(printable(info.reason), "bad"),) if info.reason else (),
        facts=(Fact("undone", size(info.work.bytes_written) + " of changes"),),
        notes=(note, "Ordinary Python variables keep what the cell did to them."),
    )


def check_summary(path: str, report: CheckReport) -> Summary:
    """What a verification found."""
    facts = [
        Fact("objects", f"{report.objects:,}"),
        Fact("in use", size(report.bytes)),
        Fact("took", _duration(report.seconds)),
    ]
    if report.garbage:
        facts.append(Fact("unreached", count(report.garbage, "allocation") + ", no damage"))
    notes = [printable(problem) for problem in report.problems]
    notes += [_missing_note(printable(name)) for name in report.classes_missing]
    badge = Badge("sound", "good") if report.ok else Badge("damaged", "bad")
    return Summary(
        "check",
        short_path(path),
        tone="good" if report.ok else "bad",
        badges=(badge,),
        facts=tuple(facts),
        notes=tuple(notes),
    )
