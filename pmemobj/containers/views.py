"""The live views of a PersistentDict: keys, values, items."""

from __future__ import annotations

from pmemobj.containers.algebra import SetAlgebra
from pmemobj.containers.base import MISSING, same_value
from pmemobj.containers.represent import represent
from pmemobj.light import ItemsView, KeysView, MappingProxyType, ValuesView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar, NoReturn

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


class _SetView(_View, SetAlgebra):
    """A view whose elements are hashable: it is also a set, and its operators give plain sets."""

    __slots__ = ()

    def _p_operand(self, other: Any) -> bool:
        iter(other)  # raises TypeError, as dict's views do, though others return NotImplemented
        return True

    def _p_yields(self, left: Any) -> bool:
        return False  # whatever stands beside a dict's view, a set comes out

    def _p_pages(self) -> Iterator[list[Any]]:
        pages: Iterator[list[Any]] = self._dict._p_pages_of(self._what)
        return pages

    def _p_whole(self) -> list[Any]:
        entries: list[Any] = self._dict._p_all(self._what)
        return entries

    def __contains__(self, entry: Any) -> bool:
        raise NotImplementedError


class PersistentDictKeys(_SetView):
    """The live view that ``PersistentDict.keys()`` gives."""

    __slots__ = ()
    _what = "keys"

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def _p_among(self, values: list[Any]) -> list[Any]:
        among: list[Any] = self._dict._p_among(values)
        return among


class PersistentDictItems(_SetView):
    """The live view that ``PersistentDict.items()`` gives."""

    __slots__ = ()
    _what = "items"

    def __contains__(self, item: Any) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        value = self._dict.get(item[0], MISSING)
        return value is not MISSING and bool(same_value(value, item[1]))

    def _p_among(self, values: list[Any]) -> list[Any]:
        items = [item for item in values if isinstance(item, tuple) and len(item) == 2]
        stored = self._dict._p_find_many([item[0] for item in items])
        return [
            item
            for item, value in zip(items, stored, strict=True)
            if value is not MISSING and same_value(value, item[1])
        ]


class PersistentDictValues(_View):
    """The live view that ``PersistentDict.values()`` gives."""

    __slots__ = ()
    _what = "values"

    def __contains__(self, value: Any) -> bool:
        return any(same_value(entry, value) for entry in self)


KeysView.register(PersistentDictKeys)
ItemsView.register(PersistentDictItems)
ValuesView.register(PersistentDictValues)
