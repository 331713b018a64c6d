"""The identity table: one live Python handle per stored object.

A live handle pins its object in the C core, so that it outlives its last stored reference.
When Python drops a handle, that is only noted (it may happen at any instant, in any thread, and
by no Python code: an interrupt that came in there would be lost); ``release_dead`` unpins later,
between operations.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HandleTable", "for_each"]


class _HandleRef(weakref.ref):  # type: ignore[type-arg]
    __slots__ = ("offset", "older")

    offset: int
    older: _HandleRef | None  # of the same object: dead, its pin not yet released


_set_offset = _HandleRef.__dict__["offset"].__set__
_set_older = _HandleRef.__dict__["older"].__set__

for_each = deque[None](maxlen=0).extend
"""Exhausts an iterator."""


class HandleTable:
    """Offset -> live handle, by weak references.

    Attributes:
        dead: references whose handle has died; always the same list.
        undead: offsets of dead handles whose pins could not be released yet.
    """

    __slots__ = ("_on_death", "_refs", "_retired", "dead", "undead")

    def __init__(self) -> None:
        self._refs: dict[int, _HandleRef] = {}
        self._retired: list[_HandleRef] = []
        self.dead: list[_HandleRef] = []
        self._on_death = self.dead.append
        self.undead: list[int] = []

    def get(self, offset: int) -> Any:
        """The live handle of the object at *offset*, or None. O(1)."""
        ref = self._refs.get(offset)
        return None if ref is None else ref()

    def add(self, offset: int, handle: Any) -> None:
        """Enter a handle whose object has just been pinned."""
        ref = _HandleRef(handle, self._on_death)
        ref.offset = offset
        ref.older = self._refs.get(offset)
        self._refs[offset] = ref

    def add_many(self, offsets: list[int], handles: list[Any]) -> list[int]:
        """add, for many, without a Python step for each; gives the offsets that had a handle.

        They have it since the caller looked: a ``__del__`` or a signal handler has read them.
        """
        refs = list(map(_HandleRef, handles, repeat(self._on_death)))
        for_each(map(_set_offset, refs, offsets))
        for_each(map(_set_older, refs, map(self._refs.get, offsets)))
        entries = dict(zip(offsets, refs, strict=True))
        had = []
        if not self._refs.keys().isdisjoint(offsets):
            had = [offset for offset in offsets if self.get(offset) is not None]
            for offset in had:
                entries.pop(offset).offset = 0
        self._refs.update(entries)
        return had

    def remove(self, offset: int) -> list[Any]:
        """Forget the handles of an object that no longer exists, and whose pins are gone.

        Gives those that are alive.
        """
        refs = [ref for ref in self._retired if ref.offset == offset]
        newest = self._refs.pop(offset, None)
        while newest is not None:
            refs.append(newest)
            newest = newest.older
        for ref in refs:
            ref.offset = 0
        if offset in self.undead:
            self.undead = [other for other in self.undead if other != offset]
        return [handle for ref in refs if (handle := ref()) is not None]

    def retire(self, offset: int) -> None:
        """The live handle stays alive with its pin, but no longer stands for its object."""
        self._retired.append(self._refs.pop(offset))

    def take_dead(self) -> list[int]:
        """Offsets whose handle has died since the last call, one for each pin to release."""
        refs = self._refs
        with suppress(IndexError):
            while True:
                ref = self.dead.pop()
                # Without a call, at which a signal handler could come in and enter another handle.
                if ref.offset in refs and refs[ref.offset] is ref:
                    del refs[ref.offset]
                elif ref in self._retired:
                    self._retired.remove(ref)
                if ref.offset:
                    self.undead.append(ref.offset)
        undead, self.undead = self.undead, []
        return undead

    def live(self) -> Iterator[tuple[int, Any]]:
        """(offset, handle) of all live handles."""
        for offset, ref in list(self._refs.items()):
            handle = ref()
            if handle is not None:
                yield offset, handle

    def __len__(self) -> int:
        return len(self._refs)
