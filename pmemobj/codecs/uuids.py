"""The codec of uuid.UUID: its 16 bytes and whether it was made in a multiprocessing-safe way."""

from __future__ import annotations

from uuid import UUID, SafeUUID

from pmemobj.codecs import tags
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.wire import Reader

_SAFETIES = (SafeUUID.unknown, SafeUUID.safe, SafeUUID.unsafe)


def encode_uuid(value: UUID) -> Encoded:
    return tags.UUID, 17, value.bytes + bytes((_SAFETIES.index(value.is_safe),))


def decode_uuid(payload: bytes) -> UUID:
    reader = Reader(payload)
    value = UUID(bytes=reader.take(16), is_safe=_SAFETIES[reader.byte()])
    reader.end()
    return value


register(
    encoders={UUID: encode_uuid},
    decoders={tags.UUID: decode_uuid},
    canonicals={UUID: lambda value: b"U" + value.bytes},
)
