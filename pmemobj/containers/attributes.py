"""The classes of persistent objects: which attribute names are the pool's, which the class's.

Python looks for ``obj.x`` in this order: a data descriptor of the class, the instance's own
``__dict__``, any other attribute of the class, ``__getattr__``. A stored attribute stands in
the second place, but is in the ``__dict__`` only once it has been read. Until then

* ``__getattr__`` fetches it, asked before the one that a class defines (``ask_pool_first``);
* where the class has an attribute of that name, which would be found before, a ``Shadow`` in
  its place looks into the pool first. A class knows the names that its objects store, so
  that it also sees to attributes that are assigned to it later.

Unseen are only attributes that are assigned later to a plain class among the bases.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterator, Mapping, MutableMapping
from functools import wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from pmemobj.containers.base import MISSING, class_made
from pmemobj.containers.table import StoredTable

if TYPE_CHECKING:
    ClassOfProtocols = ABCMeta
else:
    ClassOfProtocols = type(Protocol)  # so that a persistent class may also implement a Protocol

__all__ = [
    "AttributesView",
    "Instance",
    "ObjectType",
    "Shadow",
    "admit",
    "class_attribute",
    "instance_dict",
    "is_data_descriptor",
]

_METHODS = (FunctionType, classmethod, staticmethod)


class Instance(StoredTable):
    """Gives instances a ``__dict__``, which ObjectType hides behind an AttributesView."""


instance_dict: Any = vars(Instance)["__dict__"].__get__


def _first(classes: tuple[type, ...], name: str) -> Any:
    for cls in classes:
        attributes = vars(cls)
        if name in attributes:
            return attributes[name]
    return MISSING


def class_attribute(cls: type, name: str) -> Any:
    """What *cls* itself has under *name*, not bound to anything, or MISSING."""
    mro = cls.__mro__
    found = _first(mro, name)
    while type(found) is Shadow:
        if found.own is not MISSING:
            return found.own
        mro = mro[mro.index(found.owner) + 1 :]
        found = _first(mro, name)
    return found


def is_data_descriptor(raw: Any) -> bool:
    """Does a class attribute come before the instance's own one?"""
    return hasattr(type(raw), "__set__") or hasattr(type(raw), "__delete__")


def caches_itself(raw: Any) -> bool:
    """Is it like functools.cached_property, which puts what it gives into ``__dict__``?"""
    return (
        hasattr(type(raw), "__get__")
        and not isinstance(raw, _METHODS)
        and not is_data_descriptor(raw)
    )


class Shadow:
    """Stands where a class has an attribute that instances hide by a stored one of that name.

    Not a data descriptor: what an instance has read already is found before it.
    """

    __slots__ = ("name", "own", "owner")

    def __init__(self, owner: type, name: str) -> None:
        self.owner = owner
        self.name = name
        self.own = vars(owner).get(name, MISSING)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        cls = owner or type(instance)
        # By super() one asks for the class's own.
        if instance is not None and _first(type(instance).__mro__, self.name) is self:
            value = instance._p_load(self.name)
            if value is not MISSING:
                return value
        raw = self.own
        if raw is MISSING:
            mro = cls.__mro__
            raw = _first(mro[mro.index(self.owner) + 1 :], self.name)
            if raw is MISSING:
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {self.name!r}")
        getter = getattr(type(raw), "__get__", None)
        return raw if getter is None else getter(raw, instance, owner)


def admit(cls: Any, name: str) -> bool:
    """Do objects of *cls* store *name* in the pool? If so, see to it that reading finds it."""
    raw = _first(cls.__mro__, name)
    if raw is not MISSING and type(raw) is not Shadow:
        if is_data_descriptor(raw):
            cls._p_pooled.discard(name)
            return False
        type.__setattr__(cls, name, Shadow(cls, name))
    cls._p_pooled.add(name)
    return True


