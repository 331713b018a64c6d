"""Runs of values and keys, as they cross to and from the C core: a call for many of them.

Lists of one type (int, float, str, bytes) take no Python step per element where that can be.
"""

from __future__ import annotations

import marshal

from pmemobj._native import ffi, lib
from pmemobj.codecs.keys import encode_key
from pmemobj.codecs.leaves import decode_str, float_from_bits
from pmemobj.codecs.registry import ENCODERS
from pmemobj.codecs.tags import BYTES, FIRST_PAYLOAD_TAG, FLOAT, INT, NONE, REF, STR
from pmemobj.codecs.values import CONSTANTS, decode, encode
from pmemobj.errors import PoolCorruptedError, UnstorableError
from pmemobj.light import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from pmemobj.codecs.keys import EncodedKey
    from pmemobj.codecs.registry import Encoded

    Buffer: TypeAlias = bytes | bytearray | memoryview | array[Any]


class Batch:
    """A run of stored values, field for field the core's pmo_batch.

    Attributes:
        count: how many values.
        tags: a byte for each, or None: all have *tag*.
        tag: the tag of all, if tags is None.
        numbers: for each its number; the length of its data for payload tags.
        data: the payloads, one after the other.
    """

    __slots__ = ("count", "data", "numbers", "tag", "tags")

    def __init__(
        self, count: int, tags: bytes | None, tag: int, numbers: array[int], data: bytes
    ) -> None:
        self.count = count
        self.tags = tags
        self.tag = tag
        self.numbers = numbers
        self.data = data


class KeyBatch:
    """A run of stored keys, field for field the core's pmo_keys.

    Attributes:
        values: the keys as a Batch.
        canon_lengths: for each key the length of its canonical bytes, -1 where the core derives
            them; None: the core derives all.
        canon: the canonical bytes, one after the other.
    """

    __slots__ = ("canon", "canon_lengths", "values")

    def __init__(self, values: Batch, canon_lengths: array[int] | None, canon: bytes) -> None:
        self.values = values
        self.canon_lengths = canon_lengths
        self.canon = canon


_MARSHAL_VERSION = 2  # the last one that writes every element out
_MARSHAL_HEAD = 5  # bytes of a list's own


def _marshalled(values: list[Any], letter: bytes, width: int) -> array[int] | None:
    """The numbers as int64, or None if an element is not of the kind that marshal writes so.

    Much faster than to look at the types and then fill an array: marshal writes an int of 32 bits,
    of exactly that type, as "i" and four bytes, a float as "g" and eight. When that gives as many
    bytes as it must, and every record starts with the letter, all elements are of that type.
    """
    count = len(values)
    try:
        records = marshal.dumps(values, _MARSHAL_VERSION)
    except ValueError:
        return None
    if len(records) != _MARSHAL_HEAD + (width + 1) * count:
        return None
    numbers = array("q", bytes(8)) * count
    start = ffi.from_buffer(records) + _MARSHAL_HEAD
    status = lib.pmo_gather(start, count, letter[0], width, ffi.from_buffer("int64_t[]", numbers))
    return numbers if status == lib.PMO_OK else None


def _ints(values: Sequence[int]) -> Batch | None:
    try:
        return Batch(len(values), None, INT, array("q", values), b"")
    except OverflowError:
        return None


def _strs(values: Sequence[str]) -> Batch:
    text = "".join(values)
    if text.isascii():
        return Batch(len(values), None, STR, array("q", list(map(len, values))), text.encode())
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    return Batch(len(values), None, STR, array("q", list(map(len, encoded))), b"".join(encoded))


def _bytes(values: Sequence[bytes]) -> Batch:
    return Batch(len(values), None, BYTES, array("q", list(map(len, values))), b"".join(values))


_MARSHALLED = {int: (INT, b"i", 4), float: (FLOAT, b"g", 8)}

_UNIFORM: dict[type, Callable[[Any], Batch | None]] = {
    int: _ints,
    str: _strs,
    bytes: _bytes,
}


def _uniform(values: list[Any]) -> Batch | None:
    if not values:
        return Batch(0, None, NONE, array("q"), b"")
    cls = type(values[0])
    if type(values[-1]) is not cls:
        return None
    if cls in _MARSHALLED:
        tag, letter, width = _MARSHALLED[cls]
        numbers = _marshalled(values, letter, width)
        if numbers is not None:
            return Batch(len(values), None, tag, numbers, b"")
    encoder = _UNIFORM.get(cls)
    if encoder is None or list(map(type, values)).count(cls) != len(values):
        return None
    return encoder(values)


def _assemble(tags: bytearray, numbers: array[int], parts: list[bytes]) -> Batch:
    tag = tags[0] if tags else NONE
    same = tags.count(tag) == len(tags)
    return Batch(len(tags), None if same else bytes(tags), tag, numbers, b"".join(parts))


