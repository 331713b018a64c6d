"""The live views of a PersistentDict: keys, values, items."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Set, ValuesView
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn

from pmemobj.containers.base import MISSING
from pmemobj.containers.represent import represent

__all__ = ["PersistentDictItems", "PersistentDictKeys", "PersistentDictValues"]


class _View:
    """What the three have in common."""

    __slots__ = ("_dict",)

    _what: ClassVar[str]

    def __init__(self, owner: Any) -> None:
        self._dict = owner

    @property
    def mapping(self) -> MappingProxyType[Any, Any]:
        """A read-only proxy of the dict."""
        return MappingProxyType(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __iter__(self) -> Iterator[Any]:
        entries: Iterator[Any] = self._dict._p_walk(self._what)
        return entries

    def __reversed__(self) -> Iterator[Any]:
        entries: Iterator[Any] = self._dict._p_walk_back(self._what)
        return entries

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"cannot pickle 'dict_{self._what}' object")

    def __repr__(self) -> str:
        name = f"dict_{self._what}"
        items = (("", entry) for entry in self)
        return represent(self, f"{name}([", "])", items, again="...")


class _SetView(_View):
    """A view whose elements are hashable: it is also a set, and its operators give plain sets."""

    __slots__ = ()

    def _plain(self) -> set[Any]:
        return set(self._dict._p_all(self._what))

    def __and__(self, other: Any) -> Any:
        if not _is_iterable(other):
            return NotImplemented
        return {entry for entry in other if entry in self}

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        if not _is_iterable(other):
            return NotImplemented
        return self._plain().union(other)

    __ror__ = __or__

    def __sub__(self, other: Any) -> Any:
        if not _is_iterable(other):
            return NotImplemented
        return self._plain().difference(other)

    def __rsub__(self, other: Any) -> Any:
        if not _is_iterable(other):
            return NotImplemented
        return set(other).difference(self._plain())

    def __xor__(self, other: Any) -> Any:
        if not _is_iterable(other):
            return NotImplemented
        return self._plain().symmetric_difference(other)

    __rxor__ = __xor__

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Have the two no element in common?"""
        return not any(entry in self for entry in other)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) == len(other) and self._within(other)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __le__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) <= len(other) and self._within(other)

    def __lt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) < len(other) and self._within(other)

    def __ge__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) >= len(other) and all(entry in self for entry in other)

    def __gt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) > len(other) and all(entry in self for entry in other)

    def __contains__(self, entry: Any) -> bool:
        raise NotImplementedError

    def _within(self, other: Any) -> bool:
        return all(entry in other for entry in self)

    __hash__ = None  # type: ignore[assignment]


def _is_iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True


class PersistentDictKeys(_SetView):
    """The live view that ``PersistentDict.keys()`` gives."""

    __slots__ = ()
    _what = "keys"

    def __contains__(self, key: Any) -> bool:
        return key in self._dict


class PersistentDictItems(_SetView):
    """The live view that ``PersistentDict.items()`` gives."""

    __slots__ = ()
    _what = "items"

    def __contains__(self, item: Any) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        value = self._dict.get(item[0], MISSING)
        return value is not MISSING and bool(value is item[1] or value == item[1])


class PersistentDictValues(_View):
    """The live view that ``PersistentDict.values()`` gives."""

    __slots__ = ()
    _what = "values"

    def __contains__(self, value: Any) -> bool:
        return any(entry is value or entry == value for entry in self)


KeysView.register(PersistentDictKeys)
ItemsView.register(PersistentDictItems)
ValuesView.register(PersistentDictValues)
