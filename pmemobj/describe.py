"""Stored objects -> Summaries: what a container, an object or a workspace looks like.

Everything here reads through Peeker: bounded by what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from pmemobj._native import lib
from pmemobj.cards import CARDS
from pmemobj.display import html, text
from pmemobj.display.settings import settings
from pmemobj.display.summary import (
    Cell,
    Column,
    Fact,
    Gap,
    Line,
    Row,
    Summary,
    Table,
    printable,
    size,
)
from pmemobj.display.text import clip
from pmemobj.errors import (
    AbortedObjectError,
    DetachedObjectError,
    PoolClosedError,
)
from pmemobj.peek import Facts
from pmemobj.preview import (
    NAME_WIDTH,
    Look,
    Preview,
    Shown,
    bounded_repr,
    class_missing,
)

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["Contents", "describe", "to_html", "to_text", "variables"]

_ROWS_INSIDE = 12
"""Rows of a table inside a row."""

_BUDGET = 150
"""Rows inside rows, of one display; shared out evenly, so that like values look alike."""

_LEAST = 3
"""Rows inside a row that are worth opening it."""

_CARD = 12
"""Rows for which the card of an array or a frame counts."""

_ITEMS = 13
_LAST = 3
"""Items of a sequence that are shown, and how many of them from its end."""

_TYPE = Column("type", "word")
_LENGTH = Column("length", "number")
_SIZE = Column("size", "size", "The bar is its part of the memory in use.")
_VALUE = Column("value")
_ITEM = Column("item")
_ATTRIBUTE = Column("attribute", "name")
_VARIABLES = (Column("name", "name"), _TYPE, _LENGTH, _SIZE, _VALUE)

_OWN_SIZE = "A size is the object's own memory, without that of objects it refers to."


@dataclass(frozen=True)
class Contents:
    """The variables of a workspace as a table, and how many there are in all."""

    table: Table
    total: int
    notes: tuple[str, ...] = ()


_UNUSABLE = (AbortedObjectError, DetachedObjectError, PoolClosedError)


def _opens(one: Shown) -> bool:
    """Does it hold elements that can be shown inside?"""
    return one.facts is not None and one.facts.length > 0 and not one.look.opaque


class _Describer:
    def __init__(self, manager: MemoryManager, nested: bool = True) -> None:
        self._preview = Preview(manager)
        self._peek = self._preview.peek
        self._budget = _BUDGET if nested else 0

    def _values(self, shown: list[Shown], level: int, budget: int) -> list[Cell]:
        """The cells of values, with their elements inside, *budget* rows of them in all."""
        opening = [one for one in shown if one.detail or _opens(one)]
        if level >= settings.max_depth or budget < _LEAST or not opening:
            return [Cell(one.text, one.badges) for one in shown]
        share = max(_LEAST, budget // len(opening))
        cells = []
        for one in shown:
            nested = None
            if one.detail is not None and budget >= _CARD:
                budget -= _CARD
                nested = one.detail()
            elif one.facts is not None and _opens(one) and budget >= share:
                budget -= share
                limit = min(share, _ROWS_INSIDE, settings.max_rows)
                left = share - min(limit, one.facts.length)
                table, _ = self._elements(one.facts, one.look, level + 1, limit, left)
                nested = Summary(one.type, tables=(table,))
            cells.append(Cell(one.text, one.badges, nested=nested))
        return cells

    def _elements(
        self, facts: Facts, look: Look, level: int, limit: int, budget: int
    ) -> tuple[Table, str]:
        """The first and last elements of an object; the type, if all of these have the same."""
        if look.heading == "index":
            limit = min(limit, _ITEMS)
        tail = min(_LAST, limit // 2)
        window = look.window(self._peek, facts, limit - tail, tail)
        entries = window.head + window.tail
        shown = [self._preview.show(value) for _, value in entries]
        types = {one.type for one in shown}
        alike = types.pop() if len(types) == 1 else ""
        typed = look.named or not alike
        measured = any(one.facts is not None and one.length for one in shown)
        columns = [_TYPE] * typed + [_LENGTH] * measured + [_VALUE if look.heading else _ITEM]
        if look.heading:
            columns.insert(0, Column(look.heading, "name" if look.named else "number"))
        rows: list[Line] = []
        values = self._values(shown, level, budget)
        for place, ((key, _), one, value) in enumerate(zip(entries, shown, values, strict=True)):
            index = place if place < len(window.head) else place + window.hidden
            cells = [one.type] * typed + [one.length] * measured
            if look.heading:
                cells.insert(0, self._preview.label(key, look) if key else f"{index:,}")
            rows.append(Row((*cells, value)))
        if window.hidden:
            rows.insert(len(window.head), Gap(window.hidden))
        return Table(tuple(columns), tuple(rows)), alike

    def _variables(self, names: list[str], shown: list[Shown], used: int) -> list[Line]:
        rows: list[Line] = []
        values = self._values(shown, 1, self._budget)
        for name, one, value in zip(names, shown, values, strict=True):
            amount: Cell | str = ""
            if one.bytes is not None:
                amount = Cell(size(one.bytes), share=one.bytes / used if used else None)
            rows.append(Row((name, one.type, one.length, amount, value)))
        return rows

    def variables(self, used: int) -> Contents:
        """The root's entries as variables."""
        root = self._peek.root()
        if root.tag != lib.PMO_REF:
            return Contents(Table(_VARIABLES, ()), 0)
        facts = self._peek.facts(root.number)
        if facts.layout != lib.PMO_LAYOUT_DICT:
            rows = self._variables(["root"], [self._preview.show(root)], used)
            return Contents(Table(_VARIABLES, tuple(rows)), 1)
        window = self._peek.table(facts, settings.max_rows - 1, 1)
        entries = window.head + window.tail
        shown = [self._preview.show(value) for _, value in entries]
        rows = self._variables([self._preview.name(key) for key, _ in entries], shown, used)
        if window.hidden:
            rows.insert(len(window.head), Gap(window.hidden))
        notes = (_OWN_SIZE,) if any(one.refers for one in shown) else ()
        return Contents(Table(_VARIABLES, tuple(rows)), facts.length, notes)

    def describe(self, offset: int) -> Summary:
        """One object as a display of its own."""
        facts = self._peek.facts(offset)
        if facts.type in CARDS:
            card = self._preview.card(facts).detail()
            return replace(card, badges=card.badges + self._preview.shared(facts))
        cls = self._preview.class_of(facts)
        told = [Fact("size", size(facts.bytes))]
        tables: tuple[Table, ...] = ()
        if not cls.look.opaque:
            table, alike = self._elements(facts, cls.look, 1, settings.max_rows, self._budget)
            tables = (table,)
            told.insert(0, Fact(cls.look.noun[1], f"{facts.length:,}"))
            if alike and not cls.look.named:
                hidden = any(isinstance(row, Gap) for row in table.rows)
                told.append(Fact("type", f"{alike}, as far as shown" if hidden else alike))
        if cls.stored:
            told.insert(0, Fact("module", printable(cls.stored.partition(":")[0])))
        return Summary(
            cls.name,
            tone="warn" if cls.missing else "plain",
            badges=self._preview.badges(facts),
            warnings=(class_missing(cls.stored),) if cls.missing else (),
            facts=tuple(told),
            tables=tables,
            empty="" if facts.length or cls.look.opaque else f"no {cls.look.noun[1]}",
        )


