"""A full pool, and failures at every place where an operation asks for room."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_cases import (
    BLOB,
    DICT_CASES,
    HEAPED,
    LIST_CASES,
    OBJECT_CASES,
    POOL_CASES,
    SAME_CASES,
    SET_CASES,
    Case,
    PoolCase,
)
from laboratory import LONG, POOL_SIZE, TALLY, canonical, inspect, settle

import pmemobj
from pmemobj._native import ffi, lib

NOT_ONE = {
    "several commits",
    "list churning",
    "dict churning",
    "transaction by hand",
    "counted up and down",
}
ENOUGH = 3  # successes in a row: the failure was not reached any more, or could be borne


def as_pool_case(case: Case) -> PoolCase:
    """A case of one container as a case of a pool."""

    def ready(pool: Any) -> None:
        if case.ready is not None:
            case.ready(pool.root["x"])

    return PoolCase(
        case.name,
        lambda: {"kept": ["a neighbour", 1], "x": copy.deepcopy(case.start)},
        lambda pool: case.change(pool.root["x"]),
        ready,
    )


CASES = [
    *map(as_pool_case, LIST_CASES + DICT_CASES + SET_CASES),
    *OBJECT_CASES,
    *(case for case in POOL_CASES if case.name not in NOT_ONE),
]


def by_name(case: Any) -> str:
    return case.name


@contextlib.contextmanager
def failing(pool: pmemobj.PersistentObjectPool, number: int) -> Iterator[None]:
    """The number-th request for room in the block fails."""
    lib.pmo_inject_failure(pool.mm.ctx, number)
    try:
        yield
    finally:
        lib.pmo_inject_failure(pool.mm.ctx, 0)


class Patient:
    """A pool for a case, closed and opened again between failures."""

    def __init__(self, directory: Path, case: PoolCase) -> None:
        self.path = directory / "full.pmem"
        with pmemobj.create(self.path, POOL_SIZE) as pool:
            case.prepare(pool)
            self.before = canonical(pool.root)
        self.pool = pmemobj.open(self.path)

    def reopen(self, cleanly: bool) -> None:
        if cleanly:
            self.pool.close()
        else:
            self.pool.mm.abandon()
        self.pool = pmemobj.open(self.path)
        assert self.pool.recovery.clean == cleanly

    def require_unchanged(self) -> None:
        assert inspect(self.pool) == self.before
        assert not lib.pmo_tx_is_open(self.pool.mm.ctx)
        assert self.pool.mm.open_transaction is None

    def require_useful(self) -> None:
        """The pool can still be written to; leaves it as it was."""
        former = self.pool.root
        self.pool.root = [former, HEAPED]
        self.pool.root[1] = BLOB
        self.pool.root = former


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_failure_anywhere_leaves_what_was_there(tmp_path: Path, case: PoolCase) -> None:
    patient = Patient(tmp_path, case)
    failures = successes = number = 0
    while successes < ENOUGH:
        number += 1 if LONG or number < 8 else 3
        try:
            with failing(patient.pool, number):
                case.change(patient.pool)
        except pmemobj.PoolFullError as error:
            assert error.requested > 0
            failures += 1
            successes = 0
            patient.require_unchanged()
            if number % 3 == 1:
                patient.require_useful()
            if number % 3 == 0:
                patient.reopen(cleanly=number % 2 == 0)
                patient.require_unchanged()
        else:
            assert inspect(patient.pool) != patient.before
            successes += 1
            case.prepare(patient.pool)
    patient.pool.close()
    TALLY.failures += failures
    assert failures > 0


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_a_failure_inside_a_transaction_leaves_no_half_operation(
    tmp_path: Path, case: PoolCase
) -> None:
    """It is caught inside: the transaction goes on without it, or as a whole does not commit."""
    patient = Patient(tmp_path, case)
    failures = successes = number = 0
    while successes < ENOUGH:
        number += 1 if LONG or number < 8 else 3
        pool = patient.pool
        root = pool.root
        mark = pool.new(pmemobj.PersistentList, [HEAPED])
        failed = aborted = False
        try:
            with pool.transaction():
                mark.append("earlier")
                try:
                    with failing(pool, number):
                        case.change(pool)
                except pmemobj.PoolFullError:
                    failed = True
                mark.append("later")
        except pmemobj.TransactionAbortedError:
            aborted = True
        assert failed or not aborted
        if failed:
            failures += 1
            successes = 0
            assert list(mark) == ([HEAPED] if aborted else [HEAPED, "earlier", "later"])
            del root, mark
            settle(pool)
            patient.require_unchanged()
            if number % 3 == 0:
                patient.reopen(cleanly=number % 2 == 0)
                patient.require_unchanged()
        else:
            successes += 1
            del root, mark
            assert inspect(pool) != patient.before
            case.prepare(pool)
    patient.pool.close()
    TALLY.failures += failures
    assert failures > 0


@pytest.mark.parametrize("case", SAME_CASES, ids=by_name)
def test_a_failure_where_nothing_is_to_change(tmp_path: Path, case: PoolCase) -> None:
    """Collecting may also find a way round the failure."""
    patient = Patient(tmp_path, case)
    failures = 0
    for number in range(1, 25):
        try:
            with failing(patient.pool, number):
                case.change(patient.pool)
        except pmemobj.PoolFullError:
            failures += 1
        patient.require_unchanged()
        patient.reopen(cleanly=number % 2 == 0)
        patient.require_unchanged()
    patient.pool.close()
    TALLY.failures += failures


# -- really full --------------------------------------------------------------------------------


FILLERS = {
    "blobs in a list": lambda root, i: root["list"].append(f"{i}" + BLOB * 4),
    "heaped strings in a list": lambda root, i: root["list"].append(f"{HEAPED} {i}" * 30),
    "ints in a list": lambda root, i: root["list"].extend(range(i, i + 5000)),
    "containers": lambda root, i: root["list"].append([{"a": [i] * 2000}]),
    "a dict": lambda root, i: root["dict"].update({f"{HEAPED} {i} {j}": j for j in range(300)}),
    "a set": lambda root, i: root["set"].update({(HEAPED, i, j) for j in range(300)}),
    "new roots": lambda root, i: root["list"].append({"n": list(range(4000))}),
}


@pytest.mark.parametrize("in_transaction", [False, True], ids=["one by one", "one transaction"])
@pytest.mark.parametrize("filler", FILLERS)
def test_a_pool_that_is_really_full(tmp_path: Path, filler: str, in_transaction: bool) -> None:
    fill = FILLERS[filler]
    path = tmp_path / "full.pmem"
    pool = pmemobj.create(path, POOL_SIZE)
    # The log of the transaction that frees much needs the room of some small object, too.
    pool.root = {"list": [], "dict": {}, "set": set(), "ballast": ["b" * 100_000, []]}
    root = pool.root
    empty = canonical(root)
    done = 0
    with pytest.raises(pmemobj.PoolFullError) as caught:
        with pool.transaction() if in_transaction else contextlib.nullcontext():
            for done in range(100_000):
                fill(root, done)
    assert caught.value.requested > 0
    assert 0 <= caught.value.free < POOL_SIZE
    assert isinstance(caught.value, MemoryError)
    assert f"{caught.value.requested:,}" in str(caught.value)
    assert done > 2
    content = inspect(pool)
    if in_transaction:
        assert content == empty
    for again in range(0 if in_transaction else 3):
        try:
            fill(root, done)
        except pmemobj.PoolFullError:
            assert canonical(root) == content, f"attempt {again} left something"
        else:  # what the attempt before gave back came to lie side by side
            content = inspect(pool)
    pool.mm.abandon()
    pool = pmemobj.open(path)
    assert inspect(pool, garbage=0) == content
    root = pool.root
    del root["ballast"]
    root["list"].clear()
    root["dict"].clear()
    root["set"].clear()
    assert inspect(pool) == canonical({"list": [], "dict": {}, "set": set()})
    with pool.transaction() if in_transaction else contextlib.nullcontext():
        for number in range(max(done // 4, 1)):  # its free space is in pieces
            fill(root, number)
    inspect(pool)
    pool.close()


def test_a_full_pool_can_be_emptied_little_by_little(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "full.pmem", POOL_SIZE) as pool:
        pool.root = {}
        root = pool.root
        with pytest.raises(pmemobj.PoolFullError):
            for number in range(100_000):
                root[number] = [HEAPED * 20, {"n": number}]
        count = len(root)
        assert count > 100
        for number in range(count):
            del root[number]
            assert len(root) == count - number - 1
        assert inspect(pool, garbage=0) == canonical({})
        for number in range(count // 2):
            root[number] = [HEAPED * 20, {"n": number}]


def test_garbage_of_a_full_pool_can_be_collected(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "full.pmem", POOL_SIZE) as pool:
        pool.root = [None]
        with pytest.raises(pmemobj.PoolFullError):
            while True:
                knot: list[Any] = [HEAPED * 100]
                knot.append([knot])
                pool.root[0] = knot
        settle(pool)
        assert pool.gc().freed > 100
        inspect(pool, garbage=0)
        pool.root.extend([HEAPED * 100] * 100)


# -- deleting from a full pool -------------------------------------------------------------------


def brim(pool: Any) -> Any:
    """Fill a pool until not even a small list finds room; gives its root."""
    pool.root = {"dict": {}, "list": [], "shared": [], "small": [], "blob": b"b" * 2_500_000}
    root = pool.root
    with contextlib.suppress(pmemobj.PoolFullError):
        for number in range(1_000_000):
            root["dict"][number] = {"a": [number], "b": "x" * 30}
            if number % 4 == 0:
                root["list"].append([number])
                root["shared"].append(root["dict"][number])
    for size in (4000, 1000, 100, 1):
        with contextlib.suppress(pmemobj.PoolFullError):
            while True:
                root["small"].append([0] * size)
    assert len(root["dict"]) > 300
    return root


DELETIONS = {
    "a dict cleared": lambda root: root["dict"].clear(),
    "a list cleared": lambda root: root["list"].clear(),
    "all by a slice": lambda root: root["list"].__delitem__(slice(None)),
    "the tail by a slice": lambda root: root["list"].__delitem__(slice(10, None)),
    "references to what lives on": lambda root: root["shared"].clear(),
    "the tail of references": lambda root: root["shared"].__delitem__(slice(5, None)),
    "a variable": lambda root: root.__delitem__("list"),
    "a large value replaced": lambda root: root.__setitem__("blob", None),
    "from the end": lambda root: [root["list"].pop() for _ in range(20)],
    "key by key": lambda root: [root["dict"].__delitem__(key) for key in range(20)],
    "several things": lambda root: (
        root["dict"].clear(),
        root["shared"].clear(),
        root["list"].clear(),
        root.__delitem__("blob"),
    ),
}


@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("deletion", DELETIONS)
def test_a_full_pool_never_refuses_to_delete(
    tmp_path: Path, deletion: str, in_transaction: bool
) -> None:
    delete = DELETIONS[deletion]
    path = tmp_path / "full.pmem"
    with pmemobj.create(path, POOL_SIZE) as pool:
        root = brim(pool)
        expected = pmemobj.plain(root)
        delete(expected)
        before = pmemobj.plain(root)
        with contextlib.suppress(KeyError), pool.transaction():
            delete(root)
            raise KeyError
        assert pmemobj.plain(root) == before
        assert pool.check().ok
        with pool.transaction() if in_transaction else contextlib.nullcontext():
            delete(root)
        assert pmemobj.plain(root) == expected
        report = pool.check()
        assert report.ok
        assert report.garbage == 0
    with pmemobj.open(path) as pool:
        assert pool.recovery.clean
        assert pmemobj.plain(pool.root) == expected


def test_what_is_deleted_from_a_full_pool_can_be_used_again(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "full.pmem", POOL_SIZE) as pool:
        root = brim(pool)
        count = len(root["dict"])
        for _ in range(3):
            root["shared"].clear()
            root["dict"].clear()
            with contextlib.suppress(pmemobj.PoolFullError):
                for number in range(count):
                    root["dict"][number] = {"a": [number], "b": "x" * 30}
            assert len(root["dict"]) > count * 0.3


def test_a_crash_while_much_is_freed_loses_nothing_else(tmp_path: Path) -> None:
    """The removal commits first; what is not freed by then is garbage that opening collects."""
    path, copy_path = tmp_path / "whole.pmem", tmp_path / "image.pmem"
    with pmemobj.create(path, POOL_SIZE) as pool:
        kept = {"n": 1}
        pool.root = {"gone": [{"n": number, "kept": kept} for number in range(3000)], "kept": kept}
        images = []

        @ffi.callback("pmo_persist_observer")
        def copy(address: Any, size: int) -> None:
            counted.append(1)
            if len(counted) % 400 == 1:
                shutil.copyfile(path, copy_path.with_suffix(f".{len(images)}"))
                images.append(copy_path.with_suffix(f".{len(images)}"))

        counted: list[int] = []
        lib.pmo_observe_persists(copy)
        try:
            del pool.root["gone"]
        finally:
            lib.pmo_observe_persists(ffi.NULL)
        assert pool.check().garbage == 0
        pool.mm.abandon()
    assert len(images) > 3
    collected = []
    for image in images:
        with pmemobj.open(image) as pool:
            report = pool.check()
            assert report.ok
            assert report.garbage == 0
            assert pool.root["kept"] == kept
            assert "gone" not in pool.root or len(pool.root["gone"]) == 3000
            collected.append(pool.recovery.objects_collected)
        image.unlink()
    assert any(collected)
    TALLY.images += len(images)


def test_a_container_that_grows_fills_a_good_part_of_a_pool(tmp_path: Path) -> None:
    """Growing needs the old storage and the new one at once, so less than half is certain."""
    size = 8 * POOL_SIZE
    with pmemobj.create(tmp_path / "full.pmem", size) as pool:
        pool.root = []
        grown = pool.root
        with pytest.raises(pmemobj.PoolFullError):
            while True:
                grown.extend(range(2000))
        assert len(grown) * 16 > size * 0.3
        grown.clear()
    with pmemobj.open(tmp_path / "full.pmem") as pool:  # libpmemobj puts free pieces together
        pool.root = list(range(int(size * 0.8 / 16)))


def test_a_pool_of_small_things_is_filled_to_the_brim(tmp_path: Path) -> None:
    size = 2 * POOL_SIZE
    with pmemobj.create(tmp_path / "full.pmem", size) as pool:
        pool.root = []
        empty = pool._info().used
        with pytest.raises(pmemobj.PoolFullError):
            while True:
                pool.root.append({"a": [1], "b": "x" * 60})
        assert pool._info().used - empty > (size - empty) * 0.85
