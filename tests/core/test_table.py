"""table*.c: dict and set tables against Python's own, one C call at a time."""

from __future__ import annotations

import itertools
import random
import struct
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from core_driver import MIB, Batch, Core, CoreError, Keys, Reference, canon, encode

from pmemobj._native import ffi, lib

MEDIUM = "m" * 100  # lies in the table's heap
LARGE = "l" * 5000  # a blob of its own
OBJECT_TYPE_NUM = 20


class Table:
    """A stored table with the methods of dict, or of set when values are left out."""

    def __init__(self, core: Core, type_code: int) -> None:
        self.core = core
        self.is_set = type_code == lib.PMO_TYPE_SET
        self.offset = core.new(type_code)

    def set(self, key: Any, value: Any = None) -> int:
        given = canon(key)
        return self.core.check(
            lib.pmo_table_set(
                self.core.ctx, self.offset, *encode(key), given, len(given), *encode(value)
            )
        )

    def delete(self, key: Any) -> int:
        given = canon(key)
        return self.core.check(
            lib.pmo_table_delete(self.core.ctx, self.offset, *encode(key), given, len(given))
        )

    def get(self, key: Any) -> Any:
        given = canon(key)
        value = ffi.new("pmo_value *")
        self.core.check(
            lib.pmo_table_find(self.core.ctx, self.offset, *encode(key), given, len(given), value)
        )
        return self.core.decoded(value)

    def __contains__(self, key: Any) -> bool:
        try:
            self.get(key)
        except CoreError as error:
            if error.status == lib.PMO_EMISSING:
                return False
            raise
        return True

    def update(self, pairs: dict[Any, Any] | list[tuple[Any, Any]]) -> int:
        pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
        keys = Keys([key for key, _ in pairs])
        values = Batch([value for _, value in pairs])
        return self.core.check(
            lib.pmo_table_update(
                self.core.ctx,
                self.offset,
                keys.pointer,
                ffi.NULL if self.is_set else values.pointer,
            )
        )

    def delete_many(self, count: int) -> int:
        keys = Keys([key for key, _ in self.items()[1 : count + 1]])
        return self.core.check(lib.pmo_table_delete_many(self.core.ctx, self.offset, keys.pointer))

    def clear(self) -> int:
        return self.core.check(lib.pmo_table_clear(self.core.ctx, self.offset))

    def __len__(self) -> int:
        return self.core.check(lib.pmo_length(self.core.ctx, self.offset))

    def items(self, start: int = 0, stop: int = 2**63) -> list[tuple[Any, Any]]:
        batches = ffi.new("pmo_batch[2]")
        following = ffi.new("uint64_t *")
        items: list[tuple[Any, Any]] = []
        while True:
            second = ffi.NULL if self.is_set else batches + 1
            self.core.check(
                lib.pmo_table_read(
                    self.core.ctx, self.offset, start, stop, batches, second, following
                )
            )
            keys = self.core.unpack(batches[0])
            values = [None] * len(keys) if self.is_set else self.core.unpack(batches[1])
            items += zip(keys, values, strict=True)
            if following[0] == start:
                return items
            start = following[0]

    def holds(self, expected: dict[Any, Any] | list[tuple[Any, Any]]) -> None:
        """The very keys and values, in order, types included; all invariants; lookup agrees."""
        self.core.verify(self.offset)
        expected = list(expected.items()) if isinstance(expected, dict) else expected
        assert len(self) == len(expected)
        assert typed(self.items()) == typed(expected)
        for key, value in expected:
            assert typed(self.get(key)) == typed(key if self.is_set else value)


def typed(value: Any) -> Any:
    """Equal only for values of the same type: 1, 1.0 and True differ, and so do the zeros."""
    if isinstance(value, (list, tuple)):
        return [typed(one) for one in value]
    return type(value), repr(value)


@pytest.fixture
def table(core: Core) -> Table:
    return Table(core, lib.PMO_TYPE_DICT)


@pytest.fixture
def members(core: Core) -> Table:
    return Table(core, lib.PMO_TYPE_SET)


