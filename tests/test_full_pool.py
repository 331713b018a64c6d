"""How full a pool gets, and what it says when it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pmemobj

MIB = 1024 * 1024
USABLE = 60 * MIB
"""Of 64 MiB: what libpmemobj's lanes leave."""


def fill(pool: pmemobj.PersistentObjectPool, make: Callable[[int], Any], size: int) -> Any:
    """Append values of *size* bytes to the root until none fits; gives the error."""
    with pytest.raises(pmemobj.PoolFullError) as caught:
        for number in range(2 * USABLE // size):
            pool.root.append(make(number))
    return caught.value


@pytest.mark.parametrize(
    ("size", "share"),
    [
        (100_000, 0.74),
        (128 * 1024, 0.85),
        (256 * 1024, 0.83),
        (300_000, 0.8),
        (512 * 1024, 0.78),
        (600_000, 0.85),
        (MIB - 1000, 0.9),
        (MIB, 0.88),
        (3_000_000, 0.85),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "list"])
def test_values_fill_most_of_a_pool(tmp_path: Path, kind: str, size: int, share: float) -> None:
    """Of what is usable: a block for several values has little left over."""
    content: Any = bytes(size) if kind == "bytes" else [0.5] * (size // 16)
    with pmemobj.create(tmp_path / "a.pmem", 64 * MIB) as pool:
        pool.root = [None] * 1000
        pool.root.clear()
        fill(pool, lambda _: content, size)
        assert len(pool.root) * size > share * USABLE


@pytest.mark.parametrize("size", [100_000, MIB, 3_000_000])
def test_the_largest_piece_is_there(tmp_path: Path, size: int) -> None:
    with pmemobj.create(tmp_path / "a.pmem", 64 * MIB) as pool:
        pool.root = [None] * 1000
        error = fill(pool, lambda _: bytes(size), size)
        assert 0 < error.largest < error.requested < error.free
        header = error.requested - size
        with pytest.raises(pmemobj.PoolFullError):
            pool.root[0] = bytes(error.largest - header + 1)
        pool.root[0] = bytes(error.largest - header)


@pytest.mark.parametrize("size", [2_000_000, 2_200_000, 2_400_000, 2_440_000, 2_700_000])
def test_no_size_wants_more_than_its_own_room(tmp_path: Path, size: int) -> None:
    """In the least of pools, whose largest piece is less than a block for several of them."""
    with pmemobj.create(tmp_path / "a.pmem") as pool:
        pool.root = bytes(size)
        assert len(pool.root) == size
