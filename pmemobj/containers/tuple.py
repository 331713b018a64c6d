"""PersistentTuple: a tuple that lies in the pool and has an identity there."""

from __future__ import annotations

from pmemobj._native import lib
from pmemobj.containers.base import MISSING, guard_attributes, make_placeholder
from pmemobj.containers.sequence import StoredSequence, whole
from pmemobj.light import GenericAlias, Sequence
from pmemobj.typetable import register_builtin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar

    from pmemobj.manager import MemoryManager

__all__ = ["PersistentTuple"]

_UNFILLED = -1


class PersistentTuple(StoredSequence):
    """A tuple in a pool: ``pool.new(PersistentTuple, iterable)``.

    Behaves as ``tuple`` does, and is equal to and hashed as a plain tuple of equal elements.
    A plain tuple needs none of this: put into a container it comes back as a plain tuple.
    As a key or in a set it is stored as the plain tuple that it equals.
    PersistentTuple is for one that is large, or that several places share by reference.
    Slices, ``+`` and ``*`` give plain tuples.
    """

    __slots__ = ()

    _p_layout: ClassVar[int] = lib.PMO_LAYOUT_SEQUENCE
    _p_plain_type: ClassVar[type] = tuple

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guard_attributes(cls)

    def _p_new(self, manager: MemoryManager) -> None:
        super()._p_new(manager)
        self._p_moves = _UNFILLED

    def __init__(self, iterable: Iterable[Any] = (), /) -> None:
        """Take the elements of *iterable*, once: a later call changes nothing, as with tuple."""
        mm = self._p_mm
        if self._p_off and self._p_moves != _UNFILLED:
            return
        values = whole(iterable)
        if not values:
            self._p_moves = 0
            return
        with mm.lock, mm.storing_many(values, self, 0) as batch:
            self._p_moves = 0
            status = lib.pmo_sequence_splice(mm.ctx, self._p_off, 0, 0, batch)
            if status:
                mm.finish(status, self)

    def __hash__(self) -> int:  # type: ignore[override]
        """That of a plain tuple of the same elements. O(n)."""
        return hash(tuple(self._p_all()))

    def _p_as_key(self) -> tuple[Any, ...] | None:
        """What it is as a key, unless its class has an equality of its own."""
        cls = type(self)
        if cls.__hash__ is PersistentTuple.__hash__ and cls.__eq__ is PersistentTuple.__eq__:
            return tuple(self._p_all())
        return None

    def __repr__(self) -> str:
        text = self._p_represent("(", ")")
        single = text[0] == "(" and text != "(...)" and self._p_length() == 1
        return f"{text[:-1]},)" if single else text

    _repr_pretty_ = StoredSequence._repr_pretty_

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickled and copied as a plain tuple."""
        return (tuple, (self._p_all(),))

    def _p_plain_shell(self) -> Any:
        return MISSING

    def _p_plain_build(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)


def _placeholder(name: str) -> type:
    return make_placeholder(name, PersistentTuple, ())


Sequence.register(PersistentTuple)
register_builtin(PersistentTuple, lib.PMO_TYPE_PTUPLE, lib.PMO_LAYOUT_SEQUENCE, _placeholder)
