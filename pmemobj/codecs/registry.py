"""Which codec serves which type and tag, and the loading of codecs for rarely used types.

A codec of a standard library type (decimal, datetime, ...) is imported when a value of an
unknown type is met and that library module is loaded already: a value of such a type cannot
exist before. So importing pmemobj loads none of them.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    Encoder: TypeAlias = Callable[[Any], tuple[int, int, bytes] | None]
    Decoder: TypeAlias = Callable[[bytes], object]
    Guarded: TypeAlias = Callable[[bytes, bool], object]
    Canonical: TypeAlias = Callable[[Any], bytes]

Encoded = tuple[int, int, bytes]
"""(tag, number, data), as the C core takes a value."""

ENCODERS: dict[type, Encoder] = {}
"""Exact type -> function from a value to (tag, number, data), or to None: no leaf after all."""

DECODERS: dict[int, Decoder] = {}
"""Payload tag -> function from the payload to the value; tags that hold other values are absent."""

GUARDED: dict[int, Guarded] = {}
"""As DECODERS, for what may run code of the pool's choice: told whether the pool is trusted."""

CANONICALS: dict[type, Canonical] = {}
"""Exact type -> function from a value to the canonical bytes of it as a key."""

_FAMILIES: list[tuple[type, type]] = []

_CODECS_OF_MODULES = {
    "enum": "enums",
    "datetime": "times",
    "zoneinfo": "zoneinfos",
    "pathlib": "paths",
    "uuid": "uuids",
    "decimal": "rationals",
    "numpy": "numpy_scalars",
}
_pending = dict(_CODECS_OF_MODULES)


def register(
    *,
    encoders: Mapping[type, Encoder] | None = None,
    decoders: Mapping[int, Decoder] | None = None,
    guarded: Mapping[int, Guarded] | None = None,
    canonicals: Mapping[type, Canonical] | None = None,
    family: tuple[type, type] | None = None,
) -> None:
    """Add codecs. *family* (metaclass, key): classes of that metaclass are served as *key* is."""
    ENCODERS.update(encoders or {})
    DECODERS.update(decoders or {})
    GUARDED.update(guarded or {})
    CANONICALS.update(canonicals or {})
    if family is not None:
        _FAMILIES.append(family)


def served_as(cls: type) -> type | None:
    """The key in ENCODERS and CANONICALS for instances of a class that is not there itself."""
    for module, codec in [item for item in _pending.items() if item[0] in sys.modules]:
        try:
            __import__(f"pmemobj.codecs.{codec}")
        except ImportError:
            continue  # another module of that name, without the type
        finally:
            # Not before: another thread that meets the type now waits for the import.
            _pending.pop(module, None)
    if cls in ENCODERS:
        return cls
    for metaclass, key in _FAMILIES:
        if isinstance(cls, metaclass):
            return key
    return type if issubclass(cls, type) else None


def load_decoder(tag: int) -> None:
    """Load the codec of a tag, if it has one that is not loaded yet."""
    if tag not in DECODERS and tag not in GUARDED:
        from pmemobj.codecs import tags

        codec = {
            tags.ENUM: "enums",
            tags.DATETIME: "times",
            tags.DATE: "times",
            tags.TIME: "times",
            tags.TIMEDELTA: "times",
            tags.ZONE: "zones",
            tags.PATH: "paths",
            tags.PICKLE: "pickles",
            tags.UUID: "uuids",
            tags.DECIMAL: "rationals",
            tags.FRACTION: "rationals",
            tags.NUMPY: "numpy_scalars",
        }.get(tag)
        if codec is not None:
            __import__(f"pmemobj.codecs.{codec}")
