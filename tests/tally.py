"""What the tests did, counted: how much a clean run proves is told by these numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields


@dataclass
class Tally:
    """Numbers of this process so far; tests add to them."""

    points: int = 0
    images: int = 0
    cut: int = 0
    mixed: int = 0
    power_points: int = 0
    power_cut: int = 0
    power_mixed: int = 0
    kills: int = 0
    commits: int = 0
    failures: int = 0
    refusals: int = 0
    interrupts: int = 0
    histories: int = 0
    steps: int = 0
    damaged: int = 0
    moved: int = 0
    misled: int = 0
    elements: int = 0

    def numbers(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


TALLY = Tally()


def since(before: dict[str, int]) -> dict[str, int]:
    """What was added to *before*; only what is not 0."""
    return {
        name: number - before[name]
        for name, number in TALLY.numbers().items()
        if number != before[name]
    }


class Ledger:
    """The numbers and outcomes of tests by module, whichever process ran them."""

    def __init__(self) -> None:
        self.modules: dict[str, Counter[str]] = {}

    def add(self, module: str, numbers: dict[str, int]) -> None:
        self.modules.setdefault(module, Counter()).update(numbers)

    def total(self) -> Counter[str]:
        return sum(self.modules.values(), Counter())