KEYS = [
    None, True, 0, 2, -1, 2**63 - 1, -(2**63), 0.5, -2.5, 1e300, float("inf"), float("-inf"),
    "", "a", "a\0b", "\ud800", "short enough", "thirteen char", MEDIUM, LARGE,
    b"", b"a", b"\0", b"m" * 100, b"l" * 5000,
    Decimal("1e400"), Decimal("0.1"), Decimal(77), Decimal("0.25"), Decimal("-3.1e-500"),
]  # fmt: skip


def test_every_kind_of_key_and_value_comes_back(table: Table) -> None:
    model: dict[Any, Any] = {}
    for key, value in zip(KEYS, reversed(KEYS), strict=True):
        table.set(key, value)
        model[key] = value
        table.holds(model)
    table.core.reopen()
    table.holds(model)


def test_a_set_keeps_its_members_in_order(members: Table) -> None:
    for key in KEYS + KEYS:
        members.set(key)
    members.holds([(key, None) for key in KEYS])
    members.core.reopen()
    members.holds([(key, None) for key in KEYS])


@pytest.mark.parametrize("first", [1, 1.0, True, Decimal(1)])
@pytest.mark.parametrize("second", [1, 1.0, True, Decimal(1)])
def test_equal_numbers_are_one_key(table: Table, first: Any, second: Any) -> None:
    table.set(first, "first")
    table.set(second, "second")
    table.holds([(first, "second")])
    table.update([(first, "third"), (second, "fourth")])
    table.holds([(first, "fourth")])
    table.delete(second)
    table.holds([])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0, -0.0, True),
        (2**53, float(2**53), True),
        (-(2**63), -(2.0**63), True),
        (2**63 - 1, 2.0**63, False),
        (0.5, Decimal("0.5"), True),
        (0.1, Decimal("0.1"), False),
        ("a", b"a", False),
        ("i\1\0\0\0\0\0\0\0", 1, False),
        (None, 0, False),
        ("", None, False),
        (float("nan"), float("nan"), True),
        (Decimal("1e400"), Decimal("10e399"), True),
    ],
)
def test_which_keys_are_the_same(table: Table, one: Any, other: Any, same: bool) -> None:
    table.set(one, 1)
    assert (other in table) is same
    table.set(other, 2)
    assert len(table) == (1 if same else 2)
    table.core.verify(table.offset)


def test_a_key_that_the_core_cannot_derive_needs_its_canonical_bytes(table: Table) -> None:
    tag, number, data = encode(Decimal("2.5"))
    status = lib.pmo_table_set(
        table.core.ctx, table.offset, tag, number, data, b"", 0, *encode(None)
    )
    assert status == lib.PMO_EINVAL
    table.holds([])


def test_what_is_missing_is_said_to_be(table: Table) -> None:
    for wanted in KEYS:
        assert wanted not in table
        with pytest.raises(CoreError) as caught:
            table.delete(wanted)
        assert caught.value.status == lib.PMO_EMISSING
    table.holds([])


def test_replacing_keeps_key_and_place(table: Table) -> None:
    model = dict.fromkeys(KEYS, "old")
    table.update(model)
    for key in KEYS:
        table.set(key, MEDIUM)
        model[key] = MEDIUM
    table.holds(model)


def test_replacing_moves_no_entry_even_when_the_heap_moves(table: Table) -> None:
    table.update({i: i for i in range(40)})
    for i in range(0, 40, 3):
        table.delete(i)
    places = [table.items(i, i + 1) for i in range(40)]
    for i in range(1, 40, 3):
        table.set(i, f"{i:0300d}")
        table.core.verify(table.offset)
    keys = [[key for key, _ in table.items(i, i + 1)] for i in range(40)]
    assert keys == [[key for key, _ in place] for place in places]


def test_a_value_may_be_replaced_by_itself(core: Core, table: Table) -> None:
    inner = core.new(lib.PMO_TYPE_LIST)
    table.set("x", Reference(inner))
    core.check(lib.pmo_decref(core.ctx, inner))
    table.set("x", Reference(inner))
    table.update([("x", Reference(inner)), ("x", Reference(inner))])
    assert core.info(inner).refcount == 1
    table.holds([("x", Reference(inner))])


def test_references_are_counted_for_keys_and_values(core: Core, table: Table) -> None:
    first, second = core.new(lib.PMO_TYPE_LIST), core.new(lib.PMO_TYPE_LIST)
    table.set(Reference(first), Reference(second))
    table.set("again", Reference(second))
    assert (core.info(first).refcount, core.info(second).refcount) == (2, 3)
    table.set("again", None)
    table.delete(Reference(first))
    assert (core.info(first).refcount, core.info(second).refcount) == (1, 1)


