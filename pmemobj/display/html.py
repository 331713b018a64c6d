"""Summary -> HTML: no JavaScript, one style block scoped to one class, everything escaped."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path

from pmemobj.display.summary import (
    MAX_LEVELS,
    Badge,
    Column,
    Fact,
    Gap,
    Meter,
    Row,
    Summary,
    Table,
    percent,
    size,
)

__all__ = ["render", "style"]


@cache
def style() -> str:
    """The style sheet, read once from the package."""
    sheet = Path(__file__).with_name("style.css").read_text("utf-8")
    return "\n".join(line.strip() for line in sheet.splitlines() if line.strip())


def _badge(badge: Badge) -> str:
    hint = f' title="{escape(badge.hint)}"' if badge.hint else ""
    return f'<span class="pmo-badge pmo-{badge.tone}"{hint}>{escape(badge.text)}</span>'


def _badges(badges: tuple[Badge, ...]) -> str:
    return " ".join(_badge(badge) for badge in badges)


def _percent(amount: int, total: int) -> float:
    return min(100.0, 100.0 * amount / total) if total else 0.0


def _meter(meter: Meter) -> str:
    parts = "".join(
        f'<span class="pmo-part pmo-{part.tone}" title="{escape(part.label)}"'
        f' style="width:{_percent(part.amount, meter.total):.2f}%"></span>'
        for part in meter.parts
        if part.amount
    )
    caption = escape(meter.caption)
    return (
        f'<div class="pmo-usage"><div class="pmo-meter" role="img" aria-label="{caption}">'
        f'{parts}</div><div class="pmo-caption">{caption}</div></div>'
    )


def _facts(facts: tuple[Fact, ...]) -> str:
    entries = "".join(
        f"<div><dt>{escape(fact.label)}</dt> <dd>{escape(fact.value)}</dd></div>" for fact in facts
    )
    return f'<dl class="pmo-facts">{entries}</dl>'


def _bytes(row: Row) -> str:
    if row.bytes is None:
        return ""
    words = f'<span class="pmo-number">{size(row.bytes)}</span>'
    if row.share is None:
        return words
    share = min(1.0, max(0.0, row.share))
    return (
        f'{words} <span class="pmo-share" title="of the memory in use">'
        f'<span style="width:{share:.1%}"></span></span>'
        f' <span class="pmo-percent">{percent(share)}</span>'
    )


def _value(row: Row, level: int) -> str:
    value = f'<span class="pmo-value">{escape(row.value)}</span>'
    badges = " " + _badges(row.badges) if row.badges else ""
    if row.nested is None or level >= MAX_LEVELS:
        return value + badges
    inner = _body(row.nested, level + 1)
    return (
        f"<details><summary>{value}{badges}</summary>"
        f'<div class="pmo-nested">{inner}</div></details>'
    )


def _cell(row: Row, column: Column, level: int) -> str:
    if column.field == "name":
        return f'<th scope="row"><span class="pmo-key">{escape(row.name)}</span></th>'
    if column.field == "bytes":
        return f'<td class="pmo-bytes">{_bytes(row)}</td>'
    if column.field == "value":
        return f'<td class="pmo-last">{_value(row, level)}</td>'
    text = row.type if column.field == "type" else row.length
    return f'<td class="pmo-{column.field}">{escape(text)}</td>'


def _row(row: Row | Gap, columns: tuple[Column, ...], level: int) -> str:
    if isinstance(row, Gap):
        return f'<tr class="pmo-gap"><td colspan="{len(columns)}">… {row.count:,} more</td></tr>'
    return "<tr>" + "".join(_cell(row, column, level) for column in columns) + "</tr>"


def _table(table: Table, level: int) -> str:
    head = "".join(
        f'<th scope="col" class="pmo-{column.field}">{escape(column.title)}</th>'
        for column in table.columns
    )
    rows = "".join(_row(row, table.columns, level) for row in table.rows)
    return (
        f'<div class="pmo-scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(summary: Summary) -> str:
    parts = [f'<span class="pmo-title">{escape(summary.title)}</span>']
    if summary.subtitle:
        parts.append(f'<span class="pmo-subtitle">{escape(summary.subtitle)}</span>')
    if summary.badges:
        parts.append(f'<span class="pmo-badges">{_badges(summary.badges)}</span>')
    return f'<div class="pmo-head">{" ".join(parts)}</div>'


def _body(summary: Summary, level: int) -> str:
    parts = []
    if summary.meter is not None:
        parts.append(_meter(summary.meter))
    if summary.facts:
        parts.append(_facts(summary.facts))
    if summary.table is not None and summary.table.rows:
        parts.append(_table(summary.table, level))
    elif summary.empty:
        parts.append(f'<div class="pmo-empty">{escape(summary.empty)}</div>')
    parts.extend(f'<div class="pmo-note">{escape(note)}</div>' for note in summary.notes)
    return "".join(parts)


def render(summary: Summary) -> str:
    """*summary* as one HTML element that carries its own style.

    Readable without the style as well, where a viewer strips it.
    """
    return (
        f'<div class="pmemobj pmo-edge-{summary.tone}"><style>{style()}</style>'
        f"{_head(summary)}{_body(summary, 1)}</div>"
    )
