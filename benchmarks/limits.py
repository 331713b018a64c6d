"""What this machine can do at best, beside which everything else is to be read."""

from __future__ import annotations

import os
import time
from pathlib import Path

MIB = 1 << 20
BLOCK = 256 * MIB
SYNCS = 100


def copied(directory: Path) -> float:
    """Seconds that memcpy takes for one MiB, within 256 MiB."""
    source, target = bytearray(BLOCK), memoryview(bytearray(BLOCK))
    target[:] = source
    start = time.perf_counter()
    target[:] = source
    return (time.perf_counter() - start) / (BLOCK // MIB)


def written(directory: Path) -> float:
    """Seconds that write() takes for one MiB, into the page cache."""
    block = bytes(MIB)
    with (directory / "file").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(BLOCK // MIB):
            file.write(block)
        return (time.perf_counter() - start) / (BLOCK // MIB)


def synced(directory: Path) -> float:
    """Seconds that overwriting 4 KiB and fdatasync take."""
    block = bytes(4096)
    with (directory / "file").open("wb", buffering=0) as file:
        file.write(block * SYNCS)
        os.fsync(file.fileno())
        start = time.perf_counter()
        for i in range(SYNCS):
            os.pwrite(file.fileno(), block, i * 4096)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - start) / SYNCS
