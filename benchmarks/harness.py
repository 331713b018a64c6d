"""Contenders side by side: each in a process and a directory of its own, taking turns.

What disturbs the machine then disturbs them all; what is told is the median over rounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SECONDS = "seconds"
BYTES = "bytes"


class Role(Enum):
    PEER = "what users would pick instead"
    OURS = "pmemobj"
    FLOOR = "what the engine or the machine can do at best"
    ASIDE = "shown for comparison, not with the same safety or not the same work"


@dataclass(frozen=True)
class Contender:
    title: str
    run: Callable[[Path], float]
    role: Role
    note: str = ""
    size: int = 0
    """Elements that it works on, in a group that shows how the cost grows with them."""


@dataclass(frozen=True)
class Group:
    """Contenders for one piece of work.

    Attributes:
        must: ours must be at most so many times the best peer.
        aim: what is hoped for, likewise.
        limit: ours must be at most this, in the group's unit.
        quick: part of the short run.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    must: float | None = None
    aim: float | None = None
    limit: float | None = None
    unit: str = SECONDS
    quick: bool = True


@dataclass
class Result:
    contender: Contender
    figures: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.figures)


@dataclass(frozen=True)
class Comparison:
    group: Group
    results: tuple[Result, ...]

    @property
    def best_peer(self) -> Result | None:
        peers = [one for one in self.results if one.contender.role is Role.PEER and one.figures]
        return min(peers, key=lambda one: one.median, default=None)

    @property
    def ours(self) -> Result | None:
        found = (one for one in self.results if one.contender.role is Role.OURS and one.figures)
        return next(found, None)

    @property
    def ratio(self) -> float | None:
        """Ours beside the best peer."""
        if self.ours is None or self.best_peer is None or not self.best_peer.median:
            return None
        return self.ours.median / self.best_peer.median

    @property
    def grows(self) -> bool:
        """Is it about the cost at several sizes?"""
        return any(one.contender.size for one in self.results)

    @property
    def verdict(self) -> str:
        """What came of the goal: aimed at, met, missed; empty if the group has none."""
        if self.ours is None:
            return ""
        if self.group.limit is not None:
            return "met" if self.ours.median <= self.group.limit else "MISSED"
        if self.group.must is None or self.ratio is None:
            return ""
        if self.group.aim is not None and self.ratio <= self.group.aim:
            return "met, and the aim"
        return "met" if self.ratio <= self.group.must else "MISSED"


def compare(group: Group, rounds: int, parent: Path) -> Comparison:
    """Run every contender of the group once a round."""
    results = tuple(Result(contender) for contender in group.contenders)
    for _ in range(rounds):
        for result in results:
            if result.failure:
                continue
            with tempfile.TemporaryDirectory(dir=parent, prefix="bench-") as directory:
                try:
                    result.figures.append(result.contender.run(Path(directory)))
                except RuntimeError as error:
                    result.failure = str(error)
                    print(error, file=sys.stderr)
    return Comparison(group, results)


def selected(groups: Sequence[Group], names: Sequence[str], quick: bool) -> list[Group]:
    """The groups of these names, or all; only the quick ones if asked."""
    return [
        group for group in groups if (group.name in names if names else not quick or group.quick)
    ]
