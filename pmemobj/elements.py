"""What of an array, a frame or a model is shown: its corners, columns and first rows as tables.

Takes the value itself, and knows its library by what it offers; imports none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from numbers import Number
from typing import Any

from pmemobj.display.summary import (
    Column,
    Fact,
    Gap,
    Line,
    Row,
    Table,
    printable,
    size,
)
from pmemobj.display.text import clip

__all__ = ["array_tables", "contents"]

_CORNER = 3
_HEAD = 5
_HEAD_COLUMNS = 9
_COLUMNS = 20
_PARAMETERS = 30
_WIDTH = 24

_PRECISIONS = {"f": ".6g", "c": ".4g"}
_ZEROS = re.compile(r"(?<=:\d\d)(\.\d*?)0+$")
"""The end of a time of day: what of its fraction tells nothing."""

_FRAME = (
    Column("column", "name"),
    Column("type", "word"),
    Column("size", "size"),
    Column("read", "word", "A copy is made anew each time the frame is read."),
)


def _element(value: Any) -> str:
    kind = "f" if type(value) is float else getattr(getattr(value, "dtype", None), "kind", "")
    if getattr(value, "shape", ()):  # a field that is an array itself
        words = " ".join(str(value).split())
    elif kind in _PRECISIONS:
        words = format(value, _PRECISIONS[kind])
    else:
        words = _ZEROS.sub(r"\1", str(value)).removesuffix(".") if kind == "M" else str(value)
    return clip(printable(words), _WIDTH)


def _ends(length: int, most: int) -> list[int | None]:
    """Indices of the first and last elements, at most *most*; None stands for those between."""
    if length <= most:
        return list(range(length))
    last = (most - 1) // 2
    return [*range(most - 1 - last), None, *range(length - last, length)]


def _grid(
    labels: tuple[str, list[str]],
    columns: Sequence[tuple[str, list[Any]] | None],
    title: str = "",
    gap: tuple[int, int] = (0, 0),
) -> Table:
    """A table of elements, which are given by columns; None for those left out.

    Args:
        labels: of the rows, after their heading.
        gap: where rows are left out, and how many.
    """
    numbered = all(label.replace(",", "").isdigit() for label in labels[1])
    headings = [Column(labels[0], "number" if numbered else "value")]
    cells = [labels[1]]
    for column in columns:
        name, values = column or ("…", [])
        numbers = all(isinstance(value, Number) for value in values)
        headings.append(Column(clip(printable(name), _WIDTH), "number" if numbers else "value"))
        cells.append([_element(value) for value in values] if column else ["…"] * len(labels[1]))
    rows: list[Line] = [Row(row) for row in zip(*cells, strict=True)]
    if gap[1]:
        rows.insert(gap[0], Gap(gap[1]))
    return Table(tuple(headings), tuple(rows), title, grid=True)


def array_tables(array: Any) -> tuple[Table, ...]:
    """The corners of an array, or of its first plane; of records, a column for each field."""
    if not array.size:
        return ()
    plane = array
    while plane.ndim > 2:
        plane = plane[0]
    plane = plane if plane.ndim else plane.reshape(1)
    shown = _ends(len(plane), 2 * _CORNER + 1)
    down = [at for at in shown if at is not None]
    columns: list[tuple[str, list[Any]] | None]
    if plane.ndim == 2:
        columns = [
            None if across is None else (f"{across:,}", [plane[at, across] for at in down])
            for across in _ends(plane.shape[1], 2 * _CORNER + 1)
        ]
    elif names := plane.dtype.names:
        columns = [
            None if at is None else (names[at], [plane[row][names[at]] for row in down])
            for at in _ends(len(names), _COLUMNS)
        ]
    else:
        columns = [("value", [plane[at] for at in down])]
    title = "the first plane" if array.ndim > 2 else ""
    gap = (_CORNER, len(plane) - len(down))
    return (_grid(("index", [f"{at:,}" for at in down]), columns, title, gap),)


def contents(
    value: Any, in_place: Callable[[int], bool]
) -> tuple[tuple[Fact, ...], tuple[Table, ...]]:
    """What a loaded value of a library is: nothing where it is neither frame nor model.

    *in_place* tells of an address whether it is in the pool.
    """
    name = type(value).__name__
    if name == "Series":
        value, name = value.to_frame(), "DataFrame"
    if name in ("DataFrame", "Table"):
        return _frame(value, in_place)
    if hasattr(value, "get_params") and hasattr(value, "fit"):
        return (), _model(value)
    return (), ()


def _frame(
    frame: Any, in_place: Callable[[int], bool]
) -> tuple[tuple[Fact, ...], tuple[Table, ...]]:
    """The columns of a frame or table, and its first rows."""
    names = [str(name) for name in getattr(frame, "column_names", frame.columns)]
    listed = _ends(len(names), _COLUMNS)
    rows: list[Line] = []
    for at in listed:
        if at is None:
            rows.append(Gap(len(names) - len(listed) + 1))
            continue
        dtype, amount, _, memory = _column(frame, at)
        read = _how_read(memory, in_place)
        rows.append(Row((clip(printable(names[at]), 60), dtype, size(amount), read)))
    first = [
        None if at is None else (names[at], _column(frame, at)[2])
        for at in _ends(len(names), _HEAD_COLUMNS)
    ]
    told = (Fact("rows", f"{len(frame):,}"), Fact("columns", f"{len(names):,}"))
    tables = (Table(_FRAME, tuple(rows), "columns"), _grid(_labels(frame), first, "first rows"))
    return told, tables


def _column(frame: Any, at: int) -> tuple[str, int, list[Any], Any]:
    """The type of a column, its bytes, its first values, and what has its memory."""
    if hasattr(frame, "iloc"):  # pandas
        column, amount = frame.iloc[:, at], frame.iloc[:, at].memory_usage(index=False)
        places = (getattr(column.array, name, None) for name in ("_pa_array", "_ndarray", "_data"))
        memory = next((place for place in places if place is not None), None)
        return str(column.dtype), amount, column.head(_HEAD).tolist(), memory
    if hasattr(frame, "to_series"):  # polars
        column, head = frame.to_series(at), frame.to_series(at).head(_HEAD).to_list()
        return str(column.dtype), column.estimated_size(), head, _arrow(column)
    column = frame.column(at)
    return str(column.type), column.nbytes, column.slice(0, _HEAD).to_pylist(), column


def _arrow(column: Any) -> Any:
    """The Arrow array of a polars column, which it is or is copied to; None if there is none."""
    with suppress(ImportError, TypeError, ValueError, NotImplementedError):
        return column.to_arrow(compat_level=sys.modules["polars"].CompatLevel.newest())
    return None


def _how_read(memory: Any, in_place: Callable[[int], bool]) -> str:
    """Whether reading a column copies its memory."""
    buffers = []
    if hasattr(memory, "__array_interface__") and memory.dtype.kind != "O":
        buffers.append((memory.__array_interface__["data"][0], memory.nbytes))
    elif hasattr(memory, "type"):
        for chunk in getattr(memory, "chunks", (memory,)):
            buffers += [(one.address, one.size) for one in chunk.buffers() if one is not None]
    total = sum(length for _, length in buffers)
    viewed = sum(length for address, length in buffers if in_place(address))
    if not viewed:
        return "a copy"
    return "zero-copy" if viewed > 0.99 * total else f"{viewed / total:.0%} zero-copy"


def _labels(frame: Any) -> tuple[str, list[str]]:
    """What the first rows are called: only pandas has names for them."""
    if not hasattr(frame, "iloc"):
        return "row", [f"{at:,}" for at in range(min(len(frame), _HEAD))]
    index = frame.index[:_HEAD]
    name = ", ".join(str(one) for one in index.names if one is not None)
    return clip(printable(name), _WIDTH) or "index", [_element(label) for label in index]


def _model(model: Any) -> tuple[Table, ...]:
    """The parameters that a model was made with."""
    given = model.get_params(deep=False)
    rows: list[Line] = [
        Row((clip(printable(name), 60), clip(printable(repr(value)), 100)))
        for name, value in islice(given.items(), _PARAMETERS)
    ]
    if len(given) > len(rows):
        rows.append(Gap(len(given) - len(rows)))
    return (Table((Column("parameter", "name"), Column("value")), tuple(rows)),)
