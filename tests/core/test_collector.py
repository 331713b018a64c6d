"""mark.c and collector.c: what a collection keeps, frees and corrects, and what disturbs it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from core_driver import MIB, Batch, Core, CoreError, Reference, encode
from graph_driver import LARGE, LAYOUTS, Graph, counts

from pmemobj._native import ffi, lib

HEAPED = "h" * 40

# ---- what stays and what goes ----


def test_everything_the_root_leads_to_stays(graph: Graph) -> None:
    inner = graph.list(1, "x" * 100, LARGE)
    graph.append(graph.top, Reference(inner))
    graph.append(graph.top, Reference(inner))
    before = graph.core.used()
    assert counts(graph.collect()) == (3, 0, 0)
    assert graph.core.used() == before
    assert graph.refcount(inner) == 2
    assert graph.problems()[0] == []


def test_an_empty_pool_has_no_objects(core: Core) -> None:
    graph = Graph(core)
    graph.root(None)
    assert counts(graph.collect()) == (0, 0, 0)


def test_a_cycle_without_a_root_goes(graph: Graph) -> None:
    before = graph.core.used()
    graph.cycle()
    grown = graph.core.used() - before
    report = graph.collect()
    assert counts(report) == (1, 4, 0)  # two lists and their storage
    assert report.freed_bytes == grown
    assert graph.core.used() == before


def test_a_leaf_at_the_root_stays(graph: Graph) -> None:
    graph.root(LARGE)
    assert counts(graph.collect()) == (1, 0, 0)


@pytest.mark.parametrize("type_code", LAYOUTS, ids=LAYOUTS.get)
def test_every_layout_keeps_what_it_holds(graph: Graph, type_code: int) -> None:
    owner, inner = graph.new(type_code), graph.list(1)
    graph.hold(owner, inner)
    graph.append(graph.top, Reference(owner))
    graph.cycle(inner)
    report = graph.collect()
    assert counts(report) == (3, 4, 1)
    assert graph.refcount(inner) == 1
    assert graph.problems()[0] == []


def test_a_dict_keeps_its_keys_and_values_but_not_what_was_deleted(graph: Graph) -> None:
    table = graph.new(lib.PMO_TYPE_DICT)
    graph.append(graph.top, Reference(table))
    key, value, gone = graph.list(1), graph.list(2), graph.list(3)
    graph.put(table, Reference(key), Reference(value))
    for i in range(20):
        graph.put(table, i, LARGE)
    self_holding = graph.list(Reference(gone))
    graph.append(self_holding, Reference(self_holding))
    graph.put(table, "gone", Reference(self_holding))
    graph.put(table, "last", "x")
    graph.remove(table, "gone")
    graph.remove(table, 3)
    assert counts(graph.collect()) == (4 + 19, 4, 0)
    assert graph.problems()[0] == []


def test_pinned_objects_are_roots_and_their_counts_stay(graph: Graph) -> None:
    one, two = graph.cycle()
    lone = graph.list(Reference(graph.list(7)))
    for offset in (one, lone, lone):
        lib.pmo_pin(graph.ctx, offset)
    assert counts(graph.collect()) == (5, 0, 0)
    assert [graph.refcount(offset) for offset in (one, two, lone)] == [1, 1, 0]
    assert graph.problems()[0] == []
    lib.pmo_unpin(graph.ctx, one)
    assert counts(graph.collect()) == (3, 4, 0)


def test_garbage_does_not_count_as_a_reference(graph: Graph) -> None:
    shared = graph.list()
    graph.append(graph.top, Reference(shared))
    graph.cycle(shared, shared)
    found, report = graph.problems()
    assert (found, report.freed) == ([], 4)
    assert graph.refcount(shared) == 3
    assert counts(graph.collect()) == (2, 4, 1)
    assert graph.refcount(shared) == 1


def test_100_000_levels_need_no_stack(tmp_path: Path) -> None:
    core = Core(tmp_path / "deep.pool", 64 * MIB)
    graph = Graph(core)
    with graph.core.transaction():
        below = graph.list()
        for _ in range(100_000):
            below = graph.list(Reference(below))
        graph.append(graph.top, Reference(below))
    assert counts(graph.collect()) == (100_002, 0, 0)
    assert graph.problems()[0] == []
    core.close()


@pytest.mark.parametrize("budget", [0, 1, 7, 10**18])
def test_any_budget_gives_the_same(graph: Graph, budget: int) -> None:
    wide = graph.list(*range(200))
    for _ in range(20):
        graph.append(wide, Reference(graph.list(LARGE)))
    graph.append(graph.top, Reference(wide))
    graph.cycle(wide)
    graph.cycle()
    assert graph.problems(budget)[0] == []
    assert counts(graph.collect(budget)) == (42, 8, 1)
    assert graph.problems(budget)[0] == []


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_against_a_model(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    held: dict[int, list[int]] = {graph.top: []}
    pinned = set()
    for _ in range(300):
        offset = graph.new(rng.choice(list(LAYOUTS)))
        held[offset] = []
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            owner = rng.choice(list(held))
            if offset not in held[owner]:
                graph.hold(owner, offset)
                held[owner].append(offset)
            back = rng.choice(list(held))
            if back not in held[offset] and (back != offset):
                graph.hold(offset, back)
                held[offset].append(back)
        if rng.random() < 0.02:
            lib.pmo_pin(graph.ctx, offset)
            pinned.add(offset)
    reached, work = set(), [graph.top, *pinned]
    while work:
        one = work.pop()
        if one not in reached:
            reached.add(one)
            work += held[one]
    assert graph.problems()[0] == []
    lost = [one for one in held if one not in reached]
    stray = {target for one in lost for target in held[one] if target in reached}
    bodies = sum(1 for one in lost if held[one])
    assert counts(graph.collect(rng.choice([1, 50]))) == (
        len(reached),
        len(lost) + bodies,
        len(stray),
    )
    for offset in reached:
        wanted = sum(held[one].count(offset) for one in reached) + (offset == graph.top)
        assert graph.refcount(offset) == wanted
    found, report = graph.problems()
    assert (found, report.freed) == ([], 0)


# ---- reference counts ----


@pytest.mark.parametrize("planted", [0, 1, 3, 2**63])
def test_a_wrong_count_is_found_and_put_right(graph: Graph, planted: int) -> None:
    inner = graph.list()
    graph.append(graph.top, Reference(inner))
    graph.append(graph.top, Reference(inner))
    graph.set_refcount(inner, planted)
    wrong = "small" if planted < 2 else "large"
    assert graph.problems()[0] == [f"an object's reference count is too {wrong}"]
    assert counts(graph.collect()) == (2, 0, 1)
    assert graph.refcount(inner) == 2
    assert graph.problems()[0] == []


def test_many_wrong_counts_take_several_transactions(graph: Graph) -> None:
    with graph.core.transaction():
        inner = [graph.list() for _ in range(2500)]
        for offset in inner:
            graph.append(graph.top, Reference(offset))
    for offset in inner:
        graph.set_refcount(offset, 5)
    before = graph.core.counters().transactions
    assert counts(graph.collect(10_000)) == (2501, 0, 2500)
    assert graph.core.counters().transactions - before == 3
    assert {graph.refcount(offset) for offset in inner} == {1}


# ---- objects of custom classes ----


def test_a_custom_object_keeps_what_the_caller_says(graph: Graph) -> None:
    inner, block = graph.list(1), graph.block(500, 99)
    custom = graph.foreign([inner], [block])
    graph.append(graph.top, Reference(custom))
    stray = graph.block(500, 99)
    assert counts(graph.collect()) == (3, 1, 0)
    assert graph.refcount(inner) == 1
    assert graph.problems()[0] == []
    graph.free(inner)
    assert "in use, but libpmemobj holds it for free" in graph.problems()[0]
    assert stray != block


def test_what_a_custom_object_holds_may_be_unknown(graph: Graph) -> None:
    inner = graph.list(1)
    graph.append(graph.top, Reference(graph.foreign([inner], [])))
    graph.cycle(inner)
    offset = ffi.new("uint64_t *")
    graph.start()
    assert lib.pmo_gc_mark(graph.ctx, 1000, offset) == 2
    assert lib.pmo_gc_reference(graph.ctx, 0) == 0
    assert lib.pmo_gc_mark(graph.ctx, 1000, offset) == 0
    graph.sweep()
    assert graph.finish().freed == 0
    assert graph.refcount(inner) == 2
    assert counts(graph.collect()) == (3, 4, 1)


def test_unreadable_garbage_explains_too_large_counts(graph: Graph) -> None:
    inner = graph.list()
    graph.append(graph.top, Reference(inner))
    graph.foreign([inner], [])
    found, report = graph.problems()
    assert (found, report.freed) == ([], 1)
    assert counts(graph.collect()) == (2, 1, 1)
    assert graph.refcount(inner) == 1


@pytest.mark.parametrize("offset", [1, 24, 4097, 2**40, 2**64 - 16])
def test_bad_offsets_from_a_custom_object_are_refused(graph: Graph, offset: int) -> None:
    graph.append(graph.top, Reference(graph.foreign([], [])))
    graph.cycle()
    foreign = ffi.new("uint64_t *")
    graph.start()
    assert lib.pmo_gc_mark(graph.ctx, 1000, foreign) == 2
    assert lib.pmo_gc_reference(graph.ctx, offset) < 0
    assert lib.pmo_gc_keep(graph.ctx, offset) == lib.PMO_ECORRUPT
    assert lib.pmo_gc_mark(graph.ctx, 1000, foreign) == 0
    graph.sweep()
    assert graph.finish().freed == 0


def test_a_substructure_belongs_to_one_object(graph: Graph) -> None:
    inner = graph.list(1)
    graph.append(graph.top, Reference(graph.foreign([], [graph.body(inner)])))
    graph.append(graph.top, Reference(inner))
    with pytest.raises(CoreError) as error:
        graph.collect()
    assert error.value.status == lib.PMO_ECORRUPT


# ---- order, interruption, failures ----


def test_not_inside_a_transaction(graph: Graph) -> None:
    graph.core.begin()
    assert lib.pmo_gc_start(graph.ctx, 0) == lib.PMO_EINTX
    graph.core.abort()
    graph.start()
    graph.core.begin()
    assert lib.pmo_gc_mark(graph.ctx, 1, ffi.new("uint64_t *")) == lib.PMO_EINTX
    graph.core.abort()
    graph.finish()


def test_steps_out_of_order_are_refused(graph: Graph) -> None:
    offset = ffi.new("uint64_t *")
    assert lib.pmo_gc_mark(graph.ctx, 1, offset) == lib.PMO_EINVAL
    assert lib.pmo_gc_sweep(graph.ctx, 1) == lib.PMO_EINVAL
    assert lib.pmo_gc_reference(graph.ctx, graph.top) == lib.PMO_EINVAL
    graph.start()
    assert lib.pmo_gc_sweep(graph.ctx, 1) == lib.PMO_EINVAL
    assert lib.pmo_gc_verify(graph.ctx, 1) == lib.PMO_EINVAL
    graph.mark()
    assert lib.pmo_gc_keep(graph.ctx, graph.top) == lib.PMO_EINVAL
    assert lib.pmo_gc_verify(graph.ctx, 1) == lib.PMO_EINVAL
    graph.sweep()
    assert lib.pmo_gc_sweep(graph.ctx, 1) == 0
    graph.finish()
    assert counts(graph.finish()) == (0, 0, 0)


def test_a_change_between_two_steps_is_noticed(graph: Graph) -> None:
    graph.start()
    graph.mark()
    graph.append(graph.top, Reference(graph.list(1)))
    assert lib.pmo_gc_sweep(graph.ctx, 1) == lib.PMO_EINVAL
    assert graph.finish().freed == 0
    assert counts(graph.collect()) == (2, 0, 0)


def test_a_closed_pool_gives_only_that(graph: Graph) -> None:
    graph.start()
    graph.mark()
    lib.pmo_close(graph.ctx)
    for call in (lib.pmo_gc_sweep, lib.pmo_gc_verify, lib.pmo_gc_start):
        assert call(graph.ctx, 1) == lib.PMO_ECLOSED
    assert lib.pmo_object_check(graph.ctx, graph.top) == lib.PMO_ECLOSED


@pytest.mark.parametrize("steps", range(8))
def test_an_interrupted_sweep_leaves_the_rest(graph: Graph, steps: int) -> None:
    shared = graph.list()
    graph.append(graph.top, Reference(shared))
    for _ in range(3):
        graph.cycle(shared)
    graph.start()
    graph.mark()
    for _ in range(steps):
        graph.core.check(lib.pmo_gc_sweep(graph.ctx, 2))
    freed = graph.finish().freed
    found, report = graph.problems()
    assert (found, report.freed) == ([], 12 - freed)
    assert graph.collect().freed == 12 - freed
    assert graph.refcount(shared) == 1
    assert graph.problems()[0] == []


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_sweep_that_finds_no_room_tries_smaller_steps(graph: Graph, nth: int) -> None:
    inner = [graph.list() for _ in range(5)]
    for offset in inner:
        graph.append(graph.top, Reference(offset))
        graph.set_refcount(offset, 9)
    graph.cycle()
    lib.pmo_inject_failure(graph.ctx, nth)
    assert counts(graph.collect()) == (6, 4, 5)
    lib.pmo_inject_failure(graph.ctx, 0)
    assert graph.problems()[0] == []


def test_a_full_pool_can_be_collected(tmp_path: Path) -> None:
    core = Core(tmp_path / "full.pool", 8 * MIB)
    graph = Graph(core)
    made = 0
    try:
        while True:
            one, _ = graph.cycle()
            graph.append(one, "x" * 60)
            made += 1
    except CoreError as error:
        assert error.status == lib.PMO_EFULL
    while True:
        try:
            graph.new(lib.PMO_TYPE_LIST)
        except CoreError:
            break
    assert made > 1000
    assert graph.collect(10_000).freed >= 4 * made
    assert graph.problems()[0] == []
    for _ in range(made):
        graph.cycle()
    core.close()


def test_a_crash_anywhere_in_a_sweep_is_harmless(tmp_path: Path) -> None:
    core = Core(tmp_path / "whole.pool", 8 * MIB)
    graph = Graph(core)
    shared = graph.list(LARGE)
    graph.append(graph.top, Reference(shared))
    graph.cycle(shared)
    images: list[Path] = []

    @ffi.callback("pmo_persist_observer")
    def copy(address: Any, size: int) -> None:
        image = tmp_path / f"{len(images)}.pool"
        shutil.copyfile(core.path, image)
        images.append(image)

    lib.pmo_observe_persists(copy)
    try:
        assert counts(graph.collect(budget=1)) == (3, 4, 1)
        copy(ffi.NULL, 0)
    finally:
        lib.pmo_observe_persists(ffi.NULL)
    core.close()
    assert len(images) > 5  # transactions
    freed = set()
    for image in images:
        core.path = image
        core.open()
        used = core.used
        report = graph.collect()
        assert report.objects == 3
        freed.add(report.freed)
        assert graph.refcount(shared) == 1
        found, report = graph.problems()
        assert (found, report.freed) == ([], 0)
        before = used()
        graph.cycle()
        graph.collect()
        assert used() == before
        core.close()
        image.unlink()
    assert freed == set(range(5))


def test_cells_that_refer_to_nothing_are_not_read(graph: Graph) -> None:
    plain = graph.list(*range(100), "text", HEAPED)
    table = graph.new(lib.PMO_TYPE_DICT)
    for i in range(100):
        graph.put(table, i, HEAPED)
    graph.append(graph.top, Reference(plain))
    graph.append(graph.top, Reference(table))
    for offset in (plain, table):
        assert not graph.refers(offset)
        graph.memory(graph.body(offset) + 16 * 50, 1)[0] = b"\xff"
    graph.cycle()
    assert counts(graph.collect()) == (3, 4, 0)
    assert len(graph.problems()[0]) == 2


def given_back(graph: Graph, offset: int, values: list[Any]) -> None:
    batch = Batch(values)
    length = lib.pmo_length(graph.ctx, offset)
    graph.core.check(lib.pmo_sequence_splice(graph.ctx, offset, 0, length, batch.pointer))


@pytest.mark.parametrize("value", [LARGE, "reference"])
@pytest.mark.parametrize("before", [[], [1, 2], [1, HEAPED]])
def test_a_sequence_tells_whether_it_refers(graph: Graph, before: list[Any], value: Any) -> None:
    if value == "reference":
        value = Reference(graph.list())
        graph.append(graph.top, value)
    sequence = graph.list(*before)
    graph.append(graph.top, Reference(sequence))
    assert not graph.refers(sequence)
    graph.append(sequence, value)
    assert graph.refers(sequence)
    for i in range(200):  # to other storage, and that again
        graph.append(sequence, i)
    assert graph.refers(sequence)
    assert graph.problems()[0] == []
    assert graph.collect().freed == 0
    given_back(graph, sequence, [])
    assert not graph.refers(sequence)
    given_back(graph, sequence, [1, value])
    assert graph.refers(sequence)
    order = ffi.new("uint64_t[]", [1, 0])
    graph.core.check(lib.pmo_sequence_permute(graph.ctx, sequence, order, 2))
    assert graph.refers(sequence)
    graph.core.check(lib.pmo_sequence_delete_stride(graph.ctx, sequence, 0, 1, 1))
    assert not graph.refers(sequence), "the one that did is gone, and the rest was copied"
    graph.core.check(lib.pmo_sequence_set(graph.ctx, sequence, 0, *encode(value)))
    assert graph.refers(sequence)
    assert graph.problems()[0] == []


@pytest.mark.parametrize("as_key", [False, True])
@pytest.mark.parametrize("value", [LARGE, "reference"])
def test_a_table_tells_whether_it_refers(graph: Graph, as_key: bool, value: Any) -> None:
    if value == "reference":
        value = Reference(graph.list())
        graph.append(graph.top, value)
    table = graph.new(lib.PMO_TYPE_DICT)
    graph.append(graph.top, Reference(table))
    for i in range(5):
        graph.put(table, i, HEAPED)
    assert not graph.refers(table)
    if as_key:
        graph.put(table, value, 0)
    else:
        graph.put(table, 3, value)
    assert graph.refers(table)
    for i in range(100, 200):
        graph.put(table, i, i)
    assert graph.refers(table)
    assert graph.problems()[0] == []
    assert graph.collect().freed == 0
    graph.remove(table, value if as_key else 3)
    for i in range(200, 500):
        graph.put(table, i, i)
    assert not graph.refers(table), "the one that did is gone, and the rest was copied"
    graph.core.check(lib.pmo_table_clear(graph.ctx, table))
    assert not graph.refers(table)


@pytest.mark.parametrize("commit", [False, True])
def test_what_a_transaction_says_of_references_ends_with_it(graph: Graph, commit: bool) -> None:
    target = graph.list(1)
    graph.append(graph.top, Reference(target))
    plain = [graph.list(1, 2), graph.list()]
    table = graph.new(lib.PMO_TYPE_DICT)
    graph.put(table, 1, 2)
    for offset in (*plain, table):
        graph.append(graph.top, Reference(offset))
    graph.core.check(lib.pmo_tx_begin(graph.ctx))
    graph.core.check(lib.pmo_sequence_set(graph.ctx, plain[0], 0, *encode(3)))
    graph.core.check(lib.pmo_sequence_set(graph.ctx, plain[0], 0, *encode(Reference(target))))
    graph.append(plain[1], Reference(target))
    graph.put(table, 1, Reference(target))
    graph.core.check(lib.pmo_tx_commit(graph.ctx) if commit else lib.pmo_tx_abort(graph.ctx))
    assert [graph.refers(offset) for offset in (*plain, table)] == [commit] * 3
    assert graph.problems()[0] == []
    assert graph.refcount(target) == (4 if commit else 1)


def test_an_unclean_pool_learns_how_much_is_used(tmp_path: Path) -> None:
    core = Core(tmp_path / "unclean.pool", 24 * MIB)
    graph = Graph(core)
    batch = Batch(list(range(1000)))
    graph.core.check(lib.pmo_sequence_splice(core.ctx, graph.top, 0, 0, batch.pointer))
    for size in (5000, 9000, 40_000, 70_000, 250_000, 300_000, 3_000_000):
        graph.append(graph.top, "s" * size)
        graph.append(graph.top, Reference(graph.list(size, size)))
    used = core.used()
    shutil.copyfile(core.path, tmp_path / "copy.pool")
    core.close()
    core.path = tmp_path / "copy.pool"
    core.open()
    graph.collect()
    assert core.used() == used
    core.close()
