"""Codecs of the types that every Python has loaded: numbers, texts, None, range."""

from __future__ import annotations

from struct import Struct

from pmemobj.codecs.registry import CANONICALS, DECODERS, ENCODERS
from pmemobj.codecs.tags import (
    BIGINT,
    BYTES,
    COMPLEX,
    FALSE,
    FLOAT,
    INT,
    NONE,
    RANGE,
    STR,
    TRUE,
)
from pmemobj.codecs.wire import Reader, int_from_bytes, int_to_bytes, pack_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pmemobj.codecs.registry import Encoded

INT64_MIN = -0x8000_0000_0000_0000
INT64_MAX = 0x7FFF_FFFF_FFFF_FFFF

_double = Struct("<d")
_int64 = Struct("<q")
_two_doubles = Struct("<dd")
_pack_double = _double.pack
_unpack_double = _double.unpack
_pack_int64 = _int64.pack
_unpack_int64 = _int64.unpack

_NONE = (NONE, 0, b"")
_FALSE = (FALSE, 0, b"")
_TRUE = (TRUE, 0, b"")


def encode_none(_value: None) -> Encoded:
    return _NONE


def encode_bool(value: bool) -> Encoded:
    return _TRUE if value else _FALSE


def encode_int(value: int) -> Encoded:
    if -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF:
        return INT, value, b""
    data = int_to_bytes(value)
    return BIGINT, len(data), data


def encode_float(value: float) -> Encoded:
    return FLOAT, _unpack_int64(_pack_double(value))[0], b""


def float_from_bits(bits: int) -> float:
    """The double whose 64 bits, as a signed number, are *bits*; NaN payloads survive."""
    number: float = _unpack_double(_pack_int64(bits))[0]
    return number


def encode_complex(value: complex) -> Encoded:
    return COMPLEX, 16, _two_doubles.pack(value.real, value.imag)


def encode_str(value: str) -> Encoded:
    try:
        data = value.encode()
    except UnicodeEncodeError:
        data = value.encode("utf-8", "surrogatepass")
    return STR, len(data), data


def encode_bytes(value: bytes) -> Encoded:
    return BYTES, len(value), value


def encode_range(value: range) -> Encoded:
    data = pack_int(value.start) + pack_int(value.stop) + pack_int(value.step)
    return RANGE, len(data), data


def decode_complex(payload: bytes) -> complex:
    return complex(*_two_doubles.unpack(payload))


def decode_str(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.decode("utf-8", "surrogatepass")


def decode_range(payload: bytes) -> range:
    reader = Reader(payload)
    value = range(reader.integer(), reader.integer(), reader.integer())
    reader.end()
    return value


def canonical_int(value: int) -> bytes:
    """An int within int64 as the core derives it."""
    return b"i" + _pack_int64(value)


def canonical_str(value: str) -> bytes:
    return b"s" + encode_str(value)[2]


def canonical_bytes(value: bytes) -> bytes:
    return b"b" + value


def canonical_range(value: range) -> bytes:
    start, step = value.start, value.step
    span = value.stop - start if step > 0 else start - value.stop
    length = max(0, -(-span // abs(step)))
    canon = b"R" + pack_int(length)
    if length:
        canon += pack_int(start)
    if length > 1:
        canon += pack_int(step)
    return canon


ENCODERS.update(
    {
        type(None): encode_none,
        bool: encode_bool,
        int: encode_int,
        float: encode_float,
        complex: encode_complex,
        str: encode_str,
        bytes: encode_bytes,
        range: encode_range,
    }
)
DECODERS.update(
    {
        BIGINT: int_from_bytes,
        COMPLEX: decode_complex,
        STR: decode_str,
        BYTES: bytes,
        RANGE: decode_range,
    }
)
CANONICALS.update(
    {
        type(None): lambda _value: b"n",
        bool: canonical_int,
        str: canonical_str,
        bytes: canonical_bytes,
        range: canonical_range,
    }
)

SIMPLE: dict[type, Callable[[Any], Encoded]] = {
    int: encode_int,
    str: encode_str,
    float: encode_float,
    bytes: encode_bytes,
    bool: encode_bool,
    type(None): encode_none,
}
"""The commonest types, whose every value is a leaf: what is stored is exactly what will be read."""
