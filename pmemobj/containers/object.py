"""PersistentObject: the base of classes whose instances' attributes lie in a pool.

Attributes are read through the instance's own ``__dict__``, so that Python's ordinary lookup
serves what was read before; attributes.py sees to it that the pool is asked for the others.
"""

from __future__ import annotations

from pmemobj._native import lib
from pmemobj.codecs import SIMPLE, STR
from pmemobj.codecs.leaves import encode_str
from pmemobj.containers.attributes import (
    Instance,
    ObjectType,
    admit,
    class_attribute,
    instance_dict,
)
from pmemobj.containers.base import (
    CHANGED,
    FIRST_READ,
    MISSING,
    PlainObject,
    Stored,
    make_placeholder,
    missing_attribute,
    refuse_change,
)
from pmemobj.containers.represent import represent
from pmemobj.containers.table import put_simple
from pmemobj.errors import InvalidTypeError, PmemobjError
from pmemobj.light import suppress
from pmemobj.typetable import register_builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    from pmemobj.manager import MemoryManager
    from pmemobj.transaction import NoCache

__all__ = ["MissingClassObject", "PersistentObject"]

_RESERVED = frozenset(("_p_cache", "_p_mm", "_p_moves", "_p_off"))


_manager_of: Any = Stored.__dict__["_p_mm"].__get__
_offset_of: Any = Stored.__dict__["_p_off"].__get__
_moves_of: Any = Stored.__dict__["_p_moves"].__get__
_set_moves: Any = Stored.__dict__["_p_moves"].__set__


