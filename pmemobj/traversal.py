"""Marking: what the collector and the checker have in common.

The C core follows the references of every layout it knows. Objects of custom classes it
hands over, because only their ``_p_traverse`` and ``_p_substructures`` know what they hold.
"""

from __future__ import annotations

from pmemobj._native import ffi, lib
from pmemobj.errors import InvalidOidError, MissingClassError, TransactionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from pmemobj.manager import MemoryManager
    from pmemobj.progress import Progress

    Damaged: TypeAlias = Callable[[str | None], object]
    """Called with what is damaged; None: the core has noted it."""

__all__ = ["ChangedError", "begin", "mark"]

BUDGET = 20_000
AGAIN = 1
FOREIGN = 2
UNKNOWN = 0
OFFSETS_END = 1 << 63


class ChangedError(Exception):
    """The pool was written to between two steps; what was found so far is not to be used."""


def begin(mm: MemoryManager, what: str, verify: bool) -> None:
    """Start a collection in the core. Caller: holds the lock, ends with pmo_gc_finish.

    Waits until no other thread has a transaction open.

    Raises:
        TransactionError: this thread has one open.
        PoolClosedError: the pool is closed.
    """
    if mm.wait_turn() is not None:
        raise TransactionError(
            f"{what} looks at the whole pool and cannot run inside a transaction: "
            "leave the transaction block first"
        )
    mm.attend()
    status = lib.pmo_gc_start(mm.ctx, verify)
    if status:
        mm.finish(status)


def mark(
    mm: MemoryManager,
    *,
    progress: Progress | None = None,
    damaged: Damaged | None = None,
    failed: Callable[[str], object] | None = None,
) -> tuple[str, ...]:
    """Mark everything that is in use, in a collection that ``begin`` started.

    Returns the names of the classes that are not defined now; what their instances refer to
    is then unknown, and nothing may be freed.

    Args:
        progress: called with ``("mark", objects visited, None)`` after every step.
        damaged: called for each damaged object, which is then passed by; without it
            damage raises.
        failed: called for each custom object whose class fails to tell what it refers to,
            which is then unknown; without it such an error raises.

    Raises:
        PoolCorruptedError: damage was found, and there is no *damaged*.
        ChangedError: the pool was changed while it was marked.
    """
    foreign = ffi.new("uint64_t *")
    missing: set[str] = set()
    visited = 0
    while True:
        status = lib.pmo_gc_mark(mm.ctx, BUDGET, foreign)
        if status == 0:
            return tuple(sorted(missing))
        if status == FOREIGN:
            visited += 1
            _follow(mm, foreign[0], missing, damaged, damaged or failed)
        elif status == AGAIN:
            visited += BUDGET
            if progress is not None:
                progress("mark", visited, None)
        else:
            _settle(mm, status, damaged)


def _settle(mm: MemoryManager, status: int, damaged: Damaged | None) -> None:
    if status == lib.PMO_OK:
        return
    if status == lib.PMO_EINVAL:
        raise ChangedError
    if status == lib.PMO_ECORRUPT and damaged is not None:
        damaged(None)
        return
    mm.finish(status)


def _follow(
    mm: MemoryManager,
    offset: int,
    missing: set[str],
    damaged: Damaged | None,
    failed: Callable[[str], object] | None,
) -> None:
    try:
        handle = mm.resurrect_offset(offset)
        references = _offsets(mm, handle._p_traverse())
        substructures = _offsets(mm, handle._p_substructures())
        for reference in references:
            _settle(mm, lib.pmo_gc_reference(mm.ctx, reference), damaged)
        for substructure in substructures:
            _settle(mm, lib.pmo_gc_keep(mm.ctx, substructure), damaged)
        return
    except ChangedError:
        raise
    except MissingClassError as error:
        missing.add(error.name)
    except Exception as error:
        if failed is None:
            raise
        failed(f"offset {offset:#x}: a custom object that cannot be traversed: {error!r}")
    _settle(mm, lib.pmo_gc_reference(mm.ctx, UNKNOWN), damaged)


def _offsets(mm: MemoryManager, oids: Iterable[Any]) -> list[int]:
    """Offsets of those oids that lie in the pool; immediate ones and OID_NULL do not."""
    offsets = []
    for oid in oids:
        try:
            uuid_lo, offset = mm.otuple(oid)
        except (TypeError, ValueError):
            raise InvalidOidError(
                f"{oid!r} is no oid; _p_traverse and _p_substructures give oids"
            ) from None
        if uuid_lo != mm.uuid_lo or offset == 0:
            continue
        if not 0 < offset < OFFSETS_END:
            raise InvalidOidError(f"the oid {oid} has an impossible offset")
        offsets.append(offset)
    return offsets
