"""Canonical bytes of keys: equal for equal keys, as Python's == and hash() say, and only for these.

The first byte is the domain. 'n' None, 'i' integer, 'f' float, 's' str, 'b' bytes and 'r' reference
are the forms that the C core derives by itself; N C D numbers, T S tuples and frozensets, L A Z
datetimes, d l a m the other times, z time zones, R ranges, U UUIDs, P paths, E Enum members, G
functions and classes, p pickles, M placeholders are made here. NaN, which equals nothing, is a key
that equals the same bits.
"""

from __future__ import annotations

import pmemobj.codecs.numeric_keys  # registers the canonical bytes of numbers  # noqa: F401
from pmemobj.codecs.leaves import encode_bool, encode_bytes, encode_int, encode_none, encode_str
from pmemobj.codecs.registry import CANONICALS, served_as
from pmemobj.codecs.tags import FLOAT, INT, MAX_DEPTH
from pmemobj.codecs.values import encode, pack
from pmemobj.codecs.wire import pack_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pmemobj.codecs.registry import Encoded

EncodedKey = tuple[int, int, bytes, bytes]
"""(tag, number, data, canon), as the C core takes a key; canon b"" where the core derives it."""

DERIVED_KEYS: dict[type, Callable[[Any], Encoded]] = {
    str: encode_str,
    bytes: encode_bytes,
    bool: encode_bool,
    type(None): encode_none,
}
"""Types whose every key's canonical bytes the core derives."""


_core_derives_float = 2.0**63


def encode_key(value: object) -> EncodedKey | None:
    """The stored form of a leaf as a key, and its canonical bytes; None for what is no leaf.

    Equal keys (1, 1.0, True, Decimal(1)) have equal canonical bytes; the C core's are b"".
    O(size of the value).

    Raises:
        TypeError: the value is not hashable, as hash() says it.
        UnstorableError: as encode says.
    """
    cls = type(value)
    derived = DERIVED_KEYS.get(cls)
    if derived is not None:
        tag, number, data = derived(value)
        return tag, number, data, b""
    if cls is int:
        tag, number, data = encode_int(value)  # type: ignore[arg-type]
        if tag == INT:
            return tag, number, data, b""
    hash(value)
    encoded: Encoded | None
    if isinstance(value, (tuple, frozenset)) and (cls is tuple or cls is frozenset):
        encoded = pack(value, None, MAX_DEPTH)
    else:
        encoded = encode(value)
    if encoded is None:
        return None
    tag, number, data = encoded
    if tag == INT or (tag == FLOAT and _core_derives(value)):  # type: ignore[arg-type]
        return tag, number, data, b""
    canon = canonical(value)
    return None if canon is None else (tag, number, data, canon)


def _core_derives(value: float) -> bool:
    return not value.is_integer() or -_core_derives_float <= value < _core_derives_float


def canonical(
    value: object,
    reference: Callable[[object], bytes | None] | None = None,
    depth: int = MAX_DEPTH,
) -> bytes | None:
    """The canonical bytes of a key, those included that the C core derives by itself.

    *reference* is asked for everything that has no codec, such as persistent objects inside a
    tuple (b"r" and the offset), and may answer None. Gives None when that leaves something open, or
    tuples are nested deeper than *depth*. The value is taken to be hashable.
    """
    cls = type(value)
    if isinstance(value, (tuple, frozenset)) and (cls is tuple or cls is frozenset):
        if depth == 0:
            return None
        canons = []
        for item in value:
            canon = canonical(item, reference, depth - 1)
            if canon is None:
                return None
            canons.append(pack_bytes(canon))
        if cls is tuple:
            return b"T" + b"".join(canons)
        return b"S" + b"".join(sorted(canons))
    maker = CANONICALS.get(cls)
    if maker is None:
        key = served_as(cls)
        maker = None if key is None else CANONICALS.get(key)
    if maker is not None:
        return maker(value)
    return None if reference is None else reference(value)