def variables(manager: MemoryManager, used: int = 0, nested: bool = True) -> Contents:
    """The variables under the root of *manager*'s pool; *used* bytes make their shares.

    O(rows shown), less without the *nested* contents; takes the pool's lock.
    """
    with manager.lock:
        if manager.attention:
            manager.attend()
        return _Describer(manager, nested).variables(used)


def _own_repr(handle: Any) -> str:
    """What a user's own ``__repr__`` says; "" where the class has only the library's."""
    own = type(handle).__repr__
    if getattr(own, "__module__", "").partition(".")[0] == "pmemobj":
        return ""
    return bounded_repr(handle)


def _volatile(handle: Any) -> tuple[Table, ...]:
    attributes = handle._p_volatile()
    rows: list[Line] = [
        Row((clip(printable(name), NAME_WIDTH), type(value).__qualname__, bounded_repr(value)))
        for name, value in islice(attributes.items(), settings.max_rows)
    ]
    if len(attributes) > len(rows):
        rows.append(Gap(len(attributes) - len(rows)))
    return (Table((_ATTRIBUTE, _TYPE, _VALUE), tuple(rows), "volatile"),) if rows else ()


def describe(handle: Any, nested: bool = True) -> Summary:
    """A stored object as a display: its class, count, memory, first and last elements.

    A user's own ``__repr__`` is shown as well, and the volatile attributes of the handle.
    O(rows shown) but for that ``__repr__``; takes the pool's lock.
    """
    manager = handle._p_mm
    with manager.lock:
        if manager.attention:
            manager.attend()
        summary = _Describer(manager, nested).describe(handle._p_oid[1])
    volatile = _volatile(handle) if hasattr(handle, "_p_volatile") else ()
    tables = summary.tables
    if volatile:
        tables = tuple(replace(table, title="stored") for table in tables) + volatile
    return replace(summary, subtitle=_own_repr(handle), tables=tables)


def to_html(handle: Any) -> str | None:
    """*handle* for a notebook; None where only its repr can say why it is unusable."""
    if not settings.html:
        return None
    try:
        return html.render(describe(handle), settings.max_depth)
    except _UNUSABLE:
        return None


def to_text(handle: Any) -> str | None:
    """*handle* as the same facts in plain text; None as to_html."""
    try:
        return text.render(describe(handle, nested=False))
    except _UNUSABLE:
        return None
