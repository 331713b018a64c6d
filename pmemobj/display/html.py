"""Summary -> HTML: no JavaScript, one style block scoped to one class, everything escaped."""

from __future__ import annotations

import re
from functools import cache
from html import escape as escape_html
from pathlib import Path

from pmemobj.display.shapes import drawing
from pmemobj.display.summary import (
    Badge,
    Cell,
    Column,
    Fact,
    Gap,
    Kind,
    Line,
    Meter,
    Summary,
    Table,
    percent,
)

__all__ = ["render", "style"]

_TRACKS: dict[Kind, str] = {
    "name": "var(--pmo-name-track)",
    "word": "var(--pmo-word-track)",
    "number": "max-content",
    "size": "max-content",
    "value": "var(--pmo-value-track)",
}
"""The widths of a table's columns: only values take more than they need, or less."""

_FOLDS = 3
"""From how many columns on a row takes two lines where there is little room."""

_WIDE = 5
"""From how many columns on a row that is opened takes the full width, as any does with a card."""

_CLIPPED = 4
"""Characters that fit wherever a text may be cut; what is longer can be read on hover."""


_special = re.compile("[&<>\"']").search


def escape(text: str) -> str:
    """*text* as HTML; most texts are that already."""
    return escape_html(text) if _special(text) else text


@cache
def style() -> str:
    """The style sheet, read once from the package."""
    sheet = Path(__file__).with_name("style.css").read_text("utf-8")
    return "\n".join(line.strip() for line in sheet.splitlines() if line.strip())


def _title(text: str) -> str:
    return f' title="{escape(text)}"' if text else ""


def _whole(text: str) -> str:
    return _title(text) if len(text) > _CLIPPED else ""


def _badge(badge: Badge) -> str:
    return (
        f'<span class="pmo-badge pmo-{badge.tone}"{_title(badge.hint)}>{escape(badge.text)}</span>'
    )


def _badges(badges: tuple[Badge, ...]) -> str:
    if not badges:
        return ""
    return f' <span class="pmo-badges">{" ".join(map(_badge, badges))}</span>'


def _percent(amount: float, total: float) -> float:
    return min(100.0, max(0.0, 100.0 * amount / total)) if total else 0.0


def _meter(meter: Meter) -> str:
    bar = "".join(
        f'<span class="pmo-part pmo-{part.tone}"'
        f' style="width:{_percent(part.amount, meter.total):.2f}%"></span>'
        for part in meter.drawn()
        if part.amount
    )
    caption = escape(meter.caption)
    entries = ' <span class="pmo-dot">·</span> '.join(
        f'<span class="pmo-entry pmo-{tone}">{escape(words)}</span>'
        for words, tone in meter.legend()
    )
    return (
        f'<div class="pmo-usage"><div class="pmo-meter" role="img" aria-label="{caption}">'
        f'{bar}</div><div class="pmo-legend"><span class="pmo-caption">{caption}</span>'
        f' <span class="pmo-entries">{entries}</span></div></div>'
    )


def _facts(facts: tuple[Fact, ...]) -> str:
    entries = "".join(
        f"<div{_title(fact.hint)}><dt>{escape(fact.label)}</dt>"
        f" <dd{_whole(fact.value)}>{escape(fact.value)}</dd></div>"
        for fact in facts
    )
    return f'<dl class="pmo-facts">{entries}</dl>'


def _size(cell: Cell) -> str:
    number, _, unit = cell.text.rpartition(" ")
    words = (
        f'<span class="pmo-count">{escape(number)}'
        f' <span class="pmo-unit">{escape(unit)}</span></span>'
    )
    share = percent(cell.share or 0)
    if not share:
        return words
    width = _percent(cell.share or 0, 1)
    return (
        f'<span class="pmo-percent">{share}</span> <span class="pmo-share">'
        f'<span style="width:{width:.0f}%"></span></span> {words}'
    )


