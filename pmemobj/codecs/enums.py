"""Codec of Enum members: the class by reference, the member by its name.

A combination of flags has no name of its own and is stored by its number. Members that are also
an int, a str or the like are equal keys to these: the payload ends with those canonical bytes, so
that a placeholder for a missing class is still the same key.
"""

from __future__ import annotations

from enum import Enum, EnumMeta, Flag

from pmemobj.codecs.missing import UNTRUSTED, Missing
from pmemobj.codecs.references import NotFoundError, find, name_of
from pmemobj.codecs.registry import Encoded, register
from pmemobj.codecs.tags import ENUM
from pmemobj.codecs.wire import Reader, pack_bytes, pack_int, pack_text
from pmemobj.errors import PoolCorruptedError, UnstorableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BY_NAME, _BY_NUMBER = range(2)

_PLAIN: dict[type, Callable[[Any], object]] = {
    int: int.__pos__,
    float: float.__pos__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: b"".join((value,)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    frozenset: frozenset().union,
}
"""Mixed-in type -> function to the exact value of that type that a member is equal to."""


def _key_value(member: Enum) -> object:
    """The ordinary value that the member is the same key as; the member itself if there is none."""
    cls = type(member)
    mixed_in: type = cls._member_type_  # type: ignore[attr-defined]
    if any(getattr(cls, name) is not getattr(mixed_in, name) for name in ("__eq__", "__hash__")):
        return member
    if mixed_in in _PLAIN:
        return _PLAIN[mixed_in](member)
    value = member._value_
    return value if type(value) is mixed_in and value == member else member


def _identify(member: Enum) -> bytes:
    cls = type(member)
    head = b"".join(map(pack_text, name_of(cls, "class")))
    name = member._name_
    if name is not None and cls.__members__.get(name) is member:
        return head + bytes((_BY_NAME,)) + pack_text(name)
    if isinstance(member, Flag) and type(member._value_) is int:
        return head + bytes((_BY_NUMBER,)) + pack_int(member._value_)
    raise UnstorableError(f"{member!r} is not found by its name in {cls!r}")


def canonical_enum(member: Enum) -> bytes:
    from pmemobj.codecs.keys import canonical

    value = _key_value(member)
    canon = None if value is member else canonical(value)
    return b"E" + _identify(member) if canon is None else canon


def encode_enum(member: Enum) -> Encoded:
    from pmemobj.codecs.keys import canonical

    value = _key_value(member)
    canon = None if value is member else canonical(value)
    data = _identify(member) + pack_bytes(canon or b"")
    return ENUM, len(data), data


def _look_up(module: str, qualname: str, label: str | int, allow_import: bool) -> object:
    cls: Any = find(module, qualname, allow_import)
    if not issubclass(type(cls), EnumMeta):
        raise NotFoundError(f"{module}:{qualname} is no Enum now")
    try:
        found: object = cls.__members__[label] if isinstance(label, str) else cls(label)
    except Exception as error:
        raise NotFoundError(f"the class has no member {label}") from error
    if type(found) is not cls:
        raise NotFoundError(f"the class has no member {label}")
    return found


def decode_enum(payload: bytes, allow_pickle: bool) -> object:
    """The member; a placeholder if its class is not found, or would have to be imported."""
    reader = Reader(payload)
    module, qualname, form = reader.text(), reader.text(), reader.byte()
    if form > _BY_NUMBER or not module or not qualname:
        raise PoolCorruptedError("a stored Enum member names nothing")
    label = reader.text() if form == _BY_NAME else reader.integer()
    identity = reader.taken()
    canon = reader.sized()
    reader.end()
    try:
        return _look_up(module, qualname, label, allow_pickle)
    except NotFoundError as error:
        why = {"reason": str(error)} if allow_pickle else UNTRUSTED
        name = f"{module}:{qualname}"
        return Missing(
            ENUM,
            payload,
            what=f"Enum member {name} {label}",
            name=name,
            canon=canon or b"E" + identity,
            **why,
        )


register(
    encoders={Enum: encode_enum},
    guarded={ENUM: decode_enum},
    canonicals={Enum: canonical_enum},
    family=(EnumMeta, Enum),
)
