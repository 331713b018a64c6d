"""Plain data of any size and shape, stored at once: what comes back, and what it costs."""

from __future__ import annotations

import marshal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pmemobj
from pmemobj import PersistentDict, PersistentList, UnstorableError, plain
from pmemobj._native import ffi, lib


def counted(pool: Any, action: Any) -> Any:
    """The core's counters: what action added to them."""
    counters = [ffi.new("pmo_counters *") for _ in range(2)]
    lib.pmo_count(pool.mm.ctx, counters[0])
    action()
    lib.pmo_count(pool.mm.ctx, counters[1])
    return {
        name: getattr(counters[1], name) - getattr(counters[0], name)
        for name, _ in ffi.typeof("pmo_counters").fields
    }


def exact(value: Any) -> Any:
    """Equal only for values of the same types throughout."""
    if isinstance(value, dict):
        return dict, [(exact(k), exact(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exact(item) for item in value]
    if isinstance(value, set):
        return set, sorted(map(repr, value))
    return type(value), repr(value)


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.text(min_size=300),
    st.binary(), st.decimals(allow_nan=False), st.tuples(st.integers()),
)  # fmt: skip
keys = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
graphs = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(keys, inner), st.sets(keys), st.tuples(inner, inner)
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(graphs, max_size=5))
def test_any_plain_data_comes_back(shared_pool: Any, values: list[Any]) -> None:
    shared_pool.root = values
    assert exact(plain(shared_pool.root)) == exact(values)
    shared_pool.root._check()


@pytest.fixture(scope="module")
def shared_pool(tmp_path_factory: Any) -> Any:
    with pmemobj.create(tmp_path_factory.mktemp("bulk") / "pool") as pool:
        yield pool


def test_sharing_and_cycles_are_kept(pool: Any, reopen: Any) -> None:
    shared = ["shared"]
    top: dict[str, Any] = {"a": shared, "b": [shared, {"again": shared}]}
    top["top"] = top
    pool.root = [top, shared, top]
    root = reopen(pool).root
    assert root[0] is root[2] is root[0]["top"]
    assert root[1] is root[0]["a"] is root[0]["b"][0] is root[0]["b"][1]["again"]
    root[1].append("seen")
    assert root[0]["a"] == ["shared", "seen"]


def test_what_cannot_be_stored_is_named_wherever_it_is(pool: Any) -> None:
    pool.root = {}
    for odd in (object(), bytearray(b"x")):
        records = [{"id": i, "more": [i]} for i in range(20)] + [{"more": [1, odd]}]
        with pytest.raises(UnstorableError) as caught:
            pool.root["cfg"] = records
        assert caught.value.path == "root['cfg'][20]['more'][1]"
    assert pool.root == {}


def test_a_small_container_grows_out_of_its_object(pool: Any, reopen: Any) -> None:
    pool.root = {"list": [1, 2], "dict": {"a": [1]}, "set": {1}}
    model = {"list": [1, 2], "dict": {"a": [1]}, "set": {1}}
    for data in (pool.root, model):
        data["list"].extend(range(500))
        data["dict"].update({i: str(i) for i in range(100)})
        data["set"].update(range(100))
    assert plain(pool.root) == model
    root = reopen(pool).root
    assert plain(root) == model
    for data in (root, model):
        for part in data.values():
            part.clear()
        data["list"].append("x" * 100)
    assert plain(root) == model


def test_an_aborted_bulk_build_leaves_nothing(pool: Any) -> None:
    pool.root = {"before": [1]}
    used = pool._info().used
    with pytest.raises(KeyError), pool.transaction():
        pool.root["records"] = [{"id": i, "tags": ["a", i]} for i in range(200)]
        assert pool.root["records"][199]["tags"][1] == 199
        raise KeyError
    assert plain(pool.root) == {"before": [1]}
    assert pool._info().used == used
    assert pool.gc().freed == 0


def test_records_take_one_allocation_per_container(pool: Any) -> None:
    pool.root = pool.new(PersistentDict)
    records = [{"id": i, "tags": ["a", i], "at": {"x": 0.5}} for i in range(100)]

    def store() -> None:
        pool.root["records"] = records

    cost = counted(pool, store)
    assert cost["transactions"] == 1
    # three for each record; the list has a body of its own, the root gets its first
    assert cost["allocations"] == 3 * 100 + 3
    many = counted(pool, lambda: pool.new(PersistentList, records))
    assert many["allocations"] == 3 * 100 + 2


def test_containers_made_together_are_flushed_together(pool: Any) -> None:
    records = [{"id": i, "tags": ["a", i], "at": {"x": 0.5}} for i in range(1000)]

    def store() -> None:
        pool.root["records"] = records

    cost = counted(pool, store)
    assert cost["allocations"] == 3 * 1000 + 3
    assert cost["persist_points"] < 3 * 1500  # libpmemobj's: one each, and its log
    assert cost["undo_records"] < 10


