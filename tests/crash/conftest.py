"""Where the crash tests keep their pools."""

from __future__ import annotations

from pathlib import Path

import pytest
from laboratory import Laboratory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a test keeps its pools."""
    return tmp_path


@pytest.fixture
def laboratory(directory: Path) -> Laboratory:
    return Laboratory(directory)
