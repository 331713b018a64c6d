"""What a display shows, as plain frozen data: gathered elsewhere, rendered by text.py and html.py.

A Summary knows nothing of pools or notebooks, so that both renderers are pure
functions, show the same facts, and can be tested without either.

A new kind of display needs no new words here: facts for what has a label, a table for what
has rows, a meter for parts of a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

__all__ = [
    "Badge",
    "Cell",
    "Column",
    "Fact",
    "Gap",
    "Kind",
    "Line",
    "Meter",
    "Part",
    "Row",
    "Summary",
    "Table",
    "Tone",
    "count",
    "duration",
    "percent",
    "printable",
    "size",
]

Tone = Literal["plain", "good", "info", "warn", "bad"]

Kind = Literal["name", "word", "number", "size", "value"]
"""How a column is set: a name in code letters and bold; a word; a number, aligned at its end;
a size, aligned at its unit; a value in code letters, which takes the room that is left."""


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
    hint: str = ""


@dataclass(frozen=True)
class Part:
    """One segment of a meter, told as its amount in words and *label*."""

    label: str
    amount: int
    tone: Tone = "info"


@dataclass(frozen=True)
class Meter:
    """Parts of a whole, in bytes.

    Attributes:
        rest: what the parts leave of *total*, which is shown empty; not told if "".
        caption: the sentence that says it all.
    """

    parts: tuple[Part, ...]
    total: int
    caption: str
    rest: str = ""

    def drawn(self) -> list[Part]:
        """The parts with what there is to draw of each: together no more than *total*."""
        left, drawn = self.total, []
        for part in self.parts:
            amount = max(0, min(part.amount, left))
            left -= amount
            drawn.append(replace(part, amount=amount))
        return drawn

    def legend(self) -> list[tuple[str, Tone | Literal["rest"]]]:
        """What is told of each part and of the rest, and the tone it is drawn in."""
        told: list[tuple[str, Tone | Literal["rest"]]] = [
            (f"{size(part.amount)} {part.label}", part.tone) for part in self.parts
        ]
        left = self.total - sum(part.amount for part in self.drawn())
        if self.rest and left:
            told.append((f"{size(left)} {self.rest}", "rest"))
        return told


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and how its cells are set."""

    title: str
    kind: Kind = "value"
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a row; a plain str is a cell without anything else.

    Attributes:
        share: 0 to 1, told and drawn as a bar beside a size if it is a percent or more.
        nested: what opening the cell shows (HTML only; *text* tells the gist).
    """

    text: str
    badges: tuple[Badge, ...] = ()
    share: float | None = None
    nested: Summary | None = None


@dataclass(frozen=True)
class Row:
    """One variable, entry, item or column: a cell for each column of the table."""

    cells: tuple[Cell | str, ...]

    def full_cells(self) -> list[Cell]:
        """The cells, those that were given as words included."""
        return [cell if isinstance(cell, Cell) else Cell(cell) for cell in self.cells]


@dataclass(frozen=True)
class Gap:
    """Rows that are there but not shown."""

    count: int


Line: TypeAlias = Row | Gap


@dataclass(frozen=True)
class Table:
    """Rows under their headings.

    Attributes:
        title: tells several tables of one display apart.
        grid: elements of data: nothing is cut, and HTML scrolls what is too wide.
    """

    columns: tuple[Column, ...]
    rows: tuple[Line, ...]
    title: str = ""
    grid: bool = False


@dataclass(frozen=True)
class Summary:
    """One display.

    Attributes:
        tone: colours the edge: what a person should feel before reading.
        warnings: sentences that must be seen before the rest.
        shape: of an array, drawn in HTML.
        empty: the sentence shown in place of tables without rows.
        notes: sentences below everything else.
    """

    title: str
    subtitle: str = ""
    tone: Tone = "plain"
    badges: tuple[Badge, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    meter: Meter | None = None
    tables: tuple[Table, ...] = ()
    shape: tuple[int, ...] = ()
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
    """A share of 0 to 1 in words; "" for less than one percent."""
    return "" if share < 0.01 else f"{share:.0%}"


def printable(text: str) -> str:
    """*text* itself, or its repr where it holds what a screen cannot show (or should not obey)."""
    return text if text.isprintable() else repr(text)


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.1f} s"
