"""graph.c: plain data built from one stream, and streams that are refused."""

from __future__ import annotations

import marshal
import random
from typing import Any

import pytest
from core_driver import Core

from pmemobj._native import ffi, lib


def read(stream: bytes, count: int) -> Any:
    """The graph in a stream, or None if it is refused."""
    graph = ffi.new("pmo_graph **")
    kept = ffi.from_buffer(stream)
    status = lib.pmo_graph_read(kept, len(stream), count, graph)
    if status == lib.PMO_EINVAL:
        assert graph[0] == ffi.NULL
        return None
    assert status == lib.PMO_OK
    return ffi.gc(graph[0], lib.pmo_graph_free), kept


def accepted(value: Any) -> bool:
    return read(marshal.dumps([value], 4), 1) is not None


def build(core: Core, *values: Any) -> list[int]:
    graph = read(marshal.dumps(list(values), 4), len(values))
    assert graph is not None
    offsets = ffi.new("uint64_t[]", len(values))
    core.check(lib.pmo_graph_build(core.ctx, graph[0], offsets))
    return list(offsets)


PLAIN = [{"a": [1, -(2**40), 2.5], "b": {"c" * 300: {"é", None, True}}, 3: ["d" * 5000]}]


@pytest.mark.parametrize(
    "value",
    [
        [], {}, set(), PLAIN, [2**63 - 1, -(2**63), 2**31, -(2**31) - 1, 2**45, -(2**60)],
        [0.0, -0.0, float("nan"), float("inf"), ""], {1.5: 2, -3.0: 4}, ["\ud800", "é" * 200],
    ],
)  # fmt: skip
def test_plain_data_is_taken(value: Any) -> None:
    assert accepted(value)


@pytest.mark.parametrize(
    "value",
    [
        [2**63], [-(2**63) - 1], [10**40], [b"x"], [bytearray(b"x")], [(1,)], [1j], [...],
        {(1,): 2}, {b"k": 1}, {float("nan"): 1}, {1e300: 1}, {float("inf"): 1}, {2.0**63: 1},
        {frozenset()}, [frozenset()], 5, "text", [compile("0", "", "eval")], (1, [2]),
    ],
)  # fmt: skip
def test_whatever_else_is_refused(value: Any) -> None:
    assert not accepted(value)


def test_nesting_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(190):
        deep = [deep]
    assert accepted(deep)
    for _ in range(20):
        deep = [deep]
    assert not accepted(deep)


def test_no_stream_leads_the_reader_astray() -> None:
    shared = ["shared" * 3]
    stream = marshal.dumps([[shared, shared, PLAIN, {"k": shared}, {1, 2}]], 4)
    for end in range(len(stream)):
        assert read(stream[:end], 1) is None
    assert read(stream + b"N", 1) is None
    assert read(stream, 2) is None
    choice = random.Random(5)
    for _ in range(3000):
        damaged = bytearray(stream)
        for _ in range(choice.randint(1, 3)):
            damaged[choice.randrange(len(damaged))] = choice.randrange(256)
        read(bytes(damaged), 1)


def test_small_containers_are_one_allocation_each(core: Core) -> None:
    record = {"id": 1, "name": "a name of some length", "tags": ["a", "b", 3], "place": {"x": 0.5}}
    before = core.counters()
    first, second = build(core, record, [1] * 30)
    after = core.counters()
    assert after.allocations - before.allocations == 4
    assert after.transactions - before.transactions == 1
    assert after.undo_records == before.undo_records
    for offset in (first, second):
        core.verify(offset)
    assert core.info(first).length == 4


def test_a_failure_leaves_nothing(core: Core) -> None:
    used = core.used()
    for nth in range(1, 100):
        lib.pmo_inject_failure(core.ctx, nth)
        graph = read(marshal.dumps(PLAIN, 4), 1)
        offsets = ffi.new("uint64_t[]", 1)
        status = lib.pmo_graph_build(core.ctx, graph[0], offsets)
        if status == lib.PMO_OK:
            break
        assert status == lib.PMO_EFULL
        assert core.used() == used
    assert nth > 5
    lib.pmo_inject_failure(core.ctx, 0)
    core.verify(offsets[0])


def test_freeing_gives_all_back(core: Core) -> None:
    used = core.used()
    (offset,) = build(core, [*PLAIN, [1] * 1000])
    core.check(lib.pmo_incref(core.ctx, offset))
    assert core.used() > used
    core.check(lib.pmo_decref(core.ctx, offset))
    assert core.used() == used
