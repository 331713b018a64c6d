"""Canonical bytes of numbers as keys: equal exactly when Python's == says so, whatever the types.

What the C core derives by itself has to come out as the core has it: an integer within int64
is 'i' and 8 bytes, a fraction or infinity that a double holds is 'f' and its 8 bytes. Every other
number is written as numerator / denominator * 2**twos * 5**fives, both free of 2 and 5, so
that Decimal('1E+999999999') is a few bytes and no number of a billion digits.
"""

from __future__ import annotations

from math import isfinite, isnan, ldexp
from struct import Struct

from pmemobj.codecs.leaves import INT64_MAX, INT64_MIN, canonical_int
from pmemobj.codecs.registry import CANONICALS
from pmemobj.codecs.wire import pack_int

_double = Struct("<d")
_two_doubles = Struct("<dd")

_INT64_FIVES = 27  # 5**28 is past int64
_DOUBLE_BITS = 53
_DOUBLE_FIVES = 22  # 5**23 takes 54 bits
_DOUBLE_LEAST_EXPONENT = -1074


def _without(number: int, factor: int) -> tuple[int, int]:
    """*number*, not 0, divided by *factor* as often as that leaves no rest; and how often."""
    count = 0
    powers = [factor]
    while number % powers[-1] == 0:
        number //= powers[-1]
        count += 1 << (len(powers) - 1)
        powers.append(powers[-1] * powers[-1])
    for exponent in reversed(range(len(powers) - 1)):
        if number % powers[exponent] == 0:
            number //= powers[exponent]
            count += 1 << exponent
    return number, count


def _without_twos(number: int) -> tuple[int, int]:
    twos = (number & -number).bit_length() - 1
    return number >> twos, twos


def canonical_rational(numerator: int, denominator: int = 1, tens: int = 0) -> bytes:
    """The key numerator / denominator * 10**tens; the fraction is in lowest terms."""
    if numerator == 0:
        return canonical_int(0)
    numerator, twos = _without_twos(numerator)
    numerator, fives = _without(numerator, 5)
    denominator, halves = _without_twos(denominator)
    denominator, fifths = _without(denominator, 5)
    twos += tens - halves
    fives += tens - fifths
    if denominator == 1 and fives >= 0:
        if 0 <= twos < 64 and fives <= _INT64_FIVES:
            whole: int = (numerator * 5**fives) << twos
            if INT64_MIN <= whole <= INT64_MAX:
                return canonical_int(whole)
        elif _DOUBLE_LEAST_EXPONENT <= twos < 0 and fives <= _DOUBLE_FIVES:
            mantissa: int = numerator * 5**fives
            if mantissa.bit_length() <= _DOUBLE_BITS:
                return b"f" + _double.pack(ldexp(mantissa, twos))
    return b"N" + b"".join(map(pack_int, (numerator, denominator, twos, fives)))


def canonical_integer(value: int) -> bytes:
    if INT64_MIN <= value <= INT64_MAX:
        return canonical_int(value)
    return canonical_rational(value)


def canonical_float(value: float) -> bytes:
    if isfinite(value) and value.is_integer():
        return canonical_integer(int(value))
    return b"f" + _double.pack(value)


def canonical_complex(value: complex) -> bytes:
    real, imaginary = value.real, value.imag
    if imaginary == 0 and not isnan(real):
        return canonical_float(real)
    return b"C" + _two_doubles.pack(real or 0.0, imaginary or 0.0)


CANONICALS.update({int: canonical_integer, float: canonical_float, complex: canonical_complex})
