"""Reading ahead: elements that an iterator has read before it gives them out.

``itertools.chain`` gives them out, with no Python step for each. A change takes back those that
were not given out yet: the count of changes (``_p_moves``) of an object of which somebody has
read ahead is a Watched, and every change adds to that count before it enters the core.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


__all__ = ["Ahead", "Watched"]


class Ahead:
    """A run of elements that were read ahead."""

    __slots__ = ("given", "taken", "total")

    def __init__(self, values: Sequence[Any]) -> None:
        self.given = iter(values)
        """Who iterates over the run takes its elements from here."""
        self.taken: list[Any] = []
        """Elements that were taken back."""
        self.total = len(values)

    def take_back(self) -> None:
        """End the run here: one step for all threads."""
        self.taken.extend(self.given)

    def consumed(self) -> int:
        """How many elements were given out, when no more are to come."""
        return self.total - len(self.taken)


class Watched(int):
    """A count of changes which, when it is added to, takes back all runs.

    A change without the lock may come while somebody reads ahead in another thread. That one has
    the claim on the pool then, so the change adds once more, with the lock (csrc/turn.c).
    """

    runs: list[Ahead]

    def __new__(cls, count: int, runs: list[Ahead]) -> Watched:
        self = super().__new__(cls, count)
        self.runs = runs
        return self

    def __add__(self, changes: int) -> int:
        runs = self.runs
        for run in tuple(runs):
            run.take_back()
        count = int(self)
        count += changes
        # Nothing comes between this look and the caller's assignment.
        return Watched(count, runs) if runs else count
