"""The core's tests drive pmo.h through cffi; core_driver.py holds what they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from core_driver import Core
from graph_driver import Graph


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """A fresh pool of 64 MiB, deleted at the end."""
    opened = Core(tmp_path / "core.pool")
    yield opened
    opened.discard()


@pytest.fixture
def graph(core: Core) -> Graph:
    """An empty list at the root of a fresh pool, to hang other objects on."""
    return Graph(core)
