"""PersistentList: a list that lies in the pool."""

from __future__ import annotations

from pmemobj._native import lib
from pmemobj.codecs import SIMPLE
from pmemobj.containers.base import (
    BUSY,
    MISSING,
    NO_VALUES,
    REMOVAL,
    guard_attributes,
    make_placeholder,
)
from pmemobj.containers.sequence import (
    StoredSequence,
    evaluated,
    indices,
    refuse_times,
    size_index,
    whole,
)
from pmemobj.light import GenericAlias, MutableSequence, array, operator
from pmemobj.typetable import register_builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar

__all__ = ["PersistentList"]

_sequence_append_int = lib.pmo_sequence_append_int
_EINDEX = lib.PMO_EINDEX
_sequence_set_int = lib.pmo_sequence_set_int
_sequence_append = lib.pmo_sequence_append
_sequence_set = lib.pmo_sequence_set


class PersistentList(StoredSequence):
    """A list in a pool: ``pool.new(PersistentList, iterable)``.

    Behaves as ``list`` does. Every method that changes it is one transaction, durable on
    return or when the outermost open transaction commits; when it raises, nothing has changed.
    Plain lists, dicts, sets and the tuples that hold some are converted on the way in
    (shared references and cycles kept), so what is read back is their persistent counterpart.

    Results that are new objects (slices, ``copy()``, ``+``, ``*``) are plain lists;
    ``+=``, ``*=`` and slice assignment change the list in the pool.

    Every method that stores values can raise, before anything is changed:
        UnstorableError: no codec covers a value.
        ForeignObjectError: a value lives in another pool.
        PoolFullError: there is no room.
    """

    __slots__ = ()

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_SEQUENCE
    _p_plain_type: ClassVar[type] = list

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_attributes(cls)

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        """Take the elements of *iterable*, instead of those there were. O(n)."""
        values = whole(iterable)
        with self._p_mm.lock:
            if values or self._p_length():
                self._p_splice(0, None, values)

    # -- the two ways into the core ------------------------------------------------------

    def _p_splice(self, start: int, stop: int | None, values: list[Any]) -> None:
        """Put *values* in the place of elements start..stop-1; None: up to the end."""
        mm = self._p_mm
        if not values:
            with mm.lock:
                if mm.attention:
                    mm.attend(self)
                self._p_splice_batch(start, stop, NO_VALUES)
            return
        with mm.lock, mm.storing_many(values, self, start) as batch:
            self._p_splice_batch(start, stop, batch)

    def _p_splice_batch(self, start: int, stop: int | None, batch: Any) -> None:
        mm = self._p_mm
        length = self._p_length()
        if stop is None:
            stop = length
        if start < length:
            self._p_cache.clear()
        self._p_moves += REMOVAL
        status = lib.pmo_sequence_splice(mm.ctx, self._p_off, start, stop, batch)
        if status:
            mm.finish(status, self)

    def append(self, value: Any, /) -> None:
        """Add *value* at the end. O(1) amortised."""
        if type(value) is int:  # _p_change, written out: every call counts here
            mm = self._p_mm
            if not mm.attention or self._p_cache is mm.uncached:
                self._p_moves += 1
                try:
                    status = _sequence_append_int(mm.ctx, self._p_off, value)
                except OverflowError:
                    status = BUSY  # not an int64
                if not status or mm.settled(status, self):
                    return
        encoded = self._p_mm.encode(value)
        if encoded is None:
            PersistentList.extend(self, (value,))
        else:
            self._p_change(None, None, MISSING, 1, _sequence_append, *encoded)

    # -- single elements -------------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        """Replace the element at *index* (O(1)) or the elements of a slice (O(n)).

        Raises:
            IndexError: out of range.
            TypeError: neither an integer nor a slice, or the value for a slice not iterable.
            ValueError: an extended slice and another number of values.
        """
        if type(value) is int and type(index) is int and index >= 0:  # _p_change, written out
            mm = self._p_mm
            if not mm.attention or self._p_cache is mm.uncached:
                self._p_moves = moves = self._p_moves + 1
                try:
                    status = _sequence_set_int(mm.ctx, self._p_off, index, value)
                except OverflowError:
                    status = BUSY  # the index or the value is not an int64
                except BaseException:
                    self._p_cache.pop(index, None)
                    raise
                cache = self._p_cache
                if index in cache:
                    if not status and self._p_moves == moves:
                        cache[index] = value  # nothing can come between; see _p_renew
                    else:
                        cache.pop(index, None)
                if not status or (status != _EINDEX and mm.settled(status, self)):
                    return
        if isinstance(index, slice):
            self._p_set_slice(index, value)
            return
        place = index if type(index) is int else self._p_index(index)
        if place < 0:
            place = size_index(place, IndexError)
            with self._p_mm.lock:
                PersistentList.__setitem__(self, self._p_place(place, "assignment index"), value)
            return
        encoded = self._p_mm.encode(value)
        if encoded is None:
            place = size_index(place, IndexError)
            with self._p_mm.lock:
                place = self._p_place(place, "assignment index")
                self._p_splice(place, place + 1, [value])
            return
        cached = value if type(value) in SIMPLE else MISSING
        try:
            status = self._p_change(None, place, cached, 1, _sequence_set, place, *encoded)
        except OverflowError:
            raise IndexError("cannot fit 'int' into an index-sized integer") from None
        if status:
            raise self._p_out_of_range("assignment index")

    def _p_place(self, index: int, what: str) -> int:
        """A position in range, not negative. Caller: holds the lock."""
        length = self._p_length()
        place = index + length if index < 0 else index
        if not 0 <= place < length:
            raise self._p_out_of_range(what)
        return place

    def __delitem__(self, index: Any) -> None:
        """Remove the element at *index* or those of a slice. O(n).

        Raises:
            IndexError: out of range.
            TypeError: neither an integer nor a slice.
        """
        if isinstance(index, slice):
            self._p_delete_slice(index)
            return
        place = self._p_index(index)
        with self._p_mm.lock:
            place = self._p_place(place, "assignment index")
            self._p_splice(place, place + 1, [])

    def insert(self, index: Any, value: Any, /) -> None:
        """Put *value* before *index*; one out of range means the start or the end. O(n)."""
        index = size_index(index)
        with self._p_mm.lock:
            length = self._p_length()
            place = max(index + length, 0) if index < 0 else min(index, length)
            self._p_splice(place, place, [value])

    def pop(self, index: Any = -1, /) -> Any:
        """Remove the element at *index* and return it. O(1) at the end.

        Raises:
            IndexError: out of range, or the list is empty.
        """
        index = size_index(index)
        with self._p_mm.lock:
            if not self._p_length():
                raise IndexError("pop from empty list")
            if not -self._p_length() <= index < self._p_length():
                raise IndexError("pop index out of range")
            place = self._p_place(index, "index")
            value = StoredSequence.__getitem__(self, place)
            self._p_splice(place, place + 1, [])
        return value

    def remove(self, value: Any, /) -> None:
        """Remove the first element equal to *value*. O(n).

        Raises:
            ValueError: there is none.
        """
        with self._p_mm.lock:
            try:
                place = StoredSequence.index(self, value)
            except ValueError:
                raise ValueError("list.remove(x): x not in list") from None
            if place < self._p_length():
                self._p_splice(place, place + 1, [])

    # -- many elements ---------------------------------------------------------------------

    def extend(self, iterable: Iterable[Any], /) -> None:
        """Add the elements of *iterable* at the end, in one transaction. O(their number).

        *iterable* is consumed and its values are checked before anything is written.
        """
        values = whole(iterable)
        length = self._p_length()
        if values:
            mm = self._p_mm
            with mm.lock, mm.storing_many(values, self, length) as batch:
                self._p_splice_batch(self._p_length(), None, batch)

    def __iadd__(self, values: Iterable[Any]) -> PersistentList:  # type: ignore[misc]
        PersistentList.extend(self, values)
        return self

    def __imul__(self, times: Any) -> Any:
        """Repeat the elements in place. O(n * times)."""
        if not hasattr(type(times), "__index__"):
            return refuse_times(times)
        times = operator.index(times)
        operator.mul((), times)  # raises OverflowError, as list does
        with self._p_mm.lock:
            if times <= 0:
                PersistentList.clear(self)
            elif self._p_length() and times > 1:
                PersistentList.extend(self, self._p_all() * (times - 1))
        return self

    def clear(self) -> None:
        """Remove all elements. O(n)."""
        with self._p_mm.lock:
            if self._p_length():
                self._p_splice(0, None, [])

    def reverse(self) -> None:
        """Reverse the order in place. O(n)."""
        mm = self._p_mm
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            self._p_cache.clear()
            self._p_moves += REMOVAL
            status = lib.pmo_sequence_reverse(mm.ctx, self._p_off)
            if status:
                mm.finish(status, self)

    def sort(self, *, key: Callable[[Any], Any] | None = None, reverse: Any = False) -> None:
        """Sort in place, stably. O(n log n) comparisons, then one transaction.

        When a comparison or *key* raises, the order is what it was.

        Raises:
            ValueError: the list was changed meanwhile (by *key* or a comparison).
            TypeError: elements cannot be compared.
        """
        moves = self._p_moves
        values = self._p_all()
        ranks = values if key is None else [key(value) for value in values]
        order = sorted(range(len(values)), key=ranks.__getitem__, reverse=reverse)
        mm = self._p_mm
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            if self._p_length() != len(values) or self._p_moves != moves:
                raise ValueError("list modified during sort")
            self._p_cache.clear()
            self._p_moves += REMOVAL
            permutation = indices(array("Q", order))
            status = lib.pmo_sequence_permute(mm.ctx, self._p_off, permutation, len(order))
            if status:
                mm.finish(status, self)

    def copy(self) -> list[Any]:
        """A plain list of the same elements. O(n)."""
        return self._p_all()

    def _p_set_slice(self, index: slice, iterable: Any) -> None:
        index = evaluated(index)
        if not (hasattr(type(iterable), "__iter__") or hasattr(type(iterable), "__getitem__")):
            [][index] = iterable  # raises, in the words of this Python's list
        values = whole(iterable)
        mm = self._p_mm
        with mm.lock:
            start, stop, step = self._p_indices(index)
            if step == 1:
                self._p_splice(start, max(start, stop), values)
                return
            count = len(range(start, stop, step))
            if len(values) != count:
                raise ValueError(
                    f"attempt to assign sequence of size {len(values)} "
                    f"to extended slice of size {count}"
                )
            if not count:
                return
            with mm.storing_many(values, self, start) as batch:
                self._p_cache.clear()
                self._p_moves += 1
                status = lib.pmo_sequence_set_stride(
                    mm.ctx, self._p_off, start, step if count > 1 else 1, batch
                )
                if status:
                    mm.finish(status, self)

    def _p_delete_slice(self, index: slice) -> None:
        mm = self._p_mm
        with mm.lock:
            start, stop, step = self._p_indices(index)
            places = range(start, stop, step)
            if not places:
                return
            if step < 0:
                places = places[::-1]
            if places.step == 1 or len(places) == 1:
                self._p_splice(places[0], places[-1] + 1, [])
                return
            if mm.attention:
                mm.attend(self)
            self._p_cache.clear()
            self._p_moves += REMOVAL
            status = lib.pmo_sequence_delete_stride(
                mm.ctx, self._p_off, places[0], places.step, len(places)
            )
            if status:
                mm.finish(status, self)

    # -- plain values ------------------------------------------------------------------------

    def __repr__(self) -> str:
        return self._p_represent("[", "]")

    _repr_pretty_ = StoredSequence._repr_pretty_

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied as a plain list."""
        return (list, (), None, iter(self._p_all()))

    def _p_plain_shell(self) -> list[Any]:
        return []

    def _p_plain_fill(self, shell: list[Any], children: list[Any]) -> None:
        shell.extend(children)


_WRITERS = (
    "__delitem__",
    "__iadd__",
    "__imul__",
    "__setitem__",
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
)


def _placeholder(name: str) -> type:
    return make_placeholder(name, PersistentList, _WRITERS)


MutableSequence.register(PersistentList)
register_builtin(PersistentList, lib.PMO_TYPE_LIST, lib.PMO_LAYOUT_SEQUENCE, _placeholder)