def test_popping_the_last_gives_its_place_back(table: Table) -> None:
    for i in range(30):
        table.set(i, i)
    for i in range(10, 20):
        table.delete(i)
    for i in range(29, 19, -1):
        table.delete(i)
    assert table.core.info(table.offset).used == 10
    table.holds({i: i for i in range(10)})


def test_a_queue_and_a_stack_stay_small(table: Table) -> None:
    for i in range(5000):
        table.set(i, MEDIUM)
        if i >= 10:
            table.delete(i - 10)
    assert table.core.info(table.offset).bytes < 20000
    table.clear()
    for i in range(5000):
        table.set(i, MEDIUM)
        table.delete(i)
    assert table.core.info(table.offset).bytes < 20000
    table.holds([])


def test_the_first_entry_is_found_past_holes_without_looking_at_them(core: Core) -> None:
    for kind in (lib.PMO_TYPE_DICT, lib.PMO_TYPE_SET):
        table = Table(core, kind)
        table.update([(i, None) for i in range(1000)])
        following = ffi.new("uint64_t *")
        batch = ffi.new("pmo_batch *")
        model = dict.fromkeys(range(1000))
        for i in [5, 4, 2, 1, 0, 3, *range(6, 400)]:
            table.delete(i)
            del model[i]
            core.check(lib.pmo_table_read(core.ctx, table.offset, 0, 1, batch, ffi.NULL, following))
            lib.pmo_batch_release(batch)
            first = next(iter(model))
            assert following[0] == (1 if first == 0 else first)
        table.holds(model)


def test_growing_heap_keeps_the_way_past_holes(table: Table) -> None:
    table.update(dict.fromkeys(range(100), 0))
    for i in range(30):
        table.delete(i)
    table.set(50, MEDIUM)
    table.delete(30)
    assert table.items(0, 1) == []
    table.holds({i: MEDIUM if i == 50 else 0 for i in range(31, 100)})


def test_a_rollback_restores_the_way_past_holes(table: Table) -> None:
    model = dict.fromkeys(range(100), 0)
    table.update(model)
    for i in range(3):
        table.delete(i)
        del model[i]
    table.core.begin()
    for i in range(3, 100):
        table.delete(i)
    table.set("new", 1)
    table.core.abort()
    table.holds(model)
    for i in range(3, 6):
        table.delete(i)
        del model[i]
    table.holds(model)


@pytest.mark.parametrize("gone", [1, 3, 20, 40, 99, 100])
def test_many_are_deleted_at_once(core: Core, gone: int) -> None:
    for kind in (lib.PMO_TYPE_DICT, lib.PMO_TYPE_SET):
        table = Table(core, kind)
        keys = [MEDIUM + str(i) if i % 3 else i for i in range(100)]
        model = {key: None if table.is_set else [MEDIUM, i][i % 2] for i, key in enumerate(keys)}
        table.update(model)
        doomed = random.Random(gone).sample(keys, gone)
        absent = Keys(["absent", *doomed, doomed[0], -1])
        before = core.counters()
        core.check(lib.pmo_table_delete_many(core.ctx, table.offset, absent.pointer))
        after = core.counters()
        assert after.transactions - before.transactions == 1
        if gone >= 40:
            assert after.undo_records - before.undo_records < 10
        for key in doomed:
            del model[key]
        table.holds(model)


def test_deleting_many_drops_what_they_refer_to(core: Core, table: Table) -> None:
    parts = [core.new(lib.PMO_TYPE_LIST) for _ in range(50)]
    table.update({i: Reference(part) for i, part in enumerate(parts)})
    keys = Keys(list(range(40)))
    core.check(lib.pmo_table_delete_many(core.ctx, table.offset, keys.pointer))
    counts = [core.info(part).refcount for part in parts]
    assert counts == [1] * 40 + [2] * 10


