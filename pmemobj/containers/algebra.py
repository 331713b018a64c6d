"""What sets and views of dicts share: operators, comparisons, many elements at once."""

from __future__ import annotations

from pmemobj.light import Set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any


__all__ = ["SetAlgebra", "listed"]


class SetAlgebra:
    """The operators and comparisons of a set, in terms of a few questions.

    ``&``, comparisons and ``isdisjoint`` cost what the smaller operand has, with a call of the
    core for thousands of elements. Results are plain sets.
    """

    __slots__ = ()

    def __len__(self) -> int:
        raise NotImplementedError

    def _p_pages(self) -> Iterator[list[Any]]:
        """All elements, thousands at a time; RuntimeError if some come or go meanwhile."""
        raise NotImplementedError

    def _p_whole(self) -> list[Any]:
        """All elements as one consistent list."""
        raise NotImplementedError

    def _p_among(self, values: list[Any]) -> list[Any]:
        """Those of *values* that are elements."""
        raise NotImplementedError

    def _p_operand(self, other: Any) -> bool:
        """Can *other* stand beside an operator?"""
        raise NotImplementedError

    def _p_common(self, other: Iterable[Any]) -> list[Any]:
        """What is in both."""
        if isinstance(other, Set) and len(other) > len(self):
            return _within(self._p_whole(), other)
        return self._p_among(listed(other))

    def _p_subset(self, other: Set[Any]) -> bool:
        return all(len(_within(page, other)) == len(page) for page in self._p_pages())

    def _p_superset(self, other: Iterable[Any]) -> bool:
        values = listed(other)
        return len(self._p_among(values)) == len(values)

    def _p_yields(self, left: Any) -> bool:
        """Does *left*, before an operator, say which type comes out, as a frozenset does?"""
        return isinstance(left, (set, frozenset))

    def _p_beside(self, left: Any) -> Any:
        """A left operand as something with set's methods."""
        return left if self._p_yields(left) else set(left)

    def _p_combined(self, how: Callable[[set[Any], list[Any]], set[Any]], other: Any) -> Any:
        """All elements and those of a right operand, by a method of set."""
        if not self._p_operand(other):
            return NotImplemented
        return how(set(self._p_whole()), listed(other))

    # -- operators -----------------------------------------------------------------------------

    def __and__(self, other: Any) -> Any:
        return set(self._p_common(other)) if self._p_operand(other) else NotImplemented

    def __or__(self, other: Any) -> Any:
        return self._p_combined(set.union, other)

    def __sub__(self, other: Any) -> Any:
        return self._p_combined(set.difference, other)

    def __xor__(self, other: Any) -> Any:
        return self._p_combined(set.symmetric_difference, other)

    def __rand__(self, other: Any) -> Any:
        if not self._p_operand(other):
            return NotImplemented
        common = self._p_common(other)
        return other.intersection(common) if self._p_yields(other) else set(common)

    def __ror__(self, other: Any) -> Any:
        if not self._p_operand(other):
            return NotImplemented
        return self._p_beside(other).union(set(self._p_whole()))

    def __rsub__(self, other: Any) -> Any:
        if not self._p_operand(other):
            return NotImplemented
        left = self._p_beside(other)
        return left.difference(self._p_among(list(left)))

    def __rxor__(self, other: Any) -> Any:
        if not self._p_operand(other):
            return NotImplemented
        return self._p_beside(other).symmetric_difference(set(self._p_whole()))

    # -- comparison ----------------------------------------------------------------------------

    def isdisjoint(self, other: Iterable[Any], /) -> bool:
        """Have the two no element in common? O(the smaller one)."""
        return not self._p_common(other)

    def __eq__(self, other: object) -> Any:
        """Equal to any set with equal elements. O(n)."""
        if self is other:
            return True
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) == len(other) and self._p_subset(other)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __le__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) <= len(other) and self._p_subset(other)

    def __lt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) < len(other) and self._p_subset(other)

    def __ge__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) >= len(other) and self._p_superset(other)

    def __gt__(self, other: Any) -> Any:
        if not isinstance(other, Set):
            return NotImplemented
        return len(self) > len(other) and self._p_superset(other)

    __hash__ = None  # type: ignore[assignment]


def _within(values: list[Any], other: Set[Any]) -> list[Any]:
    if isinstance(other, SetAlgebra):
        return other._p_among(values)
    return [value for value in values if value in other]


def listed(values: Iterable[Any]) -> list[Any]:
    """The elements of any iterable; those of a stored one as one consistent run."""
    return values._p_whole() if isinstance(values, SetAlgebra) else list(values)
