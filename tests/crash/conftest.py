"""Where the crash tests keep their pools."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import Laboratory

MEMORY = Path("/dev/shm")
ROOM = 1 << 30


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, if there is room: what is tested does not depend on a disk."""
    if not (os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM):
        yield tmp_path
        return
    made = Path(tempfile.mkdtemp(prefix="pmemobj-test-", dir=MEMORY))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def laboratory(directory: Path) -> Laboratory:
    return Laboratory(directory)
