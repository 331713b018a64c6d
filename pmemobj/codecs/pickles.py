"""Values of nominated types, as pickles. Whether a pickle may be loaded is the reader's decision.

Payload: CRC-32 of what follows, module and qualified name of the type, the pickle. The checksum
keeps damaged bytes away from the unpickler, which would run them.
"""

from __future__ import annotations

import io
import pickle
import zlib

from pmemobj.codecs.missing import UNTRUSTED, Missing
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import PICKLE
from pmemobj.codecs.wire import Reader, pack_text
from pmemobj.errors import PoolCorruptedError, UnstorableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

PROTOCOL = 5


def _pickler(file: io.BytesIO) -> pickle.Pickler:
    return pickle.Pickler(file, PROTOCOL)


def _memoless(file: io.BytesIO) -> pickle.Pickler:
    pickler = _pickler(file)
    pickler.fast = True
    return pickler


def encode_with(value: object, make: Callable[[io.BytesIO], pickle.Pickler]) -> Encoded:
    """The stored form of a value, pickled by what *make* gives. O(size of its pickle).

    Raises:
        UnstorableError: it cannot be pickled; says why.
    """
    cls = type(value)
    buffer = io.BytesIO()
    try:
        make(buffer).dump(value)
        pickled = buffer.getvalue()
    except Exception as error:
        name = f"{cls.__module__}:{cls.__qualname__}"
        raise UnstorableError(
            f"{name} cannot be pickled: {type(error).__name__}: {error}"
        ) from error
    body = pack_text(cls.__module__) + pack_text(cls.__qualname__) + pickled
    data = zlib.crc32(body).to_bytes(4, "little") + body
    return PICKLE, len(data), data


def encode_pickle(value: object) -> Encoded:
    """The stored form of a value of a nominated type. O(size of its pickle).

    Raises:
        UnstorableError: it cannot be pickled; says why.
    """
    return encode_with(value, _pickler)


def encode_pickle_key(value: object) -> tuple[int, int, bytes, bytes]:
    """The stored form and canonical bytes of a key of a nominated type.

    Two such keys are equal when their pickles are: written without memo, so that it makes no
    difference which equal parts of the value happen to be one object.

    Raises:
        TypeError: it is not hashable.
        UnstorableError: it cannot be pickled, or refers to itself.
    """
    hash(value)
    tag, number, data = encode_with(value, _memoless)
    return tag, number, data, b"p" + data


def decode_pickle(payload: bytes, allow_pickle: bool, buffers: Iterable[Any] = ()) -> object:
    """The value; a placeholder when pickles are not allowed or loading fails.

    *buffers*: what was left out of the pickle, in order.

    Raises:
        PoolCorruptedError: the bytes are damaged.
    """
    reader = Reader(payload)
    checksum = int.from_bytes(reader.take(4), "little")
    module, qualname, pickled = reader.text(), reader.text(), reader.rest()
    if zlib.crc32(payload[4:]) != checksum:
        raise PoolCorruptedError("a stored pickle is damaged")
    why = UNTRUSTED
    if allow_pickle:
        try:
            return pickle.loads(pickled, buffers=buffers)
        except MemoryError:
            raise
        except Exception as error:  # loading runs the code of any class
            why = {"reason": f"{type(error).__name__}: {error}"}
    name = f"{module}:{qualname}"
    return Missing(
        PICKLE,
        payload,
        what=f"pickled {name}",
        name=name,
        canon=b"p" + payload,
        **why,
    )


register(guarded={PICKLE: decode_pickle})
