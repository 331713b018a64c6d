"""Codecs of decimal.Decimal and fractions.Fraction."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from pmemobj.codecs.numeric_keys import canonical_float, canonical_rational
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import DECIMAL, FRACTION
from pmemobj.codecs.wire import Reader, pack_int
from pmemobj.errors import PoolCorruptedError


def _text(value: Decimal) -> str:
    # The context in force may ask for a small e.
    return str(value).replace("e", "E")


def encode_decimal(value: Decimal) -> Encoded:
    data = _text(value).encode("ascii")
    return DECIMAL, len(data), data


def decode_decimal(payload: bytes) -> Decimal:
    text = payload.decode("ascii")
    value = Decimal(text)
    # Where the context traps nothing, a text that is no number makes a NaN.
    if _text(value) != text:
        raise PoolCorruptedError("a stored Decimal is no number")
    return value


def canonical_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if isinstance(exponent, int):
        coefficient = int(Decimal((sign, digits, 0)))
        return canonical_rational(coefficient, tens=exponent)
    if exponent == "F":
        return canonical_float(float(value))
    return b"D" + _text(value).encode("ascii")


def encode_fraction(value: Fraction) -> Encoded:
    data = pack_int(value.numerator) + pack_int(value.denominator)
    return FRACTION, len(data), data


def decode_fraction(payload: bytes) -> Fraction:
    reader = Reader(payload)
    numerator, denominator = reader.integer(), reader.integer()
    reader.end()
    value = Fraction(numerator, denominator)
    if (value.numerator, value.denominator) != (numerator, denominator):
        raise PoolCorruptedError("a stored Fraction is not in lowest terms")
    return value


def canonical_fraction(value: Fraction) -> bytes:
    return canonical_rational(value.numerator, value.denominator)


register(
    encoders={Decimal: encode_decimal, Fraction: encode_fraction},
    decoders={DECIMAL: decode_decimal, FRACTION: decode_fraction},
    canonicals={Decimal: canonical_decimal, Fraction: canonical_fraction},
)