class ObjectType(ClassOfProtocols):
    """The class of persistent classes; a plain ``type`` but for the names of stored attributes."""

    _p_pooled: set[str]
    """Names that objects of this very class have stored, and that no data descriptor governs."""

    __instancecheck__ = ABCMeta.__instancecheck__
    __subclasscheck__ = ABCMeta.__subclasscheck__

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> Any:
        # Or a plain class among the bases would show the instances' own.
        namespace.setdefault("__dict__", property(AttributesView))
        namespace["_p_pooled"] = set()
        return super().__new__(mcls, name, bases, namespace, **kwargs)

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(name, bases, namespace, **kwargs)
        for hook in _HOOKS:
            cls._p_hook(hook)
        class_made(cls)

    def _p_hook(cls, name: str) -> None:
        """Have the pool asked before the ``__getattr__`` or ``__getattribute__`` of the class."""
        own = _first(cls.__mro__, name)
        if own not in (MISSING, object.__getattribute__) and not hasattr(own, "_p_asks_pool"):
            type.__setattr__(cls, name, _HOOKS[name](own))

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        cls._p_changed(name)

    def __delattr__(cls, name: str) -> None:
        shadow = vars(cls).get(name)
        if type(shadow) is Shadow and shadow.own is MISSING:
            raise AttributeError(name)
        super().__delattr__(name)
        cls._p_changed(name)

    def _p_changed(cls, name: str) -> None:
        """A class attribute came, went or changed: look again at what it may hide."""
        if name in _HOOKS:
            cls._p_hook(name)
        if name in cls._p_pooled:
            admit(cls, name)
        elif name == "__bases__":
            for stored in list(cls._p_pooled):
                admit(cls, stored)
        this: Any = cls  # to type checkers a metaclass has no such method
        for sub in this.__subclasses__():
            sub._p_changed(name)


def _getattr_asking_pool_first(own: Any) -> Any:
    @wraps(own)
    def __getattr__(self: Any, name: str) -> Any:
        cls = type(self)
        if name[:3] not in ("_v_", "_p_") and (
            name in cls._p_pooled or not is_data_descriptor(class_attribute(cls, name))
        ):
            value = self._p_load(name)
            if value is not MISSING:
                return value
        return own(self, name)

    __getattr__._p_asks_pool = True  # type: ignore[attr-defined]
    return __getattr__


def _getattribute_asking_pool_first(own: Any) -> Any:
    @wraps(own)
    def __getattribute__(self: Any, name: str) -> Any:
        attributes = instance_dict(self)
        if name in attributes or name not in type(self)._p_pooled:
            return own(self, name)
        value = self._p_load(name)
        if value is MISSING or name in attributes:
            return own(self, name)
        attributes[name] = value
        try:
            return own(self, name)
        finally:
            attributes.pop(name, None)

    __getattribute__._p_asks_pool = True  # type: ignore[attr-defined]
    return __getattribute__


_HOOKS = {
    "__getattr__": _getattr_asking_pool_first,
    "__getattribute__": _getattribute_asking_pool_first,
}


class AttributesView(MutableMapping[str, Any]):
    """An object's ``__dict__``: its attributes past all descriptors, as a live mapping.

    Assigning and deleting are durable as they are by attribute. Only what a descriptor such as
    functools.cached_property keeps here of its own accord is volatile, and is not kept
    while a transaction is open.
    """

    __slots__ = ("_object",)

    def __init__(self, owner: Any) -> None:
        self._object = owner

    def __getitem__(self, name: str) -> Any:
        value = self._object._p_peek(name)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        owner = self._object
        if owner._p_is_volatile(name):
            instance_dict(owner)[name] = value
        elif caches_itself(class_attribute(type(owner), name)):
            owner._p_keep(name, value)
        else:
            owner._p_assign(name, value)

    def __delitem__(self, name: str) -> None:
        owner = self._object
        if owner._p_is_volatile(name):
            del instance_dict(owner)[name]
        elif not owner._p_remove(name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._object._p_attribute_names())

    def __len__(self) -> int:
        return len(self._object._p_attribute_names())

    def copy(self) -> dict[str, Any]:
        """A plain dict of the attributes there are now."""
        return dict(self)

    def __or__(self, other: Any) -> Any:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return repr(dict(self))
