"""verify.c: every kind of damage is found, and keeps a collection from freeing anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from core_driver import CoreError, Reference
from graph_driver import GEOMETRY, LARGE, NUM_OBJECT, REFERS, STATE, Graph

from pmemobj._native import lib


def flip(graph: Graph, offset: int, mask: int = 1) -> None:
    memory = graph.memory(offset, 1)
    memory[0] = bytes([memory[0][0] ^ mask])


def damage_header(graph: Graph, inner: int) -> None:
    flip(graph, inner + 8)


def damage_state(graph: Graph, inner: int) -> None:
    flip(graph, inner + STATE)


def damage_geometry(graph: Graph, inner: int) -> None:
    flip(graph, inner + GEOMETRY)


def damage_reference_tag(graph: Graph, inner: int) -> None:
    graph.memory(graph.body(inner), 1)[0] = bytes([lib.PMO_INT])


def damage_reference_to_none(graph: Graph, inner: int) -> None:
    graph.memory(graph.body(inner), 1)[0] = bytes([lib.PMO_EMPTY])


def damage_reference_offset(graph: Graph, inner: int) -> None:
    flip(graph, graph.body(inner) + 9)


def damage_blob_length_byte(graph: Graph, inner: int) -> None:
    flip(graph, graph.body(inner) + 16 + 1)


def damage_by_sharing_storage(graph: Graph, inner: int) -> None:
    other = graph.list()
    graph.append(graph.top, Reference(other))
    graph.memory(other + STATE, 80)[:] = graph.memory(inner + STATE, 80)[:]


def damage_by_freeing(graph: Graph, inner: int) -> None:
    graph.free(inner)


def damage_by_freeing_storage(graph: Graph, inner: int) -> None:
    graph.free(move_storage(graph, inner))


DAMAGE = [
    damage_header,
    damage_state,
    damage_geometry,
    damage_reference_tag,
    damage_reference_to_none,
    damage_reference_offset,
    damage_blob_length_byte,
    damage_by_sharing_storage,
    damage_by_freeing,
    damage_by_freeing_storage,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_and_nothing_is_freed(
    graph: Graph, damage: Callable[[Graph, int], None]
) -> None:
    inner = graph.list(Reference(graph.list(1)), LARGE)
    graph.append(graph.top, Reference(inner))
    graph.cycle()
    damage(graph, inner)
    used = graph.core.used()
    with pytest.raises(CoreError) as error:
        graph.collect()
    assert error.value.status == lib.PMO_ECORRUPT
    assert graph.core.used() == used
    assert graph.problems()[0] != []
    assert graph.problems(1)[0] != []


def test_a_hole_that_was_an_entry_is_damage(graph: Graph) -> None:
    table = graph.new(lib.PMO_TYPE_DICT)
    graph.append(graph.top, Reference(table))
    for i in range(3):
        graph.put(table, i, Reference(graph.list(i)))
    graph.memory(graph.body(table) + 40 + 8, 1)[0] = b"\0"
    with pytest.raises(CoreError) as error:
        graph.collect()
    assert error.value.status == lib.PMO_ECORRUPT


def test_verification_goes_on_behind_damage(graph: Graph) -> None:
    inner = [graph.list(i) for i in range(6)]
    for offset in inner:
        graph.append(graph.top, Reference(offset))
    damage_state(graph, inner[1])
    damage_header(graph, inner[3])
    graph.set_refcount(inner[5], 0)
    found, report = graph.problems()
    assert len(found) == 3
    assert report.objects == 6  # all but the one whose header is damaged


def test_verification_wants_our_type_numbers(graph: Graph) -> None:
    other = graph.block(96, 77)
    inner = graph.list(1)
    graph.append(graph.top, Reference(inner))
    with graph.core.transaction():
        graph.core.check(lib.pmo_object_stamp(graph.ctx, other, lib.PMO_TYPE_LIST))
    graph.memory(other + STATE, 80)[:] = graph.memory(graph.new(lib.PMO_TYPE_LIST) + STATE, 80)[:]
    graph.append(graph.top, Reference(other))
    assert graph.problems()[0] == ["an object has another type number"]


def test_verification_wants_storage_of_our_type_number(graph: Graph) -> None:
    inner = graph.list(1, 2, 3)
    graph.append(graph.top, Reference(inner))
    move_storage(graph, inner)
    assert graph.problems()[0] == ["a container's storage has another type number"]


def test_verification_wants_storage_that_fits_its_memory(graph: Graph) -> None:
    inner = graph.list(1, 2, 3)
    graph.append(graph.top, Reference(inner))
    body, _ = geometry(graph, inner)
    set_geometry(graph, inner, body, 1000)
    assert graph.problems()[0] == ["a container's storage is smaller than it says"]


def test_verification_wants_objects_that_fit_their_memory(graph: Graph) -> None:
    block = graph.block(64, NUM_OBJECT)
    with graph.core.transaction():
        graph.core.check(lib.pmo_object_stamp(graph.ctx, block, lib.PMO_TYPE_BLOB))
    graph.append(graph.top, Reference(graph.foreign([block], [])))
    graph.memory(block + 16, 8)[:] = word(1000)
    payload = graph.memory(block + 32, 1000)[:]
    check = fold(payload_sum(payload) ^ lib.PMO_BYTES, 1000) & 0xFFFFFFFF
    graph.memory(block + 24, 8)[:] = word(lib.PMO_BYTES | check << 32)
    assert graph.problems()[0] == ["an object's memory is smaller than the object"]


def test_an_unknown_type_code_is_damage(graph: Graph) -> None:
    inner = graph.list(1)
    graph.append(graph.top, Reference(inner))
    graph.memory(inner + 8, 8)[:] = word(9999 | (fold(inner, 9999) & 0xFFFFFFFF) << 32)
    with pytest.raises(CoreError) as error:
        graph.collect()
    assert error.value.status == lib.PMO_ECORRUPT
    assert graph.problems()[0] == ["an object has an unknown type code"]
    assert lib.pmo_object_check(graph.ctx, inner) == lib.PMO_ECORRUPT


def test_a_reference_into_storage_is_damage(graph: Graph) -> None:
    inner = graph.list(1)
    graph.append(graph.top, Reference(graph.list(Reference(inner))))
    graph.append(graph.top, Reference(graph.foreign([], [inner])))
    with pytest.raises(CoreError, match="into a container's storage") as error:
        graph.collect()
    assert error.value.status == lib.PMO_ECORRUPT


def test_a_reference_that_is_not_announced_is_damage(graph: Graph) -> None:
    """A collection would pass it by, and free what it leads to."""
    inner = graph.list(Reference(graph.list(1)))
    graph.append(graph.top, Reference(inner))
    state = [int.from_bytes(graph.memory(inner + STATE + 8 * i, 8)[:], "little") for i in range(4)]
    assert state[3] == REFERS
    state[3] = 0
    check = fold(fold(*state[:2]), fold(*state[2:]))
    graph.memory(inner + STATE, 40)[:] = b"".join(map(word, (*state, check)))
    assert graph.problems()[0][0] == "a reference in a container that says it has none"


# ---- the checks of layout.h, to plant what they do not find ----


def word(number: int) -> bytes:
    return number.to_bytes(8, "little")


def fold(a: int, b: int) -> int:
    product = (a ^ 0x9E3779B97F4A7C15) * (b ^ 0xD6E8FEB86659FD93)
    return (product ^ product >> 64) & 0xFFFFFFFFFFFFFFFF


def payload_sum(payload: bytes) -> int:
    total = len(payload)
    for at in range(0, len(payload), 8):
        total = fold(total, int.from_bytes(payload[at : at + 8], "little"))
    return total


def geometry(graph: Graph, offset: int) -> tuple[int, int]:
    """A list's storage and how many cells it has."""
    memory = graph.memory(offset + GEOMETRY, 16)[:]
    return int.from_bytes(memory[:8], "little"), int.from_bytes(memory[8:], "little")


def set_geometry(graph: Graph, offset: int, body: int, capacity: int) -> None:
    check = fold(fold(body, capacity), fold(0, 0))
    memory = b"".join(map(word, (body, capacity, 0, 0, check)))
    graph.memory(offset + GEOMETRY, 40)[:] = memory


def move_storage(graph: Graph, offset: int) -> int:
    """Let a list's cells lie in memory that is no container's."""
    body, capacity = geometry(graph, offset)
    block = graph.block(16 * capacity, 77)
    graph.memory(block, 16 * capacity)[:] = graph.memory(body, 16 * capacity)[:]
    set_geometry(graph, offset, block, capacity)
    return block
