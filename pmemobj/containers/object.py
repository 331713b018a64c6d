"""PersistentObject: the base of classes whose instances' attributes lie in a pool.

Attributes are read through the instance's own ``__dict__``, so that Python's ordinary lookup
serves what was read before; ``__getattr__`` fetches the others from the pool.

One rule of Python needs help: an instance's attribute hides a class's attribute of that
name, also while it has not been read from the pool yet. For such names, and only for them,
the class gets a descriptor that looks into the pool first (``_Shadowed``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pmemobj._native import lib
from pmemobj.codecs import STR
from pmemobj.containers.base import (
    MISSING,
    PlainObject,
    make_placeholder,
    missing_attribute,
    refuse_change,
)
from pmemobj.containers.represent import represent
from pmemobj.containers.table import StoredTable
from pmemobj.errors import PmemobjError
from pmemobj.typetable import register_builtin

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["MissingClassObject", "PersistentObject"]

CACHEABLE = 65536  # bytes of an attribute; a longer one is decoded anew at every access
_RESERVED = frozenset(("_p_cache", "_p_mm", "_p_moves", "_p_off"))


class _Instance(StoredTable):
    """Gives instances a ``__dict__``, which PersistentObject hides behind a read-only view."""


_instance_dict: Any = vars(_Instance)["__dict__"].__get__


class _Shadowed:
    """A class attribute that some instances hide by a stored attribute of the same name.

    Not a data descriptor: what an instance has read already is found before it.
    """

    __slots__ = ("name", "own", "owner")

    def __init__(self, owner: type, name: str) -> None:
        self.owner = owner
        self.name = name
        self.own = vars(owner).get(name, MISSING)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None:
            value = instance._p_load(self.name)
            if value is not MISSING:
                return value
        raw = self.own
        if raw is MISSING:
            mro = (owner or type(instance)).__mro__
            raw = _raw_attribute(mro[mro.index(self.owner) + 1 :], self.name)
            if raw is MISSING:
                raise AttributeError(self.name)
        getter = getattr(type(raw), "__get__", None)
        return raw if getter is None else getter(raw, instance, owner)


def _raw_attribute(classes: tuple[type, ...], name: str) -> Any:
    for cls in classes:
        if name in vars(cls):
            return vars(cls)[name]
    return MISSING


class PersistentObject(_Instance):
    """The base of your own persistent classes: ``pool.new(Class, *args)``.

    ::

        class Run(PersistentObject):
            def __init__(self, name):
                self.name = name
                self.results = []

    An attribute takes every value that a persistent container takes, and plain containers are
    converted likewise. Properties, methods, descriptors and class attributes work as in any
    class. Assigning and deleting an attribute is one transaction, durable on return or when
    the outermost open transaction commits.

    * ``__init__`` runs when the object is made, and not when it is read from the pool again.
    * ``_v__init__`` runs in both cases, when it is made before ``__init__``.
    * Attributes named ``_v_...`` are volatile: ordinary attributes of the Python instance.
    * Names starting with ``_p_`` belong to the library.
    * ``obj.__dict__`` is a read-only view of all attributes; assign attributes instead.
    * Equality and hash are by identity unless the class defines them.

    Mixing with another persistent type, and ``__slots__``, are refused with TypeError.
    """

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_DICT
    _p_noun: ClassVar[str] = "object"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        slots = vars(cls).get("__slots__", ())
        if slots:
            raise TypeError(
                f"{cls.__qualname__}: a persistent class has no __slots__, which would not be "
                "stored; assign attributes"
            )
        own = vars(cls).get("__getattr__")
        if own is not None:
            type.__setattr__(cls, "__getattr__", _stored_first(own))
        super().__init_subclass__(**kwargs)

    def _v__init__(self) -> None:
        """Called when the object is made, before ``__init__``, and whenever it is resurrected.

        Override it to acquire volatile resources: open files, connections, locks. Does nothing.
        """

    def _p_new(self, manager: MemoryManager) -> None:
        parameters = getattr(type(self), "__dataclass_params__", None)
        if parameters is not None and parameters.frozen:
            raise TypeError(
                f"{type(self).__qualname__} is a frozen dataclass, which sets its attributes past "
                "the pool, so that they would be lost; leave out frozen=True"
            )
        super()._p_new(manager)
        self._v__init__()

    def _p_resurrect(self, manager: MemoryManager, oid: tuple[int, int]) -> None:
        super()._p_resurrect(manager, oid)
        self._p_uncover()
        self._v__init__()

    # -- attributes -----------------------------------------------------------------------------

    def _p_load(self, name: str) -> Any:
        """The stored attribute, or MISSING; kept in the instance when that is allowed."""
        mm = self._p_mm
        data = name.encode("utf-8", "surrogatepass")
        with mm.lock:
            if mm.attention:
                mm.attend()
            read = mm.value
            status = lib.pmo_table_find(mm.ctx, self._p_off, STR, len(data), data, b"", 0, read)
            if status:
                if status == lib.PMO_EMISSING:
                    return MISSING
                mm.finish(status, self)
            size = 0 if read.tag < lib.PMO_STR else read.number
            value = mm.decode(read)
            if size <= CACHEABLE and type(self._p_cache) is dict:
                object.__setattr__(self, name, value)
        return value

    def __getattr__(self, name: str) -> Any:
        cls = type(self)
        if name[:3] not in ("_v_", "_p_"):
            value = self._p_load(name)
            if value is not MISSING:
                return value
            if getattr(cls, name, MISSING) is not MISSING:
                # A property raised AttributeError: let it speak for itself.
                return object.__getattribute__(self, name)
        raise AttributeError(
            f"{cls.__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        # What was read from the pool before is no data descriptor of the class.
        known = name[:1] != "_" and name in _instance_dict(self)
        if not known and not self._p_is_stored(name):
            object.__setattr__(self, name, value)
            if name == "__class__":
                self._p_forget()
                # A class may be defined again at any time, also when the pool is closed.
                with suppress(PmemobjError):
                    self._p_uncover()
            return
        mm = self._p_mm
        encoded = mm.encode(value)
        if encoded is None:
            with mm.lock, mm.storing(value, self, name) as encoded:
                self._p_store(name, encoded, MISSING)
        else:
            self._p_store(name, encoded, value)

    def _p_store(self, name: str, encoded: tuple[int, int, bytes], value: Any) -> None:
        """Write an attribute; *value* is what reading it will give, or MISSING."""
        mm = self._p_mm
        data = name.encode("utf-8", "surrogatepass")
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            attributes = _instance_dict(self)
            attributes.pop(name, None)
            status = lib.pmo_table_set(mm.ctx, self._p_off, STR, len(data), data, b"", 0, *encoded)
            if status:
                mm.finish(status, self)
            if (
                value is not MISSING
                and type(self._p_cache) is dict
                and len(encoded[2]) <= CACHEABLE
            ):
                attributes[name] = value

    def __delattr__(self, name: str) -> None:
        if not self._p_is_stored(name):
            object.__delattr__(self, name)
            return
        mm = self._p_mm
        data = name.encode("utf-8", "surrogatepass")
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            _instance_dict(self).pop(name, None)
            status = lib.pmo_table_delete(mm.ctx, self._p_off, STR, len(data), data, b"", 0)
            if status:
                if status == lib.PMO_EMISSING:
                    raise AttributeError(
                        f"{type(self).__name__!r} object has no attribute {name!r}",
                        name=name,
                        obj=self,
                    )
                mm.finish(status, self)

    def _p_is_stored(self, name: str) -> bool:
        """Does assignment to *name* go to the pool? If a class attribute has it, see to it."""
        if name[:3] == "_v_":
            return False
        if name[:3] == "_p_":
            if name not in _RESERVED:
                raise AttributeError(
                    f"{name!r}: names that start with '_p_' belong to the library",
                    name=name,
                    obj=self,
                )
            return False
        cls = type(self)
        if getattr(cls, name, MISSING) is MISSING:
            return True
        raw = _raw_attribute(cls.__mro__, name)
        if raw is MISSING or type(raw) is _Shadowed:
            return True
        if hasattr(type(raw), "__set__") or hasattr(type(raw), "__delete__"):
            return False
        _cover(cls, name)
        return True

    def _p_uncover(self) -> None:
        """See to stored attributes whose names class attributes have."""
        cls = type(self)
        for name in self._p_names():
            if getattr(cls, name, MISSING) is not MISSING:
                raw = _raw_attribute(cls.__mro__, name)
                if (
                    raw is not MISSING
                    and type(raw) is not _Shadowed
                    and not hasattr(type(raw), "__set__")
                ):
                    _cover(cls, name)

    def _p_names(self) -> list[str]:
        return self._p_all("keys")

    def _p_suspend(self) -> None:
        super()._p_suspend()
        self._p_forget()

    def _p_refresh(self) -> None:
        super()._p_refresh()
        self._p_forget()

    def _p_forget(self) -> None:
        """Drop the attributes that were read from the pool."""
        attributes = _instance_dict(self)
        for name in [name for name in attributes if name[:3] != "_v_"]:
            del attributes[name]

    def _p_volatile(self) -> dict[str, Any]:
        own = list(_instance_dict(self).items())
        return {name: value for name, value in own if name[:3] == "_v_"}

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        """A read-only view of all attributes, the stored and the volatile."""
        return MappingProxyType({**dict(self._p_all("items")), **self._p_volatile()})

    def __dir__(self) -> list[str]:
        names = {name for cls in type(self).__mro__ for name in vars(cls)}
        names.update(_instance_dict(self), self._p_names())
        return sorted(names)

    def __repr__(self) -> str:
        name = type(self).__qualname__
        return represent(
            self,
            f"<{name} ",
            ">",
            self._p_shown(),
            again=f"<{name} ...>",
            empty=f"<{name}>",
        )

    def _p_shown(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._p_all("items"):
            yield f"{name}=", value

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied as a PlainObject with the stored attributes."""
        return (PlainObject, (type(self).__qualname__,), dict(self._p_all("items")))

    def _p_plain_children(self) -> list[Any]:
        return [part for item in self._p_all("items") for part in item]

    def _p_plain_shell(self) -> PlainObject:
        return PlainObject(type(self).__qualname__)

    def _p_plain_fill(self, shell: PlainObject, children: list[Any]) -> None:
        vars(shell).update(zip(children[::2], children[1::2], strict=True))


