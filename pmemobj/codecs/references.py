"""Functions, classes and a few constants, stored as the name they are found by again."""

from __future__ import annotations

import sys

from pmemobj.codecs.missing import UNTRUSTED, Missing
from pmemobj.codecs.registry import CANONICALS, ENCODERS, GUARDED, Encoded
from pmemobj.codecs.tags import GLOBAL
from pmemobj.codecs.wire import Reader, pack_text
from pmemobj.errors import PoolCorruptedError, UnstorableError

_CLASS, _FUNCTION, _CONSTANT = range(3)
_KINDS = ("class", "function", "constant")

_ALIASES = {
    type(None): "NoneType",
    type(Ellipsis): "EllipsisType",
    type(NotImplemented): "NotImplementedType",
    type(lambda: None): "FunctionType",
    type(len): "BuiltinFunctionType",
    type(sys): "ModuleType",
    type(list[int]): "GenericAlias",
    type(int | str): "UnionType",
}
"""Classes that say they are of builtins but are found only in the module types."""


class NotFoundError(Exception):
    """Inside the codecs only: a name leads to nothing; says why."""


def find(module: str, qualname: str, allow_import: bool = True) -> object:
    """The object of that name. The module is imported if nothing has imported it yet.

    *allow_import* false: it is not, and nothing of it is run.

    Raises:
        NotFoundError: there is none.
    """
    holder = sys.modules.get(module)
    if not allow_import:
        return _find_defined(holder, module, qualname)
    if holder is None:
        try:
            __import__(module)
            holder = sys.modules[module]
        except Exception as error:
            raise NotFoundError(f"{type(error).__name__}: {error}") from error
    found: object = holder
    for name in qualname.split("."):
        try:
            found = getattr(found, name)
        except Exception as error:
            raise NotFoundError(f"{module} has no {qualname}") from error
    return found


def _find_defined(holder: object, module: str, qualname: str) -> object:
    """The object of that name in a module or None, without any ``__getattr__``'s help."""
    found = holder
    for name in qualname.split("."):
        space = found.__dict__ if isinstance(found, (type, type(sys))) else {}
        if name not in space:
            raise NotFoundError(f"{module} has no {qualname}, or is not imported")
        found = space[name]
    return found


def name_of(value: object, kind: str) -> tuple[str, str]:
    """The module and qualified name by which this very object is found again.

    Raises:
        UnstorableError: it would not be found; says why and what to do.
    """
    module = getattr(value, "__module__", None)
    qualname = getattr(value, "__qualname__", None)
    if isinstance(value, type) and value in _ALIASES:
        module, qualname = "types", _ALIASES[value]
    if not isinstance(module, str) or not isinstance(qualname, str):
        raise UnstorableError(
            f"{value!r} is bound to an object and has no module to be found in: "
            "store the object, and the method's name as a str"
        )
    name = f"{module}:{qualname}"
    if "<lambda>" in qualname:
        raise UnstorableError(
            f"{name} has no name to be found by again: write it with def, "
            "at the top level of a module or of a notebook cell"
        )
    if "<locals>" in qualname:
        raise UnstorableError(
            f"the {kind} {name} is local to a function and cannot be found again: "
            "define it at the top level of a module or of a notebook cell"
        )
    try:
        found = find(module, qualname)
    except NotFoundError as error:
        raise UnstorableError(f"the {kind} {name} cannot be found by that name: {error}") from None
    if found is not value:
        raise UnstorableError(
            f"the {kind} {name} is not the one that is found by that name now: it was defined "
            "again or replaced since this object was made; use the present definition"
        )
    return module, qualname


def _encode(value: object, kind: int, module: str, qualname: str) -> Encoded:
    data = bytes((kind,)) + pack_text(module) + pack_text(qualname)
    return GLOBAL, len(data), data


def encode_class(value: type) -> Encoded:
    return _encode(value, _CLASS, *name_of(value, "class"))


def encode_function(value: object) -> Encoded:
    return _encode(value, _FUNCTION, *name_of(value, "function"))


def encode_constant(value: object) -> Encoded:
    return _encode(value, _CONSTANT, "builtins", repr(value))


def canonical_global(value: object) -> bytes:
    encoded = ENCODERS[type if isinstance(value, type) else type(value)](value)
    return b"" if encoded is None else b"G" + encoded[2]


def _is_of_kind(found: object, kind: int) -> bool:
    if kind == _CONSTANT:
        return type(found) in _constant_types
    return isinstance(found, type) if kind == _CLASS else callable(found)


def decode_global(payload: bytes, allow_pickle: bool) -> object:
    """The function, class or constant; a placeholder if it is not found, or not allowed."""
    reader = Reader(payload)
    kind, module, qualname = reader.byte(), reader.text(), reader.text()
    reader.end()
    if kind >= len(_KINDS) or not module or not qualname:
        raise PoolCorruptedError("a stored reference names nothing")
    why = UNTRUSTED
    try:
        if kind != _CONSTANT and not allow_pickle:
            raise NotFoundError
        found = find(module, qualname, allow_pickle)
        if not _is_of_kind(found, kind):
            raise NotFoundError(f"{module}:{qualname} is no {_KINDS[kind]} now")
    except NotFoundError as error:
        if allow_pickle:
            why = {"reason": str(error)}
        name = f"{module}:{qualname}"
        return Missing(
            GLOBAL,
            payload,
            what=f"{_KINDS[kind]} {name}",
            name=name,
            canon=b"G" + payload,
            **why,
        )
    return found


_function_types = (type(find), type(len))
_constant_types = (type(Ellipsis), type(NotImplemented))

ENCODERS[type] = encode_class
ENCODERS.update(dict.fromkeys(_function_types, encode_function))
ENCODERS.update(dict.fromkeys(_constant_types, encode_constant))
CANONICALS.update(dict.fromkeys((type, *_function_types, *_constant_types), canonical_global))
GUARDED[GLOBAL] = decode_global
