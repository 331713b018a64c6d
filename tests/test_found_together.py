"""Objects that are found a page at a time: their handles are as those that are found one by one."""

from __future__ import annotations

import gc
import resource
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pmemobj
from pmemobj import values
from pmemobj._native import ffi, lib
from pmemobj.handles import HandleTable

Pool = pmemobj.PersistentObjectPool
MANY = 300
TEXTS = ["", "a", "é", "\udc80", "x" * 300, "y" * 600]


def record(i: int) -> dict[Any, Any]:
    return {
        "id": i,
        "name": f"user-{i}",
        "score": i / 7,
        "large": -(2**40) - i,
        "huge": 2**100,
        "text": TEXTS[i % len(TEXTS)],
        "bytes": b"\0\xff" * i,
        i: True,
        None: None,
        "tags": ["red", i, 1.5, (1, 2)],
        "address": {"city": "Oslo", "deep": {"er": [i]}},
        "members": {i, "a"},
    }


@pytest.fixture
def records(pool: Pool, reopen: Callable[[Pool], Pool]) -> Any:
    pool.root = {"records": [record(i) for i in range(MANY)]}
    return reopen(pool).root["records"]


def entering(records: Any) -> Iterator[Any]:
    """The records; what lies in them is read, so that it is found with the next ones."""
    for found in records:
        found["address"]["city"]
        yield found


def test_every_field_is_what_was_stored(records: Any) -> None:
    for i, found in enumerate(entering(records)):
        for key, value in record(i).items():
            assert found[key] == value
            assert type(found.get(key)) is type(found._p_lookup(key))
        assert list(found["tags"]) == record(i)["tags"]
        assert found["address"]["deep"]["er"][0] == i
        assert len(found) == len(record(i))
        assert "other" not in found
    assert i == MANY - 1


def test_one_handle_for_each_object(records: Any) -> None:
    first = list(entering(records))
    assert all(one is other for one, other in zip(first, records, strict=True))
    assert all(found["tags"] is found._p_lookup("tags") for found in first)
    assert records[7] is first[7]


def test_what_nobody_reads_in_the_records_gets_no_handle(records: Any) -> None:
    first = list(entering(records))
    assert first[-1]["address"]["city"] == "Oslo"
    assert len(records._p_mm.handles) < 3 * MANY  # a record has three containers in it
    assert first[-1]["tags"][0] == "red"


def test_what_is_changed_is_read_anew(records: Any) -> None:
    for i, found in enumerate(entering(records)):
        found["id"] = found["id"] + 1000
        found["tags"][0] = "blue"
        found["address"] = {"city": "Lima"}
        del found["name"]
        assert (found["id"], found["tags"][0], found["address"]) == (
            i + 1000,
            "blue",
            {"city": "Lima"},
        )
        assert "name" not in found


def test_an_abort_brings_back_what_was_read(pool: Pool, records: Any) -> None:
    pool = records._p_mm
    with pytest.raises(ZeroDivisionError), pool.transaction():
        for found in entering(records):
            found["id"] = "never"
            found["address"] = {"city": "nowhere"}
        made = records[0]["address"]
        records.append({"new": [1]})
        new = list(records)[-1]
        raise ZeroDivisionError
    for i, found in enumerate(records):
        assert (found["id"], found["address"]["city"]) == (i, "Oslo")
    for gone in (made, new):
        with pytest.raises(pmemobj.AbortedObjectError):
            len(gone)


def test_handles_die_with_the_iteration_and_their_objects_are_freed(records: Any) -> None:
    gc.disable()
    try:
        dead = [weakref.ref(found) for found in entering(records)]
        assert not any(ref() for ref in dead)
        mm = records._p_mm
        records.clear()
        info = ffi.new("pmo_counters *")
        mm.attend()
        lib.pmo_count(mm.ctx, info)
        assert len(mm.handles) < 5
    finally:
        gc.enable()


