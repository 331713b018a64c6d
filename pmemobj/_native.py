"""The only module that touches the C core: its functions, and what its statuses mean.

Every call into the core has one shape: call, ``if status: raise failure(...)``.
"""

from __future__ import annotations

import os

from pmemobj import errors
from pmemobj._core import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["failure", "failure_info", "ffi", "lib"]


_STEP = 128 << 20
"""Bytes of the file that an elastic pool gets when it grows."""


def failure_info(ctx: Any) -> Any:
    """What the core noted of its last failure on this pool: sizes, offset, errno, text."""
    info = ffi.new("pmo_failure_info *")
    lib.pmo_failure(ctx, info)
    return info


def _full(info: Any) -> Exception:
    if info.elastic:
        advice = "Free some there"
        if info.disk_free >= _STEP:
            advice = (
                "The system refused another file: see to its permissions, a quota, a limit, the "
                "disk itself or the reservation of addresses (reservation=)"
            )
        what = (
            f"the pool cannot grow: {info.requested:,} bytes asked for; it grows by 128 MiB, and "
            f"its disk has {info.disk_free:,} bytes free. {advice}, or delete something here"
        )
    else:
        what = (
            f"the pool is full: {info.requested:,} bytes asked for, {info.free:,} free, "
            f"{info.largest:,} of them in one piece. Delete something, or make a larger pool; an "
            "elastic one (pmemobj.create(path, elastic=True)) grows with the disk"
        )
    return errors.PoolFullError(
        f"{what}. Nothing was written",
        requested=int(info.requested),
        free=int(info.free),
        largest=int(info.largest),
    )


def _too_big(info: Any) -> Exception:
    return errors.PoolFullError(
        f"one allocation of {info.requested:,} bytes is more than libpmemobj can make "
        "(15.9 GiB). Nothing was written; split the value",
        requested=int(info.requested),
    )


def _corrupt(info: Any) -> Exception:
    text = ffi.string(info.text).decode(errors="replace")
    return errors.PoolCorruptedError(
        f"the pool is damaged at offset {info.offset:#x}: {text}. No value was made of it; "
        "restore a copy, or salvage what can still be read",
        offset=int(info.offset),
    )


def _system(info: Any) -> Exception:
    text = ffi.string(info.text).decode(errors="replace").strip()
    reason = os.strerror(info.error) if info.error else "unknown reason"
    error = errors.PoolSystemError(f"{text or 'libpmemobj refused'} ({reason})")
    error.errno = info.error
    return error


def _disk(info: Any) -> Exception:
    reason = os.strerror(info.error)
    error = errors.PoolSystemError(
        f"the disk did not take what was written to the pool ({reason}). What was committed by now "
        "is kept for as long as the machine runs, and may be lost when it goes down. Close the "
        "pool, see to the disk or take a copy of the file, and open it again, which verifies it"
    )
    error.errno = info.error
    return error


_PLAIN: dict[int, Callable[[], Exception]] = {
    lib.PMO_ECLOSED: lambda: errors.PoolClosedError(
        "the pool of this object is closed; open it again to use its objects"
    ),
    lib.PMO_EFORKED: lambda: errors.PoolForkedError(
        "the pool was opened before this process was forked and belongs to the parent; "
        "close it before forking and open it here, or leave it to the parent"
    ),
    lib.PMO_EPOISONED: lambda: errors.AbortedObjectError(
        "this object was made in a transaction that was rolled back, or its memory was freed; "
        "it no longer exists"
    ),
    lib.PMO_ENOTX: lambda: errors.NoTransactionError(
        "this needs an open transaction: use it inside 'with pool.transaction():'"
    ),
    lib.PMO_EOTHERPOOL: lambda: errors.OtherPoolTransactionError(
        "this thread has a transaction open on another pool, and libpmemobj runs one per "
        "thread; end that one first, or work on this pool in another thread"
    ),
    lib.PMO_EDOOMED: lambda: errors.TransactionAbortedError(
        "a part of this transaction failed, so it cannot commit; nothing of it is kept"
    ),
    lib.PMO_EINTX: lambda: errors.TransactionError(
        "this is not possible while a transaction is open; end it first"
    ),
    lib.PMO_EINDEX: lambda: IndexError("index out of range"),
    lib.PMO_EINVAL: lambda: errors.InvalidOidError(
        "no such object or memory block in this pool, or an argument out of its range"
    ),
    lib.PMO_ETYPE: lambda: errors.InvalidOidError(
        "the object there is of another kind than this operation needs"
    ),
    lib.PMO_ENOMEM: lambda: MemoryError("the process has no memory left"),
    lib.PMO_EVERSION: lambda: errors.LayoutError(
        "the pool's layout version is not one that this pmemobj knows; use the pmemobj that "
        "made it, or a newer one"
    ),
}

_WITH_FACTS: dict[int, Callable[[Any], Exception]] = {
    lib.PMO_EFULL: _full,
    lib.PMO_ETOOBIG: _too_big,
    lib.PMO_ECORRUPT: _corrupt,
    lib.PMO_ESYSTEM: _system,
    lib.PMO_EDISK: _disk,
}


def failure(status: int, ctx: Any = None, info: Any = None) -> Exception:
    """The exception for a negative status of the core.

    Args:
        status: what the core returned.
        ctx: the pool it was called on, for the facts in the message.
        info: a filled ``pmo_failure_info *``, where there is no pool (create, open).
    """
    if status in _WITH_FACTS:
        if info is None:
            info = failure_info(ctx)
        return _WITH_FACTS[status](info)
    make = _PLAIN.get(status)
    return make() if make is not None else errors.PmemobjError(f"unexpected status {status}")
