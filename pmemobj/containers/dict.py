"""PersistentDict: a dict that lies in the pool."""

from __future__ import annotations

from itertools import islice

from pmemobj._native import lib
from pmemobj.codecs import SIMPLE
from pmemobj.containers.base import (
    BUSY,
    CACHE_LIMIT,
    FIRST_READ,
    MISSING,
    guard_attributes,
    make_placeholder,
    same_value,
)
from pmemobj.containers.gathered import LEAST, MOST, GatheredPairs, gather
from pmemobj.containers.represent import represent
from pmemobj.containers.table import BRIEF, CACHED_KEYS, Page, StoredTable, put_simple
from pmemobj.containers.views import (
    PersistentDictItems,
    PersistentDictKeys,
    PersistentDictValues,
)
from pmemobj.errors import DetachedObjectError
from pmemobj.kinds import cacheable
from pmemobj.light import GenericAlias, Mapping, MutableMapping, get_ident
from pmemobj.typetable import register_builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, ClassVar, NoReturn

_set_int = lib.pmo_table_set_int
_set_str = lib.pmo_table_set_str
_GROWN = lib.PMO_GROWN
COMPLETIONS = 1000  # keys offered to complete one

__all__ = [
    "PersistentDict",
    "PersistentDictItems",
    "PersistentDictKeys",
    "PersistentDictValues",
]


