"""One value to (tag, number, data) and back; tuples and frozensets of leaves are one payload."""

from __future__ import annotations

from struct import Struct

from pmemobj.codecs.leaves import float_from_bits
from pmemobj.codecs.registry import DECODERS, ENCODERS, GUARDED, Encoded, load_decoder, served_as
from pmemobj.codecs.tags import (
    FALSE,
    FIRST_PAYLOAD_TAG,
    FLOAT,
    FROZENSET,
    INT,
    MAX_DEPTH,
    NONE,
    TRUE,
    TUPLE,
)
from pmemobj.codecs.wire import Reader, pack_bytes, pack_int, pack_size
from pmemobj.errors import PoolCorruptedError, UnstorableError

MAX_PACKED = 1 << 16
"""A longer tuple is no leaf, so that references shared inside of it cannot multiply its size."""

CONSTANTS: dict[int, object] = {NONE: None, FALSE: False, TRUE: True}

_int64 = Struct("<q")
_NO_DATA = (NONE, FALSE, TRUE)
_TAGS = [bytes((tag,)) for tag in range(256)]


def encode(value: object) -> Encoded | None:
    """The stored form (tag, number, data) of a leaf; None for what is no leaf.

    No leaf: a persistent object, a list, dict or other container, a tuple or frozenset that holds
    one of these or something unstorable, is nested deeper than MAX_DEPTH or packs to more than
    MAX_PACKED bytes, and any value of a type without codec, subclasses of those with one included.
    Deterministic: the same value always gives the same bytes. O(size of the value).

    Raises:
        UnstorableError: a value of a known type that would not be found again, such as a lambda;
            says why.
    """
    encoder = ENCODERS.get(type(value))
    if encoder is None:
        key = served_as(type(value))
        if key is None:
            return None
        encoder = ENCODERS[key]
    return encoder(value)


def decode(tag: int, number: int, payload: bytes, allow_pickle: bool = True) -> object:
    """The value of a stored form, for every tag but REF. O(size of the payload).

    A value whose class, function or time zone cannot be found becomes a Missing placeholder.
    With *allow_pickle* false, so does a pickled value, a function or a class, and no module is
    imported to find anything.

    Raises:
        PoolCorruptedError: the bytes are no value.
    """
    return _decode(tag, number, payload, allow_pickle, MAX_DEPTH)


def _decode(tag: int, number: int, payload: bytes, allow_pickle: bool, depth: int) -> object:
    if tag == INT:
        return number
    if tag == FLOAT:
        return float_from_bits(number)
    if tag in CONSTANTS:
        return CONSTANTS[tag]
    decoder = DECODERS.get(tag)
    if decoder is None and tag not in GUARDED:
        load_decoder(tag)
        decoder = DECODERS.get(tag)
    try:
        if decoder is not None:
            return decoder(payload)
        if tag == TUPLE:
            return tuple(_unpack(payload, allow_pickle, depth))
        if tag == FROZENSET:
            return frozenset(_unpack(payload, allow_pickle, depth))
        if tag in GUARDED:
            return GUARDED[tag](payload, allow_pickle)
    except (PoolCorruptedError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise PoolCorruptedError(
            f"a stored value with tag {tag} makes no sense: {type(error).__name__}: {error}"
        ) from error
    raise PoolCorruptedError(f"a stored value has the unknown tag {tag}")


def _pack_element(encoded: Encoded) -> bytes:
    tag, number, data = encoded
    head = _TAGS[tag]
    if tag >= FIRST_PAYLOAD_TAG:
        return head + pack_bytes(data)
    if tag == INT:
        return head + pack_int(number)
    if tag == FLOAT:
        return head + _int64.pack(number)
    return head


def pack(
    value: tuple[object, ...] | frozenset[object], room: int | None, depth: int
) -> Encoded | None:
    """A tuple or frozenset as one payload of at most *room* bytes (None: any), or None: no leaf."""
    if depth == 0:
        return None
    elements = []
    size = 0
    for item in value:
        cls = type(item)
        if cls is tuple or cls is frozenset:
            encoded = pack(item, room, depth - 1)  # type: ignore[arg-type]
        else:
            try:
                encoded = encode(item)
            except UnstorableError:
                return None  # the caller goes element by element, and names the place
        if encoded is None:
            return None
        elements.append(_pack_element(encoded))
        size += len(elements[-1])
        if room is not None and size > room:
            return None
    if type(value) is frozenset:
        elements.sort()
    data = pack_size(len(elements)) + b"".join(elements)
    return (TUPLE if type(value) is tuple else FROZENSET), len(data), data


def _unpack(payload: bytes, allow_pickle: bool, depth: int) -> list[object]:
    if depth == 0:
        raise PoolCorruptedError("a stored tuple is nested too deep")
    reader = Reader(payload)
    values: list[object] = []
    for _ in range(reader.size()):
        tag = reader.byte()
        number, data = 0, b""
        if tag >= FIRST_PAYLOAD_TAG:
            data = reader.sized()
        elif tag == INT:
            number = reader.integer()
        elif tag == FLOAT:
            number = _int64.unpack(reader.take(8))[0]
        elif tag not in _NO_DATA:
            raise PoolCorruptedError(f"a stored tuple holds a value with the unknown tag {tag}")
        values.append(_decode(tag, number, data, allow_pickle, depth - 1))
    reader.end()
    return values


def encode_packed(value: tuple[object, ...] | frozenset[object]) -> Encoded | None:
    return pack(value, MAX_PACKED, MAX_DEPTH)


def not_a_leaf(_value: object) -> None:
    """The encoder of types that are known to be no leaves; saves the search for a codec."""


ENCODERS[tuple] = encode_packed
ENCODERS[frozenset] = encode_packed
ENCODERS.update(dict.fromkeys((list, dict, set, bytearray, object), not_a_leaf))
