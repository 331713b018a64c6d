"""The soak itself: it works, and it would notice growth."""

from __future__ import annotations

from pathlib import Path

import pytest
import soak


def test_a_short_soak_is_steady(tmp_path: Path) -> None:
    samples = soak.soak(tmp_path / "soak.pmem", seconds=0, seed=2, most=300)
    assert samples[-1].operations > samples[0].operations
    assert not soak.grows([each.used for each in samples], soak.POOL_SLACK)
    churned, fresh = soak.fragmentation(tmp_path / "soak.pmem")
    assert 0 < fresh.used < soak.POOL_SIZE
    assert churned.blocks > 0.9 * fresh.blocks > 0


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ([5, 9, 5, 9, 5, 9, 5, 9], False),
        ([1, 2, 3, 4, 5, 6, 7, 8], True),
        ([1, 9, 9, 9, 9, 9, 9, 9], False),  # what is warmed up is no growth
        ([1, 1, 1, 1, 1, 1, 1, 9], False),  # a peak is not either
    ],
)
def test_growth_is_noticed(figures: list[int], verdict: bool) -> None:
    assert soak.grows(figures, slack=1) is verdict