def encode_batch(values: list[Any], reference: Callable[[Any], Encoded]) -> Batch:
    """The stored forms of many values. O(their sizes).

    *reference* gives the stored form of every value for which encode gives None or raises
    UnstorableError (a value of a nominated type is pickled there), or raises; then nothing is left.
    """
    uniform = _uniform(values)
    if uniform is not None:
        return uniform
    tags = bytearray()
    numbers = array("q")
    parts: list[bytes] = []
    for value in values:
        try:
            encoder = ENCODERS.get(type(value), encode)
            encoded = encoder(value)
        except UnstorableError:
            encoded = None
        if encoded is None:
            encoded = reference(value)
        tag, number, data = encoded
        tags.append(tag)
        numbers.append(number)
        if data:
            parts.append(data)
    return _assemble(tags, numbers, parts)


def encode_key_batch(values: list[Any], reference: Callable[[Any], EncodedKey]) -> KeyBatch:
    """The stored forms and canonical bytes of many keys. O(their sizes).

    *reference* as in encode_batch, for encode_key.

    Raises:
        TypeError: one of them is not hashable.
    """
    if values and type(values[0]) is not float:
        uniform = _uniform(values)
        if uniform is not None:
            return KeyBatch(uniform, None, b"")
    tags = bytearray()
    numbers = array("q")
    parts: list[bytes] = []
    lengths = array("q")
    canons: list[bytes] = []
    for value in values:
        try:
            encoded = encode_key(value)
        except UnstorableError:
            encoded = None
        if encoded is None:
            encoded = reference(value)
        tag, number, data, canon = encoded
        tags.append(tag)
        numbers.append(number)
        parts.append(data)
        lengths.append(len(canon) or -1)
        canons.append(canon)
    batch = _assemble(tags, numbers, parts)
    canon = b"".join(canons)
    return KeyBatch(batch, lengths if canon else None, canon)


def _check_lengths(lengths: list[int], data: Buffer) -> None:
    if min(lengths, default=0) < 0 or sum(lengths) != len(data):
        raise PoolCorruptedError("the lengths of stored values do not add up")


def _decode_strs(lengths: list[int], data: Buffer) -> list[str]:
    _check_lengths(lengths, data)
    try:
        text = str(data, "ascii")
    except UnicodeDecodeError:
        return [_decode_one(piece) for piece in _pieces(lengths, bytes(data))]
    strs = []
    end = 0
    for length in lengths:
        strs.append(text[end : (end := end + length)])
    return strs


def _decode_one(piece: bytes) -> str:
    try:
        return decode_str(piece)
    except UnicodeDecodeError as error:
        raise PoolCorruptedError(f"a stored str is no UTF-8: {error.reason}") from error


def _pieces(lengths: list[int], data: bytes) -> list[bytes]:
    _check_lengths(lengths, data)
    pieces = []
    end = 0
    for length in lengths:
        pieces.append(data[end : (end := end + length)])
    return pieces


def _decode_uniform(
    tag: int,
    numbers: memoryview,
    data: Buffer,
    resolve: Callable[[Sequence[int]], Sequence[object]],
    allow_pickle: bool,
) -> list[Any]:
    if tag >= FIRST_PAYLOAD_TAG:
        lengths = numbers.tolist()
        if tag == STR:
            return _decode_strs(lengths, data)
        pieces = _pieces(lengths, bytes(data))
        if tag == BYTES:
            return pieces
        return [decode(tag, len(piece), piece, allow_pickle) for piece in pieces]
    if tag == INT:
        return numbers.tolist()
    if tag == FLOAT:
        return numbers.cast("B").cast("d").tolist()
    if tag == REF:
        return list(resolve(numbers.tolist()))
    return [decode(tag, 0, b"")] * len(numbers)


def decode_batch(
    count: int,
    tag: int,
    tags: Buffer | None,
    numbers: Buffer,
    data: Buffer,
    resolve: Callable[[Sequence[int]], Sequence[object]],
    allow_pickle: bool = True,
) -> list[Any]:
    """The values of a run of stored forms. O(their sizes).

    *numbers* is any buffer of count native int64 (an array("q"), the bytes or the cffi buffer of
    the core's array); *tags*, if not None, and *data* are buffers of bytes. *resolve* gives the
    objects at many offsets. *allow_pickle* as in decode.

    Raises:
        PoolCorruptedError: the bytes are no values.
    """
    view = memoryview(numbers).cast("B").cast("q")
    if len(view) != count or (tags is not None and len(tags) != count):
        raise PoolCorruptedError("a run of stored values has another length than it says")
    if tags is None:
        return _decode_uniform(tag, view, data, resolve, allow_pickle) if count else []
    values: list[Any] = []
    payloads = bytes(data)
    offsets = [number for this, number in zip(tags, view, strict=True) if this == REF]
    found = iter(resolve(offsets) if offsets else ())
    position = 0
    for this, number in zip(memoryview(tags), view, strict=True):
        if this == INT:
            values.append(number)
        elif this >= FIRST_PAYLOAD_TAG:
            start = position
            position += number
            if number < 0 or position > len(payloads):
                raise PoolCorruptedError("the lengths of stored values do not add up")
            values.append(decode(this, number, payloads[start:position], allow_pickle))
        elif this == FLOAT:
            values.append(float_from_bits(number))
        elif this == REF:
            values.append(next(found))
        elif this in CONSTANTS:
            values.append(CONSTANTS[this])
        else:
            raise PoolCorruptedError(f"a stored value has the unknown tag {this}")
    if position != len(payloads):
        raise PoolCorruptedError("the lengths of stored values do not add up")
    return values
