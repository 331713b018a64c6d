"""The identity table: one live Python handle per stored object.

A live handle pins its object in the C core, so that it outlives its last stored reference.
When Python drops a handle, that is only noted (it may happen at any instant, in any thread, and
by no Python code: an interrupt that came in there would be lost); ``release_dead`` unpins later,
between operations.
"""

from __future__ import annotations

from itertools import repeat

from pmemobj.light import deque, operator, remove_dead, suppress, weak

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["HandleTable"]


class _HandleRef(weak):  # type: ignore[type-arg]
    __slots__ = ("offset", "older")

    offset: int
    older: _HandleRef  # if there is one: of the same object, dead, its pin not yet released


_offset_of = operator.attrgetter("offset")
_exhaust = deque[None](maxlen=0).extend


class HandleTable:
    """Offset -> live handle, by weak references.

    Attributes:
        dead: references whose handle has died; always the same list.
        undead: offsets of dead handles whose pins could not be released yet.
    """

    __slots__ = ("_next_dead", "_on_death", "_refs", "_retired", "dead", "undead")

    def __init__(self) -> None:
        self._refs: dict[int, _HandleRef] = {}
        self._retired: list[_HandleRef] = []
        self.dead: list[_HandleRef] = []
        self._on_death = self.dead.append
        self._next_dead = self.dead.pop
        self.undead: list[int] = []

    def get(self, offset: int) -> Any:
        """The live handle of the object at *offset*, or None. O(1)."""
        ref = self._refs.get(offset)
        return None if ref is None else ref()

    def add(self, offset: int, handle: Any) -> None:
        """Enter a handle whose object has just been pinned."""
        ref = _HandleRef(handle, self._on_death)
        ref.offset = offset
        older = self._refs.get(offset)
        if older is not None:
            ref.older = older
        self._refs[offset] = ref

    def add_many(self, offsets: list[int], handles: list[Any]) -> list[int]:
        """add, for many; gives the offsets that had a handle, which stays.

        They have it since the caller looked: a ``__del__`` or a signal handler has read them.
        """
        refs = list(map(_HandleRef, handles, repeat(self._on_death)))
        for offset, ref in zip(offsets, refs, strict=True):
            ref.offset = offset
        entered = list(map(self._refs.setdefault, offsets, refs))
        if all(map(operator.is_, entered, refs)):
            return []
        pairs = zip(offsets, refs, strict=True)
        return [offset for offset, ref in pairs if not self._enter(offset, ref)]

    def _enter(self, offset: int, ref: _HandleRef) -> bool:
        """Enter *ref*, unless its object has another living handle."""
        while (there := self._refs.setdefault(offset, ref)) is not ref:
            if there() is not None:
                ref.offset = 0
                return False
            ref.older = there
            # Without a call, at which a signal handler could come in and enter another handle.
            if offset in self._refs and self._refs[offset] is there:
                self._refs[offset] = ref
        return True

    def remove(self, offset: int) -> list[Any]:
        """Forget the handles of an object that no longer exists, and whose pins are gone.

        Gives those that are alive.
        """
        refs = [ref for ref in self._retired if ref.offset == offset]
        self._retired = [ref for ref in self._retired if ref.offset != offset]
        newest = self._refs.pop(offset, None)
        while newest is not None:
            refs.append(newest)
            newest = getattr(newest, "older", None)
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
        taken = map(_offset_of, map(self._next_dead, repeat(-1, len(self.dead))))
        with suppress(IndexError):  # a signal handler has taken some
            self.undead.extend(taken)
        _exhaust(map(remove_dead, repeat(self._refs), self.undead))
        undead, self.undead = self.undead, []
        return list(filter(None, undead))

    def live(self) -> Iterator[tuple[int, Any]]:
        """(offset, handle) of all live handles."""
        for offset, ref in list(self._refs.items()):
            handle = ref()
            if handle is not None:
                yield offset, handle

    def __len__(self) -> int:
        return len(self._refs)
