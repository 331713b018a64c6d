"""What is measured of arrays, frames and workspaces: one function per contender.

``python -m benchmarks.arrays NAME DIRECTORY`` prints one number and nothing else. Each runs in a
process of its own; what it reads was made by another one. PMEMOBJ_BENCH_ARRAY_MIB is the size of
the arrays.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import printed_by, seconds

MIB = 1 << 20
SIZE_NAME = "PMEMOBJ_BENCH_ARRAY_MIB"
SIZE = int(os.environ.get(SIZE_NAME, "1024")) * MIB
LARGE = 10 * SIZE
ROWS = max(1000, int(2_000_000 * SIZE / (1024 * MIB)))
UPDATES = 200

Measure = Callable[[Path], float]
MEASURES: dict[str, Measure] = {}
PREPARED: dict[str, Measure] = {}


def measure(name: str, prepared: Measure | None = None) -> Callable[[Measure], Measure]:
    def register(function: Measure) -> Measure:
        MEASURES[name] = function
        if prepared is not None:
            PREPARED[name] = prepared
        return function

    return register


def run_array(name: str, directory: Path) -> float:
    """Run one contender, and before it, in another process, what it finds there."""
    words = [f"{name}!", name] if name in PREPARED else [name]
    found = ""
    for word in words:
        found = printed_by("arrays", word, directory)
    return float(json.loads(found))


def numbers() -> Any:
    import numpy

    return numpy.random.default_rng(1).random(SIZE // 8)


def pool_in(directory: Path, durability: str = "process", size: int = 0) -> Any:
    import pmemobj

    room = size or SIZE + SIZE // 4 + 128 * MIB
    pool = pmemobj.create(directory / "bench.pool", room, durability=durability)
    pool.root = {}
    return pool


# ---- storing an array ----


def stored(directory: Path, durability: str) -> float:
    array = numbers()
    pool = pool_in(directory, durability)
    taken = seconds(lambda: pool.root.__setitem__("a", array))
    pool.mm.abandon()
    return taken


@measure("array-store-pmemobj")
def store_ours(directory: Path) -> float:
    return stored(directory, "process")


@measure("array-store-power-pmemobj")
def store_ours_power(directory: Path) -> float:
    return stored(directory, "power")


def saved(directory: Path, write: Callable[[Any, Any], Any], sync: bool = False) -> float:
    array = numbers()

    def save() -> None:
        with open(directory / "file", "wb") as file:
            write(file, array)
            if sync:
                file.flush()
                os.fsync(file.fileno())

    return seconds(save)


@measure("array-store-save")
def store_save(directory: Path) -> float:
    import numpy

    return saved(directory, numpy.save)


@measure("array-store-power-save")
def store_save_synced(directory: Path) -> float:
    import numpy

    return saved(directory, numpy.save, sync=True)


@measure("array-store-pickle")
def store_pickle(directory: Path) -> float:
    return saved(directory, lambda file, array: pickle.dump(array, file, 5))


def store_dumped(pickler: str, directory: Path) -> float:
    dump = importlib.import_module(pickler).dump
    return saved(directory, lambda file, array: dump(array, file))


for name in ("joblib", "dill"):
    measure(f"array-store-{name}")(partial(store_dumped, name))


# ---- finding it again ----


def prepare_ours(directory: Path) -> float:
    with pool_in(directory) as pool:
        pool.root["a"] = numbers()
    return 0


def prepare_large(directory: Path) -> float:
    """An array of which one element was written: the rest of it is a hole that has its blocks."""
    import numpy

    import pmemobj
    from pmemobj.containers import array
    from pmemobj.raws import RawBytes

    with pmemobj.create(directory / "bench.pool", LARGE + 128 * MIB) as pool:
        mm, shape = pool.mm, (LARGE // 8,)
        raw = RawBytes.create(mm, LARGE)
        found = array._new_object(mm, numpy.dtype(float), shape, "C", raw)
        pool.root = {"a": mm.resurrect_offset(found)}
        pool.root["a"][12345] = 1
    return 0


def prepare_save(directory: Path) -> float:
    import numpy

    numpy.save(directory / "file.npy", numbers())
    return 0


def prepare_pickle(directory: Path) -> float:
    with open(directory / "file", "wb") as file:
        pickle.dump(numbers(), file, 5)
    return 0


def one_of_ours(directory: Path) -> float:
    import pmemobj

    pool = pmemobj.open(directory / "bench.pool")
    return float(pool.root["a"][12345])


def opened(directory: Path) -> float:
    import numpy  # noqa: F401

    import pmemobj  # noqa: F401

    return seconds(lambda: one_of_ours(directory))


measure("array-open-pmemobj", prepare_ours)(opened)
measure("array-open-large-pmemobj", prepare_large)(opened)


@measure("array-open-save", prepare_save)
def open_save(directory: Path) -> float:
    import numpy

    return seconds(lambda: numpy.load(directory / "file.npy", mmap_mode="r")[12345])


@measure("array-open-pickle", prepare_pickle)
def open_pickle(directory: Path) -> float:
    import numpy  # noqa: F401

    def read() -> None:
        with open(directory / "file", "rb") as file:
            pickle.load(file)[12345]

    return seconds(read)


def peak() -> int:
    """Bytes of memory that this program had at most; getrusage would tell its parent's, too."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def memory(directory: Path) -> float:
    import numpy  # noqa: F401

    import pmemobj  # noqa: F401

    before = peak()
    one_of_ours(directory)
    return peak() - before


