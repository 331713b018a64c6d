"""Type codes and the classes behind them.

A pool's type table maps a code to "layout module:qualname base". The class is looked up in the
modules that are loaded, then imported if the pool is trusted; one that cannot be found, or is now
a class of another kind, is stood in for by a placeholder until it is defined.
"""

from __future__ import annotations

from pmemobj._native import failure, ffi, lib
from pmemobj.codecs.references import NotFoundError, find
from pmemobj.errors import PoolCorruptedError
from pmemobj.light import WeakSet, proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pmemobj.objects import ObjectKeeper

__all__ = ["FOREIGN", "TypeTable", "class_defined", "register_builtin", "register_placeholder"]

_UNTRUSTED = " (this pool is not trusted: open it with allow_pickle=True to have modules imported)"
FOREIGN = "Persistent"
"""The base name of custom classes, which lay out their memory by themselves."""

_classes: dict[int, type] = {}
_codes: dict[type, int] = {}
_layouts: dict[type, int] = {}
_kinds: dict[str, int] = {FOREIGN: lib.PMO_LAYOUT_FOREIGN}
_placeholders: dict[str, Callable[[str], type]] = {}
_MODULES = {
    "PersistentObject": "pmemobj.containers.object",
    "PersistentSet": "pmemobj.containers.set",
    "PersistentTuple": "pmemobj.containers.tuple",
    FOREIGN: "pmemobj.containers.missing",
}
"""Kinds whose modules are imported when one is met, and what makes a FOREIGN placeholder."""

_CODES_OF_KINDS = {
    lib.PMO_TYPE_SET: "PersistentSet",
    lib.PMO_TYPE_PTUPLE: "PersistentTuple",
}
_tables: WeakSet[TypeTable] = WeakSet()


def register_builtin(
    cls: type,
    type_code: int | None,
    layout: int,
    placeholder: Callable[[str], type] | None = None,
) -> None:
    """Make a container class known; its module calls this at import.

    Args:
        cls: the class.
        type_code: its fixed code, or None if only its subclasses are stored.
        layout: how its objects lie in the pool.
        placeholder: makes the class that stands in for a missing subclass "module:qualname".
    """
    if type_code is not None:
        _classes[type_code] = cls
        _codes[cls] = type_code
    _layouts[cls] = _kinds[cls.__name__] = layout
    if placeholder is not None:
        register_placeholder(cls.__name__, placeholder)


def register_placeholder(kind: str, make: Callable[[str], type]) -> None:
    """Give what makes the class that stands in for a missing one of that kind."""
    _placeholders[kind] = make


def _load_kind(kind: str | None) -> None:
    if kind in _MODULES:
        __import__(_MODULES[kind])


def class_defined(cls: type) -> None:
    """A persistent class has been defined: give it to the stored objects that wait for it."""
    for table in list(_tables):
        table.define(cls)


def name_of(cls: type) -> str:
    """``module:qualname``, the name under which a class is stored."""
    return f"{cls.__module__}:{cls.__qualname__}"


def _base_of(cls: type) -> type | None:
    for base in cls.__mro__:
        if base in _layouts:
            return base
    return None


def _kind_of(cls: type) -> str:
    base = _base_of(cls)
    return FOREIGN if base is None else base.__name__


def _find(name: str, allow_import: bool) -> Any:
    module, _, qualname = name.partition(":")
    try:
        return find(module, qualname, allow_import)
    except NotFoundError:  # whatever its import raises, the class is missing
        return None


