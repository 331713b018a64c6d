"""Python objects in a memory-mapped, transactional pool: they survive whatever kills the process.

>>> import pmemobj
>>> pool = pmemobj.create("analysis.pmem")
>>> pool.root = {"epoch": 0, "losses": []}
>>> pool.root["losses"].append(0.25)
>>> pool.close()
"""

from __future__ import annotations

from pmemobj.containers.dict import PersistentDict
from pmemobj.containers.list import PersistentList
from pmemobj.errors import *  # noqa: F403
from pmemobj.errors import __all__ as _error_names
from pmemobj.light import later
from pmemobj.manager import HEADER_SIZE, OID_NULL, POBJECT_TYPE_NUM, MemoryManager
from pmemobj.pool import PersistentObjectPool, Recovery, create, open
from pmemobj.poolfile import MIN_POOL_SIZE
from pmemobj.transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pmemobj.checker import CheckReport, check
    from pmemobj.collector import CollectionReport
    from pmemobj.containers.array import PersistentArray
    from pmemobj.containers.object import PersistentObject
    from pmemobj.containers.persistent import Persistent
    from pmemobj.containers.plain import plain
    from pmemobj.containers.set import PersistentSet
    from pmemobj.containers.tuple import PersistentTuple
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


# What many programs do not need.
_LATER = {
    "CheckReport": "pmemobj.checker",
    "CollectionReport": "pmemobj.collector",
    "Persistent": "pmemobj.containers.persistent",
    "PersistentArray": "pmemobj.containers.array",
    "PersistentObject": "pmemobj.containers.object",
    "PersistentSet": "pmemobj.containers.set",
    "PersistentTuple": "pmemobj.containers.tuple",
    "SnapshotReport": "pmemobj.snapshots",
    "check": "pmemobj.checker",
    "plain": "pmemobj.containers.plain",
    "restore": "pmemobj.snapshots",
}
__getattr__ = later(__name__, _LATER)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext pmemobj``: see pmemobj.ipython_ext."""
    from pmemobj import ipython_ext

    ipython_ext.load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext pmemobj``."""
    from pmemobj import ipython_ext

    ipython_ext.unload_ipython_extension(shell)
