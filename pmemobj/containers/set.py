"""PersistentSet: a set that lies in the pool."""

from __future__ import annotations

from pmemobj._native import ffi, lib
from pmemobj.codecs import NONE
from pmemobj.containers.algebra import SetAlgebra, listed
from pmemobj.containers.base import MISSING, guard_attributes, make_placeholder
from pmemobj.containers.represent import represent
from pmemobj.containers.table import StoredTable
from pmemobj.light import GenericAlias, MutableSet, Set
from pmemobj.typetable import register_builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, ClassVar

__all__ = ["PersistentSet"]

_add = lib.pmo_set_add
_NOTHING = (NONE, 0, b"")


class PersistentSet(StoredTable, SetAlgebra):
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
        values = listed(iterable)
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

    def _p_operand(self, other: Any) -> bool:
        return isinstance(other, Set)

    def _p_pages(self) -> Iterator[list[Any]]:
        return self._p_pages_of("keys")

    def _p_whole(self) -> list[Any]:
        own = type(self).__iter__ is PersistentSet.__iter__
        return self._p_all("keys") if own else list(self)

    def copy(self) -> set[Any]:
        """A plain set of the same elements. O(n)."""
        return set(self._p_all("keys"))

    # -- one element ---------------------------------------------------------------------------

    def add(self, value: Any, /) -> None:
        """Add an element, unless an equal one is there. O(1) amortised.

        Raises:
            TypeError: *value* is not hashable.
        """
        encoded = self._p_key(value)
        if encoded is None:
            self._p_insert([value])
            return
        tag, number, data, canon = encoded
        if canon:
            self._p_set(value, encoded, _NOTHING, MISSING, None)
        else:
            self._p_change(None, value, MISSING, 1, _add, tag, number, data)

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
        return self._p_delete(self._p_mm.encode_lookup(value), value)

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
            self._p_delete(mm.encode_lookup(value), value)
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

    def update(self, *others: Iterable[Any]) -> None:
        """Add the elements of all *others*; all or none. O(their number)."""
        values: list[Any] = []
        for other in others:
            values += listed(other)
        self._p_insert(values)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Keep only the elements that are in all *others*. O(n)."""
        with self._p_mm.lock:
            kept = PersistentSet.intersection(self, *others)
            if not kept:
                self._p_clear()
            elif len(kept) < self._p_length():
                self._p_delete_many([v for v in self._p_all("keys") if v not in kept])

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the elements that are in any of *others*. O(their number)."""
        with self._p_mm.lock:
            self._p_mm.require_open()
            gone: dict[Any, None] = {}
            for other in others:
                gone.update(dict.fromkeys(self._p_common(other)))
            self._p_delete_many(list(gone))

    def symmetric_difference_update(self, other: Iterable[Any], /) -> None:
        """Remove what is in both and add what is only in *other*. O(their number)."""
        values = dict.fromkeys(listed(other))
        mm = self._p_mm
        with mm.lock:
            there = self._p_among(list(values))
            for value in there:
                del values[value]
            with mm.storing_keys(list(values), self) as keys, mm.transaction():
                self._p_delete_many(there)
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
        return set(self._p_all("keys")).union(*map(listed, others))

    def intersection(self, *others: Iterable[Any]) -> set[Any]:
        """A plain set of the elements that are also in all *others*."""
        if not others:
            return self.copy()
        common = set(self._p_common(others[0]))
        return common.intersection(*map(listed, others[1:]))

    def difference(self, *others: Iterable[Any]) -> set[Any]:
        """A plain set of the elements that are in none of *others*."""
        return set(self._p_all("keys")).difference(*map(listed, others))

    def symmetric_difference(self, other: Iterable[Any], /) -> set[Any]:
        """A plain set of the elements that are in exactly one of the two."""
        return set(self._p_all("keys")).symmetric_difference(listed(other))

    # -- comparison ----------------------------------------------------------------------------

    def issubset(self, other: Iterable[Any], /) -> bool:
        """Is every element in *other*? O(n), and at most *other*'s elements if it has a length."""
        whole: Set[Any] = other if isinstance(other, Set) else set(other)
        return len(self) <= len(whole) and self._p_subset(whole)

    def issuperset(self, other: Iterable[Any], /) -> bool:
        """Is every element of *other* in this set? O(elements of *other*)."""
        return self._p_superset(other)

    def __repr__(self) -> str:
        items = (("", value) for value in self._p_walk("keys"))
        name = type(self).__name__
        if type(self) is PersistentSet:
            return represent(self, "{", "}", items, again="set(...)", empty="set()")
        return represent(self, f"{name}({{", "})", items, again=f"{name}(...)", empty=f"{name}()")

    _repr_pretty_ = StoredTable._repr_pretty_

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
