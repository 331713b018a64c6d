"""Damage in what leads libpmemobj's heap: an error, and never a walk without end."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import pmemobj

HEAP_AT = 5136
ZONE_HEADER = 64
CHUNK_HEADERS = 1024 + ZONE_HEADER


def first_chunk_header(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(HEAP_AT)
        (heap,) = struct.unpack("<Q", file.read(8))
    return int(heap) + CHUNK_HEADERS


def filled(path: Path) -> None:
    with pmemobj.create(path) as pool:
        pool.root = {"lists": [[number] for number in range(300)], "blob": b"x" * 600_000}


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("chunk", [0, 1])
@pytest.mark.parametrize(
    "header", [(3, 1, 0), (4, 1, 0), (2, 0, 0), (3, 1, 60_000), (9, 0, 1), (5, 0, 1), (0, 0, 0)]
)
def test_a_damaged_chunk_header_is_found_at_opening(
    tmp_path: Path, chunk: int, header: tuple[int, int, int]
) -> None:
    path = tmp_path / "a"
    filled(path)
    overwrite(path, first_chunk_header(path) + 8 * chunk, struct.pack("<HHI", *header))
    with pytest.raises(pmemobj.PoolCorruptedError, match="chunk"):
        pmemobj.open(path)


@pytest.mark.parametrize("size", [0, 1 << 40, (1 << 48) - 1])
def test_a_damaged_size_of_an_allocation_is_found(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a"
    filled(path)
    with pmemobj.open(path) as pool:
        _, offset = pool.root["lists"][150]._p_oid
    overwrite(path, offset - 16, struct.pack("<Q", size))
    with pmemobj.open(path) as pool:
        for look in (lambda: pool.gc().freed, lambda: pool.check().problems):
            try:
                found = look()
            except pmemobj.PoolCorruptedError:
                found = ["raised"]
            assert found
        pool.mm.abandon()
