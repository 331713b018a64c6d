"""The work that stores are compared by: one function each, which gives one number.

A work runs in a process of its own on a store that was just opened. What it names in
``prepared`` has been done to the directory by an earlier process.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import printed_by, seconds
from benchmarks.stores import POWER, STORES, Store, store_class
from benchmarks.stores.base import Value

MIB = 1 << 20
ELEMENTS = 1_000_000
PAIRS = 200_000
RECORDS = 100_000
TOGETHER = 10_000
KEYS = 1_000
READS = 500_000
POWER_SINGLES = 300
CONTAINERS = 1_000_000
CITIES = ("Oslo", "Lima", "Quito", "Turin")


@dataclass(frozen=True)
class Work:
    run: Callable[[Store], float]
    prepare: Callable[[Store], None] | None = None


WORKS: dict[str, Work] = {}


def work(
    name: str, prepare: Callable[[Store], None] | None = None
) -> Callable[[Callable[[Store], float]], Callable[[Store], float]]:
    def register(function: Callable[[Store], float]) -> Callable[[Store], float]:
        WORKS[name] = Work(function, prepare)
        return function

    return register


def run_work(name: str, store_name: str, safety: str, directory: Path) -> float:
    """One work on one store in an empty directory."""
    chosen = WORKS[name]
    if chosen.prepare is not None:
        printed_by("works", "prepare", name, store_name, safety, directory)
    return float(printed_by("works", "run", name, store_name, safety, directory))


def singles(store: Store) -> int:
    return POWER_SINGLES if store.safety == POWER else store.singles


# ---- the data ------------------------------------------------------------------------


def names(count: int) -> list[str]:
    return [f"key{i}" for i in range(count)]


def words(count: int, length: int) -> list[str]:
    return [f"{i:0{length}d}" for i in range(count)]


def ints() -> list[int]:
    generator = random.Random(1)
    return [generator.getrandbits(40) for _ in range(ELEMENTS)]


def floats() -> dict[str, float]:
    generator = random.Random(1)
    return {f"key{i}": generator.random() for i in range(PAIRS)}


def records() -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "name": f"user-{i}",
            "score": i / 7,
            "tags": ["red", "green", f"t{i % 50}"],
            "address": {"city": CITIES[i % 4], "zip": f"{i % 90000:05d}"},
        }
        for i in range(RECORDS)
    ]


# ---- one committed change --------------------------------------------------------------


def inserting(store: Store, keys: list[str], values: list[Value]) -> float:
    return seconds(lambda: store.insert(keys, values)) / len(keys)


@work("insert-int")
def insert_int(store: Store) -> float:
    count = singles(store)
    return inserting(store, names(count), list(range(count)))


@work("insert-str")
def insert_str(store: Store) -> float:
    count = singles(store)
    return inserting(store, names(count), words(count, 40))


@work("append")
def append(store: Store) -> float:
    count = singles(store)
    values = list(range(count))
    return seconds(lambda: store.append(values)) / count


def beside(store: Store) -> None:
    """What lies beside the variable; how much, in MiB, can be lessened for a short run."""
    store.save("large", os.urandom(MIB) * int(os.environ.get("PMEMOBJ_BENCH_MIB", "1024")))


@work("rebind", beside)
def rebind(store: Store) -> float:
    count = singles(store)
    store.insert(["x"], [0])
    return inserting(store, ["x"] * count, list(range(count)))


@work("together")
def together(store: Store) -> float:
    keys, values = names(TOGETHER), list(range(TOGETHER))
    return seconds(lambda: store.insert_together(keys, values))


# ---- building ------------------------------------------------------------------------------


def building(make: Callable[[], Any], store: Store) -> float:
    value = make()
    return seconds(lambda: store.save("built", value))


BUILT: dict[str, Callable[[], Any]] = {
    "ints": lambda: list(range(ELEMENTS)),
    "strings": lambda: words(ELEMENTS, 8),
    "floats": floats,
    "set": lambda: set(words(ELEMENTS, 8)),
    "records": records,
}
WORKS.update({f"build-{what}": Work(partial(building, make)) for what, make in BUILT.items()})


# ---- reading -------------------------------------------------------------------------------


def reading(read: Callable[[list[Any]], None], wanted: list[Any]) -> float:
    read(wanted)
    many = wanted * (READS // KEYS)
    return seconds(lambda: read(many)) / len(many)


@work("get")
def get(store: Store) -> float:
    keys = names(KEYS)
    store.insert(keys, list(range(KEYS)))
    return reading(store.get, keys)


@work("contains")
def contains(store: Store) -> float:
    keys = names(KEYS)
    store.insert(keys, list(range(KEYS)))
    return reading(store.contains, keys)


@work("index")
def index(store: Store) -> float:
    positions = list(range(KEYS))
    store.append(positions)
    return reading(store.index, positions)


@work("iterate")
def iterate(store: Store) -> float:
    store.save("ints", ints())
    store.iterate("ints")
    return seconds(lambda: store.iterate("ints")) / ELEMENTS


def save_records(store: Store) -> None:
    store.save("records", records())


@work("walk", save_records)
def walk(store: Store) -> float:
    return seconds(lambda: store.walk("records")) / RECORDS


# ---- from the start of a process -------------------------------------------------------------


def save_strings(store: Store) -> None:
    beside(store)
    store.save("strings", words(ELEMENTS, 8))


def reading_one(store: Store) -> float:
    store.close()
    position = ELEMENTS // 2
    program = type(store).read_one(store.directory, "strings", position)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    taken = time.perf_counter() - start
    if done.stdout.strip() != f"{position:08d}":
        raise RuntimeError(f"{store.title} read {done.stdout!r}")
    return taken


@work("fresh", save_strings)
def fresh(store: Store) -> float:
    return reading_one(store)


@work("after-kill", save_strings)
def after_kill(store: Store) -> float:
    kill_writer(store)
    return reading_one(store)


def kill_writer(store: Store) -> int:
    """Kill a process that sets one key after the other; the commits it reported."""
    store.close()
    name = next(n for n in STORES if STORES[n][1] == type(store).__qualname__)
    command = [
        *(sys.executable, "-m", "benchmarks.works", "write", "-", name, store.safety),
        str(store.directory),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        lines = iter(writer.stdout.readline, b"")  # type: ignore[union-attr]
        reported = int(next(lines))
        deadline = time.monotonic() + random.uniform(0.05, 0.3)
        while time.monotonic() < deadline:
            reported = int(next(lines))
        writer.send_signal(signal.SIGKILL)
        for line in lines:
            if line.endswith(b"\n"):
                reported = int(line)
    return reported


def write_for_ever(store: Store) -> None:
    for done in itertools.count(1):
        store.insert([f"kill{done}"], [done])
        os.write(1, b"%d\n" % done)


@work("survival")
def survival(store: Store) -> float:
    """Committed changes that a kill -9 lost."""
    directory, safety, kind = store.directory, store.safety, type(store)
    reported = kill_writer(store)
    again = kind(directory, safety)
    found = again.count()
    again.close()
    return max(0, reported - found)


# ---- bytes ----------------------------------------------------------------------------------


def bytes_per_element(make: Callable[[], Any], store: Store) -> float:
    value = make()
    before = store.size()
    store.save("kept", value)
    return (store.size() - before) / len(value)


KEPT: dict[str, Callable[[], Any]] = {
    "int": ints,
    "str8": lambda: words(ELEMENTS, 8),
    "str40": lambda: words(ELEMENTS, 40),
    "pair": floats,
    "record": records,
}
WORKS.update(
    {f"bytes-{what}": Work(partial(bytes_per_element, make)) for what, make in KEPT.items()}
)


# ---- collection ---------------------------------------------------------------------------------


def save_containers(store: Store) -> None:
    store.save("containers", [[i] for i in range(CONTAINERS)])


@work("collect", save_containers)
def collect(store: Store) -> float:
    return seconds(store.collect) / CONTAINERS  # type: ignore[attr-defined]


STEPS: dict[str, Callable[[str, Store], object]] = {
    "prepare": lambda name, store: WORKS[name].prepare(store),  # type: ignore[misc]
    "run": lambda name, store: WORKS[name].run(store),
    "write": lambda name, store: write_for_ever(store),
}


def main() -> None:
    step, name, store_name, safety, directory = sys.argv[1:]
    store = store_class(store_name)(Path(directory), safety)
    given = STEPS[step](name, store)
    if step == "prepare":
        store.close()
    print(given)


if __name__ == "__main__":
    main()