def _stored_first(own: Any) -> Any:
    """A class's own ``__getattr__``, asked only for what is not stored either."""

    @wraps(own)
    def __getattr__(self: Any, name: str) -> Any:
        if name[:3] not in ("_v_", "_p_"):
            value = self._p_load(name)
            if value is not MISSING:
                return value
        return own(self, name)

    return __getattr__


def _cover(cls: type, name: str) -> None:
    type.__setattr__(cls, name, _Shadowed(cls, name))


class MissingClassObject(PersistentObject):
    """The base of the placeholders for objects whose class is not defined.

    Stored attributes can be read; anything else raises MissingClassError. Once the class is
    defined the placeholder becomes an instance of it, and its ``_v__init__`` is called.
    """

    _p_missing: ClassVar[str] = ""

    def __getattr__(self, name: str) -> Any:
        if name[:3] not in ("_v_", "_p_"):
            value = self._p_load(name)
            if value is not MISSING:
                return value
        return missing_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._p_is_stored(name):
            refuse_change(self)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._p_is_stored(name):
            refuse_change(self)
        super().__delattr__(name)


def _placeholder(name: str) -> type:
    return make_placeholder(name, MissingClassObject)


register_builtin(PersistentObject, None, lib.PMO_LAYOUT_DICT, _placeholder)
