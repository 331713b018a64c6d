"""Codecs of pathlib's paths."""

from __future__ import annotations

from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath

from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import PATH
from pmemobj.errors import PoolCorruptedError, UnstorableError

_CLASSES: tuple[type[PurePath], ...] = (PurePosixPath, PosixPath, PureWindowsPath)
_NUMBERS = {cls: bytes((number,)) for number, cls in enumerate(_CLASSES)}


def encode_path(value: PurePath) -> Encoded:
    text = str(value)
    cls = type(value)
    if cls is PureWindowsPath and cls(text) != value:
        raise UnstorableError(f"{value!r} is another path when it is read from its text {text!r}")
    data = _NUMBERS[cls] + text.encode("utf-8", "surrogatepass")
    return PATH, len(data), data


def decode_path(payload: bytes) -> PurePath:
    text = payload[1:].decode("utf-8", "surrogatepass")
    value = _CLASSES[payload[0]](text)
    if str(value) != text:
        raise PoolCorruptedError("a stored path is not in its normal form")
    return value


def canonical_path(value: PurePath) -> bytes:
    text = str(value)
    flavour = b"Pp"
    if type(value) is PureWindowsPath:
        flavour = b"Pw"
        text = text.lower()
    return flavour + text.encode("utf-8", "surrogatepass")


register(
    encoders=dict.fromkeys(_CLASSES, encode_path),
    decoders={PATH: decode_path},
    canonicals=dict.fromkeys(_CLASSES, canonical_path),
)
