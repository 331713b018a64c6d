"""Summary -> plain text, for terminals and wherever HTML is not shown."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from unicodedata import combining, east_asian_width

from pmemobj.display.summary import (
    Cell,
    Column,
    Gap,
    Kind,
    Meter,
    Row,
    Summary,
    Table,
    Tone,
    percent,
)

__all__ = ["clip", "render", "width_of"]

Paint = Callable[[str, Tone], str]

_WIDTHS: dict[Kind, int] = {"name": 28, "word": 32}
_METER_WIDTH = 30
_RIGHT = ("number", "size")
_UNIT_WIDTH = 3


def _no_paint(text: str, tone: Tone) -> str:
    return text


def width_of(text: str) -> int:
    """Columns that *text* takes in a terminal."""
    if text.replace("…", "").isascii():
        return len(text)
    return sum(
        0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text
    )


def clip(text: str, width: int) -> str:
    """*text* in at most *width* columns, an ellipsis where something was cut."""
    if width_of(text) <= width:
        return text
    kept = 0
    for position, letter in enumerate(text):
        kept += width_of(letter)
        if kept > width - 1:
            return text[:position] + "…"
    return text


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * max(0, width - width_of(text))
    return space + text if right else text + space


def _words(cell: Cell, column: Column, shares: bool) -> str:
    if column.kind == "size":
        number, _, unit = cell.text.rpartition(" ")
        words = f"{number} {unit:<{_UNIT_WIDTH}}" if cell.text else ""
        return f"{percent(cell.share or 0):>4} {words}" if shares else words
    room = _WIDTHS.get(column.kind)
    words = cell.text if room is None else clip(cell.text, room)
    badges = " ".join(f"[{badge.text}]" for badge in cell.badges)
    if not badges:
        return words
    return f"{badges} {words}" if column.kind == "value" else f"{words} {badges}"


def render_table(table: Table, width: int = 100, paint: Paint = _no_paint) -> list[str]:
    """The lines of *table*, cut to *width* columns; nested summaries are left out."""
    columns = table.columns
    rows = [row.full_cells() for row in table.rows if isinstance(row, Row)]
    shares = [any(row[at].share is not None for row in rows) for at in range(len(columns))]
    texts = [[column.title for column in columns]]
    texts += [
        [_words(row[at], column, shares[at]) for at, column in enumerate(columns)] for row in rows
    ]
    widths = [max(width_of(line[at]) for line in texts) for at in range(len(columns))]
    rights = [column.kind in _RIGHT for column in columns]
    lines = [clip("  ".join(map(_pad, line, widths, rights)).rstrip(), width) for line in texts]
    lines[0] = paint(lines[0], "info")
    for place, row in enumerate(table.rows, 1):
        if isinstance(row, Gap):
            lines.insert(place, paint(f"… {row.count:,} more", "info"))
    return [paint(table.title, "info"), *lines] if table.title else lines


def render_meter(meter: Meter, paint: Paint = _no_paint) -> str:
    """Two lines: a bar and its caption, then what its parts are."""
    bar = ""
    room = _METER_WIDTH
    for part in meter.drawn():
        share = part.amount / meter.total if meter.total else 0.0
        length = max(min(room, round(share * _METER_WIDTH)), min(room, 1)) if part.amount else 0
        bar += paint(("█" if part.tone != "plain" else "▒") * length, part.tone)
        room -= length
    legend = " · ".join(words for words, _ in meter.legend())
    return f"{bar}{'░' * room}  {meter.caption}\n{legend}"


def _sentences(sentences: tuple[str, ...], width: int, mark: str = "") -> list[str]:
    lines = []
    for sentence in sentences:
        words = mark + sentence
        room = width if width_of(words) == len(words) else width // 2  # wide letters
        lines += wrap(words, room, subsequent_indent=" " * len(mark)) or [mark]
    return lines


def render(summary: Summary, width: int = 100, paint: Paint = _no_paint) -> str:
    """*summary* as text of at most *width* columns, but for its first lines in a very narrow place.

    *paint* may colour words for a terminal; it must not change their width.
    """
    head = paint(summary.title, summary.tone)
    if summary.subtitle:
        head += f"  {summary.subtitle}"
    if summary.badges:
        head += "  " + " · ".join(paint(badge.text, badge.tone) for badge in summary.badges)
    lines = [head]
    lines += [paint(line, "warn") for line in _sentences(summary.warnings, width, "! ")]
    if summary.meter is not None:
        lines.append(render_meter(summary.meter, paint))
    label_width = max((width_of(fact.label) for fact in summary.facts), default=0)
    for fact in summary.facts:
        label = paint(_pad(fact.label, label_width, right=False), "info")
        lines.append(f"{label}  {clip(fact.value, max(8, width - label_width - 2))}")
    tables = [table for table in summary.tables if table.rows]
    for table in tables:
        if len(lines) > 1:
            lines.append("")
        lines.extend(render_table(table, width, paint))
    if summary.empty and not tables:
        lines.append(summary.empty)
    lines += _sentences(summary.notes, width)
    return "\n".join(lines)
