"""At every persist point of every operation a crash leaves the state before or the one after."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from crash_cases import (
    DICT_CASES,
    LIST_CASES,
    SET_CASES,
    Case,
)
from laboratory import Laboratory, canonical

import pmemobj


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


@pytest.mark.parametrize("case", LIST_CASES + DICT_CASES + SET_CASES, ids=lambda case: case.name)
def test_any_crash_leaves_before_or_after(laboratory: Laboratory, case: Case) -> None:
    states = laboratory.sweep(prepare_with(case), lambda pool: case.change(pool.root["x"]))
    assert states == expected(case)
    assert states[0] != states[1]
