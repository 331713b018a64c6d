"""A full pool, failures at every place where room is asked for, and Ctrl-C at any instant."""

from __future__ import annotations

import contextlib
import copy
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import random_work
from crash_cases import (
    BLOB,
    DICT_CASES,
    HEAPED,
    LIST_CASES,
    OBJECT_CASES,
    POOL_CASES,
    SET_CASES,
    Account,
    Case,
    PoolCase,
    library,
)
from laboratory import LONG, POOL_SIZE, TALLY, canonical, inspect, settle

import pmemobj
from pmemobj._native import lib

MOST = 5000


def as_pool_case(case: Case) -> PoolCase:
    """A case of one container as a case of a pool."""

    def ready(pool: Any) -> None:
        if case.ready is not None:
            case.ready(pool.root["x"])

    return PoolCase(
        case.name,
        lambda: {"kept": ["a neighbour", 1], "x": copy.deepcopy(case.start)},
        lambda pool: case.change(pool.root["x"]),
        ready,
    )


# Cases of several commits fail in the middle, rightly.
ATOMIC_CASES = [
    *map(as_pool_case, LIST_CASES + DICT_CASES + SET_CASES),
    *OBJECT_CASES,
    *(case for case in POOL_CASES if case.name not in SEVERAL),
]


@contextlib.contextmanager
def prepared(directory: Path, case: PoolCase) -> Iterator[pmemobj.PersistentObjectPool]:
    """A pool for *case*, freshly opened."""
    path = directory / "full.pmem"
    with pmemobj.create(path, POOL_SIZE) as pool:
        case.prepare(pool)
    with pmemobj.open(path) as pool:
        yield pool


def copied(pool: pmemobj.PersistentObjectPool, directory: Path) -> Any:
    """What another process would find if this one died now."""
    path = directory / "copy.pmem"
    shutil.copyfile(pool.path, path)
    pool_size = path.stat().st_size
    assert pool_size == POOL_SIZE
    return path
