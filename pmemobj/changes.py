"""Which variables a transaction has changed so far, for the display of one that was rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pmemobj._native import lib
from pmemobj.peek import Peeker, Raw

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["ChangeWatch", "Changes"]

_MOST = 1000
"""Variables compared; of a root with more, only those whose objects changed are told."""


@dataclass(frozen=True)
class Changes:
    """What is different from before.

    Attributes:
        added, removed, changed: names under the root.
        inner: further persistent objects that were changed, which no name under the root leads to
            directly.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    inner: int = 0


class ChangeWatch:
    """Remembers the variables of a pool as they are now. O(variables), a thousand at most."""

    def __init__(self, manager: MemoryManager) -> None:
        self._manager = manager
        self._before = self._marks()

    def _marks(self) -> dict[str, Raw]:
        manager = self._manager
        with manager.lock:
            if manager.attention:
                manager.attend()
            peek = Peeker(manager)
            root = peek.root()
            if root.tag != lib.PMO_REF:
                return {}
            facts = peek.facts(root.number)
            if facts.layout != lib.PMO_LAYOUT_DICT or facts.length > _MOST:
                return {}
            return {
                key.data.decode("utf-8", "replace"): value
                for key, value in peek.table(facts, _MOST, 0).head
                if key is not None and key.tag == lib.PMO_STR
            }

    def so_far(self) -> Changes:
        """What the open transaction has changed since. Call it inside the transaction."""
        before, now = self._before, self._marks()
        with self._manager.lock:
            state = self._manager.open_transaction
            handles = list(state.touched.values()) if state is not None else []
            touched = {handle._p_off for handle in handles} - {self._root_offset()}
        known = {cell.number for cell in before.values() if cell.tag == lib.PMO_REF}
        changed = [
            name
            for name, cell in before.items()
            if name in now
            and (now[name] != cell or (cell.tag == lib.PMO_REF and cell.number in touched))
        ]
        return Changes(
            tuple(name for name in now if name not in before),
            tuple(name for name in before if name not in now),
            tuple(changed),
            len(touched - known),
        )

    def _root_offset(self) -> int:
        root = Peeker(self._manager).root()
        return root.number if root.tag == lib.PMO_REF else 0
