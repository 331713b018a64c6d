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

PROTOCOL = 5


def _dump(value: object, fast: bool) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, PROTOCOL)
    pickler.fast = fast
    pickler.dump(value)
    return buffer.getvalue()


def _encode(value: object, fast: bool) -> Encoded:
    cls = type(value)
    try:
        pickled = _dump(value, fast)
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
    return _encode(value, fast=False)


def encode_pickle_key(value: object) -> tuple[int, int, bytes, bytes]:
    """The stored form and canonical bytes of a key of a nominated type.

    Two such keys are equal when their pickles are: written without memo, so that it makes no
    difference which equal parts of the value happen to be one object.

    Raises:
        TypeError: it is not hashable.
        UnstorableError: it cannot be pickled, or refers to itself.
    """
    hash(value)
    tag, number, data = _encode(value, fast=True)
    return tag, number, data, b"p" + data


def decode_pickle(payload: bytes, allow_pickle: bool) -> object:
    """The value; a placeholder when pickles are not allowed or loading fails.

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
            return pickle.loads(pickled)
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
