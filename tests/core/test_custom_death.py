"""A custom object that dies leaves its operation's transaction open, and that can be aborted."""

from __future__ import annotations

import pytest
from core_driver import Batch, Core, Reference

from pmemobj._native import ffi, lib

OBJECT_TYPE_NUM = 20


def custom(core: Core) -> Reference:
    """A new object of a custom class, with no reference yet."""
    code, offset = ffi.new("uint32_t *"), ffi.new("uint64_t *")
    core.check(lib.pmo_type_define(core.ctx, lib.PMO_LAYOUT_FOREIGN, b"m:C", 3, code))
    core.check(lib.pmo_alloc(core.ctx, 64, OBJECT_TYPE_NUM, 1, offset))
    core.check(lib.pmo_object_stamp(core.ctx, offset[0], code[0]))
    return Reference(offset[0])


def items(core: Core, sequence: int) -> list[object]:
    batch = ffi.new("pmo_batch *")
    core.check(lib.pmo_sequence_read(core.ctx, sequence, 0, 1000, batch))
    return core.unpack(batch[0])


def replace(core: Core, sequence: int, start: int, stop: int, values: list[object]) -> int:
    batch = Batch(values)
    return core.check(lib.pmo_sequence_splice(core.ctx, sequence, start, stop, batch.pointer))


@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("put_back", [0, 1])
def test_what_a_list_vacates_comes_back(core: Core, place: int, put_back: int) -> None:
    sequence = core.new(lib.PMO_TYPE_LIST)
    with core.transaction():
        dying = custom(core)
        replace(core, sequence, 0, 0, [*range(place), dying, *range(place, 6)])
    before = items(core, sequence)
    others = list(range(100, 100 + put_back))
    assert replace(core, sequence, place, place + 1, list(others)) == lib.PMO_FOREIGN_DEAD
    assert lib.pmo_next_dead(core.ctx) == dying.offset
    for _ in range(3):
        core.check(lib.pmo_sequence_append(core.ctx, sequence, lib.PMO_INT, 777, b""))
    core.abort()
    assert items(core, sequence) == before
    core.verify(sequence)
    assert core.info(dying.offset).refcount == 1


def test_it_is_gone_once_its_memory_is_freed_and_committed(core: Core) -> None:
    sequence = core.new(lib.PMO_TYPE_LIST)
    with core.transaction():
        dying = custom(core)
        replace(core, sequence, 0, 0, [dying])
    assert replace(core, sequence, 0, 1, []) == lib.PMO_FOREIGN_DEAD
    assert lib.pmo_tx_commit(core.ctx) == lib.PMO_FOREIGN_DEAD
    assert lib.pmo_next_dead(core.ctx) == dying.offset
    core.check(lib.pmo_free(core.ctx, dying.offset))
    core.commit()
    assert items(core, sequence) == []
    assert not lib.pmo_tx_is_open(core.ctx)
