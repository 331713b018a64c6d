"""Damaged pools never crash a process, and never give wrong data."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage import try_damages
from laboratory import LONG, TALLY

TRIED = 6000 if LONG else 150


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "unclean"])
def test_damaged_pools(clean: bool, tmp_path: Path) -> None:
    toll = try_damages(tmp_path, range(TRIED), clean)
    TALLY.damaged += toll.tried
    TALLY.moved += toll.moved
    TALLY.misled += toll.misled
    assert toll.tried == TRIED
    assert not toll.bad, "\n".join(toll.bad)
    assert toll.misled < TRIED // 10
    assert toll.told > TRIED // 8  # much of a file is free memory, where damage does nothing
