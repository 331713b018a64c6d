"""Placeholders for objects with a memory layout of their own whose class is not defined."""

from __future__ import annotations

import operator

from pmemobj.containers.base import missing_attribute
from pmemobj.errors import MissingClassError
from pmemobj.typetable import FOREIGN, register_placeholder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, NoReturn

    from pmemobj.manager import MemoryManager

__all__ = ["MissingCustomObject"]


class MissingCustomObject:
    """The base of the placeholders for objects whose class alone knows their memory.

    It can be stored, compared by identity, and counted; anything else raises MissingClassError.
    The collector frees nothing while there is one, because what it refers to is unknown. Once
    the class is defined the placeholder becomes an instance of it: at once, if the class
    derives from Persistent, else when it is used or read again.
    """

    _p_missing: ClassVar[str] = ""
    _p_reason: ClassVar[str] = ""

    _p_mm: MemoryManager
    _p_oid: tuple[int, int]

    def _p_new(self, manager: MemoryManager) -> NoReturn:
        self._p_refuse()

    def _p_resurrect(self, manager: MemoryManager, oid: tuple[int, int]) -> None:
        self._p_mm = manager
        self._p_oid = oid

    def _p_traverse(self) -> NoReturn:
        self._p_refuse()

    def _p_substructures(self) -> NoReturn:
        self._p_refuse()

    def _p_refuse(self) -> NoReturn:
        if self._p_mm.handles.get(self._p_oid[1]) is not self:
            raise MissingClassError(
                f"the class {self._p_missing} has been defined since, but this placeholder cannot "
                "become one of it; read the object from the pool again",
                name=self._p_missing,
            )
        raise MissingClassError(
            f"{self._p_reason}, and only it knows how its objects lie in the pool; define or "
            "import it, then try again",
            name=self._p_missing,
        )

    def _p_awake(self) -> bool:
        """Become real if the class is defined by now."""
        mm = self._p_mm
        with mm.lock:
            return mm.resurrect_offset(self._p_oid[1]) is self and not _is_placeholder(self)

    def __getattr__(self, name: str) -> Any:
        if (name[:1] != "_" or name == "_p_deallocate") and self._p_awake():
            return getattr(self, name)
        return missing_attribute(self, name)

    def __repr__(self) -> str:
        return f"<placeholder of the missing class {self._p_missing}>"


def _is_placeholder(handle: Any) -> bool:
    return isinstance(handle, MissingCustomObject)


def _forwarder(operation: Callable[..., Any]) -> Any:
    def method(self: Any, *args: Any) -> Any:
        if not self._p_awake():
            self._p_refuse()
        return operation(self, *args)

    return method


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "__call__": lambda real, *args: real(*args),
    "__contains__": operator.contains,
    "__delitem__": operator.delitem,
    "__getitem__": operator.getitem,
    "__iter__": iter,
    "__len__": len,
    "__reversed__": reversed,
    "__setitem__": operator.setitem,
    "_p_plain": lambda real: real._p_plain(),
}
for _name, _operation in _OPERATIONS.items():
    setattr(MissingCustomObject, _name, _forwarder(_operation))


def _placeholder(name: str) -> type:
    module, _, qualname = name.partition(":")
    namespace = {
        "__doc__": f"Stands in for {name}, which is not defined. Nothing is lost.",
        "__module__": module,
        "__qualname__": qualname,
        "_p_missing": name,
    }
    return type(qualname.rpartition(".")[2], (MissingCustomObject,), namespace)


register_placeholder(FOREIGN, _placeholder)
