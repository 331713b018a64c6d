"""The reading half of lists and tuples: elements by position, in order, compared."""

from __future__ import annotations

import sys
from itertools import chain

from pmemobj._native import ffi, lib
from pmemobj.containers.base import (
    AFTER_CHANGE,
    BATCH,
    CHANGED,
    FIRST_READ,
    LARGEST_READ,
    MISSING,
    MOST_HANDLES,
    Stored,
    capture,
    is_nan,
    same_value,
)
from pmemobj.containers.represent import represent
from pmemobj.light import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set
    from typing import Any, ClassVar

__all__ = ["StoredSequence"]

_SPARSE = 64  # a slice with a longer stride reads its elements one by one


class StoredSequence(Stored):
    """What a list and a tuple have in common: everything that does not change them."""

    __slots__ = ()

    _p_plain_type: ClassVar[type]  # list or tuple

    def __len__(self) -> int:
        """The number of elements. O(1)."""
        return self._p_length()

    def __getitem__(self, index: Any) -> Any:
        """The element at *index*, or for a slice a plain copy of that part.

        O(1), and without entering the core if it was read before. A slice is O(its length).

        Raises:
            IndexError: out of range.
            TypeError: neither an integer nor a slice.
        """
        if type(index) is int:
            try:
                return self._p_cache[index]
            except KeyError:
                return self._p_load(index)
        if isinstance(index, slice):
            return self._p_slice(index)
        return self._p_load(self._p_index(index))

    def _p_index(self, index: Any) -> int:
        if not hasattr(type(index), "__index__"):
            raise TypeError(
                f"{self._p_plain_type.__name__} indices must be integers or slices, "
                f"not {type(index).__name__}"
            )
        return size_index(index, IndexError)

    def _p_indices(self, index: slice) -> tuple[int, int, int]:
        """slice.indices; the length is asked for when every ``__index__`` has been called."""
        return evaluated(index).indices(self._p_length())

    def _p_out_of_range(self, what: str = "index") -> IndexError:
        return IndexError(f"{self._p_plain_type.__name__} {what} out of range")

    def _p_load(self, index: int) -> Any:
        mm = self._p_mm
        with mm.lock:
            if mm.attention:
                mm.attend()
            read, moves = mm.reading(), self._p_moves
            try:
                status = lib.pmo_sequence_get(mm.ctx, self._p_off, index, read)
            except OverflowError:
                raise IndexError("cannot fit 'int' into an index-sized integer") from None
            if status:
                if status == lib.PMO_EINDEX:
                    raise self._p_out_of_range()
                mm.finish(status, self)
            value = self._p_take(read, index if index >= 0 else MISSING, moves)
            return self._p_load(index) if value is CHANGED else value

    def _p_read(self, start: int, limit: int) -> list[Any]:
        """Up to *limit* elements from *start* on; empty only at the end."""
        mm = self._p_mm
        with mm.lock:
            return mm.read_batch(self._p_read_batch(start, limit))

    def _p_read_run(self, start: int, limit: int, inner: Set[Any]) -> Sequence[Any]:
        """As _p_read, to be gone through once.

        *inner*: of those that are containers, the containers at these keys are wanted too.
        """
        mm = self._p_mm
        with mm.lock:
            return mm.read_run(self._p_read_batch(start, limit), inner)

    def _p_read_batch(self, start: int, limit: int) -> Any:
        """A ``pmo_batch *`` of elements. Caller: holds the lock."""
        mm = self._p_mm
        if mm.attention:
            mm.attend()
        batch = ffi.new(BATCH)
        status = lib.pmo_sequence_read(mm.ctx, self._p_off, start, limit, batch)
        if status:
            mm.finish(status, self)
        return batch

    def _p_range(self, start: int, stop: int) -> list[Any]:
        """The elements from *start* to before *stop*, read as one consistent run."""
        if start >= stop:
            return []
        with self._p_mm.lock:
            values = self._p_read(start, stop - start)
            while len(values) < stop - start:
                more = self._p_read(start + len(values), stop - start - len(values))
                if not more:
                    break
                values += more
        return values

    def _p_all(self) -> list[Any]:
        return self._p_range(0, sys.maxsize)

    def _p_slice(self, index: slice) -> Any:
        with self._p_mm.lock:
            start, stop, step = self._p_indices(index)
            if step == 1:
                values = self._p_range(start, stop)
            else:
                places = range(start, stop, step)
                if not places:
                    values = []
                elif abs(step) > _SPARSE:
                    values = [self._p_load(place) for place in places]
                else:
                    low, high = min(places[0], places[-1]), max(places[0], places[-1])
                    run = self._p_range(low, high + 1)
                    values = run[:: abs(step)] if step > 0 else run[::-1][:: abs(step)]
        return values if self._p_plain_type is list else tuple(values)

    def __iter__(self) -> Iterator[Any]:
        """Elements in order; one that is inserted or replaced behind the iterator's place is seen.

        Reads ahead, up to some thousand elements at a time.
        """
        return self._p_walk(0, sys.maxsize)

    def _p_walk(self, place: int, stop: int) -> Iterator[Any]:
        return chain.from_iterable(self._p_runs(place, stop))

    def _p_runs(self, place: int, stop: int) -> Iterator[Iterator[Any]]:
        limit = FIRST_READ
        inner: frozenset[Any] = frozenset()
        while place < stop:
            with self._p_mm.lock:
                moves = self._p_moves
                values = self._p_read_run(place, min(limit, stop - place), inner)
                if not values:
                    return
                ahead = self._p_watch(values, moves)
            try:
                yield ahead.given
            finally:
                self._p_unwatch(ahead)
            most = LARGEST_READ
            if isinstance(values[-1], Stored):
                most = MOST_HANDLES
                inner = frozenset(chain.from_iterable(map(_entered, values[-4:])))
            limit = AFTER_CHANGE if ahead.taken else min(4 * limit, most)
            place += ahead.consumed()

    def __reversed__(self) -> Iterator[Any]:
        """Elements from the last to the first."""
        return self._p_walk_back(self._p_length())

    def _p_walk_back(self, place: int) -> Iterator[Any]:
        return chain.from_iterable(self._p_runs_back(place))

    def _p_runs_back(self, place: int) -> Iterator[Iterator[Any]]:
        limit = FIRST_READ
        while place > 0:
            with self._p_mm.lock:
                moves = self._p_moves
                start = max(0, place - limit)
                values = self._p_range(start, place)
                if start + len(values) < place:
                    if self._p_length() < place:
                        return
                    continue
                values.reverse()
                ahead = self._p_watch(values, moves)
            try:
                yield ahead.given
            finally:
                self._p_unwatch(ahead)
            limit = AFTER_CHANGE if ahead.taken else min(4 * limit, LARGEST_READ)
            place -= ahead.consumed()

    def __contains__(self, value: Any) -> bool:
        """Is an element equal to *value*? O(n)."""
        if is_nan(value):
            return any(same_value(item, value) for item in self._p_walk(0, sys.maxsize))
        return any(item is value or item == value for item in self._p_walk(0, sys.maxsize))

    def index(self, value: Any, start: Any = 0, stop: Any = sys.maxsize, /) -> int:
        """The first position of an element equal to *value*. O(n).

        Raises:
            ValueError: there is none from *start* to before *stop*.
        """
        start, stop = _bound(start), _bound(stop)
        if start < 0 or stop < 0:
            length = self._p_length()
            start = max(start + length, 0) if start < 0 else start
            stop = max(stop + length, 0) if stop < 0 else stop
        start, stop = min(start, sys.maxsize), min(stop, sys.maxsize)
        nan = is_nan(value)
        for place, item in enumerate(self._p_walk(start, stop), start):
            if item is value or item == value or (nan and same_value(item, value)):
                return place
        if self._p_plain_type is tuple:
            raise ValueError("tuple.index(x): x not in tuple")
        raise ValueError(f"{value!r} is not in list")

    def count(self, value: Any, /) -> int:
        """How many elements are equal to *value*. O(n)."""
        if is_nan(value):
            return sum(1 for item in self._p_walk(0, sys.maxsize) if same_value(item, value))
        return sum(1 for item in self._p_walk(0, sys.maxsize) if item is value or item == value)

    def _p_elements_of(self, other: Any) -> Any:
        """*other* as a plain sequence of the same kind, or MISSING if it is none."""
        if not self._p_same_kind(other):
            return MISSING
        if isinstance(other, StoredSequence):
            return other._p_plain_type(other._p_all())
        return other

    def __add__(self, other: Any) -> Any:
        """A plain list (tuple) of both one's elements. O(n)."""
        elements = self._p_elements_of(other)
        if elements is MISSING:
            if type(other).__module__ != "builtins" and hasattr(type(other), "__radd__"):
                return NotImplemented
            kind = self._p_plain_type.__name__
            raise TypeError(f'can only concatenate {kind} (not "{type(other).__name__}") to {kind}')
        return self._p_plain_type(self._p_all()) + elements

    def __radd__(self, other: Any) -> Any:
        elements = self._p_elements_of(other)
        if elements is MISSING:
            return NotImplemented
        return elements + self._p_plain_type(self._p_all())

    def __mul__(self, times: Any) -> Any:
        """A plain list (tuple) of the elements, *times* over. O(n * times)."""
        if not hasattr(type(times), "__index__"):
            return refuse_times(times)
        return self._p_plain_type(self._p_all()) * times

    __rmul__ = __mul__

    def _p_same_kind(self, other: Any) -> bool:
        if isinstance(other, StoredSequence):
            return other._p_plain_type is self._p_plain_type
        return isinstance(other, self._p_plain_type)

    def _p_compare(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        if not self._p_same_kind(other):
            return NotImplemented
        place, limit = 0, FIRST_READ
        while True:
            mine = self._p_read(place, limit)
            stop = place + (len(mine) or 1)
            if isinstance(other, StoredSequence):
                theirs = other._p_range(place, stop)
            else:
                theirs = list(other[place:stop])
            if not mine or mine != theirs:
                mine, theirs = one_nan_each(mine, theirs)
            if not mine or mine != theirs:
                return compare(mine, theirs)
            place += len(mine)
            limit = min(4 * limit, LARGEST_READ)

    def __eq__(self, other: object) -> Any:
        """Equal to a plain or persistent one with equal elements. O(n)."""
        if self is other:
            return True
        if not self._p_same_kind(other):
            return NotImplemented
        if self._p_length() != len(other):  # type: ignore[arg-type]
            return False
        return self._p_compare(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __lt__(self, other: Any) -> Any:
        return self._p_compare(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._p_compare(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._p_compare(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._p_compare(other, operator.ge)

    __hash__ = None  # type: ignore[assignment]

    def _p_represent(self, opening: str, closing: str) -> str:
        items = (("", value) for value in self._p_walk(0, sys.maxsize))
        return represent(self, opening, closing, items, again=f"{opening}...{closing}")

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        mm = self._p_mm
        place = 0
        while True:
            with mm.lock:
                run = capture(self._p_read_batch(place, LARGEST_READ))
            if not run.length:
                return
            place += run.length
            yield from run.references(mm.uuid_lo)

    def _p_plain_children(self) -> list[Any]:
        return self._p_all()


def _entered(value: Any) -> Iterator[Any]:
    """The keys at which containers in this one have been read."""
    if isinstance(value, Stored):
        for key, part in list(value._p_cache.items()):  # another thread may be reading
            if isinstance(part, Stored):
                yield key


def whole(values: Iterable[Any]) -> list[Any]:
    """All of an iterable, in a list of its own; a stored sequence in batches."""
    if isinstance(values, StoredSequence) and type(values).__iter__ is StoredSequence.__iter__:
        return values._p_all()
    if hasattr(type(values), "__length_hint__"):
        operator.length_hint(values)  # raises if it is none
        return [value for value in values]  # noqa: C416  (a hint may lie: list() believes it)
    return list(values)


def evaluated(index: slice) -> slice:
    """The slice with integers in it, so that it calls nothing any more.

    Raises:
        TypeError, ValueError: it cannot be one.
    """
    step, start, stop = (
        operator.index(part) if hasattr(type(part), "__index__") else part
        for part in (index.step, index.start, index.stop)
    )
    made = slice(start, stop, step)
    made.indices(0)
    return made


def _bound(part: Any) -> int:
    if not hasattr(type(part), "__index__"):
        raise TypeError("slice indices must be integers or have an __index__ method")
    return operator.index(part)


def size_index(index: Any, error: type[Exception] = OverflowError) -> int:
    """The integer that *index* is, if a size can be so large.

    Raises:
        OverflowError, or *error*: it is too large, in Python's words.
    """
    number = operator.index(index)
    if -sys.maxsize - 1 <= number <= sys.maxsize:
        return number
    if error is IndexError:
        raise IndexError(f"cannot fit {type(index).__name__!r} into an index-sized integer")
    raise OverflowError("Python int too large to convert to C ssize_t")


def refuse_times(times: Any) -> Any:
    """What multiplying by no integer gives: NotImplemented, if it may know better, or TypeError."""
    if type(times).__module__ != "builtins" and hasattr(type(times), "__rmul__"):
        return NotImplemented
    raise TypeError(f"can't multiply sequence by non-int of type {type(times).__name__!r}")


def one_nan_each(mine: list[Any], theirs: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both with the same object for NaNs of the same bits, so that they compare as in lists."""
    if not any(map(is_nan, mine)):
        return mine, theirs
    replaced = [
        one if is_nan(other) and same_value(one, other) else other
        for one, other in zip(mine, theirs, strict=False)
    ]
    return mine, replaced + theirs[len(replaced) :]


def indices(values: Any) -> Any:
    """*values* (an array of 64-bit items) as the core takes it."""
    return ffi.from_buffer("uint64_t[]", values)