class TypeTable:
    """The types of one pool."""

    def __init__(self, mm: ObjectKeeper) -> None:
        self._mm = proxy(mm)
        self._names: dict[int, tuple[int, str, str]] = {}
        self._by_name: dict[tuple[str, str], int] = {}
        self._resolved: dict[int, type] = {}
        self._known: dict[type, int] = {}
        self._missing: set[int] = set()
        self.waiting: set[int] = set()
        """Those missing that may be found at any time, with nothing that says so: custom ones."""
        self._load()
        _tables.add(self)

    def _load(self) -> None:
        ctx = self._mm.ctx
        value = ffi.new("pmo_value *")
        layout = ffi.new("uint32_t *")
        count = lib.pmo_type_count(ctx)
        for code in range(lib.PMO_FIRST_USER_TYPE, lib.PMO_FIRST_USER_TYPE + count):
            if code in self._names:
                continue
            status = lib.pmo_type_get(ctx, code, layout, value)
            if status:
                raise failure(status, ctx)
            text = ffi.unpack(value.data, value.number)
            self._enter(code, layout[0], text)

    def _enter(self, code: int, layout: int, text: bytes) -> None:
        try:
            _, rest = text.decode().split(" ", 1)
            name, base = rest.rsplit(" ", 1)
        except ValueError:
            raise PoolCorruptedError(f"type {code} has no name that can be read") from None
        if base not in _kinds:
            _load_kind(base)
        if _kinds.get(base) != layout or ":" not in name or "\0" in name:
            raise PoolCorruptedError(
                f"type {code} is called {name!r}, of the kind {base!r} and layout {layout}, which "
                "makes no sense"
            )
        self._names[code] = (layout, name, base)
        self._by_name[base, name] = code
        if layout == lib.PMO_LAYOUT_FOREIGN:
            self._mm.custom = self._mm.attention = True

    def forget_undone(self) -> None:
        """Drop the codes of a transaction that was rolled back."""
        count = lib.pmo_type_count(self._mm.ctx)
        if not 0 <= count < len(self._names):
            return
        end = lib.PMO_FIRST_USER_TYPE + count
        for code in [code for code in self._names if code >= end]:
            _, name, base = self._names.pop(code)
            self._by_name.pop((base, name), None)
            cls = self._resolved.pop(code, None)
            if cls is not None:
                self._known.pop(cls, None)
            self._missing.discard(code)
            self.waiting.discard(code)

    def code_of(self, cls: type) -> int:
        """The code under which instances of *cls* are stored; a new entry if need be."""
        code = _codes.get(cls)
        if code is None:
            code = self._known.get(cls)
        if code is None:
            code = self._define(cls)
        return code

    def _define(self, cls: type) -> int:
        base = _base_of(cls)
        layout = lib.PMO_LAYOUT_FOREIGN if base is None else _layouts[base]
        name, kind = name_of(cls), _kind_of(cls)
        code = self._by_name.get((kind, name))
        if code is None:
            text = f"{layout} {name} {kind}".encode()
            out = ffi.new("uint32_t *")
            status = lib.pmo_type_define(self._mm.ctx, layout, text, len(text), out)
            if status:
                raise failure(status, self._mm.ctx)
            code = int(out[0])
            self._enter(code, layout, text)
        self._resolve(code, cls)
        return code

    def class_of(self, code: int) -> type:
        """The class of a stored object with this code, or its placeholder.

        Raises:
            PoolCorruptedError: the type table has no such code, or nothing that makes sense.
        """
        cls = _classes.get(code) or self._resolved.get(code)
        if cls is not None and code not in self._missing:
            return cls
        if code in _CODES_OF_KINDS:
            _load_kind(_CODES_OF_KINDS[code])
            return _classes[code]
        if code not in self._names:
            self._load()
        if code not in self._names:
            raise PoolCorruptedError(f"an object has the type code {code}, which is in no table")
        layout, name, kind = self._names[code]
        found = _find(name, self._mm.allow_pickle)
        persistent = isinstance(found, type) and hasattr(found, "_p_resurrect")
        if persistent and _kind_of(found) == kind:
            self._resolve(code, found)
            return self._resolved[code]
        self._missing.add(code)
        if layout == lib.PMO_LAYOUT_FOREIGN:
            self.waiting.add(code)
        if cls is None:
            if kind not in _placeholders:
                _load_kind(kind)
            cls = self._resolved[code] = _placeholders[kind](name)
        reason = f"the class {name} is not defined" + ("" if self._mm.allow_pickle else _UNTRUSTED)
        if persistent:
            reason = f"the class {name} is a {_kind_of(found)} now, and was stored as a {kind}"
        type.__setattr__(cls, "_p_reason", reason)
        return cls

    def _resolve(self, code: int, cls: type) -> None:
        """*cls* is the class of *code* from now on; what waited for it becomes real."""
        old = self._resolved.get(code)
        was_missing = code in self._missing
        self._resolved[code] = cls
        self._known[cls] = code
        self._missing.discard(code)
        self.waiting.discard(code)
        if old is not None and old is not cls and (was_missing or _base_of(cls) is not None):
            self._mm.reclass(old, cls, was_missing)

    def define(self, cls: type) -> None:
        """*cls* was defined (again): live instances of its name become instances of it."""
        code = self._by_name.get((_kind_of(cls), name_of(cls)))
        if code is not None and not self._mm.closed:
            self._resolve(code, cls)

    def missing(self) -> tuple[str, ...]:
        """``module:qualname`` of every class in the table that cannot be found now."""
        names = []
        for code in list(self._names):
            self.class_of(code)
            if code in self._missing:
                names.append(self._names[code][1])
        return tuple(names)

    def name(self, code: int) -> str:
        """The name of a code, for messages; loads no class."""
        if code in self._names:
            return self._names[code][1]
        cls = _classes.get(code)
        known = _CODES_OF_KINDS.get(code, f"type {code}")
        return known if cls is None else cls.__name__
