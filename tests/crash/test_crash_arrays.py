"""Arrays and pickled values: every crash, every interrupt and SIGKILL leave before or after."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interrupts import Interrupter
from laboratory import LONG, POOL_SIZE, Laboratory, canonical, inspect
from test_interrupt import pytestmark, require_at_rest
from test_kill import BEGINS, DONE, Victim

import pmemobj
from pmemobj._native import lib

np = pytest.importorskip("numpy")

__all__ = ["pytestmark"]

ONES = np.ones(3000)
GRID = np.arange(3600.0).reshape(60, 60)


def fill() -> dict[str, Any]:
    return {"kept": ["a neighbour"], "a": np.arange(3000.0), "grid": GRID, "log": np.arange(40)}


def store(root: Any) -> None:
    root["new"] = ONES


def store_through_the_file(root: Any) -> None:
    root["new"] = np.ones(40_000)


def store_in_containers(root: Any) -> None:
    root["new"] = {"deep": [ONES, (ONES, GRID[::2, ::3])]}


def replace(root: Any) -> None:
    root["a"] = ONES


def delete(root: Any) -> None:
    del root["a"]


def write_item(root: Any) -> None:
    root["a"][17] = -1


def write_slice(root: Any) -> None:
    root["a"][100:2900] = 5


def write_column(root: Any) -> None:
    root["grid"][:, 7] = -5


def write_mask(root: Any) -> None:
    root["grid"][GRID % 7 == 0] = -5


def add_in_place(root: Any) -> None:
    array = root["a"]
    array += 1


def write_flat(root: Any) -> None:
    root["grid"].flat[5:3000:900] = [-5, -6]


def write_destination(root: Any) -> None:
    np.place(root["grid"], GRID % 7 == 0, [-5, -6])


def write_out(root: Any) -> None:
    np.concatenate([ONES[:1000], root["a"][2000:]], 0, root["a"][:2000])


def append_in_place(root: Any) -> None:
    root["log"].append([1])


def append_growing(root: Any) -> None:
    root["log"].append(np.arange(500))


def shrink(root: Any) -> None:
    root["log"].resize(7)


def several_writes(root: Any) -> None:
    with root._p_mm.transaction():
        root["a"][10:2000] = 7
        root["a"][1500:2500] = 8
        root["a"][1600] = 9
        root["grid"][:] = 0
        root["log"].append([5, 6])
        root["log"].append(np.arange(900))
        root["kept"].append("and that")
        root["new"] = ONES


def a_large_write(root: Any) -> None:
    """More than the journal keeps a block for."""
    with root._p_mm.transaction():
        for place in range(0, 3000, 500):
            root["a"][place] = -1
        root["grid"] *= 2


CASES = [
    store,
    store_through_the_file,
    store_in_containers,
    replace,
    delete,
    write_item,
    write_slice,
    write_column,
    write_mask,
    add_in_place,
    write_flat,
    write_destination,
    write_out,
    append_in_place,
    append_growing,
    shrink,
    several_writes,
    a_large_write,
]


def prepare(pool: Any) -> None:
    pool.root = fill()
    pool.root["log"].append([0])


@pytest.mark.parametrize("change", CASES, ids=lambda case: case.__name__)
def test_any_crash_leaves_before_or_after(
    laboratory: Laboratory, change: Callable[[Any], None]
) -> None:
    before, after = laboratory.sweep(prepare, lambda pool: change(pool.root))
    assert before != after


def test_any_crash_of_a_rollback_leaves_what_was_there(laboratory: Laboratory) -> None:
    def change(pool: Any) -> None:
        with pytest.raises(KeyError), pool.transaction():
            several_writes(pool.root)
            raise KeyError

    before, after = laboratory.sweep(prepare, change)
    assert before == after


@pytest.fixture
def small_extents() -> Iterator[None]:
    lib.pmo_raw_limits(8192, 8192)
    yield
    lib.pmo_raw_limits(0, 0)


@pytest.mark.usefixtures("small_extents")
@pytest.mark.parametrize("change", [store, replace, write_slice, append_growing, several_writes])
def test_any_crash_with_arrays_in_extents(
    laboratory: Laboratory, change: Callable[[Any], None]
) -> None:
    laboratory.sweep(prepare, lambda pool: change(pool.root))


def test_any_crash_around_a_frame(laboratory: Laboratory) -> None:
    pandas = pytest.importorskip("pandas")

    def frame(number: int) -> Any:
        index = np.arange(300)
        return pandas.DataFrame({"i": index + number, "f": index * 0.5, "s": ["text"] * 300})

    def prepare(pool: Any) -> None:
        pool.root = {"df": frame(0), "other": frame(1)}

    def change(pool: Any) -> Any:
        pool.root["df"] = frame(2)
        yield
        pool.root["other"] = pool.root["df"]
        yield
        del pool.root["df"]

    before, after = laboratory.sweep(prepare, change)
    assert before != after


@pytest.mark.parametrize("change", CASES, ids=lambda case: case.__name__)
def test_any_interrupt_leaves_before_or_after(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    path = tmp_path / "interrupted.pmem"
    with pmemobj.create(path, POOL_SIZE) as pool:
        prepare(pool)
        before = canonical(pool.root)
        number = 0
        step = 1 if LONG else 3
        while True:
            number += random.Random(number).randint(1, 2 * step)
            try:
                with Interrupter(number):
                    change(pool.root)
                break  # all instants were passed, or Python swallowed the interrupt
            except KeyboardInterrupt:
                require_at_rest(pool)
                if canonical(pool.root) != before:
                    break  # it had happened
        after = canonical(pool.root)
        assert number > 4
        gc.collect()
        restored = fill()
        restored["log"] = np.append(restored["log"], 0)
        change_plainly(path.with_name("plainly.pmem"), change, restored)
        assert after == canonical(restored)
    with pmemobj.open(path) as pool:  # what an interrupt left pinned went with its session
        assert inspect(pool, garbage=0) == after


def change_plainly(path: Path, change: Callable[[Any], None], root: dict[str, Any]) -> None:
    """What the change makes of a pool that was never interrupted."""
    with pmemobj.create(path, POOL_SIZE) as pool:
        pool.root = dict(root)
        change(pool.root)
        plain = pmemobj.plain(pool.root)
    path.unlink()
    root.clear()
    root.update(plain)


def kill_at_work(
    path: Path,
    work: Callable[[Any, int], None],
    sound: Callable[[Any, int], bool],
) -> None:
    """Kill processes that commit round after round; *sound*: is the root that of this round?"""

    def commit(report: Callable[[bytes, int], None]) -> None:
        pool = pmemobj.open(path)
        number = pool.root["number"]
        while True:
            number += 1
            report(BEGINS, number)
            with pool.transaction():
                work(pool.root, number)
                pool.root["number"] = number
            report(DONE, number)

    instants = random.Random(5)
    number = 0
    for _ in range(40 if LONG else 12):
        victim = Victim(commit)
        victim.wait_for_report()
        time.sleep(instants.uniform(0, 0.05))
        killed, reports = victim.kill()
        assert killed
        begun = max((at for kind, at in reports if kind == BEGINS), default=number + 1)
        done = max((at for kind, at in reports if kind == DONE), default=number)
        with pmemobj.open(path) as pool:
            number = pool.root["number"]
            assert done <= number <= begun
            assert sound(pool.root, number)
            report = pool.check()
            assert report.ok
            assert report.garbage == 0
    assert number > 4


def test_a_killed_process_leaves_whole_frames(tmp_path: Path) -> None:
    """Every column is filled with the number of its round."""
    pandas = pytest.importorskip("pandas")
    rows = 1 << 17
    texts = pandas.Categorical.from_codes(np.zeros(rows, "i1"), ["x"])

    def frame(number: int) -> Any:
        return pandas.DataFrame(
            {"i": np.full(rows, number), "f": np.full(rows, float(number)), "c": texts}
        )

    path = tmp_path / "killed.pmem"
    with pmemobj.create(path, 64 << 20) as pool:
        pool.root = {"df": frame(0), "other": frame(0), "number": 0}

    def work(root: Any, number: int) -> None:
        root["df"] = frame(number)
        root["other"] = root["df"]  # the same buffers

    def sound(root: Any, number: int) -> bool:
        return all(root[name].equals(frame(number)) for name in ("df", "other"))

    kill_at_work(path, work, sound)


def test_a_killed_process_leaves_whole_arrays(tmp_path: Path) -> None:
    """Each write fills arrays of 1 MiB with one number: a torn one would hold two."""
    path = tmp_path / "killed.pmem"
    with pmemobj.create(path, 64 << 20) as pool:
        pool.root = {"a": np.zeros(1 << 17), "b": np.zeros(1 << 17), "number": 0}

    def work(root: Any, number: int) -> None:
        if number % 3:
            root["a"][:] = number
            root["b"][::2] = number
            root["b"][1::2] = number
        else:
            root["a"] = np.full(1 << 17, float(number))
            root["b"] += number - root["b"][0]

    def sound(root: Any, number: int) -> bool:
        return all((root[name] == number).all() for name in ("a", "b"))

    kill_at_work(path, work, sound)