class PersistentDict(StoredTable):
    """A dict in a pool: ``pool.new(PersistentDict, mapping_or_pairs, **more)``.

    Behaves as ``dict`` does: in the order of insertion, with live views. Every method that
    changes it is one transaction, durable on return or when the outermost open transaction
    commits; when it raises, nothing has changed (``update`` included). Plain lists, dicts,
    sets and the tuples that hold some are converted on the way in (shared references and
    cycles kept), so what is read back is their persistent counterpart.

    Keys are what ``dict`` takes and the pool can store; 1, 1.0 and True are one key. Objects are
    keys by their identity, alone and in tuples; a PersistentTuple is stored as the plain one. A NaN
    is found again by its bits. A key that cannot be stored is looked up by the storable value that
    it equals, if it is an instance of a subclass of that value's type or a number; other objects
    with an equality of their own are not found.

    ``copy()`` and ``|`` give plain dicts, ``|=`` changes the dict in the pool. A dict "from
    keys" is ``pool.new(PersistentDict, dict.fromkeys(keys))``.

    Every method that stores something can raise, before anything is changed:
        UnstorableError: no codec covers a key or a value.
        ForeignObjectError: one lives in another pool.
        PoolFullError: there is no room.
    """

    __slots__ = ()

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_DICT
    _p_noun: ClassVar[str] = "dictionary"

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_attributes(cls)

    def __init__(self, mapping_or_iterable: Any = (), /, **more: Any) -> None:
        """Add the items of *mapping_or_iterable* and *more*. O(their number)."""
        pairs = _pairs(mapping_or_iterable)
        pairs.extend(more.items())
        if pairs or not self._p_off:
            self._p_update(pairs)

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None, /) -> NoReturn:
        """Always raises: a class does not know which pool is meant.

        Raises:
            DetachedObjectError: says how to make such a dict.
        """
        raise DetachedObjectError(
            f"{cls.__name__}.fromkeys cannot know the pool: write "
            f"pool.new({cls.__name__}, dict.fromkeys(keys, value))"
        )

    # -- reading -------------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of entries. O(1)."""
        return self._p_length()

    def __getitem__(self, key: Any) -> Any:
        """The value for *key*. O(1), and without entering the core if it was read before.

        Raises:
            KeyError: there is none (and the class has no ``__missing__``).
            TypeError: *key* is not hashable.
        """
        try:
            return self._p_cache[key]
        except KeyError:
            pass
        value = self._p_lookup(key)
        if value is MISSING:
            missing = getattr(type(self), "__missing__", None)
            if missing is not None:
                return missing(self, key)
            raise KeyError(key)
        return value

    def get(self, key: Any, default: Any = None, /) -> Any:
        """The value for *key*, or *default*. O(1)."""
        try:
            return self._p_cache[key]
        except KeyError:
            value = self._p_lookup(key)
            return default if value is MISSING else value

    def __contains__(self, key: Any) -> bool:
        """Is there an entry for *key*? O(1)."""
        return key in self._p_cache or self._p_lookup(key) is not MISSING

    def _p_lookup(self, key: Any) -> Any:
        """As in StoredTable; where keys are looked up in their order, values are read ahead."""
        ahead = self._p_cache.get(_AHEAD)
        if ahead is not None and type(ahead[0]) is type(key) and ahead[0] == key:
            self._p_read_ahead(ahead[1])
            if type(key) in CACHED_KEYS and key in self._p_cache:
                return self._p_cache[key]
        return StoredTable._p_lookup(self, key)

    def _p_pages_from(self, what: str, *seen: int) -> Iterator[tuple[Page, list[Any], int]]:
        """As in StoredTable. Whoever iterates over keys may go on to look each of them up, as
        ``dict(d)`` does when it has them all.
        """
        first = None
        for run in StoredTable._p_pages_from(self, what, *seen):
            if what == "keys" and run[1]:
                ahead = (run[1][0], run[0].start)
                first = first or ahead
                if ahead[0] not in self._p_cache:
                    self._p_cache[_AHEAD] = ahead
            yield run
        if first:
            self._p_cache[_AHEAD] = first

    def _p_read_ahead(self, place: int) -> None:
        """Cache the entries from position *place* on, and remember which key comes after them."""
        mm = self._p_mm
        with mm.lock:
            moves = self._p_moves
            page = self._p_page(place, place + _RUN, True)
            cache = self._p_cache
            cache.pop(_AHEAD, None)
            if page.values is None or type(cache) is not dict:
                return
            if len(page.values.data) > page.keys.length * _SMALL:
                return
            if len(cache) + page.keys.length >= CACHE_LIMIT:
                cache.clear()
            for key, value in self._p_entries(page, "items"):
                if type(key) in CACHED_KEYS and cacheable(value) and self._p_moves == moves:
                    cache[key] = value
            following = self._p_page(page.next, page.next + FIRST_READ, False).keys.values(mm)
            if following and self._p_moves == moves:
                cache[_AHEAD] = (following[0], page.next)

    def __iter__(self) -> Iterator[Any]:
        """Keys in the order of insertion; RuntimeError if some come or go meanwhile."""
        return self._p_walk("keys")

    def __reversed__(self) -> Iterator[Any]:
        """Keys, the last one first."""
        return self._p_walk_back("keys")

    def keys(self) -> PersistentDictKeys:
        """A live view of the keys, which is also a set."""
        return PersistentDictKeys(self)

    def values(self) -> PersistentDictValues:
        """A live view of the values."""
        return PersistentDictValues(self)

    def items(self) -> PersistentDictItems:
        """A live view of the (key, value) pairs, which is also a set."""
        return PersistentDictItems(self)

    # -- one entry -----------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        """Insert or replace the value for *key*. O(1) amortised.

        Raises:
            TypeError: *key* is not hashable.
        """
        # _p_change and GatheredPairs, written out for the commonest: every call counts here.
        mm = self._p_mm
        cache = self._p_cache
        if type(cache) is GatheredPairs:
            if (
                type(key) is str
                and len(key) <= cache.longest
                and ((type(value) is int and LEAST <= value <= MOST) or type(value) is float)
                and key.isascii()
                and get_ident() == cache.thread
            ):
                pairs = cache.open
                if pairs is not None:
                    pairs[key] = value  # nothing has come between
                    if len(pairs) >= cache.room:
                        with mm.lock:
                            mm.attend(self)
                    return
        elif type(key) is str and (not mm.attention or cache is mm.uncached):
            simple = type(value)
            if simple is int or simple in SIMPLE:
                self._p_moves = moves = self._p_moves + 1
                try:
                    if simple is int:
                        name = key.encode()
                        status = _set_int(mm.ctx, self._p_off, name, len(name), value)
                    elif simple is str and len(value) <= BRIEF:
                        name, text = key.encode(), value.encode()
                        status = _set_str(mm.ctx, self._p_off, name, len(name), text, len(text))
                    else:
                        status = put_simple(mm, self._p_off, key, value)
                except (OverflowError, UnicodeEncodeError):
                    status = BUSY  # no int64, or a surrogate: nothing was done
                except BaseException:
                    self._p_cache.pop(key, None)
                    raise
                cache = self._p_cache
                if key in cache:
                    if simple is int and not status and self._p_moves == moves:
                        cache[key] = value  # nothing can come between; see _p_renew
                    else:
                        cache.pop(key, None)
                        self._p_renew(cache, key, value, moves, status)
                if not status:
                    return
                if status == _GROWN:
                    gather(self)
                    return
                if mm.settled(status, self):
                    return
        self._p_put(key, value)

    def __delitem__(self, key: Any) -> None:
        """Remove the entry for *key*. O(1).

        Raises:
            KeyError: there is none.
        """
        if not self._p_delete(self._p_mm.encode_lookup(key), key):
            raise KeyError(key)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """The value for *key*; if there is none, *default* is stored, and returned as stored."""
        with self._p_mm.lock:
            value = self._p_lookup(key)
            if value is not MISSING:
                return value
            PersistentDict.__setitem__(self, key, default)
            return self._p_lookup(key)

    def pop(self, key: Any, default: Any = MISSING, /) -> Any:
        """Remove the entry for *key* and return its value, or *default* if there is none.

        Raises:
            KeyError: there is none, and no default was given.
        """
        with self._p_mm.lock:
            if self._p_length():  # in an empty one *key* need not even be hashable
                encoded = self._p_mm.encode_lookup(key)
                value = self._p_find(encoded, key)
            else:
                value = MISSING
            if value is not MISSING:
                self._p_delete(encoded, key)
                return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[Any, Any]:
        """Remove the entry that was inserted last and return (key, value). O(1).

        Raises:
            KeyError: the dict is empty.
        """
        mm = self._p_mm
        with mm.lock:
            item: tuple[Any, Any] = self._p_last("items")
            if item is MISSING:
                raise KeyError("popitem(): dictionary is empty")
            self._p_delete(mm.encode_lookup(item[0]), item[0])
        return item

    # -- many entries --------------------------------------------------------------------------

    def update(self, mapping_or_iterable: Any = (), /, **more: Any) -> None:
        """Add the items of a mapping or of an iterable of pairs, then *more*; all or none.

        Everything is read and checked before the first entry is written. O(their number).
        """
        pairs = _pairs(mapping_or_iterable)
        pairs.extend(more.items())
        if not pairs:
            self._p_length()  # raises what any other call would
            return
        self._p_update(pairs)

    def clear(self) -> None:
        """Remove all entries. O(n)."""
        self._p_clear()

    def copy(self) -> dict[Any, Any]:
        """A plain dict of the same items. O(n)."""
        return dict(self._p_all("items"))

    # -- operators -----------------------------------------------------------------------------

    def __or__(self, other: Any) -> Any:
        """A plain dict of both one's items; those of the right operand win.

        Or what a plain dict and *other*, if that is another mapping, give.
        """
        mine: Any = dict(self._p_all("items"))
        if isinstance(other, PersistentDict):
            return mine | dict(_pairs(other))
        return mine | other if _has_operator(other, "__ror__") else NotImplemented

    def __ror__(self, other: Any) -> Any:
        mine: Any = dict(self._p_all("items"))
        return other | mine if _has_operator(other, "__or__") else NotImplemented

    def __ior__(self, other: Any) -> PersistentDict:
        PersistentDict.update(self, other)
        return self

    def __eq__(self, other: object) -> Any:
        """Equal to a plain or persistent dict with equal items, in any order. O(n)."""
        if self is other:
            return True
        if not isinstance(other, (dict, PersistentDict)):
            return NotImplemented
        if len(self) != len(other):
            return False
        for page in self._p_pages_of("items"):
            if isinstance(other, PersistentDict):
                found = other._p_find_many([key for key, _ in page])
            else:
                found = [other.get(key, MISSING) for key, _ in page]
            for (_, value), theirs in zip(page, found, strict=True):
                if theirs is MISSING or not same_value(theirs, value):
                    return False
        return True

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = None  # type: ignore[assignment]

    def _ipython_key_completions_(self) -> list[Any]:
        return list(islice(self, COMPLETIONS))

    def __repr__(self) -> str:
        items = ((f"{key!r}: ", value) for key, value in self._p_walk("items"))
        return represent(self, "{", "}", items, again="{...}")

    _repr_pretty_ = StoredTable._repr_pretty_

    # -- plain values --------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied as a plain dict."""
        return (dict, (), None, None, iter(self._p_all("items")))

    def _p_plain_children(self) -> list[Any]:
        return [part for item in self._p_all("items") for part in item]

    def _p_plain_shell(self) -> dict[Any, Any]:
        return {}

    def _p_plain_fill(self, shell: dict[Any, Any], children: list[Any]) -> None:
        shell.update(zip(children[::2], children[1::2], strict=True))


