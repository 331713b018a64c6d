"""PersistentSet: a set that lies in the pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet, Set
from types import GenericAlias
from typing import Any, ClassVar

from pmemobj._native import ffi, lib
from pmemobj.containers.base import MISSING, guard_attributes, make_placeholder
from pmemobj.containers.represent import represent
from pmemobj.containers.table import EncodedKey, StoredTable
from pmemobj.typetable import register_builtin

__all__ = ["PersistentSet"]


class PersistentSet(StoredTable):
    """A set in a pool: ``pool.new(PersistentSet, iterable)``.

    Behaves as ``set`` does, and keeps the order of insertion. Every method that changes it
    is one transaction, durable on return or when the outermost open transaction commits;
    when it raises, nothing has changed. Operators give plain sets; ``|=``, ``&=``, ``-=``
    and ``^=`` change the set in the pool.

    Every method that stores something can raise, before anything is changed:
        UnstorableError: no codec covers an element.
        ForeignObjectError: one lives in another pool.
        PoolFullError: there is no room.
    """

    __slots__ = ()

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_SET
    _p_noun: ClassVar[str] = "Set"

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_attributes(cls)

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        """Take the elements of *iterable*, instead of those there were. O(n)."""
        values = _whole(iterable)
        with self._p_mm.lock:
            if self._p_length():
                self._p_become(values)
            elif values:
                self._p_insert(values)

    # -- reading -------------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of elements. O(1)."""
        return self._p_length()

    def __contains__(self, value: Any) -> bool:
        """Is an element equal to *value*? O(1). A set is looked for as a frozenset."""
        try:
            if value in self._p_cache:
                return True
        except TypeError:
            value = _as_element(value)
        return self._p_lookup(value) is not MISSING

    def __iter__(self) -> Iterator[Any]:
        """Elements in the order of insertion; RuntimeError if some come or go meanwhile."""
        return self._p_walk("keys")

    def copy(self) -> set[Any]:
        """A plain set of the same elements. O(n)."""
        return set(self._p_all("keys"))

    # -- one element ---------------------------------------------------------------------------

    def add(self, value: Any, /) -> None:
        """Add an element, unless an equal one is there. O(1) amortised.

        Raises:
            TypeError: *value* is not hashable.
        """
        self._p_put(value, None)

    def remove(self, value: Any, /) -> None:
        """Remove an element. O(1).

        Raises:
            KeyError: there is none equal to *value*.
        """
        if not self._p_discard(value):
            raise KeyError(value)

    def discard(self, value: Any, /) -> None:
        """Remove an element, if one is equal to *value*. O(1)."""
        self._p_discard(value)

    def _p_discard(self, value: Any) -> bool:
        value = _as_element(value)
        encoded: EncodedKey | None = self._p_resolve(value)
        return encoded is not None and self._p_delete(encoded, value)

    def pop(self) -> Any:
        """Remove the element that was added last and return it. O(1).

        Raises:
            KeyError: the set is empty.
        """
        mm = self._p_mm
        with mm.lock:
            value = self._p_last("keys")
            if value is MISSING:
                raise KeyError("pop from an empty set")
            self._p_delete(mm.encode_key(value), value)
        return value

    def clear(self) -> None:
        """Remove all elements. O(n)."""
        self._p_clear()

    # -- many elements, in place ---------------------------------------------------------------

    def _p_insert(self, values: list[Any]) -> None:
        if not values:
            self._p_length()  # raises what any other call would
            return
        with self._p_mm.lock, self._p_mm.storing_keys(values, self) as keys:
            self._p_insert_keys(keys)

    def _p_insert_keys(self, keys: Any) -> None:
        mm = self._p_mm
        self._p_moves += 1
        status = lib.pmo_table_update(mm.ctx, self._p_off, keys, ffi.NULL)
        if status:
            mm.finish(status, self)

    def _p_become(self, values: list[Any]) -> None:
        """Have exactly these elements."""
        mm = self._p_mm
        with mm.lock, mm.storing_keys(values, self) as keys, mm.transaction():
            self._p_clear()
            self._p_insert_keys(keys)

    def _p_remove_all(self, values: Iterable[Any]) -> None:
        """Remove the elements that are equal to one of *values*, in one transaction."""
        mm = self._p_mm
        with mm.lock:
            gone = [value for value in values if PersistentSet.__contains__(self, value)]
            length = self._p_length()
            if not gone:
                return
            if len(gone) == length:
                self._p_clear()
                return
            with mm.transaction():
                for value in gone:
                    self._p_discard(value)

    def update(self, *others: Iterable[Any]) -> None:
        """Add the elements of all *others*; all or none. O(their number)."""
        values: list[Any] = []
        for other in others:
            values += _whole(other)
        self._p_insert(values)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only the elements that are in all *others*. O(n)."""
        with self._p_mm.lock:
            kept = PersistentSet.intersection(self, *others)
            if len(kept) != self._p_length():
                mine = self._p_all("keys")
                self._p_remove_all([value for value in mine if value not in kept])

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the elements that are in any of *others*. O(their number)."""
        values: set[Any] = set()
        for other in others:
            values.update(_whole(other))
        self._p_remove_all(values)

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        """Remove what is in both and add what is only in *other*. O(their number)."""
        values = dict.fromkeys(_whole(other))
        mm = self._p_mm
        with mm.lock:
            there = {value for value in values if PersistentSet.__contains__(self, value)}
            new = [value for value in values if value not in there]
            with mm.storing_keys(new, self) as keys, mm.transaction():
                self._p_remove_all(there)
                self._p_insert_keys(keys)

    def __ior__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        PersistentSet.update(self, other)
        return self

    def __iand__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        PersistentSet.intersection_update(self, other)
        return self

    def __isub__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        PersistentSet.difference_update(self, other)
        return self

    def __ixor__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        PersistentSet.symmetric_difference_update(self, other)
        return self

    # -- new sets ------------------------------------------------------------------------------

    def union(self, *others: Iterable[Any]) -> set[Any]:
        """A plain set of the elements of this one and all *others*."""
        return set(self._p_all("keys")).union(*map(_whole, others))

    def intersection(self, *others: Iterable[Any]) -> set[Any]:
        """A plain set of the elements that are also in all *others*."""
        return set(self._p_all("keys")).intersection(*map(_whole, others))

    def difference(self, *others: Iterable[Any]) -> set[Any]:
        """A plain set of the elements that are in none of *others*."""
        return set(self._p_all("keys")).difference(*map(_whole, others))

    def symmetric_difference(self, other: Iterable[Any], /) -> set[Any]:
        """A plain set of the elements that are in exactly one of the two."""
        return set(self._p_all("keys")).symmetric_difference(_whole(other))

    def __or__(self, other: Any) -> Any:
        return self.union(other) if isinstance(other, Set) else NotImplemented

    def __and__(self, other: Any) -> Any:
        return self.intersection(other) if isinstance(other, Set) else NotImplemented

    def __sub__(self, other: Any) -> Any:
        return self.difference(other) if isinstance(other, Set) else NotImplemented

    def __xor__(self, other: Any) -> Any:
        return self.symmetric_difference(other) if isinstance(other, Set) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return _left(other).union(self._p_all("keys"))

    def __rand__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return _left(other).intersection(self._p_all("keys"))

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return _left(other).difference(self._p_all("keys"))

    def __rxor__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return _left(other).symmetric_difference(self._p_all("keys"))

    # -- comparison ----------------------------------------------------------------------------

    def isdisjoint(self, other: Iterable[Any], /) -> bool:
        """Have the two no element in common?"""
        return set(self._p_all("keys")).isdisjoint(_whole(other))

    def issubset(self, other: Iterable[Any], /) -> bool:
        """Is every element in *other*?"""
        return set(self._p_all("keys")).issubset(_whole(other))

    def issuperset(self, other: Iterable[Any], /) -> bool:
        """Is every element of *other* in this set?"""
        return set(self._p_all("keys")).issuperset(_whole(other))

    def __eq__(self, other: object) -> Any:
        """Equal to any set with equal elements. O(n)."""
        if self is other:
            return True
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) == len(other) and self.issubset(other)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __le__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) <= len(other) and self.issubset(other)

    def __lt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) < len(other) and self.issubset(other)

    def __ge__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) >= len(other) and self.issuperset(other)

    def __gt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) > len(other) and self.issuperset(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        items = (("", value) for value in self._p_walk("keys"))
        name = type(self).__name__
        if type(self) is PersistentSet:
            return represent(self, "{", "}", items, again="set(...)", empty="set()")
        return represent(self, f"{name}({{", "})", items, again=f"{name}(...)", empty=f"{name}()")

    # -- plain values --------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied as a plain set."""
        return (set, (self._p_all("keys"),))

    def _p_plain_children(self) -> list[Any]:
        return self._p_all("keys")

    def _p_plain_shell(self) -> set[Any]:
        return set()

    def _p_plain_fill(self, shell: set[Any], children: list[Any]) -> None:
        shell.update(children)


def _whole(values: Iterable[Any]) -> list[Any]:
    if isinstance(values, PersistentSet) and type(values).__iter__ is PersistentSet.__iter__:
        return values._p_all("keys")
    return list(values)


def _left(other: Any) -> Any:
    """A left operand as something with set's methods; a frozenset's results are frozensets."""
    return other if isinstance(other, (set, frozenset)) else set(other)


def _as_element(value: Any) -> Any:
    """What to look for: a set is not hashable, but equals the frozenset it may be stored as."""
    if isinstance(value, (set, PersistentSet)) and type(value).__hash__ is None:
        return frozenset(value)
    return value


_WRITERS = (
    "__iand__",
    "__ior__",
    "__isub__",
    "__ixor__",
    "add",
    "clear",
    "difference_update",
    "discard",
    "intersection_update",
    "pop",
    "remove",
    "symmetric_difference_update",
    "update",
)


def _placeholder(name: str) -> type:
    return make_placeholder(name, PersistentSet, _WRITERS)


MutableSet.register(PersistentSet)
register_builtin(PersistentSet, lib.PMO_TYPE_SET, lib.PMO_LAYOUT_SET, _placeholder)
