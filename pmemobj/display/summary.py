"""What a display shows, as plain frozen data: gathered elsewhere, rendered by text.py and html.py.

A Summary knows nothing of pools or notebooks, so that both renderers are pure
functions, show the same facts, and can be tested without either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "MAX_LEVELS",
    "MAX_ROWS",
    "Badge",
    "Column",
    "Fact",
    "Field",
    "Gap",
    "Meter",
    "Part",
    "Row",
    "Summary",
    "Table",
    "Tone",
    "count",
    "percent",
    "printable",
    "size",
]

Tone = Literal["plain", "good", "info", "warn", "bad"]
Field = Literal["name", "type", "length", "bytes", "value"]

MAX_ROWS = 50
"""Rows of one table at most; a Gap tells how many are left out."""

MAX_LEVELS = 3
"""Tables inside each other at most, the outermost counted."""


@dataclass(frozen=True)
class Badge:
    """A short word about state; *hint* is the sentence behind it (HTML shows it on hover)."""

    text: str
    tone: Tone = "plain"
    hint: str = ""


@dataclass(frozen=True)
class Fact:
    """One labelled value."""

    label: str
    value: str


@dataclass(frozen=True)
class Part:
    """One segment of a meter."""

    label: str
    amount: int
    tone: Tone = "info"


@dataclass(frozen=True)
class Meter:
    """Parts of a whole; what the parts leave of *total* is shown empty."""

    parts: tuple[Part, ...]
    total: int
    caption: str


@dataclass(frozen=True)
class Column:
    """A column of a table: which field of its rows, under which heading."""

    field: Field
    title: str


@dataclass(frozen=True)
class Row:
    """One variable, entry or item.

    Attributes:
        bytes: memory of the object itself, None where it has none of its own.
        share: its part of the pool's used memory, 0 to 1, drawn as a bar.
        nested: what opening the row shows (HTML only; *value* tells the gist).
    """

    name: str
    value: str
    type: str = ""
    length: str = ""
    bytes: int | None = None
    share: float | None = None
    badges: tuple[Badge, ...] = ()
    nested: Summary | None = None


@dataclass(frozen=True)
class Gap:
    """Rows that are there but not shown."""

    count: int


@dataclass(frozen=True)
class Table:
    """Rows under their headings."""

    columns: tuple[Column, ...]
    rows: tuple[Row | Gap, ...]


@dataclass(frozen=True)
class Summary:
    """One display.

    Attributes:
        tone: colours the edge: what a person should feel before reading.
        empty: the sentence shown in place of a table without rows.
        notes: sentences below everything else.
    """

    title: str
    subtitle: str = ""
    tone: Tone = "plain"
    badges: tuple[Badge, ...] = ()
    facts: tuple[Fact, ...] = ()
    meter: Meter | None = None
    table: Table | None = None
    empty: str = ""
    notes: tuple[str, ...] = ()


def size(amount: int) -> str:
    """Bytes in words: ``512 B``, ``4.1 MiB``."""
    if amount < 1024:
        return f"{amount} B"
    scaled = float(amount)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        scaled /= 1024
        if scaled < 999.5 or unit == "PiB":
            break
    return f"{scaled:.1f} {unit}" if scaled < 99.95 else f"{scaled:.0f} {unit}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A counted noun: ``1 item``, ``12,000 items``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """A share of 0 to 1 in words; what is there but small is not called nothing."""
    return "<1%" if 0 < share < 0.01 else f"{share:.0%}"


def printable(text: str) -> str:
    """*text* itself, or its repr where it holds what a screen cannot show (or should not obey)."""
    return text if text.isprintable() else repr(text)
