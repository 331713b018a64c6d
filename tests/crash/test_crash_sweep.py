"""At every persist point of every operation a crash leaves the state before or the one after."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crash_cases import (
    ABORT_CASES,
    DICT_CASES,
    LIST_CASES,
    OBJECT_CASES,
    POOL_CASES,
    SAME_CASES,
    SET_CASES,
    Case,
    PoolCase,
    with_ring,
)
from laboratory import (
    LONG,
    Base,
    Image,
    Laboratory,
    Scratch,
    canonical,
    inspect,
    settle,
    watching,
)
from processes import PATIENCE

import pmemobj
from pmemobj.poolfile import boot_id

CONTAINER_CASES = LIST_CASES + DICT_CASES + SET_CASES


def by_name(case: Any) -> str:
    return case.name


def prepare_with(case: Case) -> Callable[[Any], None]:
    def prepare(pool: Any) -> None:
        pool.root = {"kept": ["a neighbour", 1], "x": copy.deepcopy(case.start)}
        if case.ready is not None:
            case.ready(pool.root["x"])

    return prepare


def expected(case: Case) -> tuple[Any, Any]:
    """What plain containers make of it."""
    root = {"kept": ["a neighbour", 1], "x": copy.deepcopy(case.start)}
    if case.ready is not None:
        case.ready(root["x"])
    before = canonical(root)
    case.change(root["x"])
    return before, canonical(root)


@pytest.mark.parametrize("case", CONTAINER_CASES, ids=by_name)
def test_any_crash_leaves_before_or_after(laboratory: Laboratory, case: Case) -> None:
    states = laboratory.sweep(prepare_with(case), lambda pool: case.change(pool.root["x"]))
    assert states == expected(case)
    assert states[0] != states[1]


PUBLISHED = [
    "list append int in place",
    "list append heaped in place",
    "list set int",
    "list set heaped for heaped",
    "dict set new heaped",
    "dict replace heaped",
    "set add int",
]
POWERED = [
    "root replaced",
    "root written through the file",
    "nested transactions",
    "several commits",
]


@pytest.mark.parametrize(
    "case", [case for case in CONTAINER_CASES if LONG or case.name in PUBLISHED], ids=by_name
)
def test_any_power_cut_leaves_before_or_after(laboratory: Laboratory, case: Case) -> None:
    """Durability "power" waits for the disk once for a page of words that it publishes."""
    laboratory.durability = "power"
    states = laboratory.sweep(prepare_with(case), lambda pool: case.change(pool.root["x"]))
    assert states == expected(case)


@pytest.mark.parametrize(
    "case", [case for case in POOL_CASES if LONG or case.name in POWERED], ids=by_name
)
def test_any_power_cut_around_larger_steps(laboratory: Laboratory, case: PoolCase) -> None:
    laboratory.durability = "power"
    before, after = laboratory.sweep(case.prepare, case.change)
    assert before != after


@pytest.mark.parametrize("case", OBJECT_CASES + POOL_CASES, ids=by_name)
def test_any_crash_around_larger_steps(laboratory: Laboratory, case: PoolCase) -> None:
    before, after = laboratory.sweep(case.prepare, case.change)
    assert before != after


@pytest.mark.parametrize("case", SAME_CASES + ABORT_CASES, ids=by_name)
def test_any_crash_leaves_what_was_there(laboratory: Laboratory, case: PoolCase) -> None:
    before, after = laboratory.sweep(case.prepare, case.change)
    assert before == after


# -- opening and closing ------------------------------------------------------------------------


Change = Callable[[Any], object]


def interrupted(
    laboratory: Laboratory, prepare: Change, change: Change
) -> tuple[Base, list[Image], tuple[Any, Any]]:
    """The images of a process that died within *change*, and the states before and after it."""
    laboratory.create(prepare)
    pool = pmemobj.open(laboratory.path)
    before = canonical(pool.root)
    settle(pool)
    with watching(laboratory.path, ("kill",)) as watch:
        change(pool)
    after = canonical(pool.root)
    pool.mm.abandon()
    return watch.base, watch.images, (before, after)


def interrupted_case(
    laboratory: Laboratory, name: str
) -> tuple[Base, list[Image], tuple[Any, Any]]:
    case = next(case for case in CONTAINER_CASES if case.name == name)
    return interrupted(laboratory, prepare_with(case), lambda pool: case.change(pool.root["x"]))


def require_stable_recovery(
    laboratory: Laboratory, base: Base, images: list[Image], states: tuple[Any, Any]
) -> None:
    """Recovery of each image is itself ended at every persist point, and changes nothing then."""
    again = Scratch(laboratory.directory / "again.pmem")
    points = 0
    for image in images if LONG else images[1::4]:
        content = laboratory.inspector.content(base, image)
        assert content in states
        again.become(base, image)
        with watching(again.path) as watch:
            pool = pmemobj.open(again.path)
            pool.mm.abandon()
        points += watch.points
        laboratory.inspector.require(watch, [content])
    assert points > len(images)


@pytest.mark.parametrize("name", ["list delete nested", "dict update many", "set iand"])
def test_a_crash_during_recovery_changes_nothing(laboratory: Laboratory, name: str) -> None:
    require_stable_recovery(laboratory, *interrupted_case(laboratory, name))


@pytest.mark.parametrize("name", ["transaction moving", "root replaced", "gc of cycles"])
def test_a_crash_during_recovery_of_larger_steps(laboratory: Laboratory, name: str) -> None:
    """What opening rolls back is several operations, or it has garbage to collect."""
    case = next(case for case in POOL_CASES + SAME_CASES if case.name == name)
    require_stable_recovery(laboratory, *interrupted(laboratory, case.prepare, case.change))


def test_a_crash_while_opening_or_closing_changes_nothing(laboratory: Laboratory) -> None:
    laboratory.create(lambda pool: setattr(pool, "root", {"a": [1, "two" * 20]}))
    with watching(laboratory.path) as watch:
        pool = pmemobj.open(laboratory.path)
        content = canonical(pool.root)
        pool.close()
    assert watch.points > 3
    laboratory.inspector.require(watch, [content], ending=True)


def test_a_crash_while_closing_with_what_only_a_handle_keeps(laboratory: Laboratory) -> None:
    """A container that dies with the session, and a custom object that dies with it."""
    laboratory.create(with_ring_at_root)
    pool = pmemobj.open(laboratory.path)
    former = pool.root
    with watching(laboratory.path) as watch:
        pool.root = {"new": 1}
        assert "ring" in former
        content = canonical(pool.root)
        pool.close()
    states = [laboratory.inspector.content(watch.base, watch.images[0]), content]
    laboratory.inspector.require(watch, states, ending=True)
    with pmemobj.open(laboratory.path) as pool:  # this thread has no transaction open
        pool.gc()
        assert inspect(pool, garbage=0) == content


def with_ring_at_root(pool: Any) -> None:
    pool.root = {}
    with_ring(pool)


def test_another_boot_verifies_and_finds_the_same(laboratory: Laboratory) -> None:
    base, images, states = interrupted_case(laboratory, "dict set new nested")
    here, there = boot_id().encode(), b"0" * len(boot_id())
    for image in images:
        page = next(n for n in range(base.size // 4096) if here in base.page(n))
        pages = dict(image.pages)
        pages[page] = pages.get(page, base.page(page)).replace(here, there)
        pool = laboratory.inspector.open_image(base, Image("kill", image.point, pages))
        assert pool.recovery.verified
        assert canonical(pool.root) in states
        pool.close()


# -- another process ------------------------------------------------------------------------------


def test_a_new_process_finds_the_same(laboratory: Laboratory) -> None:
    sample, allowed = [], []
    for name in ["list set slice longer", "dict replace compacting", "set add growing"]:
        base, images, states = interrupted_case(laboratory, name)
        sample += [(base, image) for image in images]
        allowed += [states] * len(images)
    here = Path(__file__).parent
    packages = os.pathsep.join([str(here), *sys.path])
    done = subprocess.run(
        [sys.executable, "inspect_images.py", str(laboratory.directory / "there.pmem")],
        input=pickle.dumps(sample),
        stdout=subprocess.PIPE,
        cwd=here,
        env={**os.environ, "PYTHONPATH": packages},
        timeout=PATIENCE,
        check=True,
    )
    contents = pickle.loads(done.stdout)
    assert len(contents) == len(sample) > 30
    for content, states in zip(contents, allowed, strict=True):
        assert content in states