def test_places_and_values_of_many_keys(core: Core, table: Table) -> None:
    table.update({1: "one", "x": MEDIUM, Decimal("0.1"): None, 4: LARGE})
    table.delete("x")
    keys = Keys([4, "x", True, Decimal("0.1"), 0.5, 4])
    places = ffi.new("int64_t[6]")
    values = ffi.new("pmo_batch *")
    core.check(lib.pmo_table_places(core.ctx, table.offset, keys.pointer, places, values))
    assert list(places) == [3, -1, 0, 2, -1, 3]
    assert core.unpack(values) == [LARGE, "one", None, LARGE]
    core.check(lib.pmo_table_places(core.ctx, table.offset, keys.pointer, places, ffi.NULL))
    assert list(places) == [3, -1, 0, 2, -1, 3]
    members = Table(core, lib.PMO_TYPE_SET)
    status = lib.pmo_table_places(core.ctx, members.offset, keys.pointer, places, values)
    assert status == lib.PMO_ETYPE


def test_deleting_gives_memory_back(table: Table) -> None:
    table.update(dict.fromkeys(range(5000), MEDIUM))
    full = table.core.info(table.offset).bytes
    for i in range(4900):
        table.delete(i)
    assert table.core.info(table.offset).bytes < full / 10
    table.holds(dict.fromkeys(range(4900, 5000), MEDIUM))
    for i in range(4999, 4899, -1):
        table.delete(i)
    assert table.core.info(table.offset).bytes < full / 50
    table.holds([])


def test_replaced_strings_do_not_pile_up(table: Table) -> None:
    table.update(dict.fromkeys(range(100), MEDIUM))
    for i in range(20000):
        table.set(i % 100, f"{i:0100d}")
    assert table.core.info(table.offset).bytes < 60000
    table.core.verify(table.offset)


def test_a_bulk_build_takes_what_it_needs(core: Core, table: Table, members: Table) -> None:
    pairs = {f"key number {i:020d}": i for i in range(1000)}
    table.update(pairs)
    members.update(pairs)
    index, heap = 1500 * 4, sum(map(len, pairs))
    rounding = 4096  # the unit of libpmemobj's class for this size
    assert core.info(table.offset).capacity == 1000
    assert core.info(table.offset).bytes < 1000 * 32 + index + heap + rounding
    assert core.info(members.offset).bytes < 1000 * 16 + index + heap + rounding
    table.holds(pairs)
    members.holds([(key, None) for key in pairs])


def test_a_bulk_build_takes_no_snapshot_per_element(core: Core, table: Table) -> None:
    before = core.counters().undo_records
    table.update({i: str(i) for i in range(10000)})
    assert core.counters().undo_records - before < 5


def test_update_is_dict_update(table: Table) -> None:
    rounds = random.Random(1)
    model: dict[Any, Any] = {}
    for size in [0, 1, 3, 8, 9, 100, 5, 300, 40, 2]:
        pairs = [(rounds.randrange(200), rounds.choice(KEYS)) for _ in range(size)]
        table.update(pairs)
        model.update(pairs)
        table.holds(model)


def test_a_batch_of_empty_payloads_needs_no_data(table: Table) -> None:
    keys, values = Keys(["", b""]), Batch(["", b""])
    keys.pointer.values.data = ffi.NULL
    values.pointer.data = ffi.NULL
    status = lib.pmo_table_update(table.core.ctx, table.offset, keys.pointer, values.pointer)
    assert status == lib.PMO_OK
    table.holds([("", ""), (b"", b"")])


@pytest.mark.parametrize(
    "pairs", [[("a", 1), (Decimal("0.1"), 2)], [(LARGE, LARGE)], [(i, MEDIUM) for i in range(9)]]
)
def test_update_with_different_counts_or_data_changes_nothing(
    table: Table, pairs: list[tuple[Any, Any]]
) -> None:
    table.set("a", "before")
    keys = Keys([key for key, _ in pairs])
    values = Batch([value for _, value in pairs])
    values.pointer.count -= 1
    assert (
        lib.pmo_table_update(table.core.ctx, table.offset, keys.pointer, values.pointer)
        == lib.PMO_EINVAL
    )
    values.pointer.count += 1
    keys.pointer.values.data_length = 0
    values.pointer.data_length = 0
    assert (
        lib.pmo_table_update(table.core.ctx, table.offset, keys.pointer, values.pointer)
        == lib.PMO_EINVAL
    )
    assert (
        lib.pmo_table_update(table.core.ctx, table.offset, keys.pointer, ffi.NULL) == lib.PMO_EINVAL
    )
    table.holds([("a", "before")])


