"""Arrays and pickled values in displays: a line about each, and a card of its own.

A line reads nothing but descriptions. A card looks into the value itself, if its library is
loaded already: at an array's corners, a frame's columns and first rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pmemobj._native import lib
from pmemobj.codecs.wire import Reader
from pmemobj.display.summary import Badge, Fact, Summary, Table, count, printable, size
from pmemobj.display.text import clip
from pmemobj.elements import array_tables, contents
from pmemobj.errors import PmemobjError
from pmemobj.raws import MAPPED, in_place

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager
    from pmemobj.peek import Facts, Peeker

__all__ = ["CARDS", "Card"]

_NUMBERS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool", "M": "datetime64"}

_UNREAD = "What is in it is shown once {} is imported."

_VIEWED = Badge("zero-copy", "good", "What is large of it is read where it lies in the pool.")


@dataclass(frozen=True)
class Card:
    """What is told about a large value.

    Attributes:
        type: its class's name.
        text: one line about it.
        length: how much it holds, in words.
        bytes: its memory in the pool, its buffers included.
        detail: makes the card.
    """

    type: str
    text: str
    length: str
    bytes: int
    detail: Callable[[], Summary]


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{one:,}" for one in shape) or "a single value"


def dtype_words(told: Any) -> str:
    """The name of a stored dtype, as numpy gives it."""
    if isinstance(told, str):
        kind = told[1:2]
        width = told[2:].partition("[")[0]
        if kind == "M" or kind == "m":
            unit = told[3:] if told[2:3] == "8" else ""
            return f"{'datetime' if kind == 'M' else 'timedelta'}64{unit}"
        if kind == "b":
            return "bool"
        name = _NUMBERS.get(kind)
        big = " (big-endian)" if told[:1] == ">" and name else ""
        return f"{name}{8 * int(width)}{big}" if name and width.isdigit() else told.lstrip("|")
    if told[0] == "array":
        return f"{dtype_words(told[1])} × {_times(told[2])}"
    return "{" + ", ".join(f"{field[0]}: {dtype_words(field[3])}" for field in told[3]) + "}"


def _buffers(peek: Peeker, facts: Facts) -> tuple[list[Any], int]:
    """The elements of a large value's object, and the memory of all of it."""
    items = [raw for _, raw in peek.sequence(facts, facts.length, 0).head]
    parts = {raw.number for raw in items if raw.tag == lib.PMO_REF}
    return items, facts.bytes + sum(peek.facts(offset).bytes for offset in parts)


# ---- arrays ---------------------------------------------------------------------------------


def _array(manager: MemoryManager, peek: Peeker, facts: Facts) -> Card:
    items, amount = _buffers(peek, facts)
    told: Any = peek.decode(items[0])
    _, dtype, shape, order = told
    words = dtype_words(dtype)

    def detail() -> Summary:
        told = [
            Fact("dtype", clip(printable(words), 100)),
            Fact("shape", _times(shape)),
            Fact("size", size(amount)),
            Fact("order", "Fortran" if order == "F" else "C"),
        ]
        tables: tuple[Table, ...] = ()
        if "numpy" in sys.modules:
            array = manager.resurrect_offset(facts.offset)
            told.append(Fact("writable", "yes" if array.flags.writeable else "no"))
            tables = array_tables(array)
        return Summary(
            "PersistentArray",
            badges=(_VIEWED,),
            facts=tuple(told),
            tables=tables,
            shape=shape,
            empty="no elements" if 0 in shape else _UNREAD.format("numpy"),
        )

    text = f"{words}, {_times(shape)}"
    return Card("PersistentArray", clip(printable(text), 120), _times(shape), amount, detail)


# ---- pickled values -----------------------------------------------------------------------------


def _pickled(manager: MemoryManager, peek: Peeker, facts: Facts) -> Card:
    items, amount = _buffers(peek, facts)
    reader = Reader(items[0].data)
    reader.take(4)
    module, qualname = reader.text(), reader.text()
    library = module.partition(".")[0]
    name = clip(printable(qualname), 60)
    buffers = count(len(items) - 1, "buffer")
    lengths = [peek.facts(raw.number).length for raw in items[1:]]
    viewed = sum(length for length in lengths if length >= MAPPED)

    def detail() -> Summary:
        badges = (_VIEWED,) if viewed else ()
        told = [
            Fact("library", printable(library)),
            Fact("size", size(amount)),
            Fact("read in place", size(viewed), "Buffers of 1 MiB and more: they are not copied."),
            Fact("copied", size(sum(lengths) - viewed), "Smaller buffers, at each reading."),
            Fact("in the pickle", size(items[0].number), "What reading it makes anew."),
        ]
        found: tuple[Fact, ...] = ()
        tables: tuple[Table, ...] = ()
        notes: tuple[str, ...] = ()
        if library not in sys.modules:
            notes = (_UNREAD.format(printable(library)),)
        elif manager.allow_pickle:
            try:
                found, tables = contents(
                    manager.resurrect_offset(facts.offset), partial(in_place, manager)
                )
            except Exception as error:  # strangers' code, and only for a look
                told.append(Fact("cannot be shown", type(error).__name__))
        return Summary(name, badges=badges, facts=(*found, *told), tables=tables, notes=notes)

    text = f"{printable(library)} {name}, {buffers}"
    return Card(name, clip(text, 120), "", amount, detail)


def _raw(manager: MemoryManager, peek: Peeker, facts: Facts) -> Card:
    def detail() -> Summary:
        return Summary("bytes", facts=(Fact("size", size(facts.length)),))

    return Card("bytes", f"({size(facts.length)})", f"{facts.length:,}", facts.bytes, detail)


def _safely(
    make: Callable[[MemoryManager, Peeker, Facts], Card],
) -> Callable[[MemoryManager, Peeker, Facts], Card]:
    def card(manager: MemoryManager, peek: Peeker, facts: Facts) -> Card:
        try:
            return make(manager, peek, facts)
        except (PmemobjError, ValueError, TypeError, IndexError) as error:
            words = clip(printable(str(error)), 120)
            damaged = Summary("damaged", tone="bad", warnings=(words,))
            return Card("damaged", words, "", facts.bytes, lambda: damaged)

    return card


CARDS: dict[int, Callable[[MemoryManager, Peeker, Facts], Card]] = {
    lib.PMO_TYPE_RAW: _safely(_raw),
    lib.PMO_TYPE_ARRAY: _safely(_array),
    lib.PMO_TYPE_PICKLED: _safely(_pickled),
}
"""Type code -> what makes the card of an object. Caller: holds the manager's lock."""