measure("array-memory-pmemobj", prepare_ours)(memory)
measure("array-memory-large-pmemobj", prepare_large)(memory)


# ---- changing a part of it ----


def updated(array: Any) -> float:
    import numpy

    values = numpy.random.default_rng(2).random(MIB // 8)
    places = numpy.random.default_rng(3).integers(0, len(array) - len(values), UPDATES)
    for place in places:  # its pages are in memory before, as they are in a long session
        array[place : place + len(values)] = values
    start = time.perf_counter()
    for place in places:
        array[place : place + len(values)] = values
    return (time.perf_counter() - start) / UPDATES


@measure("array-update-pmemobj", prepare_ours)
def update_ours(directory: Path) -> float:
    import pmemobj

    with pmemobj.open(directory / "bench.pool") as pool:
        return updated(pool.root["a"])


@measure("array-update-memcpy")
def update_memory(directory: Path) -> float:
    return updated(numbers())


@measure("array-update-memmap", prepare_save)
def update_memmap(directory: Path) -> float:
    import numpy

    return updated(numpy.load(directory / "file.npy", mmap_mode="r+"))


# ---- a frame ----


def frame() -> Any:
    import numpy
    import pandas

    index = numpy.arange(ROWS)
    random = numpy.random.default_rng(4)
    return pandas.DataFrame(
        {
            "id": index,
            "value": random.random(ROWS),
            "when": pandas.date_range("2020-01-01", periods=ROWS, freq="s"),
            "kind": pandas.Categorical.from_codes(index % 4, ["red", "green", "blue", "black"]),
            "text": pandas.Series([f"row number {i}" for i in index], dtype="string[pyarrow]"),
        }
    )


def mean_after(read: Callable[[], Any]) -> float:
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401

    import pmemobj  # noqa: F401

    return seconds(lambda: read()["value"].mean())


def frame_in_pool(directory: Path) -> float:
    with pool_in(directory, size=ROWS * 200 + 64 * MIB) as pool:
        pool.root["df"] = frame()
    return 0


def frame_in_arrow(directory: Path) -> float:
    import pyarrow

    table = pyarrow.Table.from_pandas(frame())
    with pyarrow.ipc.new_file(str(directory / "file"), table.schema) as file:
        file.write_table(table)
    return 0


def frame_in_parquet(directory: Path) -> float:
    frame().to_parquet(directory / "file")
    return 0


def frame_in_pickle(directory: Path) -> float:
    frame().to_pickle(directory / "file", compression=None)
    return 0


@measure("frame-mean-pmemobj", frame_in_pool)
def frame_ours(directory: Path) -> float:
    import pmemobj

    return mean_after(lambda: pmemobj.open(directory / "bench.pool").root["df"])


@measure("frame-mean-arrow", frame_in_arrow)
def frame_arrow(directory: Path) -> float:
    import pyarrow

    def read() -> Any:
        return pyarrow.ipc.open_file(pyarrow.memory_map(str(directory / "file"))).read_pandas()

    return mean_after(read)


@measure("frame-mean-parquet", frame_in_parquet)
def frame_parquet(directory: Path) -> float:
    import pandas

    return mean_after(lambda: pandas.read_parquet(directory / "file"))


@measure("frame-mean-pickle", frame_in_pickle)
def frame_pickle(directory: Path) -> float:
    import pandas

    return mean_after(lambda: pandas.read_pickle(directory / "file", compression=None))


# ---- a workspace in which little changes ----


def workspace() -> dict[str, Any]:
    import numpy

    eighth = SIZE // 64
    return {f"array {i}": numpy.random.default_rng(i).random(eighth) for i in range(8)}


@measure("workspace-pmemobj")
def workspace_ours(directory: Path) -> float:
    pool = pool_in(directory)
    for name, value in workspace().items():
        pool.root[name] = value
    pool.root["epoch"] = 0

    def change() -> None:
        for number in range(1000):
            pool.root["epoch"] = number

    taken = seconds(change) / 1000
    pool.mm.abandon()
    return taken


def dumped(pickler: str, directory: Path) -> float:
    dump = importlib.import_module(pickler).dump
    variables = workspace()
    variables["epoch"] = 1  # type: ignore[assignment]

    def save() -> None:
        with open(directory / "new", "wb") as file:
            dump(variables, file)
        os.replace(directory / "new", directory / "file")

    return seconds(save)


for name in ("joblib", "dill"):
    measure(f"workspace-{name}")(partial(dumped, name))


@measure("workspace-store")
def workspace_store(directory: Path) -> float:
    """IPython's %store pickles a variable into a file of its own: here the one dict of them."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    os.environ["IPYTHONDIR"] = str(directory)
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.db = type(shell.db)(directory / "db")
    shell.user_ns["variables"] = workspace()
    with redirect_stdout(io.StringIO()):
        shell.run_line_magic("load_ext", "storemagic")
        return seconds(lambda: shell.run_line_magic("store", "variables"))


@measure("workspace-diskcache")
def workspace_diskcache(directory: Path) -> float:
    import diskcache

    cache = diskcache.Cache(str(directory / "cache"), size_limit=1 << 40)
    for name, value in workspace().items():
        cache[name] = value

    def change() -> None:
        for number in range(200):
            cache["epoch"] = number

    return seconds(change) / 200


if __name__ == "__main__":
    word = sys.argv[1]
    chosen = PREPARED[word[:-1]] if word.endswith("!") else MEASURES[word]
    print(json.dumps(chosen(Path(sys.argv[2]))))