def test_what_was_made_together_changes_in_its_transaction(pool: Any) -> None:
    """Each kind of change of a container whose body lies inside it, then abort or commit."""
    pool.root["before"] = [1]
    model = [{"id": i, "tags": ["a", i], "at": {"x": 0.5}} for i in range(9000)]

    def change(records: Any) -> None:
        records[0]["tags"].extend(range(100))
        records[1]["at"].update({f"key{i}": "text" * 9 for i in range(50)})
        records[2]["tags"].clear()
        records[3]["tags"][0] = "b" * 40
        records[4]["at"]["x"] = [[1], {"y": 2}]
        del records[5]["at"]
        del records[6]["at"]["x"]
        records[7].clear()
        for _ in range(200):
            del records[50]
        records[7]["tags"] = [1] * 60

    used = pool._info().used
    with pytest.raises(KeyError), pool.transaction():
        pool.root["records"] = model
        change(pool.root["records"])
        del pool.root["records"]
        pool.root["records"] = model
        change(pool.root["records"])
        raise KeyError
    assert plain(pool.root) == {"before": [1]}
    assert pool._info().used == used
    with pool.transaction():
        pool.root["records"] = model
        change(pool.root["records"])
        del pool.root["records"]
        pool.root["records"] = model
        change(pool.root["records"])
    change(model)
    assert plain(pool.root["records"]) == model
    assert pool.check().ok
    filled = pool._info().used
    assert pool.gc().freed == 0
    assert pool._info().used == filled
    del pool.root["records"]
    assert pool.gc().freed == 0
    assert pool._info().used < used + 4096


def test_lists_of_runs_of_numbers_are_read_as_they_are(pool: Any) -> None:
    runs: list[Any] = []
    for length in (1, 3, 4, 5, 100, 2000):
        runs += [*range(length), "text", *(n / 2 for n in range(length)), None, True]
    for values in (runs, runs[::-1], [1.5] * 9000, [*range(9000), "x"], [2**62, -1] * 9):
        pool.root["list"] = values
        stored = pool.root["list"]
        assert exact(list(stored)) == exact(stored[:]) == exact(values)
        assert exact(stored[3:-2]) == exact(values[3:-2])


def test_a_large_list_is_written_through_the_file(pool: Any, reopen: Any) -> None:
    values: list[Any] = [*range(70_000), "a string in the heap", [1, 2], *([0.5] * 10), None, {}]
    values = values * 2 + ["x"] * 7 + values[:1]
    used = pool._info().used
    with pytest.raises(KeyError), pool.transaction():
        pool.root = values
        assert exact(plain(pool.root)) == exact(values)
        raise KeyError
    assert pool._info().used == used
    pool.root = values
    pool.root._check()
    path = pool.path
    pool = reopen(pool)
    assert exact(plain(pool.root)) == exact(values)
    pool.close()
    with pmemobj.open(path, scratch=True) as pool:  # not a byte of it may reach the file
        pool.root = [*range(70_000, 0, -1)]
        assert plain(pool.root) == [*range(70_000, 0, -1)]
    with pmemobj.open(path) as pool:
        assert exact(plain(pool.root)) == exact(values)
        assert pool.check().ok


def test_damage_in_a_run_of_numbers_is_found(pool: Any) -> None:
    pool.root = list(range(1000))
    root = pool.root
    body = ffi.cast("uint64_t *", lib.pmo_base(pool.mm.ctx) + root._p_off)[7]
    cell = ffi.cast("uint64_t *", lib.pmo_base(pool.mm.ctx) + body + 16 * 500)
    cell[1] ^= 1 << 40
    assert root[:500] == list(range(500))
    with pytest.raises(pmemobj.PoolCorruptedError):
        root[:]
    cell[1] ^= 1 << 40
    assert root == list(range(1000))


def test_large_buffers_are_not_copied_to_find_out(pool: Any, monkeypatch: Any) -> None:
    streams = []

    def dumps(value: Any, version: int) -> bytes:
        streams.append(value)
        return marshal.dumps(value, version)

    monkeypatch.setattr("pmemobj.staging.marshal", SimpleNamespace(dumps=dumps))
    large = bytes(100_000)
    for value in ({"a": large}, {"a": [{"b": large}]}, [[1], {"b": [large]}], [[(1, [2])]]):
        pool.root["value"] = value
        assert plain(pool.root["value"]) == value
    pool.root["value"] = [{"a": [i], "b": large[:20]} for i in range(9000)]
    assert streams == []
    pool.root["value"] = [*[{"a": [i]} for i in range(9000)], [large]]
    assert pool.root["value"][9000] == [large]
    pool.root["value"] = [1]
    assert streams[-1] == [[1]]


@pytest.mark.parametrize("place", [lambda s: s, lambda s: [1, {"deep": s}]], ids=["top", "deep"])
def test_a_large_set_is_not_sorted_to_be_stored(pool: Any, monkeypatch: Any, place: Any) -> None:
    """marshal orders a set's elements by the bytes that it writes for them."""
    written = []

    def dumps(value: Any, version: int) -> bytes:
        written.append(value)
        return original(value, version)

    original = marshal.dumps
    monkeypatch.setattr(marshal, "dumps", dumps)
    elements = {f"element {i}" for i in range(2000)} | {None, 3.5}
    pool.root = place(elements)
    assert plain(pool.root) == place(elements)
    assert not [value for value in written if str(value).count("element") > 1]

    mixed = {*range(2000), (1, 2), frozenset({1})}
    pool.root = place(mixed)
    assert plain(pool.root) == place(mixed)
    with pytest.raises(UnstorableError, match="as a key, object cannot be stored"):
        pool.root = place({*mixed, object()})
    assert plain(pool.root) == place(mixed)