def _value(cell: Cell, level: int, depth: int) -> str:
    words = f'<span class="pmo-clip"{_whole(cell.text)}>{escape(cell.text)}</span>'
    line = words + _badges(cell.badges)
    if cell.nested is None or level >= depth:
        return f'<div class="pmo-line">{line}</div>'
    inner = _body(cell.nested, level + 1, depth)
    return (
        f'<details><summary class="pmo-line">{line}</summary>'
        f'<div class="pmo-nested">{inner}</div></details>'
    )


def _cell(cell: Cell, column: Column, level: int, depth: int) -> str:
    if column.kind == "size":
        return f'<td class="pmo-size">{_size(cell)}</td>'
    inside = _value(cell, level, depth)
    if column.kind == "name":
        return f'<th scope="row" class="pmo-name">{inside}</th>'
    return f'<td class="pmo-{column.kind}">{inside}</td>'


def _row(row: Line, columns: tuple[Column, ...], level: int, depth: int) -> str:
    if isinstance(row, Gap):
        return f'<tr class="pmo-gap"><td colspan="{len(columns)}">… {row.count:,} more</td></tr>'
    cells = row.full_cells()
    wide = len(columns) >= _WIDE or any(cell.nested and cell.nested.facts for cell in cells)
    start = '<tr class="pmo-wide">' if wide else "<tr>"
    shown = zip(cells, columns, strict=True)
    return start + "".join(_cell(cell, column, level, depth) for cell, column in shown) + "</tr>"


def _table(table: Table, level: int, depth: int) -> str:
    head = "".join(
        f'<th scope="col" class="pmo-{column.kind}"{_title(column.hint)}>'
        f"{escape(column.title)}</th>"
        for column in table.columns
    )
    rows = "".join(_row(row, table.columns, level, depth) for row in table.rows)
    tracks = " ".join(_TRACKS[column.kind] for column in table.columns)
    title = f'<div class="pmo-section">{escape(table.title)}</div>' if table.title else ""
    name = "pmo-folds" if len(table.columns) >= _FOLDS else ""
    if table.grid:
        name, tracks = "pmo-grid", f"repeat({len(table.columns)},max-content)"
    return (
        f'{title}<div class="pmo-scroll">'
        f'<table class="{name}" style="grid-template-columns:{tracks}">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _head(summary: Summary) -> str:
    subtitle = summary.subtitle
    words = f'<span class="pmo-title">{escape(summary.title)}</span>'
    if subtitle:
        words += f' <span class="pmo-subtitle"{_whole(subtitle)}>{escape(subtitle)}</span>'
    return f'<div class="pmo-head">{words}{_badges(summary.badges)}</div>'


def _body(summary: Summary, level: int, depth: int) -> str:
    parts = [f'<div class="pmo-warning">{escape(words)}</div>' for words in summary.warnings]
    if summary.meter is not None:
        parts.append(_meter(summary.meter))
    facts = _facts(summary.facts) if summary.facts else ""
    parts.append(
        f'<div class="pmo-drawn">{drawing(summary.shape)}{facts}</div>' if summary.shape else facts
    )
    tables = [table for table in summary.tables if table.rows]
    parts.extend(_table(table, level, depth) for table in tables)
    if summary.empty and not tables:
        parts.append(f'<div class="pmo-empty">{escape(summary.empty)}</div>')
    parts.extend(f'<div class="pmo-note">{escape(note)}</div>' for note in summary.notes)
    return "".join(parts)


def render(summary: Summary, depth: int = 3) -> str:
    """*summary* as one HTML element that carries its own style.

    Readable without the style as well, where a viewer strips it.

    Args:
        depth: tables inside each other at most, the outermost counted.
    """
    return (
        f'<div class="pmemobj pmo-edge-{summary.tone}"><style>{style()}</style>'
        f"{_head(summary)}{_body(summary, 1, depth)}</div>"
    )