def test_reading_stops_early_and_goes_on(table: Table) -> None:
    model = dict.fromkeys(range(500), "x" * 4000)
    table.update(model)
    batches = ffi.new("pmo_batch[2]")
    following = ffi.new("uint64_t *")
    table.core.check(
        lib.pmo_table_read(table.core.ctx, table.offset, 0, 500, batches, batches + 1, following)
    )
    assert 0 < batches[0].count == batches[1].count == following[0] < 500
    assert batches[1].data_length < MIB
    table.holds(model)


def test_reading_outside_gives_nothing(table: Table) -> None:
    table.update({1: 1, 2: 2})
    assert table.items(2) == table.items(2**63) == table.items(1, 1) == table.items(1, 0) == []
    assert table.items(1) == [(2, 2)]


def test_a_list_is_no_table(core: Core, table: Table) -> None:
    table.offset = core.new(lib.PMO_TYPE_LIST)
    calls: list[Callable[[], Any]] = [
        lambda: table.set(1, 1),
        lambda: table.get(1),
        lambda: table.delete(1),
        lambda: table.update({1: 1}),
        table.clear,
        table.items,
    ]
    for call in calls:
        with pytest.raises(CoreError) as caught:
            call()
        assert caught.value.status == lib.PMO_ETYPE


def random_key(choice: random.Random) -> Any:
    number = choice.randrange(60)
    return choice.choice(
        [
            number,
            float(number),
            number + 0.5,
            Decimal(number),
            Decimal(number) + Decimal("0.1"),
            str(number),
            f"{number:040d}",
            f"{number:0300d}".encode(),
            number % 2 == 0,
        ]
    )


def random_value(choice: random.Random, objects: list[Reference]) -> Any:
    size = choice.choice([0, 5, 12, 13, 50, 1000, 4096, 4097])
    return choice.choice([None, choice.random(), size, "v" * size, *objects])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["dict", "set"])
def test_random_operations_against_a_model(core: Core, kind: str, seed: int) -> None:
    choice = random.Random(seed)
    table = Table(core, lib.PMO_TYPE_DICT if kind == "dict" else lib.PMO_TYPE_SET)
    objects = [Reference(core.new(lib.PMO_TYPE_LIST)) for _ in range(3)]
    empty = core.used()
    model: dict[Any, Any] = {}
    saved: dict[Any, Any] | None = None

    def value() -> Any:
        return None if table.is_set else random_value(choice, objects)

    for _ in range(600):
        action = choice.random()
        if action < 0.35:
            key, new = random_key(choice), value()
            table.set(key, new)
            model[key] = new
        elif action < 0.65:
            key = random_key(choice)
            if key in model:
                table.delete(key)
                del model[key]
            else:
                assert key not in table
        elif action < 0.78 and model:
            key = next(reversed(model)) if choice.random() < 0.7 else next(iter(model))
            table.delete(key)
            del model[key]
        elif action < 0.84:
            pairs = [(random_key(choice), value()) for _ in range(choice.choice([1, 7, 60]))]
            table.update(pairs)
            model.update(pairs)
        elif action < 0.86:
            table.clear()
            model.clear()
        elif saved is None and action < 0.94:
            core.begin()
            saved = dict(model)
        elif saved is not None:
            if choice.random() < 0.5:
                core.commit()
            else:
                core.abort()
                model = saved
            saved = None
        elif action > 0.98:
            core.reopen()
        core.verify(table.offset)
        assert len(table) == len(model)
    if saved is not None:
        core.abort()
        model = saved
    core.reopen()
    table.holds(model)
    for one in objects:
        held = sum(stored == one for stored in model.values())
        assert core.info(one.offset).refcount == 1 + held
    table.clear()
    assert core.used() == empty


def grown(table: Table) -> dict[Any, Any]:
    model: dict[Any, Any] = {}
    for i, key in enumerate(KEYS):
        table.set(key, KEYS[-i])
        model[key] = KEYS[-i]
    for key in KEYS[::3]:
        table.delete(key)
        del model[key]
    return model


