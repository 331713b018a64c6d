"""The ways of keeping state that are compared, each with the settings it is measured with."""

from __future__ import annotations

import importlib
import importlib.util

from benchmarks.stores.base import CRASH, POWER, Store, Unsupported

__all__ = ["CRASH", "POWER", "STORES", "Store", "Unsupported", "installed", "store_class"]

# name on the command line: module, class, the package that it stands on
STORES = {
    "pmemobj": ("pool", "PoolStore", "pmemobj"),
    "lmdb": ("environment", "LmdbStore", "lmdb"),
    "sqlite": ("database", "SqliteStore", "sqlite3"),
    "zodb": ("objects", "ZodbStore", "ZODB"),
    "shelve": ("shelf", "ShelveStore", "shelve"),
    "diskcache": ("cache", "DiskcacheStore", "diskcache"),
    "pickle": ("files", "PickleStore", "pickle"),
    "dill": ("files", "DillStore", "dill"),
    "plain": ("memory", "PlainStore", "builtins"),
}


def installed(name: str) -> bool:
    """Whether the store's package is there."""
    return importlib.util.find_spec(STORES[name][2]) is not None


def store_class(name: str) -> type[Store]:
    """The class of a store; its package is imported only now."""
    module, qualname, _ = STORES[name]
    return getattr(importlib.import_module(f"benchmarks.stores.{module}"), qualname)
