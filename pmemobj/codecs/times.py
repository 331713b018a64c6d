"""Codecs of the datetime module: naive and aware, fold kept, microseconds exact."""

from __future__ import annotations

import sys
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from struct import Struct

from pmemobj.codecs.missing import Missing
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import DATE, DATETIME, TIME, TIMEDELTA
from pmemobj.codecs.wire import Reader, pack_int, pack_text
from pmemobj.errors import PoolCorruptedError, UnstorableError

_NAIVE, _OFFSET, _NAMED_OFFSET, _ZONE = range(4)

_DATE = Struct("<HBB")
_TIME = Struct("<BBBIB")
_TIMEDELTA = Struct("<iII")

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1, 1, 1)


class _NoZoneError(Exception):
    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _encode_zone(zone: tzinfo | None) -> bytes:
    if zone is None:
        return bytes((_NAIVE,))
    if type(zone) is timezone:
        offset, *names = zone.__getinitargs__()  # type: ignore[attr-defined]
        data = pack_int(offset // _MICROSECOND)
        if names:
            return bytes((_NAMED_OFFSET,)) + data + pack_text(names[0])
        return bytes((_OFFSET,)) + data
    if "zoneinfo" in sys.modules:
        from zoneinfo import ZoneInfo

        if type(zone) is ZoneInfo:
            if zone.key is None:
                raise UnstorableError(f"the time zone {zone!r} has no key to be found by again")
            return bytes((_ZONE,)) + pack_text(zone.key)
    raise UnstorableError(
        f"no codec for a time zone of {type(zone).__module__}:{type(zone).__qualname__}: use "
        "datetime.timezone or zoneinfo.ZoneInfo, or nominate the value's type with "
        "persist_via_pickle"
    )


def _decode_zone(reader: Reader) -> tzinfo | None:
    form = reader.byte()
    if form == _NAIVE:
        return None
    if form in (_OFFSET, _NAMED_OFFSET):
        offset = timedelta(microseconds=reader.integer())
        return timezone(offset) if form == _OFFSET else timezone(offset, reader.text())
    if form != _ZONE:
        raise PoolCorruptedError("a stored time has an unknown kind of time zone")
    key = reader.text()
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(key)
    except Exception as error:
        raise _NoZoneError(key, f"{type(error).__name__}: {error}") from error


def _missing_zone(tag: int, payload: bytes, error: _NoZoneError) -> Missing:
    return Missing(
        tag, payload, what=f"time zone {error.key}", name=f"zoneinfo:{error.key}", reason=str(error)
    )


def _pack_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _pack_time(value: datetime | time) -> bytes:
    return _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold)


def encode_date(value: date) -> Encoded:
    return DATE, _DATE.size, _pack_date(value)


def decode_date(payload: bytes) -> date:
    return date(*_DATE.unpack(payload))


def encode_datetime(value: datetime) -> Encoded:
    data = _pack_date(value) + _pack_time(value) + _encode_zone(value.tzinfo)
    return DATETIME, len(data), data


def decode_datetime(payload: bytes) -> object:
    reader = Reader(payload)
    year, month, day = _DATE.unpack(reader.take(_DATE.size))
    hour, minute, second, microsecond, fold = _TIME.unpack(reader.take(_TIME.size))
    try:
        zone = _decode_zone(reader)
    except _NoZoneError as error:
        reader.end()
        return _missing_zone(DATETIME, payload, error)
    reader.end()
    return datetime(year, month, day, hour, minute, second, microsecond, zone, fold=fold)


def encode_time(value: time) -> Encoded:
    data = _pack_time(value) + _encode_zone(value.tzinfo)
    return TIME, len(data), data


def decode_time(payload: bytes) -> object:
    reader = Reader(payload)
    hour, minute, second, microsecond, fold = _TIME.unpack(reader.take(_TIME.size))
    try:
        zone = _decode_zone(reader)
    except _NoZoneError as error:
        reader.end()
        return _missing_zone(TIME, payload, error)
    reader.end()
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
        return b"Z" + pack_int(ticks) + _encode_zone(value.tzinfo)
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
