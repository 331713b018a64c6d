"""Codecs of the datetime module: naive and aware, fold kept, microseconds exact.

A payload with the key of a zone ends with the value's canonical bytes, so that a placeholder for
a zone without data is still the same key.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from struct import Struct

from pmemobj.codecs.missing import Missing
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import DATE, DATETIME, TIME, TIMEDELTA
from pmemobj.codecs.wire import Reader, pack_bytes, pack_int
from pmemobj.codecs.zones import NoZoneError, missing_zone, pack_zone, read_zone
from pmemobj.errors import PoolCorruptedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DATE = Struct("<HBB")
_TIME = Struct("<BBBIB")
_TIMEDELTA = Struct("<iII")

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1, 1, 1)


def _pack_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _pack_time(value: datetime | time) -> bytes:
    return _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold)


def _pack_aware(value: datetime | time, canonical: Callable[[Any], bytes]) -> bytes:
    data = _pack_time(value) + pack_zone(value.tzinfo)
    named = value.tzinfo is not None and type(value.tzinfo) is not timezone
    return data + pack_bytes(canonical(value)) if named else data


def _read_zone(reader: Reader, tag: int, payload: bytes) -> tzinfo | Missing | None:
    try:
        zone = read_zone(reader)
    except NoZoneError as error:
        canon = reader.sized()
        reader.end()
        return missing_zone(tag, payload, error, canon)
    if zone is not None and type(zone) is not timezone:
        reader.sized()
    reader.end()
    return zone


def encode_date(value: date) -> Encoded:
    return DATE, _DATE.size, _pack_date(value)


def decode_date(payload: bytes) -> date:
    return date(*_DATE.unpack(payload))


def encode_datetime(value: datetime) -> Encoded:
    data = _pack_date(value) + _pack_aware(value, canonical_datetime)
    return DATETIME, len(data), data


def decode_datetime(payload: bytes) -> object:
    reader = Reader(payload)
    year, month, day = _DATE.unpack(reader.take(_DATE.size))
    hour, minute, second, microsecond, fold = _TIME.unpack(reader.take(_TIME.size))
    zone = _read_zone(reader, DATETIME, payload)
    if isinstance(zone, Missing):
        return zone
    return datetime(year, month, day, hour, minute, second, microsecond, zone, fold=fold)


def encode_time(value: time) -> Encoded:
    data = _pack_aware(value, canonical_time)
    return TIME, len(data), data


def decode_time(payload: bytes) -> object:
    reader = Reader(payload)
    hour, minute, second, microsecond, fold = _TIME.unpack(reader.take(_TIME.size))
    zone = _read_zone(reader, TIME, payload)
    if isinstance(zone, Missing):
        return zone
    return time(hour, minute, second, microsecond, tzinfo=zone, fold=fold)


def encode_timedelta(value: timedelta) -> Encoded:
    return (
        TIMEDELTA,
        _TIMEDELTA.size,
        _TIMEDELTA.pack(value.days, value.seconds, value.microseconds),
    )


def decode_timedelta(payload: bytes) -> timedelta:
    value = timedelta(*_TIMEDELTA.unpack(payload))
    if encode_timedelta(value)[2] != payload:
        raise PoolCorruptedError("a stored timedelta is not in its normal form")
    return value


def canonical_datetime(value: datetime) -> bytes:
    """By instant; but a time that its zone has twice or never equals no time of another zone."""
    offset = value.replace(fold=0).utcoffset()
    ticks = (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
    if offset is None:
        return b"L" + pack_int(ticks)
    if offset != value.replace(fold=1).utcoffset():
        return b"Z" + pack_int(ticks) + pack_zone(value.tzinfo)
    return b"A" + pack_int(ticks - offset // _MICROSECOND)


def canonical_time(value: time) -> bytes:
    offset = value.utcoffset()
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    ticks = seconds * 1_000_000 + value.microsecond
    if offset is None:
        return b"l" + pack_int(ticks)
    return b"a" + pack_int(ticks - offset // _MICROSECOND)


register(
    encoders={
        date: encode_date,
        datetime: encode_datetime,
        time: encode_time,
        timedelta: encode_timedelta,
    },
    decoders={
        DATE: decode_date,
        DATETIME: decode_datetime,
        TIME: decode_time,
        TIMEDELTA: decode_timedelta,
    },
    canonicals={
        date: lambda value: b"d" + _pack_date(value),
        datetime: canonical_datetime,
        time: canonical_time,
        timedelta: lambda value: b"m" + encode_timedelta(value)[2],
    },
)
