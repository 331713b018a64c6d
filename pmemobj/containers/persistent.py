"""Persistent: what a class must offer whose objects lay out their memory by themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pmemobj.containers.base import CLASS_DEFINED, Stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pmemobj.manager import MemoryManager

__all__ = ["Persistent"]

Oid = tuple[int, int]


class Persistent(ABC):
    """The interface of objects that live in a pool.

    A class with a memory layout of its own implements it, with or without this class as its
    base: ``pool.new`` and ``mm.resurrect`` ask for the methods only. (Most classes are better
    derived from PersistentObject, which needs none of this.)

    The object's memory, to which ``_p_oid`` points, starts with ``pmemobj.HEADER_SIZE`` bytes
    that belong to the library: reference count and type. ``pool.new`` writes them after
    ``_p_new`` and calls ``__init__`` then; all three are one transaction.

    Rules for what a class does with its memory:
        * Every reference that is stored is counted: ``mm.incref`` where one is stored,
          ``mm.decref`` (``xdecref``) where one is overwritten. Immediate oids need neither.
        * ``mm.snapshot_range`` before memory is changed that was not allocated in the same
          transaction; otherwise a rollback does not restore it.
        * ``_p_deallocate``, if there is one, is called when nothing refers to the object any
          more: it drops the object's references and frees its substructures. The object's own
          memory is freed afterwards.

    An optional ``_p_plain()`` gives ``pmemobj.plain`` a volatile copy; the copy's own content
    is then made plain as well.
    """

    __slots__ = ()

    _p_mm: MemoryManager
    _p_oid: Oid

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Stored not in cls.__mro__:
            for hook in tuple(CLASS_DEFINED):
                hook(cls)

    @abstractmethod
    def _p_new(self, manager: MemoryManager) -> None:
        """Allocate and initialise the memory; set ``_p_mm`` and ``_p_oid``. In a transaction."""

    @abstractmethod
    def _p_resurrect(self, manager: MemoryManager, oid: Oid) -> None:
        """Become the object stored at *oid*: set ``_p_mm`` and ``_p_oid``, read what is needed."""

    @abstractmethod
    def _p_traverse(self) -> Iterable[Oid]:
        """The oids of the objects this one refers to, once per reference."""

    @abstractmethod
    def _p_substructures(self) -> Iterable[Oid]:
        """The oids of the other memory that this object allocated."""


Persistent.register(Stored)
