"""Python objects in a memory-mapped, transactional pool: they survive whatever kills the process.

>>> import pmemobj
>>> pool = pmemobj.create("analysis.pmem")
>>> pool.root = {"epoch": 0, "losses": []}
>>> pool.root["losses"].append(0.25)
>>> pool.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pmemobj.checker import CheckReport, check
from pmemobj.collector import CollectionReport
from pmemobj.containers import (
    Persistent,
    PersistentDict,
    PersistentList,
    PersistentObject,
    PersistentSet,
    PersistentTuple,
    plain,
)
from pmemobj.errors import *  # noqa: F403
from pmemobj.errors import __all__ as _error_names
from pmemobj.manager import HEADER_SIZE, OID_NULL, POBJECT_TYPE_NUM, MemoryManager
from pmemobj.pool import PersistentObjectPool, Recovery, create, open
from pmemobj.poolfile import MIN_POOL_SIZE
from pmemobj.transaction import Transaction

if TYPE_CHECKING:
    from typing import Any

    from pmemobj.containers.array import PersistentArray
    from pmemobj.snapshots import SnapshotReport, restore

__version__ = "0.1.0"

__all__ = [
    "HEADER_SIZE",
    "MIN_POOL_SIZE",
    "OID_NULL",
    "POBJECT_TYPE_NUM",
    "CheckReport",
    "CollectionReport",
    "MemoryManager",
    "Persistent",
    "PersistentArray",
    "PersistentDict",
    "PersistentList",
    "PersistentObject",
    "PersistentObjectPool",
    "PersistentSet",
    "PersistentTuple",
    "Recovery",
    "SnapshotReport",
    "Transaction",
    "check",
    "create",
    "load_ipython_extension",
    "open",
    "plain",
    "restore",
    "unload_ipython_extension",
    *_error_names,
]


# What few programs need, and what imports more than everything else.
_LATER = {
    "PersistentArray": "pmemobj.containers.array",
    "SnapshotReport": "pmemobj.snapshots",
    "restore": "pmemobj.snapshots",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import importlib

        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext pmemobj``: see pmemobj.ipython_ext."""
    from pmemobj import ipython_ext

    ipython_ext.load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext pmemobj``."""
    from pmemobj import ipython_ext

    ipython_ext.unload_ipython_extension(shell)