def _has_operator(other: Any, name: str) -> bool:
    return isinstance(other, dict) or (isinstance(other, Mapping) and hasattr(other, name))


def _pairs(source: Any) -> list[tuple[Any, Any]]:
    """The items of what dict.update takes."""
    if isinstance(source, PersistentDict) and type(source).items is PersistentDict.items:
        return source._p_all("items")
    if type(source) is dict:
        return list(source.items())
    if hasattr(source, "keys"):
        keys = source.keys()
        if not hasattr(type(keys), "__iter__"):
            raise TypeError(
                f"{type(source).__name__}.keys() returned a non-iterable (type "
                f"{type(keys).__name__})"
            )
        return [(key, source[key]) for key in keys]
    pairs = []
    for place, element in enumerate(source):
        try:
            pair = tuple(element)
        except TypeError:
            raise TypeError(
                f"cannot convert dictionary update sequence element #{place} to a sequence"
            ) from None
        if len(pair) != 2:
            raise ValueError(
                f"dictionary update sequence element #{place} has length {len(pair)}; 2 is required"
            )
        pairs.append(pair)
    return pairs


_AHEAD = object()  # in a cache: (key, position) of an entry; who looks that key up wants more
_RUN = CACHE_LIMIT // 4  # entries read ahead
_SMALL = 512  # bytes: nothing is read ahead of longer values
_WRITERS = (
    "__delitem__",
    "__ior__",
    "__setitem__",
    "clear",
    "pop",
    "popitem",
    "setdefault",
    "update",
)


def _placeholder(name: str) -> type:
    return make_placeholder(name, PersistentDict, _WRITERS)


MutableMapping.register(PersistentDict)
register_builtin(PersistentDict, lib.PMO_TYPE_DICT, lib.PMO_LAYOUT_DICT, _placeholder)
