"""Kinds of values with modules of their own, which are loaded when one of them is met.

Arrays and pickled values need libraries that most programs never import. A module listed here
registers itself: how an object of its type code is read, and how a value becomes an *image*,
which is complete and checked before anything is touched and then builds the object.
"""

from __future__ import annotations

import sys

from pmemobj._native import lib
from pmemobj.errors import MissingClassError
from pmemobj.light import NoneType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from pmemobj.codecs import Encoded

    class Image(Protocol):
        """A value that is ready to be stored."""

        def build(self) -> int:
            """Make the object; gives its offset. Caller: holds the lock, in a transaction."""


__all__ = ["FRESH", "LIBRARIES", "Image", "cacheable", "image_of", "load", "register_kind"]

LIBRARIES = frozenset(
    ("numpy", "pandas", "pyarrow", "polars", "scipy", "sklearn", "torch", "xarray")
)
"""Top-level packages whose values are stored without being nominated."""

FRESH = frozenset((lib.PMO_TYPE_ARRAY, lib.PMO_TYPE_PICKLED))
"""Type codes that no read cache keeps: the next read may have to give another object."""

_LEAVES = frozenset((int, float, str, bytes, bool, NoneType))


def cacheable(value: Any) -> bool:
    """May the next read give the same object? Not one that its reader could change.

    O(1); O(length) of a tuple.
    """
    if type(value) in _LEAVES:
        return True
    work = [value]
    while work:
        cls = type(work[-1])
        if cls is tuple or cls is frozenset:
            work += work.pop()
            continue
        work.pop()
        if cls not in _LEAVES and any(
            base.__module__.partition(".")[0] in LIBRARIES for base in cls.__mro__
        ):
            return False
    return True


_MODULES = {
    lib.PMO_TYPE_RAW: "pmemobj.raws",
    lib.PMO_TYPE_ARRAY: "pmemobj.containers.array",
    lib.PMO_TYPE_PICKLED: "pmemobj.containers.pickled",
}
_NEEDS = {"pmemobj.containers.array": "numpy"}
_loaders: dict[int, Callable[[Any, int], Any]] = {}


def register_kind(type_code: int, load: Callable[[Any, int], Any]) -> None:
    """*load(mm, offset)* gives the object; its module calls this at import."""
    _loaders[type_code] = load


def is_kind(type_code: int) -> bool:
    """Is the type code one of those that ``load`` serves?"""
    return type_code in _MODULES


def load(mm: Any, offset: int, type_code: int) -> Any:
    """The object at *offset*.

    Raises:
        MissingClassError: its library is not installed.
    """
    if type_code not in _loaders:
        module = _MODULES[type_code]
        try:
            __import__(module)
        except ImportError as error:
            needed = _NEEDS.get(module, module)
            raise MissingClassError(
                f"this value needs {needed}, which cannot be imported ({error}); install it, "
                "then read the value again: nothing is lost",
                name=needed,
            ) from error
    return _loaders[type_code](mm, offset)


def _module(type_code: int) -> Any:
    __import__(_MODULES[type_code])
    return sys.modules[_MODULES[type_code]]


def image_of(mm: Any, value: Any) -> Image | Encoded | None:
    """The image of a library's or nominated value, its stored form if that is small, or None.

    Raises:
        UnstorableError: a value of such a type that cannot be stored; says why.
    """
    cls = type(value)
    nominated = cls in mm.pickled_types
    module = cls.__module__
    if not nominated and module not in _NEEDS and module.partition(".")[0] not in LIBRARIES:
        return None
    if "numpy" in sys.modules and not nominated:
        from_array: Any = _module(lib.PMO_TYPE_ARRAY).image
        image: Image | None = from_array(mm, value)
        if image is not None:
            return image
    from_any: Any = _module(lib.PMO_TYPE_PICKLED).image
    found: Image | Encoded = from_any(mm, value)
    return found
