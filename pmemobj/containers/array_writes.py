"""Writes to arrays of a pool: which bytes one touches, and doing it as one step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from pmemobj.raws import RawBytes

__all__ = ["Write", "address_of"]

_RESTORED = 1 << 16  # bytes of a failed write that are put back one by one
_GAP = 64  # bytes between two ranges that cost less to save than a record of their own


def address_of(view: Any) -> int:
    """Where the first element of an array is."""
    return int(view.__array_interface__["data"][0])


def _ranges(view: Any, start: int) -> Any:
    """(position, size) pairs of the bytes of *view*, positions counted from address *start*."""
    if not view.size:
        return np.empty((0, 2), np.uint64)
    first = address_of(view) - start
    if view.flags.c_contiguous or view.flags.f_contiguous:
        return np.array([[first, view.nbytes]], np.uint64)
    axes = [(s, n) for s, n in zip(view.strides, view.shape, strict=True) if n > 1]
    first += sum(stride * (count - 1) for stride, count in axes if stride < 0)
    last = first + sum(abs(s) * (n - 1) for s, n in axes) + view.itemsize
    axes = sorted((abs(s), n) for s, n in axes if s)
    block = view.itemsize
    while axes and axes[0][0] <= block:
        block += axes[0][0] * (axes[0][1] - 1)
        del axes[0]
    runs = math.prod(count for _, count in axes)
    if runs * (block + _GAP) >= last - first:
        return np.array([[first, last - first]], np.uint64)
    starts = np.array([first], np.uint64)
    for stride, count in reversed(axes):
        steps = np.arange(count, dtype=np.uint64) * np.uint64(stride)
        starts = (starts[:, None] + steps).ravel()
    return np.column_stack((starts, np.full_like(starts, block)))


def _scattered(plain: Any, key: Any, start: int) -> Any:
    """As _ranges, for the elements that an index with arrays or booleans picks."""
    places = address_of(plain) - start
    for axis, (stride, count) in enumerate(zip(plain.strides, plain.shape, strict=True)):
        steps = np.arange(count, dtype=np.int64) * stride
        steps = steps.reshape([-1 if at == axis else 1 for at in range(plain.ndim)])
        places = places + np.broadcast_to(steps, plain.shape)[key]
    places = np.unique(np.asarray(places, np.int64).ravel())
    if not places.size:
        return np.empty((0, 2), np.uint64)
    ends = places + plain.itemsize
    breaks = np.flatnonzero(places[1:] - ends[:-1] > _GAP)
    first = places[np.concatenate(([0], breaks + 1))]
    last = ends[np.concatenate((breaks, [places.size - 1]))]
    return np.column_stack((first, last - first)).astype(np.uint64)


def _view(plain: Any, key: Any) -> Any:
    """The view that a basic index picks; None for an index with arrays or booleans."""
    if isinstance(key, str) or (isinstance(key, list) and key and isinstance(key[0], str)):
        return plain[key]
    parts = key if isinstance(key, tuple) else (key,)
    if not any(part is Ellipsis for part in parts):
        parts = (*parts, Ellipsis)
    picked = plain[parts]
    return picked if np.may_share_memory(picked, plain) or not picked.size else None


class Write:
    """Writes to several arrays, as one step."""

    def __init__(self) -> None:
        self._parts: list[tuple[RawBytes, Any, Any]] = []

    def add(self, array: Any) -> None:
        """All of *array* is to be written."""
        if array._p_raw is not None:
            view = array.view(np.ndarray)
            self._parts.append((array._p_raw, view, _ranges(view, array._p_raw.address)))

    def add_item(self, array: Any, plain: Any, key: Any) -> None:
        """What *key* picks of *array*, of which *plain* is the plain view, is to be written."""
        raw = array._p_raw
        if raw is not None:
            view = _view(plain, key)
            if view is None:
                ranges = _scattered(plain, key, raw.address)
            else:
                ranges = _ranges(view, raw.address)
            self._parts.append((raw, view, ranges))

    def run(self, write: Callable[[], Any]) -> Any:
        """Do it: completely, or not at all.

        Within an open transaction a failure of more than a few bytes dooms it.
        """
        if not self._parts:
            return write()
        mm = self._parts[0][0]._p_mm
        with mm.lock:
            if not mm.transaction_depth():
                with mm.transaction():
                    self._announce()
                    return write()
            self._announce()
            views = [view for _, view, _ in self._parts]
            small = all(view is not None and view.nbytes <= _RESTORED for view in views)
            saved = [view.copy() for view in views] if small else None
            try:
                return write()
            except BaseException:
                if saved is None:
                    mm.doom()
                else:
                    for view, old in zip(views, saved, strict=True):
                        view[...] = old
                raise

    def _announce(self) -> None:
        for raw, _, ranges in self._parts:
            if len(ranges):
                raw.changing(np.ascontiguousarray(ranges), len(ranges))
