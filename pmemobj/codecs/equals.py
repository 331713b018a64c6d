"""Storable values that equal others: what a key of a type without codec can be looked up by."""

from __future__ import annotations

import numbers
from operator import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_WHOLE = slice(None)


def _fraction(value: Any) -> object:
    from fractions import Fraction

    return Fraction(value.numerator, value.denominator)


# How to make a value of exactly this type from an instance of a subclass of it, whatever
# methods that has.
_EXACT: list[tuple[Any, Callable[[Any], object]]] = [
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, _WHOLE)),
    (int, int.__int__),
    (float, float.__float__),
    (tuple, lambda value: tuple.__getitem__(value, _WHOLE)),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (numbers.Integral, index),
    (numbers.Rational, _fraction),
    (numbers.Real, float),
    (numbers.Complex, complex),
]


def equal_leaf(value: object) -> object | None:
    """A storable value that equals *value* and has its hash; None if there is none to be found.

    O(size of the value). *value* is hashable and has no codec.
    """
    if type(value).__eq__ is object.__eq__:
        return None
    for kind, exact in _EXACT:
        if isinstance(value, kind):
            try:
                equal = exact(value)
            except (TypeError, ValueError, ArithmeticError):
                return None
            same = type(equal) is not type(value) and hash(equal) == hash(value)
            return equal if same and equal == value else None
    return None
