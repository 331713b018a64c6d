"""Time zones: values of their own, and the end of the payload of a datetime or time."""

from __future__ import annotations

import sys
from datetime import timedelta, timezone, tzinfo

from pmemobj.codecs.missing import Missing
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import ZONE
from pmemobj.codecs.wire import Reader, pack_int, pack_text
from pmemobj.errors import PoolCorruptedError, UnstorableError

_NAIVE, _OFFSET, _NAMED_OFFSET, _ZONE = range(4)

_MICROSECOND = timedelta(microseconds=1)


class NoZoneError(Exception):
    """Inside the codecs only: there is no data for the time zone of that key."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def pack_zone(zone: tzinfo | None) -> bytes:
    """A time zone, or that there is none.

    Raises:
        UnstorableError: a zone that would not be found again.
    """
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


def read_zone(reader: Reader) -> tzinfo | None:
    """What pack_zone packed.

    Raises:
        NoZoneError: a zone without data here.
    """
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
        raise NoZoneError(key, f"{type(error).__name__}: {error}") from error


def missing_zone(tag: int, payload: bytes, error: NoZoneError, canon: bytes) -> Missing:
    """A placeholder for a value that needs a time zone without data."""
    return Missing(
        tag,
        payload,
        what=f"time zone {error.key}",
        name=f"zoneinfo:{error.key}",
        reason=str(error),
        canon=canon,
    )


def encode_zone(value: tzinfo) -> Encoded:
    data = pack_zone(value)
    return ZONE, len(data), data


def canonical_zone(value: tzinfo) -> bytes:
    """Zones of a fixed offset are equal if that is, whatever their names; others by their key."""
    if type(value) is timezone:
        return b"zo" + pack_int(value.utcoffset(None) // _MICROSECOND)
    return b"zk" + pack_zone(value)


def decode_zone(payload: bytes) -> object:
    reader = Reader(payload)
    try:
        zone = read_zone(reader)
    except NoZoneError as error:
        reader.end()
        return missing_zone(ZONE, payload, error, b"zk" + payload)
    reader.end()
    if zone is None:
        raise PoolCorruptedError("a stored time zone is none")
    return zone


register(
    encoders={timezone: encode_zone},
    decoders={ZONE: decode_zone},
    canonicals={timezone: canonical_zone},
)
