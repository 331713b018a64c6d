"""Summary -> plain text, for terminals and wherever HTML is not shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unicodedata import combining, east_asian_width

from pmemobj.display.summary import Column, Gap, Meter, Row, Summary, Table, Tone, percent, size

__all__ = ["clip", "render", "width_of"]

Paint = Callable[[str, Tone], str]

_NAME_WIDTH = 28
_TYPE_WIDTH = 24
_METER_WIDTH = 30
_RIGHT = ("length", "bytes")


def _no_paint(text: str, tone: Tone) -> str:
    return text


def width_of(text: str) -> int:
    """Columns that *text* takes in a terminal."""
    if text.isascii():
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


def _cell(row: Row, column: Column) -> str:
    if column.field == "bytes":
        return "" if row.bytes is None else size(row.bytes)
    if column.field == "name":
        return clip(row.name, _NAME_WIDTH)
    if column.field == "type":
        return clip(row.type, _TYPE_WIDTH)
    if column.field == "length":
        return row.length
    return "".join(f"[{badge.text}] " for badge in row.badges) + row.value


def _share(row: Row) -> str:
    return "" if row.share is None else percent(row.share)


def render_table(table: Table, width: int = 100, paint: Paint = _no_paint) -> list[str]:
    """The lines of *table*, cut to *width* columns; nested summaries are left out."""
    shown = [row for row in table.rows if isinstance(row, Row)]
    cells = {id(row): [_cell(row, column) for column in table.columns] for row in shown}
    if any(row.share is not None for row in shown):
        for row in shown:
            for position, column in enumerate(table.columns):
                if column.field == "bytes" and cells[id(row)][position]:
                    cells[id(row)][position] += f" {_share(row):>4}"
    titles = [column.title for column in table.columns]
    widths = [
        max([width_of(titles[position])] + [width_of(line[position]) for line in cells.values()])
        for position in range(len(titles))
    ]
    rights = [column.field in _RIGHT for column in table.columns]

    def line(texts: Sequence[str]) -> str:
        padded = [
            _pad(text, widths[position], rights[position]) for position, text in enumerate(texts)
        ]
        return clip("  ".join(padded).rstrip(), width)

    lines = [paint(line(titles), "info")]
    for one in table.rows:
        if isinstance(one, Gap):
            lines.append(paint(f"… {one.count:,} more", "info"))
        else:
            lines.append(line(cells[id(one)]))
    return lines


def render_meter(meter: Meter, paint: Paint = _no_paint) -> str:
    """One line: a bar and its caption."""
    bar = ""
    room = _METER_WIDTH
    for part in meter.parts:
        share = part.amount / meter.total if meter.total else 0.0
        drawn = min(room, round(share * _METER_WIDTH)) if part.amount else 0
        drawn = max(drawn, 1) if part.amount and room else drawn
        bar += paint("█" * drawn, part.tone)
        room -= drawn
    return f"{bar}{'░' * room}  {meter.caption}"


def render(summary: Summary, width: int = 100, paint: Paint = _no_paint) -> str:
    """*summary* as text of at most *width* columns.

    *paint* may colour words for a terminal; it must not change their width.
    """
    head = paint(summary.title, summary.tone)
    if summary.subtitle:
        head += f"  {summary.subtitle}"
    if summary.badges:
        head += "  " + " · ".join(paint(badge.text, badge.tone) for badge in summary.badges)
    lines = [head]
    if summary.meter is not None:
        lines.append(render_meter(summary.meter, paint))
    label_width = max((width_of(fact.label) for fact in summary.facts), default=0)
    for fact in summary.facts:
        label = paint(_pad(fact.label, label_width, right=False), "info")
        lines.append(f"{label}  {fact.value}")
    if summary.table is not None and summary.table.rows:
        if summary.meter is not None or summary.facts:
            lines.append("")
        lines.extend(render_table(summary.table, width, paint))
    elif summary.empty:
        lines.append(summary.empty)
    lines.extend(summary.notes)
    return "\n".join(lines)
