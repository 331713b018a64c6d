"""What is measured: one function per contender, each run in a process of its own.

``python -m benchmarks.measures NAME DIRECTORY`` prints the seconds that one operation
took, averaged over the run, and nothing else. DIRECTORY is empty and thrown away after.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import printed_by, seconds

MIB = 1024 * 1024
GIB = 1024 * MIB

COMMITS = 100_000
KEYS = 1_000
DISPLAYS = 41

Measure = Callable[[Path], float]
MEASURES: dict[str, Measure] = {}


def measure(name: str) -> Callable[[Measure], Measure]:
    def register(function: Measure) -> Measure:
        MEASURES[name] = function
        return function

    return register


def run_measure(name: str, directory: Path) -> float:
    """Run one contender in a process of its own; the seconds of one operation."""
    return float(json.loads(printed_by("measures", name, directory)))


@contextmanager
def fresh_pool(directory: Path, size: int = 64 * MIB) -> Iterator[Any]:
    import pmemobj

    with pmemobj.create(directory / "bench.pool", pool_size=size, durability="process") as pool:
        pool.root = {}
        yield pool


# ---- raw libpmemobj -----------------------------------------------------------------


def build_raw(directory: Path) -> Path:
    """Compile raw.c; the program's path."""
    program = directory / "raw"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libpmemobj"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    source = Path(__file__).with_name("raw.c")
    subprocess.run(["cc", "-O2", "-rdynamic", str(source), "-o", str(program), *flags], check=True)
    return program


def raw(shape: str) -> Measure:
    def run(directory: Path) -> float:
        program = build_raw(directory)
        return float(
            subprocess.run(
                [str(program), str(directory / "raw.pool"), shape, str(3 * COMMITS)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )

    return run


for shape in ("word", "store", "append", "insert"):
    measure(f"raw-{shape}")(raw(shape))


# ---- one committed change -------------------------------------------------------------


@measure("dict-replace")
def dict_replace(directory: Path) -> float:
    with fresh_pool(directory) as pool:
        keys = [f"key{i}" for i in range(KEYS)]
        pool.root["d"] = dict.fromkeys(keys, 0)
        stored = pool.root["d"]
        rounds = COMMITS // KEYS
        start = time.perf_counter()
        for i in range(rounds):
            for key in keys:
                stored[key] = i
        return (time.perf_counter() - start) / (rounds * KEYS)


@measure("dict-insert")
def dict_insert(directory: Path) -> float:
    with fresh_pool(directory) as pool:
        pool.root["d"] = {}
        stored = pool.root["d"]
        keys = [f"key{i}" for i in range(COMMITS)]
        start = time.perf_counter()
        for key in keys:
            stored[key] = 1
        return (time.perf_counter() - start) / COMMITS


@measure("list-append")
def list_append(directory: Path) -> float:
    with fresh_pool(directory) as pool:
        pool.root["l"] = []
        stored = pool.root["l"]
        start = time.perf_counter()
        for i in range(COMMITS):
            stored.append(i)
        return (time.perf_counter() - start) / COMMITS


@measure("list-replace")
def list_replace(directory: Path) -> float:
    with fresh_pool(directory) as pool:
        pool.root["l"] = [0] * KEYS
        stored = pool.root["l"]
        rounds = COMMITS // KEYS
        start = time.perf_counter()
        for i in range(rounds):
            for index in range(KEYS):
                stored[index] = i
        return (time.perf_counter() - start) / (rounds * KEYS)


# ---- opening ------------------------------------------------------------------------------


def opened(directory: Path, size: int, content: Any) -> float:
    """Create and close the pool in another process, then time opening it in this one."""
    path = directory / "bench.pool"
    build = (
        "import pmemobj, sys\n"
        "with pmemobj.create(sys.argv[1], pool_size=int(sys.argv[2])) as pool:\n"
        f"    pool.root = {content}\n"
    )
    subprocess.run([sys.executable, "-c", build, str(path), str(size)], check=True)
    os.sync()  # what the file system has to do for a new file is not the opening's
    import pmemobj

    start = time.perf_counter()
    pool = pmemobj.open(path)
    taken = time.perf_counter() - start
    pool.close()
    return taken


@measure("open-64MiB")
def open_small(directory: Path) -> float:
    return opened(directory, 64 * MIB, {})


@measure("open-full")
def open_full(directory: Path) -> float:
    return opened(directory, 64 * MIB, "[str(i) for i in range(2_000_000)]")


@measure("open-10GiB")
def open_large(directory: Path) -> float:
    return opened(directory, 10 * GIB, {})


# ---- displays ---------------------------------------------------------------------------------


def displayed(made: Any) -> float:
    """The median time of *made*'s HTML and text, both of which a notebook asks for."""
    rounds = []
    for _ in range(DISPLAYS):
        start = time.perf_counter()
        if not (made._repr_html_() and repr(made)):
            raise RuntimeError("nothing was displayed")
        rounds.append(time.perf_counter() - start)
    return statistics.median(rounds)


@measure("display-workspace")
def display_workspace(directory: Path) -> float:
    from pmemobj.workspace import Workspace

    with fresh_pool(directory) as pool:
        names = [f"variable_{i}" for i in range(1_000)]
        pool.root = {
            name: {"rate": i, "layers": [64, 64, i]} if i % 2 else [name] * 20
            for i, name in enumerate(names)
        }
        return displayed(Workspace(pool))


@measure("display-list")
def display_list(directory: Path) -> float:
    with fresh_pool(directory, 256 * MIB) as pool:
        pool.root["words"] = [f"word number {i}" for i in range(1_000_000)]
        return displayed(pool.root["words"])


# ---- importing ------------------------------------------------------------------------------


def started(statement: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", statement], check=True))


@measure("start-python")
def start_python(directory: Path) -> float:
    return started("pass")


@measure("start-pmemobj")
def start_pmemobj(directory: Path) -> float:
    return started("import pmemobj")


if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](Path(sys.argv[2]))))
