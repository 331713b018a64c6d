"""Values of every kind that a pool stores as themselves, and what makes two of them the same."""

from __future__ import annotations

import enum
import math
import operator
import struct
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo


class Colour(enum.Enum):
    RED = 1
    GREEN = "a value of another type"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2**40


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


def double(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return number


def deep(levels: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ()
    for level in range(levels):
        value = (level, value)
    return value


UTC = timezone.utc
DEEP = (deep(60), deep(2000))

VALUES: list[Any] = [
    None,
    False,
    True,
    0,
    1,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    2**1000,
    -(7**777),
    0.0,
    -0.0,
    1.0,
    0.1,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    double(0x7FF8_0000_0000_0000),
    double(0xFFF8_0000_0000_1234),
    double(0x7FF0_0000_0000_0001),
    1e300,
    0j,
    complex(-0.0, math.inf),
    complex(1.5, -0.0),
    complex(double(0x7FF8_0000_0000_0042), 1),
    "",
    "a",
    "twelve bytes",
    "thirteen byte",
    "a\0b",
    "\0",
    "\0tail",
    "x" * 4096,
    "x" * 4097,
    "é" * 5000,
    "\ud800 alone \udfff",
    "😀 astral 𝔸",
    "\ufeffmark",
    b"",
    b"\0",
    b"\0\xff" * 10,
    b"x" * 100_000,
    (),
    (1,),
    (None, True, 1, 1.0, "1", b"1"),
    ((), ((), ()), ((1, ("a", (b"b",))),)),
    deep(49),
    *DEEP,
    ("x" * 5000,) * 3,
    frozenset(),
    frozenset({1, "a", None, (1, 2)}),
    frozenset({frozenset(), frozenset({frozenset({1})})}),
    frozenset(range(1000)),
    (frozenset({("a", 1.5)}), 2**70),
    Decimal(1),
    Decimal("1.00"),
    Decimal("-0"),
    Decimal("1E+1000"),
    Decimal("0.1") ** 30,
    Decimal("NaN"),
    Decimal("sNaN123"),
    Decimal("-Infinity"),
    Fraction(1, 3),
    Fraction(-(10**40), 7),
    Fraction(2),
    datetime(2024, 2, 29, 12, 30, 1, 999_999),
    datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30), "named")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1, microseconds=1))),
    datetime.min,
    datetime.max,
    date(1, 1, 1),
    date.max,
    time(23, 59, 59, 1, fold=1),
    time(1, tzinfo=UTC),
    timedelta(0),
    timedelta.min,
    timedelta.max,
    timedelta(days=-1, microseconds=1),
    UTC,
    timezone(timedelta(0), "UTC"),
    timezone(-timedelta(hours=5, microseconds=1), "a\ud800b"),
    ZoneInfo("Europe/Berlin"),
    (UTC, ZoneInfo("UTC")),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    PurePosixPath("/a/b\0c/é"),
    PurePosixPath(),
    PureWindowsPath("C:\\a/b"),
    range(0),
    range(10, -(10**30), -7),
    Colour.RED,
    Colour.GREEN,
    Level.LOW,
    Level.HIGH,
    Rights.READ | Rights.WRITE,
    Rights(0),
    len,
    int,
    dict,
    Colour,
    math.sin,
    operator.attrgetter,
    deep,
    Ellipsis,
    NotImplemented,
]


def form(value: Any) -> Any:
    """Something that is equal for two values exactly when they are the same in every respect."""
    work, forms = [value], []
    while work:  # without recursion: tuples are nested deeply
        part = work.pop()
        kind = type(part)
        if kind is float:
            forms.append((kind, struct.pack("<d", part)))
        elif kind is complex:
            forms.append((kind, struct.pack("<dd", part.real, part.imag)))
        elif kind is Decimal:
            forms.append((kind, part.as_tuple()))
        elif kind is tuple:
            forms.append((kind, len(part)))
            work += part
        elif kind is frozenset:
            forms.append((kind, frozenset(repr(form(item)) for item in part)))
        elif kind in (datetime, time):
            zone = (type(part.tzinfo), repr(part.tzinfo))
            forms.append((kind, part.replace(tzinfo=None), part.fold, zone))
        elif kind is timezone:
            forms.append((kind, part.__getinitargs__()))
        elif kind is int or isinstance(part, (str, bytes)):
            forms.append((kind, part))
        elif isinstance(part, (enum.Enum, type)) or callable(part):
            forms.append((kind, id(part)))
        else:
            forms.append((kind, repr(part), part))
    return forms


def same(one: Any, other: Any) -> bool:
    return bool(form(one) == form(other))
