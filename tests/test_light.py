"""What stands for modules of the standard library does as they do."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from pmemobj.light import WeakSet


class Item:
    me: Item


@pytest.mark.parametrize("allocations", range(8))
def test_a_set_of_weak_references_is_gone_over_while_garbage_is_collected(
    allocations: int,
) -> None:
    """The collection comes with one of the first allocations of going over it."""
    items: Any = WeakSet()
    kept = Item()
    threshold = gc.get_threshold()
    gc.disable()
    try:
        for _ in range(1000):
            item = Item()
            item.me = item
            items.add(item)
        del item
        items.add(kept)
        gc.set_threshold(gc.get_count()[0] + allocations)
        gc.enable()
        assert kept in list(items)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    gc.collect()
    assert list(items) == [kept]
    items.discard(kept)
    assert list(items) == []