CHANGES: dict[str, Callable[[Table], Any]] = {
    "insert": lambda table: table.set("new", MEDIUM),
    "insert with two blobs": lambda table: table.set("n" * 5000, LARGE),
    "insert a keyed one": lambda table: table.set(Decimal("7.7"), Decimal("1e50")),
    "replace": lambda table: table.set("a", MEDIUM + "new"),
    "replace by a blob": lambda table: table.set("a", LARGE + "new"),
    "delete": lambda table: table.delete("a"),
    "delete the last": lambda table: table.delete(KEYS[-2]),
    "update": lambda table: table.update({i + 0.125: MEDIUM for i in range(100)}),
    "update blobs": lambda table: table.update({i + 0.125: LARGE for i in range(5)}),
    "clear": lambda table: table.clear(),
    "delete many": lambda table: table.delete_many(6),
    "delete most": lambda table: table.delete_many(60),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_full_pool_changes_nothing(table: Table, change: str) -> None:
    model = grown(table)
    used = table.core.used()
    for nth in range(1, 200):
        lib.pmo_inject_failure(table.core.ctx, nth)
        try:
            CHANGES[change](table)
            break
        except CoreError as error:
            assert error.status == lib.PMO_EFULL
        lib.pmo_inject_failure(table.core.ctx, 0)
        table.holds(model)
        assert table.core.used() == used
    assert 1 < nth < 199
    lib.pmo_inject_failure(table.core.ctx, 0)
    table.core.verify(table.offset)
    assert typed(table.items()) != typed(list(model.items()))


@pytest.mark.parametrize("change", CHANGES)
def test_a_full_pool_in_a_transaction_leaves_before_or_dooms(table: Table, change: str) -> None:
    model = grown(table)
    for nth in range(1, 200):
        table.core.begin()
        table.set("in the transaction", MEDIUM)
        during = {**model, "in the transaction": MEDIUM}
        lib.pmo_inject_failure(table.core.ctx, nth)
        failed = False
        try:
            CHANGES[change](table)
        except CoreError as error:
            assert error.status == lib.PMO_EFULL
            failed = True
        lib.pmo_inject_failure(table.core.ctx, 0)
        if failed:
            status = lib.pmo_tx_commit(table.core.ctx)
            assert status in (lib.PMO_OK, lib.PMO_EDOOMED)
            table.holds(model if status else during)
            if status == lib.PMO_OK:
                table.delete("in the transaction")
        else:
            table.core.abort()
            break
    assert 1 < nth < 199
    table.holds(model)


@pytest.mark.parametrize("change", CHANGES)
def test_any_crash_leaves_before_or_after(tmp_path: Path, change: str) -> None:
    core = Core(tmp_path / "small.pool", 16 * MIB)
    images: list[Path] = []
    try:
        table = Table(core, lib.PMO_TYPE_DICT)
        before = typed(list(grown(table).items()))
        images = core.crash_images(lambda: CHANGES[change](table))
        after = typed(table.items())
        core.close()
        found = []
        for image in images:
            table.core = Core(image)
            table.core.verify(table.offset)
            found.append(typed(table.items()))
            table.core.discard()
        assert before != after
        turn = found.index(after) if after in found else len(found)
        assert turn > 0
        assert found == [before] * turn + [after] * (len(found) - turn)
    finally:
        core.discard()


def test_a_full_pool_only_puts_off_shrinking(table: Table) -> None:
    table.update({i: i for i in range(100)})
    for i in range(50):
        table.delete(i)
    for nth in range(1, 20):
        lib.pmo_inject_failure(table.core.ctx, nth)
        try:
            table.delete(50)
            break
        except CoreError as error:
            assert error.status == lib.PMO_EFULL
            table.holds({i: i for i in range(50, 100)})
    lib.pmo_inject_failure(table.core.ctx, 0)
    assert table.core.info(table.offset).used == 100
    table.holds({i: i for i in range(51, 100)})
    table.delete(51)
    assert table.core.info(table.offset).used == 48
    table.holds({i: i for i in range(52, 100)})


def test_a_really_full_pool_still_deletes(tmp_path: Path) -> None:
    core = Core(tmp_path / "small.pool", 8 * MIB)
    try:
        table = Table(core, lib.PMO_TYPE_DICT)
        model = {}
        with pytest.raises(CoreError) as caught:
            for i in range(10**6):
                table.set(i, LARGE * 10)
                model[i] = LARGE * 10
        assert caught.value.status == lib.PMO_EFULL
        table.holds(model)
        for i in list(model)[:-3]:
            table.delete(i)
            del model[i]
        core.reopen()
        table.holds(model)
    finally:
        core.discard()


def test_a_dying_custom_object_leaves_the_transaction_open(core: Core, table: Table) -> None:
    code, offset = ffi.new("uint32_t *"), ffi.new("uint64_t *")
    core.check(lib.pmo_type_define(core.ctx, lib.PMO_LAYOUT_FOREIGN, b"m:C", 3, code))
    table.update(dict.fromkeys(range(20), MEDIUM))
    with core.transaction():
        core.check(lib.pmo_alloc(core.ctx, 64, OBJECT_TYPE_NUM, 1, offset))
        core.check(lib.pmo_object_stamp(core.ctx, offset[0], code[0]))
        table.set("custom", Reference(offset[0]))
    for i in range(15, 20):
        table.delete(i)
    before = table.items()
    assert table.delete("custom") == lib.PMO_FOREIGN_DEAD
    assert lib.pmo_tx_is_open(core.ctx)
    assert lib.pmo_next_dead(core.ctx) == offset[0]
    for i in range(100, 110):
        table.set(i, LARGE)
    core.abort()
    table.holds(before)


def storage(table: Table) -> tuple[int, int, int, int]:
    """Offset of the body, entries, index slots and heap bytes, from the container's geometry."""
    raw = ffi.buffer(lib.pmo_direct(table.core.ctx, table.offset), 96)[:]
    return struct.unpack_from("<4Q", raw, 56)


@pytest.mark.parametrize("kind", ["dict", "set"])
@pytest.mark.parametrize("count", [6, 40])
def test_any_damage_is_found_and_none_is_followed(core: Core, kind: str, count: int) -> None:
    choice = random.Random(count)
    table = Table(core, lib.PMO_TYPE_DICT if kind == "dict" else lib.PMO_TYPE_SET)
    keys: list[Any] = [f"{i:02d}" * (1 if i % 3 else 20) for i in range(count - 2)]
    keys += [Decimal("0.1"), 5]
    for key in keys:
        table.set(key, MEDIUM)
    if count > 8:
        table.delete(keys[3])
    body, capacity, slots, _ = storage(table)
    raw = ffi.buffer(lib.pmo_direct(core.ctx, table.offset), 96)
    used = struct.unpack_from("<Q", raw, 24)[0]
    heap_used = struct.unpack_from("<Q", raw, 32)[0]
    entries = body, used * (32 if kind == "dict" else 16)
    index = body + capacity * (32 if kind == "dict" else 16), slots * 4
    heap = index[0] + index[1], heap_used
    places = [
        start + choice.randrange(size)
        for start, size in [entries] * 60
        + [index] * 60
        + [heap] * 60
        + [(table.offset + 16, 80)] * 40
        if size
    ]
    deleted = 1 if count > 8 else 0
    for place in places:
        at = ffi.cast("uint8_t *", lib.pmo_base(core.ctx) + place)
        intact = at[0]
        at[0] = intact ^ (1 << choice.randrange(8))
        status = lib.pmo_object_check(core.ctx, table.offset)
        in_garbage = heap[0] <= place < heap[0] + heap[1] and deleted
        assert status == lib.PMO_ECORRUPT or (in_garbage and status == lib.PMO_OK)
        for key in keys:
            try:
                table.get(key)
            except CoreError as error:
                assert error.status in (lib.PMO_ECORRUPT, lib.PMO_EMISSING)
        at[0] = intact
        core.verify(table.offset)


def test_an_index_full_of_nonsense_ends(table: Table) -> None:
    table.update({i: i for i in range(20)})
    body, capacity, slots, _ = storage(table)
    index = ffi.cast("uint32_t *", lib.pmo_base(table.core.ctx) + body + capacity * 32)
    intact = list(index[0:slots])
    for nonsense in (1, 20, 21, 2**32 - 1):
        index[0:slots] = [nonsense] * slots
        for call in (lambda: table.get("x"), lambda: table.set("x", 1), lambda: table.delete(7)):
            with pytest.raises(CoreError) as caught:
                call()
            assert caught.value.status == lib.PMO_ECORRUPT
    index[0:slots] = intact
    table.holds({i: i for i in range(20)})


def fold(a: int, b: int) -> int:
    product = (a ^ 0x9E3779B97F4A7C15) * (b ^ 0xD6E8FEB86659FD93)
    return (product ^ product >> 64) & 0xFFFFFFFFFFFFFFFF


def ints_with_home(core: Core, slots: int, home: int, count: int) -> list[int]:
    """Ints that belong into this slot of an index of so many."""
    memory = bytes(ffi.buffer(lib.pmo_base(core.ctx), 64 * MIB))
    root = memory.index(b"PMEMOBJ1")
    first, second = struct.unpack_from("<2Q", memory, root + 16)
    found: list[int] = []
    for number in itertools.count():
        hashed = fold(fold(number ^ first, second ^ ord("i")), first)
        if hashed * slots >> 64 == home:
            found.append(number)
            if len(found) == count:
                return found
    raise AssertionError


@pytest.mark.parametrize("home", [0, 30, 59])
def test_keys_that_all_belong_into_one_slot(core: Core, table: Table, home: int) -> None:
    """A full table of 40 entries has 60 slots; distances pass what a slot can hold, and wrap."""
    keys = ints_with_home(core, 60, home, 50)
    inside, outside = keys[:40], keys[40:]
    table.update({key: key for key in inside})
    assert storage(table)[1:3] == (40, 60)
    table.holds({key: key for key in inside})
    assert not any(key in table for key in outside)
    rounds = random.Random(home)
    model = {key: key for key in inside}
    for key in rounds.sample(inside, 20):
        table.delete(key)
        del model[key]
        table.holds(model)
        assert key not in table
    for key in outside[:7]:
        table.set(key, -key)
        model[key] = -key
        table.holds(model)
    index = slots_of(table)
    taken = [slot for slot, word in enumerate(index) if word]
    assert len(taken) == len(model)


def slots_of(table: Table) -> list[int]:
    body, capacity, slots, _ = storage(table)
    return list(
        ffi.cast("uint32_t *", lib.pmo_base(table.core.ctx) + body + capacity * 32)[0:slots]
    )


@pytest.mark.parametrize("count", [9, 10, 100, 1000, 5001])
def test_a_full_table_has_a_slot_more_for_every_second_entry(table: Table, count: int) -> None:
    table.update({f"name {i}": i for i in range(count)})
    assert storage(table)[1:3] == (count, (count + count // 2 + 1) // 2 * 2)
    assert not any(f"name {i}" in table for i in range(count, 3 * count))
    table.holds({f"name {i}": i for i in range(count)})


@pytest.mark.parametrize("count", [6, 40])
@pytest.mark.parametrize("key", ["short", "a key that lies in the heap", 5, Decimal("0.1")])
def test_a_damaged_key_is_an_error_and_not_missing(table: Table, count: int, key: Any) -> None:
    table.update({key: 1, **{f"other {i}": i for i in range(count - 1)}})
    entry = ffi.cast("uint8_t *", lib.pmo_base(table.core.ctx) + storage(table)[0])
    for at in (2, 3, 8, 11):
        entry[at] ^= 1
        with pytest.raises(CoreError) as caught:
            table.get(key)
        assert caught.value.status == lib.PMO_ECORRUPT
        entry[at] ^= 1
    assert table.get(key) == 1


def test_the_speed_of_large_builds_is_shown(tmp_path: Path) -> None:
    core = Core(tmp_path / "large.pool", 300 * MIB)
    sources: dict[str, list[Any]] = {
        "int": list(range(10**6)),
        "short str": [str(i) for i in range(10**5)],
        "longer str": [f"{i:030d}" for i in range(10**5)],
    }
    try:
        for name, source in sources.items():
            keys, values = Keys(source), Batch(source)
            table = Table(core, lib.PMO_TYPE_DICT)
            start = time.perf_counter()
            status = lib.pmo_table_update(core.ctx, table.offset, keys.pointer, values.pointer)
            taken = time.perf_counter() - start
            print(f"\n{len(source)} pairs of {name}: {taken:.3f} s", end="")  # noqa: T201
            assert status == lib.PMO_OK
            assert len(table) == len(source)
            core.verify(table.offset)
            table.clear()
    finally:
        core.discard()
