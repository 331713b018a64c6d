"""Names under a pool's root: ``ws.x = value`` keeps x.

A Workspace stores nothing of its own: it is a view over the PersistentDict that
is the pool's root.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from difflib import get_close_matches
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, TypeVar

from pmemobj.containers.dict import PersistentDict
from pmemobj.display import html, text
from pmemobj.display.settings import settings
from pmemobj.errors import InvalidTypeError, WorkspaceNameError, WorkspaceRootError
from pmemobj.pool import PersistentObjectPool
from pmemobj.report import workspace_summary

if TYPE_CHECKING:
    from pmemobj.containers.dict import (
        PersistentDictItems,
        PersistentDictKeys,
        PersistentDictValues,
    )

__all__ = ["Workspace"]

T = TypeVar("T")

_DISPLAY_PROTOCOLS = ("_repr_", "_ipython_")


class Workspace:
    """The variables of a pool, as attributes and as items.

    ``ws.x = v`` and ``ws["x"] = v`` are the same; a name that is no identifier, or
    that is one of this class's own (``ws.items``), goes by ``ws["items"]`` only.
    Each assignment and deletion is durable on return, or when the outermost open
    transaction commits. Plain lists, dicts, sets and tuples are converted.

    Raises:
        WorkspaceRootError: the pool's root is something else than a PersistentDict.
        InvalidTypeError: *pool* is no pool.
    """

    __slots__ = ("__weakref__", "_name", "_pool")

    _name: str
    _pool: PersistentObjectPool

    def __init__(self, pool: PersistentObjectPool, name: str = "ws") -> None:
        if not isinstance(pool, PersistentObjectPool):
            raise InvalidTypeError(f"a workspace needs an open pool, not {type(pool).__name__}")
        _root_dict(pool)
        object.__setattr__(self, "_pool", pool)
        object.__setattr__(self, "_name", name)

    @property
    def _root(self) -> PersistentDict:
        return _root_dict(self._pool)

    @property
    def pool(self) -> PersistentObjectPool:
        """The pool itself."""
        return self._pool

    def new(self, cls: type[T], /, *args: Any, **kwargs: Any) -> T:
        """Make an instance of a persistent class in this pool.

        It is kept once something under the workspace refers to it. Errors as pool.new.
        """
        return self._pool.new(cls, *args, **kwargs)

    def transaction(self) -> AbstractContextManager[Any]:
        """A context in which all changes commit together, or none does."""
        return self._pool.transaction()

    def get(self, name: object, default: Any = None) -> Any:
        """The variable *name*, or *default*. O(1)."""
        return self._root.get(name, default)

    def keys(self) -> PersistentDictKeys:
        """The names, in the order in which they were first assigned."""
        return self._root.keys()

    def values(self) -> PersistentDictValues:
        """The values, in order."""
        return self._root.values()

    def items(self) -> PersistentDictItems:
        """Names and values, in order."""
        return self._root.items()

    def __getitem__(self, name: object) -> Any:
        return self._root[name]

    def __setitem__(self, name: object, value: Any) -> None:
        self._root[name] = value

    def __delitem__(self, name: object) -> None:
        del self._root[name]

    def __contains__(self, name: object) -> bool:
        return name in self._root

    def __iter__(self) -> Iterator[Any]:
        return iter(self._root)

    def __len__(self) -> int:
        return len(self._root)

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_" and _is_reserved(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            return _root_dict(self._pool)[name]
        except KeyError:
            raise _no_variable(self, name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        _check_assignable(self, name)
        self._root[name] = value

    def __delattr__(self, name: str) -> None:
        _check_assignable(self, name)
        try:
            del self._root[name]
        except KeyError:
            raise _no_variable(self, name) from None

    def __dir__(self) -> list[str]:
        own = [name for name in super().__dir__() if not name.startswith("_")]
        return sorted({*own, *_attribute_names(self)})

    def _ipython_key_completions_(self) -> list[str]:
        return [name for name in self._root._ipython_key_completions_() if isinstance(name, str)]

    def __repr__(self) -> str:
        return text.render(workspace_summary(self._pool, self._name, nested=False))

    def _repr_html_(self) -> str | None:
        if not settings.html:
            return None
        return html.render(workspace_summary(self._pool, self._name), settings.max_depth)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Workspace is a view of an open pool and cannot be pickled; "
            "pmemobj.plain(dict(ws)) gives plain values"
        )


def _root_dict(pool: PersistentObjectPool) -> PersistentDict:
    root = pool.root
    if root is None:
        pool.root = pool.new(PersistentDict)
        root = pool.root
    if isinstance(root, PersistentDict):
        return root
    raise WorkspaceRootError(
        f"the root of {str(pool.path)!r} is a {type(root).__name__}, and a workspace needs a "
        "PersistentDict: use pool.root as it is, or move it aside with "
        "pool.root = {'old': pool.root}"
    )


def _is_reserved(name: str) -> bool:
    return (name.startswith("__") and name.endswith("__")) or name.startswith(_DISPLAY_PROTOCOLS)


def _check_assignable(workspace: Workspace, name: str) -> None:
    if _is_reserved(name) or hasattr(type(workspace), name):
        raise WorkspaceNameError(
            f"{name!r} is a name of the workspace itself: use {workspace._name}[{name!r}]",
            name=name,
            obj=workspace,
        )


def _no_variable(workspace: Workspace, name: str) -> WorkspaceNameError:
    names = [key for key in workspace._root if isinstance(key, str)]
    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return WorkspaceNameError(f"no variable {name!r} here{hint}", name=name, obj=workspace)


def _attribute_names(workspace: Workspace) -> list[str]:
    return [
        name
        for name in workspace._root
        if isinstance(name, str)
        and name.isidentifier()
        and not iskeyword(name)
        and not _is_reserved(name)
        and not hasattr(type(workspace), name)
    ]
