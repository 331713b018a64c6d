"""Stored objects -> Summaries: what a container, an object or a workspace looks like.

Everything here reads through Peeker: bounded by what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Literal

from pmemobj import codecs
from pmemobj._native import lib
from pmemobj.codecs.leaves import float_from_bits
from pmemobj.display.html import render
from pmemobj.display.summary import (
    MAX_LEVELS,
    MAX_ROWS,
    Badge,
    Column,
    Fact,
    Gap,
    Row,
    Summary,
    Table,
    count,
    printable,
    size,
)
from pmemobj.display.text import clip
from pmemobj.errors import AbortedObjectError, DetachedObjectError, PoolClosedError
from pmemobj.peek import Cell, Facts, Peeker

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["Contents", "describe", "to_html", "variables"]

Kind = Literal["list", "tuple", "dict", "set", "frozenset", "object", "value", "custom"]

_VALUE_WIDTH = 76
_NAME_WIDTH = 64
_ROWS_INSIDE = (MAX_ROWS, 12, 6)
_NESTED_BUDGET = 120
_PREVIEW_ITEMS = 6
_TAIL = 3

_KINDS: dict[int, tuple[Kind, str]] = {
    lib.PMO_TYPE_BLOB: ("value", "value"),
    lib.PMO_TYPE_TUPLE: ("tuple", "tuple"),
    lib.PMO_TYPE_FROZENSET: ("frozenset", "frozenset"),
    lib.PMO_TYPE_LIST: ("list", "PersistentList"),
    lib.PMO_TYPE_DICT: ("dict", "PersistentDict"),
    lib.PMO_TYPE_SET: ("set", "PersistentSet"),
    lib.PMO_TYPE_PTUPLE: ("tuple", "PersistentTuple"),
}
_BASE_KINDS: dict[str, Kind] = {
    "PersistentList": "list",
    "PersistentTuple": "tuple",
    "PersistentDict": "dict",
    "PersistentSet": "set",
    "PersistentObject": "object",
}
_BRACKETS: dict[Kind, tuple[str, str]] = {
    "list": ("[", "]"),
    "tuple": ("(", ")"),
    "dict": ("{", "}"),
    "set": ("{", "}"),
    "frozenset": ("frozenset({", "})"),
}
_NOUNS: dict[Kind, tuple[str, str]] = {
    "dict": ("entry", "entries"),
    "object": ("attribute", "attributes"),
}

_VARIABLE_COLUMNS = (
    Column("name", "name"),
    Column("type", "type"),
    Column("length", "length"),
    Column("bytes", "size"),
    Column("value", "value"),
)
_LARGE = {codecs.BIGINT: "int", codecs.TUPLE: "tuple", codecs.FROZENSET: "frozenset"}
_OWN_SIZE = "A size is the object's own memory, without that of objects it refers to."


class _BoundedRepr(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 60
        self.maxtuple = self.maxlist = self.maxset = self.maxfrozenset = self.maxdict = 6


_bounded = _BoundedRepr().repr


@dataclass(frozen=True)
class _Shown:
    """One value, ready to become a row."""

    type: str
    value: str
    length: str = ""
    bytes: int | None = None
    badges: tuple[Badge, ...] = ()
    facts: Facts | None = None
    kind: Kind = "value"


@dataclass(frozen=True)
class Contents:
    """The variables of a workspace as rows, and how many there are in all."""

    table: Table
    total: int
    notes: tuple[str, ...]


def _class_missing(name: str) -> Badge:
    module, _, qualname = name.partition(":")
    where = "run the cell that defines it" if module == "__main__" else f"import {module}"
    return Badge("class missing", "warn", f"{qualname} is not defined yet: {where}")


def _string(cell: Cell) -> _Shown:
    text = cell.data.decode("utf-8", "surrogatepass" if cell.is_whole else "ignore")
    length = f"{len(text):,}" if cell.is_whole else ""
    preview = repr(text[: _VALUE_WIDTH * 2])
    shown = clip(preview, _VALUE_WIDTH)
    if not cell.is_whole and shown == preview:
        shown += "…"
    return _Shown("str", shown, length, cell.number)


def _payload(peek: Peeker, cell: Cell) -> _Shown:
    if cell.tag == lib.PMO_STR:
        return _string(cell)
    if cell.tag == lib.PMO_BYTES:
        preview = clip(repr(cell.data[:_VALUE_WIDTH]), _VALUE_WIDTH)
        return _Shown("bytes", preview, f"{cell.number:,}", cell.number)
    pickled = (Badge("pickled"),) if cell.tag == codecs.PICKLE else ()
    if not cell.is_whole:
        kind = _LARGE.get(cell.tag, "value")
        return _Shown(kind, f"({size(cell.number)})", "", cell.number, pickled)
    value = peek.decode(cell)
    kind = type(value).__qualname__
    if isinstance(value, codecs.Missing):
        missing = Badge("missing", "warn", clip(printable(value.reason), 200))
        return _Shown("missing", clip(printable(repr(value)), _VALUE_WIDTH), badges=(missing,))
    try:
        preview = clip(printable(_bounded(value)), _VALUE_WIDTH)
    except Exception as error:  # a stranger's __repr__ may raise anything
        preview = f"<{kind}: its repr raised {type(error).__name__}>"
    length = f"{len(value):,}" if isinstance(value, tuple | frozenset) else ""
    return _Shown(kind, preview, length, cell.number, pickled)


def _leaf(peek: Peeker, cell: Cell) -> _Shown:
    if cell.tag == lib.PMO_INT:
        return _Shown("int", str(cell.number))
    if cell.tag == lib.PMO_FLOAT:
        return _Shown("float", repr(float_from_bits(cell.number)))
    if cell.has_payload:
        return _payload(peek, cell)
    value = peek.decode(cell)
    return _Shown(type(value).__qualname__, repr(value))


class _Describer:
    def __init__(self, manager: MemoryManager, nested: bool = True) -> None:
        self._peek = Peeker(manager)
        self._manager = manager
        self._nested_left = _NESTED_BUDGET if nested else 0
        self._user_types: dict[int, tuple[Kind, str, tuple[Badge, ...]]] = {}

    def kind_of(self, facts: Facts) -> tuple[Kind, str, tuple[Badge, ...]]:
        """What the object is, its class's name, and a badge where the class is missing."""
        if facts.type in _KINDS:
            return (*_KINDS[facts.type], ())
        if facts.type not in self._user_types:
            name, base = self._peek.type_name(facts.type)
            missing = name in self._manager.types.missing()
            badges = (_class_missing(name),) if missing else ()
            words = clip(printable(name.partition(":")[2]), _NAME_WIDTH)
            self._user_types[facts.type] = _BASE_KINDS.get(base, "custom"), words, badges
        return self._user_types[facts.type]

    def show(self, cell: Cell) -> _Shown:
        """A cell as one line."""
        if cell.tag != lib.PMO_REF:
            return _leaf(self._peek, cell)
        facts = self._peek.facts(cell.number)
        if facts.layout == lib.PMO_LAYOUT_BLOB:
            inner = _leaf(self._peek, self._peek.blob(cell.number))
            return _Shown(inner.type, inner.value, inner.length, facts.bytes, inner.badges)
        kind, name, badges = self.kind_of(facts)
        if facts.refcount > 1:
            hint = f"{facts.refcount} references lead here: the same object, not copies"
            badges += (Badge(f"shared ×{facts.refcount}", "plain", hint),)
        length = "" if kind == "custom" else f"{facts.length:,}"
        return _Shown(
            name, self._preview(facts, kind, name), length, facts.bytes, badges, facts, kind
        )

    def _brief(self, cell: Cell) -> str:
        if cell.tag != lib.PMO_REF:
            return _leaf(self._peek, cell).value
        facts = self._peek.facts(cell.number)
        if facts.layout == lib.PMO_LAYOUT_BLOB:
            return _leaf(self._peek, self._peek.blob(cell.number)).value
        kind, name, _ = self.kind_of(facts)
        opening, closing = _BRACKETS.get(kind, (f"{name}(", ")"))
        return f"{opening}{'…' if facts.length or kind == 'custom' else ''}{closing}"

    def _preview(self, facts: Facts, kind: Kind, name: str) -> str:
        opening, closing = _BRACKETS.get(kind, (f"{name}(", ")"))
        texts: list[str] = []
        if kind == "custom":
            texts = ["…"]
        elif kind in ("dict", "object"):
            joint = ": " if kind == "dict" else "="
            for key, value in self._peek.entries(facts.offset, _PREVIEW_ITEMS):
                left = self._brief(key) if kind == "dict" else self.name_of(key)
                texts.append(f"{left}{joint}{self._brief(value)}")
        elif kind in ("set", "frozenset"):
            texts = [self._brief(key) for key in self._peek.keys(facts.offset, _PREVIEW_ITEMS)]
        else:
            stop = min(facts.length, _PREVIEW_ITEMS)
            texts = [self._brief(cell) for cell in self._peek.items(facts.offset, 0, stop)]
        if kind != "custom" and facts.length > len(texts):
            texts.append("…")
        inside = clip(", ".join(texts), _VALUE_WIDTH - len(opening) - len(closing))
        return f"{opening}{inside}{closing}"

    def name_of(self, key: Cell) -> str:
        """A key that names a variable or an attribute: strings without quotes."""
        if key.tag == lib.PMO_STR:
            text = key.data.decode("utf-8", "surrogatepass")
            return clip(printable(text), _NAME_WIDTH)
        return clip(self._brief(key), _NAME_WIDTH)

    def row(self, name: str, cell: Cell, level: int, used: int = 0) -> Row:
        """A cell as a row, with its contents nested where there is budget for it."""
        shown = self.show(cell)
        nested = None
        if shown.facts is not None and shown.kind != "custom" and shown.facts.length:
            wanted = min(shown.facts.length, _ROWS_INSIDE[min(level, MAX_LEVELS - 1)])
            if level < MAX_LEVELS and wanted <= self._nested_left:
                self._nested_left -= wanted
                nested = Summary(shown.type, table=self.table(shown.facts, shown.kind, level + 1))
        return Row(
            name,
            shown.value,
            shown.type,
            shown.length,
            shown.bytes,
            shown.bytes / used if used and shown.bytes else None,
            shown.badges,
            nested,
        )

    def table(self, facts: Facts, kind: Kind, level: int) -> Table:
        """The contents of a container or object."""
        limit = _ROWS_INSIDE[min(level, MAX_LEVELS) - 1]
        if kind in ("dict", "object"):
            return self._entries_table(facts, kind, level, limit)
        if kind in ("set", "frozenset"):
            cells = self._peek.keys(facts.offset, limit)
            rows: list[Row | Gap] = [self.row("", cell, level) for cell in cells]
            if facts.length > len(cells):
                rows.append(Gap(facts.length - len(cells)))
            return Table((Column("type", "type"), Column("value", "item")), tuple(rows))
        return self._items_table(facts, level, min(limit, 10))

    def _entries_table(self, facts: Facts, kind: Kind, level: int, limit: int) -> Table:
        entries = self._peek.entries(facts.offset, limit)
        rows: list[Row | Gap] = []
        for key, value in entries:
            name = self.name_of(key) if kind == "object" else clip(self._brief(key), _NAME_WIDTH)
            rows.append(self.row(name, value, level))
        if facts.length > len(entries):
            rows.append(Gap(facts.length - len(entries)))
        title = "attribute" if kind == "object" else "key"
        columns = (Column("name", title), Column("type", "type"), Column("value", "value"))
        return Table(columns, tuple(rows))

    def _items_table(self, facts: Facts, level: int, limit: int) -> Table:
        length = facts.length
        head, tail = (length, length) if length <= limit + _TAIL else (limit, length - _TAIL)
        rows: list[Row | Gap] = []
        for index, cell in enumerate(self._peek.items(facts.offset, 0, head)):
            rows.append(self.row(str(index), cell, level))
        if tail > head:
            rows.append(Gap(tail - head))
        for index, cell in enumerate(self._peek.items(facts.offset, tail, length)):
            rows.append(self.row(f"{tail + index:,}", cell, level))
        columns = (Column("name", "index"), Column("type", "type"), Column("value", "value"))
        return Table(columns, tuple(rows))

    def variables(self, used: int) -> Contents:
        """The root's entries as variables."""
        root = self._peek.root()
        if root.tag != lib.PMO_REF:
            return Contents(Table(_VARIABLE_COLUMNS, ()), 0, ())
        facts = self._peek.facts(root.number)
        if facts.layout != lib.PMO_LAYOUT_DICT:
            row = self.row("root", root, 1, used)
            return Contents(Table(_VARIABLE_COLUMNS, (row,)), 1, ())
        entries = self._peek.entries(root.number, MAX_ROWS)
        rows: list[Row | Gap] = [
            self.row(self.name_of(key), value, 1, used) for key, value in entries
        ]
        if facts.length > len(entries):
            rows.append(Gap(facts.length - len(entries)))
        holds = any(isinstance(row, Row) and row.bytes and row.length for row in rows)
        notes = (_OWN_SIZE,) if holds else ()
        return Contents(Table(_VARIABLE_COLUMNS, tuple(rows)), facts.length, notes)

    def describe(self, offset: int) -> Summary:
        """One object as a display of its own."""
        facts = self._peek.facts(offset)
        kind, name, badges = self.kind_of(facts)
        noun, plural = _NOUNS.get(kind, ("item", "items"))
        told = [Fact("size", size(facts.bytes))]
        if kind != "custom":
            told.insert(0, Fact("holds", count(facts.length, noun, plural)))
        table = self.table(facts, kind, 1) if kind != "custom" else None
        types = {row.type for row in table.rows if isinstance(row, Row)} if table else set()
        if len(types) == 1 and kind not in ("dict", "object") and table is not None:
            told.append(Fact("shown items", f"all {types.pop()}"))
        return Summary(
            name,
            badges=badges,
            facts=tuple(told),
            table=table,
            empty="" if facts.length or kind == "custom" else "empty",
        )


def variables(manager: MemoryManager, used: int = 0, nested: bool = True) -> Contents:
    """The variables under the root of *manager*'s pool; *used* bytes make their shares.

    O(rows shown), less without the *nested* contents; takes the pool's lock.
    """
    with manager.lock:
        if manager.attention:
            manager.attend()
        return _Describer(manager, nested).variables(used)


def describe(handle: Any) -> Summary:
    """A stored object as a display: its class, count, memory, first and last items.

    A user's own ``__repr__`` is shown as well. O(rows shown); takes the pool's lock.
    """
    manager = handle._p_mm
    with manager.lock:
        if manager.attention:
            manager.attend()
        summary = _Describer(manager).describe(handle._p_oid[1])
    own = type(handle).__repr__
    if getattr(own, "__module__", "").partition(".")[0] == "pmemobj":
        return summary
    return replace(summary, subtitle=clip(printable(repr(handle)), 2 * _VALUE_WIDTH))


def to_html(handle: Any) -> str | None:
    """*handle* for a notebook; None where only its repr can say why it is unusable."""
    try:
        return render(describe(handle))
    except (PoolClosedError, AbortedObjectError, DetachedObjectError):
        return None
