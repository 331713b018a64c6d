"""plain(): a deep copy made of ordinary Python objects."""

from __future__ import annotations

import marshal

from pmemobj._native import ffi, lib
from pmemobj.containers.base import BATCH, MISSING, Stored
from pmemobj.errors import UnstorableError
from pmemobj.kinds import LIBRARIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """A deep copy of *value* in which nothing is persistent.

    Persistent lists, dicts, sets and tuples become plain ones, persistent objects become
    PlainObject instances with the same attributes, and custom classes what their ``_p_plain()``
    gives. Plain lists, dicts, sets, tuples and frozensets are copied too, and values of the
    libraries that are stored without nomination; other values are kept as they are. What was
    shared or cyclic is so in the copy. O(size); nesting may be of any depth.

    Raises:
        UnstorableError: an object of a custom class without ``_p_plain``.
    """
    if isinstance(value, Stored):
        copied = _read_whole(value)
        if copied is not MISSING:
            return copied
    copier = _Copier()
    copier.discover(value)
    copier.fill()
    return copier.copied(value)


def _read_whole(value: Stored) -> Any:
    """The copy of a graph that is lists, dicts, sets and the commonest values only, or MISSING.

    Also MISSING if reading fails: who then reads part by part says what is wrong.
    """
    mm = value._p_mm
    stream = ffi.new(BATCH)
    with mm.lock:
        mm.attend_if_needed()
        if lib.pmo_graph_write(mm.ctx, value._p_off, stream):
            return MISSING
    try:
        return marshal.loads(ffi.buffer(stream.data, stream.data_length))
    except (ValueError, TypeError, EOFError):
        return MISSING
    finally:
        lib.pmo_batch_release(stream)


class _Copier:
    """Copies a graph in two passes, without recursion.

    Discovery makes the mutable copies empty, and the immutable ones as soon as their parts
    have a copy; then the mutable ones are filled, those that hash their content last, when
    what they hold is complete.
    """

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._lists: list[tuple[Any, Any, list[Any]]] = []
        self._tables: list[tuple[Any, Any, list[Any]]] = []
        self._waiting: dict[int, list[Any]] = {}

    def copied(self, value: Any) -> Any:
        return self._copies.get(id(value), value)

    def discover(self, top: Any) -> None:
        work = [(top, False)]
        while work:
            value, parts_done = work.pop()
            mark = id(value)
            if mark in self._copies:
                continue
            if parts_done:
                done = self._waiting.pop(mark)
                self._copies[mark] = _build(value, [self.copied(part) for part in done])
                continue
            made = _of_library(value)
            if made is not MISSING:
                self._kept.append(value)
                self._copies[mark] = made
                continue
            parts = _parts(value)
            if parts is None or mark in self._waiting:
                continue
            self._kept.append(value)
            self._kept.append(parts)
            shell = _shell(value)
            if shell is MISSING:
                self._waiting[mark] = parts
                work.append((value, True))
            else:
                self._copies[mark] = shell
                queue = self._lists if isinstance(shell, list) else self._tables
                queue.append((value, shell, parts))
            work.extend((part, False) for part in reversed(parts))

    def fill(self) -> None:
        for value, shell, parts in self._lists + self._tables:
            _fill(value, shell, [self.copied(part) for part in parts])


def _parts(value: Any) -> list[Any] | None:
    """What the copy of *value* holds; None if *value* itself can stay."""
    if isinstance(value, Stored):
        return value._p_plain_children()
    cls = type(value)
    if cls is dict:
        return [part for item in value.items() for part in item]
    if cls in (list, set, tuple, frozenset):
        return list(value)
    if hasattr(cls, "_p_resurrect"):
        if not hasattr(cls, "_p_plain"):
            raise UnstorableError(
                f"an object of {cls.__name__} has no plain copy: its class defines no _p_plain()"
            )
        return [value._p_plain()]
    return None


def _of_library(value: Any) -> Any:
    """A copy of a frame, a model, ... that views nothing of a pool; MISSING: it is none."""
    cls = type(value)
    if cls.__module__.partition(".")[0] not in LIBRARIES or isinstance(value, type):
        return MISSING
    import pickle

    try:
        return pickle.loads(pickle.dumps(value, 5))
    except Exception:  # strangers' code; such a value was never stored
        return MISSING


def _shell(value: Any) -> Any:
    if isinstance(value, Stored):
        return value._p_plain_shell()
    cls = type(value)
    return cls() if cls in (list, dict, set) else MISSING


def _build(value: Any, parts: list[Any]) -> Any:
    if isinstance(value, Stored):
        return value._p_plain_build(parts)
    cls = type(value)
    return cls(parts) if cls in (tuple, frozenset) else parts[0]


def _fill(value: Any, shell: Any, parts: list[Any]) -> None:
    if isinstance(value, Stored):
        value._p_plain_fill(shell, parts)
    else:
        fill: Iterable[Any] = parts
        if isinstance(shell, dict):
            fill = zip(parts[::2], parts[1::2], strict=True)
        getattr(shell, "extend" if isinstance(shell, list) else "update")(fill)
