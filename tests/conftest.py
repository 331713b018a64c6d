"""Fixtures that the tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import pmemobj

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

POOL_SIZE = 32 * 1024 * 1024


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[pmemobj.PersistentObjectPool]:
    """A fresh pool, closed after the test; its root is an empty PersistentDict."""
    made = pmemobj.create(tmp_path / "test.pmem", POOL_SIZE)
    made.root = {}
    yield made
    made.close()


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[Any], Any]]:
    """Close a pool and open its file again: ``pool = reopen(pool)``."""
    opened = []

    def again(pool: pmemobj.PersistentObjectPool) -> pmemobj.PersistentObjectPool:
        pool.close()
        opened.append(pmemobj.open(tmp_path / "test.pmem"))
        return opened[-1]

    yield again
    for pool in opened:
        pool.close()