class PersistentObject(Instance, metaclass=ObjectType):
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
    * ``obj.__dict__`` is a live view of all attributes; what is assigned in it is stored, too.
    * Equality and hash are by identity unless the class defines them.

    Mixing with another persistent type, and ``__slots__``, are refused with TypeError.
    """

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_DICT
    _p_noun: ClassVar[str] = "object"
    _p_longest: ClassVar[int] = 65536

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if vars(cls).get("__slots__", ()):
            raise TypeError(
                f"{cls.__qualname__}: a persistent class has no __slots__, which would not be "
                "stored; assign attributes"
            )
        super(Stored, cls).__init_subclass__(**kwargs)  # ObjectType says that it was made

    def _v__init__(self) -> None:
        """Called when the object is made, before ``__init__``, and whenever it is resurrected.

        Override it to acquire volatile resources: open files, connections, locks. Does nothing.
        """

    def _p_new(self, manager: MemoryManager) -> None:
        super()._p_new(manager)
        self._v__init__()

    def _p_made(self) -> None:
        """``__init__`` has run: store what it set past ``__setattr__``, as a frozen dataclass's."""
        attributes = instance_dict(self)
        past = {name: value for name, value in attributes.items() if name[:3] != "_v_"}
        if past:
            stored = set(self._p_names())
            for name, value in past.items():
                if name not in stored:
                    self._p_assign(name, value)

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
            read, length, moves = mm.reading(), len(data), self._p_moves
            status = lib.pmo_table_find(mm.ctx, self._p_off, STR, length, data, b"", 0, read)
            if status:
                if status == lib.PMO_EMISSING:
                    return MISSING
                mm.finish(status, self)
            value = self._p_take(read, name, moves)
            return self._p_load(name) if value is CHANGED else value

    def _p_remember(self, key: str, value: Any, moves: int) -> None:
        """As in Stored; but in the instance, where that is allowed."""
        if type(self._p_cache) is dict:
            cls = type(self)
            if key in cls._p_pooled or admit(cls, key):
                kept = instance_dict(self)
                if self._p_moves == moves:  # the last: nothing can come between
                    kept[key] = value

    def __getattr__(self, name: str) -> Any:
        # The pool was asked already (see ObjectType).
        cls = type(self)
        if class_attribute(cls, name) is not MISSING:
            # A property raised AttributeError: let it speak for itself.
            return object.__getattribute__(self, name)
        raise AttributeError(
            f"{cls.__name__!r} object has no attribute {name!r}", name=name, obj=self
        )

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if type(value) in SIMPLE and name in cls._p_pooled:
            # _p_change, written out: a class that intercepts attributes finds its slots slowly.
            mm = _manager_of(self)
            if not mm.attention:
                moves = _moves_of(self) + 1
                _set_moves(self, moves)
                attributes = instance_dict(self)
                try:
                    status = put_simple(mm, _offset_of(self), name, value)
                except BaseException:
                    attributes.pop(name, None)
                    raise
                if type(value) is int and not status and self._p_moves == moves:
                    attributes[name] = value  # nothing can come between; see _p_renew
                    return
                attributes.pop(name, None)
                self._p_renew(attributes, name, value, moves, status)
                if not status or mm.settled(status, self):
                    return
        if name in cls._p_pooled or not (self._p_is_volatile(name) or not admit(cls, name)):
            self._p_assign(name, value)
        elif name == "__class__":
            raise InvalidTypeError(
                f"the class of a stored {cls.__qualname__} cannot be assigned; make an object of "
                "the other class, or define the class again under its name"
            )
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        cls = type(self)
        if self._p_is_volatile(name) or not admit(cls, name):
            object.__delattr__(self, name)
        elif not self._p_remove(name):
            raise AttributeError(
                f"{cls.__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    def _p_is_volatile(self, name: str) -> bool:
        """Is *name* none that may be stored?

        Raises:
            AttributeError: it is the library's.
        """
        if not isinstance(name, str):
            raise TypeError(f"attribute name must be string, not {type(name).__name__!r}")
        prefix = name[:3]
        if prefix == "_p_" and name not in _RESERVED:
            raise AttributeError(
                f"{name!r}: names that start with '_p_' belong to the library",
                name=name,
                obj=self,
            )
        return prefix == "_p_" or prefix == "_v_"

    def _p_assign(self, name: str, value: Any) -> None:
        """Store an attribute, whatever the class has under its name."""
        self._p_put(name, value, instance_dict(self))

    def _p_remove(self, name: str) -> bool:
        """Delete an attribute past all descriptors, a kept one too; False if there is none."""
        attributes = instance_dict(self)
        kept = attributes.pop(name, MISSING) is not MISSING
        kept = self._p_cache.pop(name, MISSING) is not MISSING or kept
        return self._p_delete((*encode_str(name), b""), name, attributes) or kept

    def _p_peek(self, name: str) -> Any:
        """What ``__dict__[name]`` is, or MISSING."""
        found = instance_dict(self).get(name, MISSING)
        if found is MISSING and name[:3] not in ("_v_", "_p_"):
            mm = self._p_mm
            with mm.lock:
                mm.attend_if_needed()
                found = self._p_cache.get(name, MISSING)
                if found is MISSING:
                    found = self._p_load(name)
        return found

    def _p_keep(self, name: str, value: Any) -> None:
        """Keep a value of a descriptor's own until it is deleted, or what it came from may differ.

        In a transaction it is kept in ``_p_cache``, where other threads do not see it.
        """
        mm = self._p_mm
        with mm.lock:
            mm.attend_if_needed(self)
            state = mm.open_transaction
            if state is None:
                instance_dict(self)[name] = value
            elif not state.implicit:
                dict.__setitem__(self._p_cache, name, value)

    def _p_uncover(self) -> None:
        """See to it that no class attribute hides a stored one."""
        cls = type(self)
        for name in self._p_names():
            if name not in cls._p_pooled:
                admit(cls, name)

    def _p_reclassed(self) -> None:
        """The class was defined again, and the object is now one of the new class."""
        self._p_forget()
        # That may happen at any time, also when the pool is closed.
        with suppress(PmemobjError):
            self._p_uncover()

    def _p_names(self) -> list[str]:
        return self._p_all("keys")

    def _p_suspend(self, nothing: NoCache) -> None:
        super()._p_suspend(nothing)
        self._p_forget()

    def _p_refresh(self) -> None:
        super()._p_refresh()
        self._p_forget()

    def _p_forget(self) -> None:
        """Drop the attributes that were read from the pool, and what descriptors keep."""
        attributes = instance_dict(self)
        for name in [name for name in attributes if name[:3] != "_v_"]:
            del attributes[name]

    def _p_volatile(self) -> dict[str, Any]:
        own = list(instance_dict(self).items())
        return {name: value for name, value in own if name[:3] == "_v_"}

    def _p_attribute_names(self) -> list[str]:
        return list(dict.fromkeys((*self._p_names(), *instance_dict(self), *self._p_cache)))

    def __dir__(self) -> list[str]:
        names = {name for cls in type(self).__mro__ for name in vars(cls)}
        names.update(self._p_attribute_names())
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

    _repr_pretty_ = Stored._repr_pretty_

    def _p_shown(self) -> Iterator[tuple[str, Any]]:
        place = 0
        while True:  # only as far as there is room; a value's __repr__ may change attributes
            with self._p_mm.lock:
                page = self._p_page(place, place + FIRST_READ, True)
                entries = self._p_entries(page, "items")
            if page.next == place:
                return
            place = page.next
            for name, value in entries:
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


class MissingClassObject(PersistentObject):
    """The base of the placeholders for objects whose class is not defined.

    Stored attributes can be read; anything else raises MissingClassError. Once the class is
    defined the placeholder becomes an instance of it, and its ``_v__init__`` is called.
    """

    _p_missing: ClassVar[str] = ""

    def __getattr__(self, name: str) -> Any:
        return missing_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self)._p_pooled:
            refuse_change(self)
        super().__setattr__(name, value)

    def _p_assign(self, name: str, value: Any) -> None:
        refuse_change(self)

    def _p_remove(self, name: str) -> bool:
        refuse_change(self)


def _placeholder(name: str) -> type:
    return make_placeholder(name, MissingClassObject)


register_builtin(PersistentObject, None, lib.PMO_LAYOUT_DICT, _placeholder)
