"""Random work on one pool for minutes or hours: memory stays steady and the pool does not grow.

    ./dev soak --minutes 60

The same operations are done to plain containers, which the pool is compared with. Every sample
collects garbage, so that what is used is what is alive: it follows the contents, which random
work keeps small, and does not rise from one quarter of the run to a later one.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "crash"))

import random_work
from crash_cases import Account
from laboratory import canonical, inspect, settle

import pmemobj

POOL_SIZE = 64 << 20
SAMPLES = 60
BLOCK = 64 << 10
MEMORY_SLACK = 8 << 20
POOL_SLACK = 2 << 20


class Sample(NamedTuple):
    """The state after some operations, garbage collected.

    Attributes:
        operations: since the beginning.
        resident: bytes of the process's memory without the pool's pages.
        objects: those in use.
        used: bytes allocated in the pool, overhead included.
        freed: allocations that the collection freed.
    """

    operations: int
    resident: int
    objects: int
    used: int
    freed: int


def private_memory() -> int:
    """Bytes of memory that are this process's own: the pool's pages are the file's."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    raise SystemExit("soak: this kernel does not tell a process's own memory")


def measure(pool: Any, operations: int) -> Sample:
    settle(pool)
    freed = pool.gc().freed
    report = pool.check()
    if not report.ok or report.garbage:
        raise SystemExit(f"soak: after {operations} operations: {report}")
    gc.collect()
    return Sample(
        operations,
        private_memory(),
        report.objects,
        pool._info().used,
        freed,
    )


def grows(figures: list[int], slack: int) -> bool:
    """Is the least of the last quarter above all of the second quarter, by more than *slack*?"""
    quarter = len(figures) // 4
    if quarter == 0:
        return False
    return min(figures[-quarter:]) > max(figures[quarter : 2 * quarter]) + slack


def soak(path: Path, seconds: float, seed: int, most: int = 0) -> list[Sample]:
    """Work for *seconds*, a sixtieth of them from sample to sample.

    *most*: instead, so many operations.
    """
    pool = pmemobj.create(path, POOL_SIZE)
    pool.root = random_work.fill()
    pool.root["object"] = pool.new(Account, "Ada", 1)
    model = pmemobj.plain(pool.root)
    draw = random.Random(seed)
    start = time.monotonic()
    samples: list[Sample] = []
    operations = 0
    while (operations < most) if most else (time.monotonic() - start < seconds):
        operation = random_work.Operation(draw.getrandbits(40))
        operation.on_pool(pool)
        operation.on_plain(model)
        operations += 1
        now = time.monotonic() - start
        done = operations / most if most else now / seconds
        if done >= len(samples) / SAMPLES:
            if inspect(pool) != canonical(model):
                raise SystemExit(f"soak: after {operations} operations the pool is another")
            samples.append(measure(pool, operations))
            show(samples[-1], now)
            if len(samples) % 10 == 0:
                pool.close()
                pool = pmemobj.open(path)
                if not pool.recovery.clean:
                    raise SystemExit("soak: the pool had been closed, and is not clean")
    pool.close()
    return samples


class Room(NamedTuple):
    """What a pool with some content takes, and what it still has room for.

    Attributes:
        used: bytes allocated.
        blocks: how many values of BLOCK bytes can be added.
    """

    used: int
    blocks: int


def room(pool: Any) -> Room:
    used = pool._info().used
    pool.root = [pool.root]
    try:
        while True:
            pool.root.append(bytes(BLOCK))
    except pmemobj.PoolFullError:
        return Room(used, len(pool.root) - 1)


def fragmentation(path: Path) -> tuple[Room, Room]:
    """The room in the pool *path*, and in a new one of the same content."""
    with pmemobj.open(path) as pool:
        content = pmemobj.plain(pool.root)
        churned = room(pool)
    with pmemobj.create(f"{path}.fresh", POOL_SIZE) as pool:
        content["object"] = {k: v for k, v in vars(content["object"]).items() if k[0] != "_"}
        pool.root = content
        return churned, room(pool)


def show(sample: Sample, now: float) -> None:
    print(
        f"{now:7.0f} s  {sample.operations:9,} operations  memory {sample.resident / 1e6:6.1f} MB"
        f"  {sample.objects:5} objects  {sample.used / 1e3:8.1f} KB used  {sample.freed:4} freed",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pmemobj-soak-") as directory:
        path = Path(directory) / "soak.pmem"
        samples = soak(path, options.minutes * 60, options.seed)
        churned, fresh = fragmentation(path)
    print(
        f"{samples[-1].operations:,} operations, "
        f"{sum(each.freed for each in samples):,} allocations freed by gc\n"
        f"fragmentation: {churned.used:,} bytes used, {fresh.used:,} by a new pool of the same "
        f"content; room for {churned.blocks} more blocks of {BLOCK >> 10} KiB, "
        f"for {fresh.blocks} in the new one"
    )
    kinds = {
        "memory of the process": ([each.resident for each in samples], MEMORY_SLACK),
        "bytes used of the pool": ([each.used for each in samples], POOL_SLACK),
    }
    grown = [name for name, (figures, slack) in kinds.items() if grows(figures, slack)]
    if grown:
        raise SystemExit(f"soak: it grew: {', '.join(grown)}")


if __name__ == "__main__":
    main()
