"""What pmemobj needs of modules that take longer to import than a pool takes to open.

Who starts a program to read one value waits for what pmemobj imports more than for anything else:
``typing``, with what it imports itself, takes as long as Python's own start. So the modules that
are loaded with ``import pmemobj`` take from here what they use of it and of ``array``,
``collections``, ``contextlib``, ``functools``, ``operator``, ``threading``, ``types`` and
``weakref``: the objects that the interpreter has from its start and which those modules pass on,
or a few lines.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import operator
    from _weakref import _remove_dead_weakref as remove_dead  # type: ignore[attr-defined]
    from array import array
    from collections import OrderedDict, deque
    from collections.abc import (
        Callable,
        ItemsView,
        KeysView,
        Mapping,
        MutableMapping,
        MutableSequence,
        MutableSet,
        Sequence,
        Set,
        ValuesView,
    )
    from contextlib import nullcontext, suppress
    from functools import partial
    from threading import RLock, get_ident
    from threading import local as thread_local
    from types import BuiltinFunctionType, GenericAlias, MappingProxyType, NoneType
    from typing import Any, NamedTuple
    from weakref import WeakSet, proxy
    from weakref import ref as weak
else:
    import _operator as operator
    from _collections import OrderedDict, _tuplegetter, deque
    from _collections_abc import (
        ItemsView,
        KeysView,
        Mapping,
        MutableMapping,
        MutableSequence,
        MutableSet,
        Sequence,
        Set,
        ValuesView,
    )
    from _functools import partial
    from _thread import RLock, get_ident
    from _thread import _local as thread_local
    from _weakref import _remove_dead_weakref as remove_dead
    from _weakref import proxy
    from _weakref import ref as weak

    BuiltinFunctionType = type(len)
    GenericAlias = type(list[int])
    MappingProxyType = type(type.__dict__)
    NoneType = type(None)

    def array(*arguments: Any) -> Any:
        """As array's, which imports collections."""
        from array import array as kind

        return kind(*arguments)

    class nullcontext:
        """As contextlib's."""

        __slots__ = ("_given",)

        def __init__(self, given: Any = None) -> None:
            self._given = given

        def __enter__(self) -> Any:
            return self._given

        def __exit__(self, *error: object) -> None:
            pass

    class suppress:
        """As contextlib's."""

        __slots__ = ("_kinds",)

        def __init__(self, *kinds: type[BaseException]) -> None:
            self._kinds = kinds

        def __enter__(self) -> None:
            pass

        def __exit__(self, kind: type[BaseException] | None, *error: object) -> bool:
            return kind is not None and issubclass(kind, self._kinds)

    class WeakSet:
        """The part of weakref's that is used here."""

        def __init__(self) -> None:
            self._refs = {}

        def add(self, item: Any) -> None:
            self._refs[weak(item, self._refs.__delitem__)] = None

        def discard(self, item: Any) -> None:
            self._refs.pop(weak(item), None)

        def clear(self) -> None:
            self._refs.clear()

        def __iter__(self) -> Any:
            # Not a tuple: making one may collect garbage while it goes over the dict.
            return (item for ref in list(self._refs) if (item := ref()) is not None)

    class _NamedTupleType(type):
        def __new__(mcls, name, bases, namespace):
            fields = tuple(namespace.get("__annotations__", ())) if bases != (tuple,) else ()
            namespace["_field_defaults"] = {
                field: namespace.pop(field) for field in fields if field in namespace
            }
            for place, field in enumerate(fields):
                namespace[field] = _tuplegetter(place, None)
            return super().__new__(
                mcls,
                name,
                bases,
                {**namespace, "_fields": fields, "__match_args__": fields, "__slots__": ()},
            )

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        """As typing's; a class of these is made in a tenth of the time."""

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = cls._completed(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _completed(cls, values, named):
            fields = cls._fields
            given = {**cls._field_defaults, **dict(zip(fields, values, strict=False)), **named}
            twice = named.keys() & set(fields[: len(values)])
            if len(values) > len(fields) or twice or given.keys() != set(fields):
                raise TypeError(f"{cls.__name__} takes {', '.join(fields)}, each once")
            return map(given.__getitem__, fields)

        @classmethod
        def _make(cls, values):
            return cls(*values)

        def _replace(self, **named):
            return type(self)(**{**self._asdict(), **named})

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            shown = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({shown})"


def later(module: str, places: dict[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of *module*, whose names in *places* are imported when first asked for.

    *places*: name -> the module that has it.
    """

    def __getattr__(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        __import__(places[name])
        value = getattr(sys.modules[places[name]], name)
        setattr(sys.modules[module], name, value)
        return value

    return __getattr__


__all__ = [
    "BuiltinFunctionType",
    "GenericAlias",
    "ItemsView",
    "KeysView",
    "Mapping",
    "MappingProxyType",
    "MutableMapping",
    "MutableSequence",
    "MutableSet",
    "NamedTuple",
    "NoneType",
    "OrderedDict",
    "RLock",
    "Sequence",
    "Set",
    "ValuesView",
    "WeakSet",
    "array",
    "deque",
    "get_ident",
    "later",
    "nullcontext",
    "operator",
    "partial",
    "proxy",
    "remove_dead",
    "suppress",
    "thread_local",
    "weak",
]