def test_objects_that_refer_to_each_other_make_no_cycle_of_handles(
    pool: Pool, reopen: Callable[[Pool], Pool]
) -> None:
    nodes: list[Any] = [{"place": i} for i in range(MANY)]
    for i, node in enumerate(nodes):
        node["next"], node["self"] = nodes[(i + 1) % MANY], node
        node["own"] = {"node": node}
    pool.root = {"nodes": nodes}
    nodes = reopen(pool).root["nodes"]
    gc.disable()
    try:
        dead = []
        for node in nodes:
            assert node["own"] is node["own"]
            dead.append(weakref.ref(node))
        del node
        assert not any(ref() for ref in dead)
    finally:
        gc.enable()
    for i, node in enumerate(nodes):
        assert node["next"]["place"] == (i + 1) % MANY
        assert node["self"] is node["own"]["node"] is node


def test_classes_and_values_among_the_elements(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "mixed.pmem") as pool:
        pool.root = {}
        shared = pool.new(pmemobj.PersistentList, [1])
        pool.root["mixed"] = [{"a": shared}, [shared, shared], {1}, (1, [2]), 5, "x", shared] * 30
    with pmemobj.open(tmp_path / "mixed.pmem") as pool:
        mixed = pool.root["mixed"]
        for _ in range(2):
            found = list(mixed)
            for i in range(0, len(found), 7):
                assert found[i]["a"] is found[i + 1][0] is found[i + 1][1] is found[i + 6]
                assert found[i + 2] == {1}
                assert found[i + 3] == (1, [2])
                assert found[i + 4 : i + 6] == [5, "x"]


def test_a_handle_that_came_first_stays_and_a_dead_one_is_followed() -> None:
    class Handle:
        pass

    table = HandleTable()
    first, second, other = Handle(), Handle(), Handle()
    table.add(16, first)
    assert table.add_many([16, 32], [second, other]) == [16]
    assert table.get(16) is first
    assert table.get(32) is other
    del second
    assert table.take_dead() == []  # its object was pinned for the first one
    del first
    third = Handle()
    assert table.add_many([16], [third]) == []
    assert table.take_dead() == [16]
    assert table.get(16) is third
    del other
    assert table.take_dead() == [32]
    assert len(table) == 1
    fourth = Handle()
    del third
    table.add_many([16], [fourth])
    assert table.remove(16) == [fourth]
    assert table.take_dead() == []  # the object, and its pins, are gone


def test_an_offset_that_makes_no_sense_leaves_no_pin(records: Any) -> None:
    mm = records._p_mm
    found = records[3]
    offsets = [found._p_off, found._p_off + 16]
    types, contents = ffi.new("uint32_t[2]"), ffi.new("pmo_batch *")
    with mm.lock:
        status = lib.pmo_find_many(mm.ctx, offsets, 2, types, contents, ffi.NULL)
    assert status == lib.PMO_ECORRUPT
    assert contents.count == 0
    assert found["id"] == 3


def test_what_is_changed_while_it_is_being_found_is_not_cached(
    records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal handler or a ``__del__`` may do it, whose own handle is gone again."""
    mm = records._p_mm
    decode, changed = values._unmarshal, []

    def interrupted(stream: Any) -> Any:
        if not changed:
            changed.append(True)
            records[0]["id"] = "changed"
            records[0]["address"] = {"city": "Lima"}
            records._p_cache.clear()
            mm.attend()
        return decode(stream)

    monkeypatch.setattr(values, "_unmarshal", interrupted)
    found = list(records)
    assert (found[0]["id"], found[0]["address"]["city"]) == ("changed", "Lima")
    assert (found[1]["id"], found[1]["address"]["city"]) == (1, "Oslo")


def test_what_is_large_is_not_read_with_its_container(tmp_path: Path) -> None:
    """Seen by the pages that the process touches: reading 64 MiB touches a thousand."""
    path = tmp_path / "large.pmem"
    with pmemobj.create(path, 128 << 20) as pool:
        pool.root = {"bytes": b"x" * (64 << 20), "text": "y" * 5000, "short": "z"}
    with pmemobj.open(path) as pool:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        root = pool.root
        assert root["short"] == "z"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 500
        assert root["bytes"] == b"x" * (64 << 20)
        assert root["text"] == "y" * 5000
