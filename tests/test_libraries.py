"""Values of real libraries: the same type, equal, and read without copying their buffers."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import processes
import pytest

np = pytest.importorskip("numpy")

import pmemobj  # noqa: E402

ROWS = 20_000


def addresses(pool: Any) -> list[tuple[int, int]]:
    """Where this pool's bytes are mapped in this process."""
    found = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5].strip().startswith(str(pool.path)):
                start, end = (int(part, 16) for part in fields[0].split("-"))
                found.append((start, end))
    return found


def in_pool(pool: Any, array: Any) -> bool:
    address = array.__array_interface__["data"][0]
    return any(start <= address < end for start, end in addresses(pool))


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers are mapped, however small."""
    monkeypatch.setattr("pmemobj.raws.MAPPED", 0)


@pytest.fixture(params=["mapped", "copied"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Buffers are mapped, or copied, whatever their size."""
    way = str(request.param)
    monkeypatch.setattr("pmemobj.raws.MAPPED", 0 if way == "mapped" else 1 << 40)
    return way


def stored(pool: Any, reopen: Callable[[Any], Any], value: Any) -> tuple[Any, Any]:
    """The pool, opened again, and the value as it is there."""
    pool.root["v"] = value
    assert pool.check().ok
    assert pool.check().garbage == 0
    pool = reopen(pool)
    return pool, pool.root["v"]


# -- pandas -------------------------------------------------------------------------------------


def frame() -> Any:
    pd = pytest.importorskip("pandas")
    index = np.arange(ROWS)
    return pd.DataFrame(
        {
            "int": index,
            "float": index * 0.5,
            "when": pd.date_range("2024-01-01", periods=ROWS, freq="min"),
            "zone": pd.date_range("2024-01-01", periods=ROWS, freq="min", tz="Europe/Berlin"),
            "kind": pd.Categorical.from_codes(index % 3, ["red", "green", "blue"]),
            "text": [None if i % 7 == 0 else f"text {i}" for i in range(ROWS)],
            "nullable": pd.array([None if i % 5 == 0 else i for i in range(ROWS)], "Int64"),
            "flag": index % 2 == 0,
        }
    )


@pytest.mark.usefixtures("mapped")
def test_frame(pool: Any, reopen: Any) -> None:
    pd = pytest.importorskip("pandas")
    given = frame()
    pool, found = stored(pool, reopen, given)
    assert type(found) is pd.DataFrame
    pd.testing.assert_frame_equal(found, given)
    for name in ("int", "float", "when", "flag"):
        assert in_pool(pool, found[name].to_numpy()), name
    with pytest.raises(ValueError, match="read-only"):
        found["int"].to_numpy()[0] = 5
    assert found.groupby("kind", observed=True)["float"].mean().notna().all()


def test_frame_with_arrow_strings(pool: Any, reopen: Any) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    given = pd.DataFrame({"t": pd.array(["a", None, "ccc"] * ROWS, "string[pyarrow]")})
    before = pool.check().bytes
    pool, found = stored(pool, reopen, given)
    pd.testing.assert_frame_equal(found, given)
    assert pool.check().bytes - before < 1_000_000


def test_changing_a_frame_is_seen_to_have_no_effect(pool: Any) -> None:
    pool.root["df"] = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns of the assignment, too
        pool.root["df"]["new"] = 1
    assert "new" not in pool.root["df"]
    changed = pool.root["df"]
    changed["new"] = 1
    pool.root["df"] = changed
    assert "new" in pool.root["df"]


class Holder(pmemobj.PersistentObject):
    """Has an attribute."""

    value: Any


@pytest.mark.parametrize("rows", [3, 5000])
def test_no_read_shows_what_another_reader_changed(pool: Any, rows: int) -> None:
    pd = pytest.importorskip("pandas")
    given = pd.DataFrame({"a": np.arange(rows)})
    root = pool.root
    root["holder"] = pool.new(Holder)
    root["replaced"], root["list"] = 1, [1]
    assert root["replaced"] == root["list"][0] == 1
    root["replaced"] = root["list"][0] = root["holder"].value = root["plain"] = given
    root["tuple"] = ((given, 1),)
    reads: list[Callable[[], Any]] = [
        lambda: root["plain"],
        lambda: root.get("replaced"),
        lambda: root["list"][0],
        lambda: root["tuple"][0][0],
        lambda: root["holder"].value,
        lambda: next(iter(root["list"])),
        lambda: dict(root)["plain"],
    ]
    list(root)  # whoever has all keys has values read ahead
    for read in reads:
        mine = read()
        mine["new"] = 1
        for other in reads:
            assert list(other().columns) == ["a"]


def test_what_did_not_change_is_stored_once(pool: Any) -> None:
    pd = pytest.importorskip("pandas")
    pool.root["df"] = pd.DataFrame({"a": np.arange(300_000), "b": np.ones(300_000)})
    used = pool.check().bytes
    found = pool.root["df"]
    pool.root["again"] = found
    found = pool.root["df"]
    found["c"] = "x"
    found["c"] = found["c"].astype("category")
    pool.root["df"] = found
    del found
    gc.collect()
    assert pool.check().bytes < used + 1_000_000
    del pool.root["df"]
    assert pool.root["again"]["a"].sum() == sum(range(300_000))
    del pool.root["again"]
    gc.collect()
    pool.root["x"] = 1
    assert pool.check().bytes < used - 4_000_000
    assert pool.check().garbage == 0


def test_series_index_and_scalars(pool: Any, reopen: Any) -> None:
    pd = pytest.importorskip("pandas")
    given = {
        "series": frame()["float"],
        "index": pd.MultiIndex.from_product([range(100), ["a", "b"]]),
        "stamp": pd.Timestamp("2024-05-06", tz="UTC"),
        "na": pd.NA,
        "interval": pd.Interval(0, 1),
    }
    pool, found = stored(pool, reopen, given)
    pd.testing.assert_series_equal(found["series"], given["series"])
    pd.testing.assert_index_equal(found["index"], given["index"])
    assert found["stamp"] == given["stamp"]
    assert found["na"] is pd.NA
    assert found["interval"] == given["interval"]


def test_a_frame_over_a_persistent_array_is_a_copy(pool: Any) -> None:
    pd = pytest.importorskip("pandas")
    pool.root["a"] = np.zeros((1000, 2))
    pool.root["df"] = pd.DataFrame(pool.root["a"], copy=False)
    pool.root["a"][:] = 1
    assert (pool.root["df"].to_numpy() == 0).all()


# -- arrow, polars, xarray ----------------------------------------------------------------------


@pytest.mark.usefixtures("mapped")
def test_arrow_table(pool: Any, reopen: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    given = pa.table(
        {
            "i": pa.array([None if i % 3 == 0 else i for i in range(ROWS)]),
            "s": pa.array([f"text {i}" for i in range(ROWS)]),
            "d": pa.array(["x", "y"] * (ROWS // 2)).dictionary_encode(),
            "l": pa.array([[i, i] for i in range(ROWS)]),
        }
    )
    pool, found = stored(pool, reopen, given)
    assert type(found) is pa.Table
    assert found.equals(given)
    places = addresses(pool)
    for column in ("i", "s", "l"):
        data = found[column].chunk(0).buffers()[-1]
        assert any(start <= data.address < end for start, end in places), column
        assert not data.is_mutable


@pytest.mark.usefixtures("mapped")
def test_polars(pool: Any, reopen: Any) -> None:
    pl = pytest.importorskip("polars")
    given = pl.DataFrame(
        {
            "i": [None if i % 3 == 0 else i for i in range(ROWS)],
            "s": [f"a longer text, number {i}" for i in range(ROWS)],
            "c": pl.Series(["x", "y"] * (ROWS // 2), dtype=pl.Categorical),
            "e": pl.Series(["x", "y"] * (ROWS // 2), dtype=pl.Enum(["x", "y"])),
            "d": pl.Series([1, 2] * (ROWS // 2)).cast(pl.Datetime("ms", "UTC")),
        }
    )
    pool, found = stored(pool, reopen, {"frame": given, "series": given["s"]})
    assert type(found["frame"]) is pl.DataFrame
    assert found["frame"].schema == given.schema
    assert found["frame"].equals(given)
    assert found["series"].equals(given["s"])
    assert found["series"].name == "s"
    if int(pytest.importorskip("pyarrow").__version__.split(".")[0]) < 16:
        return  # has no such strings, so polars' own pickle is stored
    read = found["frame"]
    places = addresses(pool)
    data = read["i"].to_arrow().buffers()[1]
    assert any(start <= data.address < end for start, end in places)


@pytest.mark.usefixtures("mapped")
def test_xarray(pool: Any, reopen: Any) -> None:
    xr = pytest.importorskip("xarray")
    given = xr.Dataset(
        {"t": (("x", "y"), np.random.default_rng(0).random((100, 200)))},
        coords={"x": np.arange(100)},
        attrs={"unit": "K"},
    )
    pool, found = stored(pool, reopen, given)
    assert type(found) is xr.Dataset
    assert found.identical(given)
    assert in_pool(pool, found["t"].to_numpy())


# -- scipy, scikit-learn, torch ------


@pytest.mark.usefixtures("mapped")
def test_sparse(pool: Any, reopen: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    given = sparse.random(500, 500, 0.1, format="csr", random_state=0)
    pool, found = stored(pool, reopen, given)
    assert type(found) is type(given)
    assert (found != given).nnz == 0
    assert in_pool(pool, found.data)


def test_models(pool: Any, reopen: Any) -> None:
    pytest.importorskip("sklearn")
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    x, y = random.random((300, 200)), random.random(300)
    linear = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    forest = RandomForestRegressor(5, random_state=0).fit(x, y)
    _, found = stored(pool, reopen, {"linear": linear, "forest": forest})
    assert type(found["linear"]) is type(linear)
    assert (found["linear"].predict(x) == linear.predict(x)).all()
    assert (found["forest"].predict(x) == forest.predict(x)).all()


@pytest.mark.usefixtures("mapped")
def test_tensors(pool: Any, reopen: Any) -> None:
    torch = pytest.importorskip("torch")
    given = {
        "floats": torch.rand(1000),
        "halves": torch.rand(1000).to(torch.bfloat16),
        "parameter": torch.nn.Parameter(torch.rand(50, 50)),
    }
    pool, found = stored(pool, reopen, given)
    for name, tensor in given.items():
        assert type(found[name]) is type(tensor)
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
        assert found[name].requires_grad == tensor.requires_grad
    floats = pool.root["v"]["floats"]
    assert in_pool(pool, floats.numpy())


def test_a_tensor_is_trained_and_the_stored_one_stays(pool: Any, either_way: str) -> None:
    torch = pytest.importorskip("torch")
    pool.root["model"] = torch.nn.Linear(300, 20)
    stored_one = pool.root["model"].weight.detach().clone()
    model = pool.root["model"]
    steps = torch.optim.SGD(model.parameters(), 0.5)
    model(torch.ones(300)).sum().backward()
    steps.step()
    assert pool.check().ok, either_way
    assert not torch.equal(model.weight, stored_one)
    assert torch.equal(pool.root["model"].weight, stored_one)
    pool.root["model"] = model
    assert torch.equal(pool.root["model"].weight, model.weight)
    assert pool.check().ok


def test_a_model_that_learns_past_the_read_only_mark(pool: Any, either_way: str) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    x, y = random.random((50, 400)), random.random(50)
    pool.root["model"] = linear_model.SGDRegressor(random_state=0).fit(x, y)
    before = pool.root["model"].coef_.copy()
    model = pool.root["model"]
    try:
        model.partial_fit(x, y)
    except ValueError as error:  # versions that look at the mark
        assert "read-only" in str(error)
        model = copy.deepcopy(model)
        model.partial_fit(x, y)
    assert not (model.coef_ == before).all()
    assert (pool.root["model"].coef_ == before).all()
    assert pool.check().ok, either_way
    pool.root["model"] = model
    assert (pool.root["model"].coef_ == model.coef_).all()


def memory_of(value: Any) -> int:
    return int(value.untyped_storage().data_ptr())


def test_tensors_share_memory_as_they_do_in_a_pickle(pool: Any, either_way: str) -> None:
    torch = pytest.importorskip("torch")
    tied = torch.nn.ModuleList([torch.nn.Linear(40, 40), torch.nn.Linear(40, 40)])
    tied[1].weight = tied[0].weight
    views = torch.nn.ModuleList([torch.nn.Linear(40, 40), torch.nn.Linear(40, 40)])
    views[1].weight.data = views[0].weight.data
    pool.root["tied"], pool.root["views"] = tied, views
    for name, given in {"tied": tied, "views": views}.items():
        found, pickled = pool.root[name], pickle.loads(pickle.dumps(given))
        together = memory_of(pickled[0].weight) == memory_of(pickled[1].weight)
        assert (memory_of(found[0].weight) == memory_of(found[1].weight)) is together, either_way
        assert (found[0].weight is found[1].weight) is (name == "tied")
    assert memory_of(pool.root["tied"][0].weight) != memory_of(tied[0].weight)


class Study:
    def __init__(self, model: Any, steps: Any) -> None:
        self.model, self.steps = model, steps


def test_a_model_and_its_optimizer_in_one_value_stay_together(pool: Any) -> None:
    torch = pytest.importorskip("torch")
    pool.persist_via_pickle(Study)
    model = torch.nn.Linear(300, 20)
    pool.root["study"] = Study(model, torch.optim.SGD(model.parameters(), 0.5))
    found = pool.root["study"]
    before = found.model.weight.detach().clone()
    found.model(torch.ones(300)).sum().backward()
    found.steps.step()
    assert not torch.equal(found.model.weight, before)


# -- what they have in common ------


def scribble(array: Any) -> None:
    """Write past the mark of a read-only array, as careless libraries do."""
    from pmemobj._native import ffi

    ffi.memmove(ffi.cast("char *", array.__array_interface__["data"][0]), b"\xff" * 8, 8)


@pytest.mark.parametrize("kind", ["file", "elastic", "scratch", "extents", "moved"])
def test_no_reader_writes_to_the_pool(
    tmp_path: Any, kind: str, either_way: str, request: pytest.FixtureRequest
) -> None:
    from pmemobj._native import lib

    if kind == "extents":
        lib.pmo_raw_limits(20_000, 8192)
        request.addfinalizer(lambda: lib.pmo_raw_limits(0, 0))
    place = tmp_path / "p.pmem"
    given = np.ma.arange(20_000)
    elastic = kind in ("elastic", "moved")
    with pmemobj.create(
        place, elastic=elastic, **({} if elastic else {"pool_size": 32 << 20})
    ) as pool:
        pool.root = {"v": given}
    with pmemobj.open(place, scratch=kind == "scratch") as pool:
        if kind == "moved":
            place.rename(tmp_path / "other.pmem")
        found = pool.root["v"]
        scribble(found.data)
        assert found[0] == -1
        assert (pool.root["v"] == given).all()
        assert pool.check().ok
        kept = pool.root["v"]
        pool.root["again"] = found
        assert pool.root["again"][0] == -1
        assert (kept == given).all()
        if kind == "moved":
            (tmp_path / "other.pmem").rename(place)
    scribble(kept.data)
    assert found[0] == kept[0] == -1
    with pmemobj.open(place) as pool:
        assert pool.check().ok
        assert (pool.root["v"] == given).all(), either_way


def test_masked_and_other_arrays(pool: Any, reopen: Any) -> None:
    masked = np.ma.masked_less(np.arange(1000), 10)
    record = np.rec.fromarrays([np.arange(500), np.ones(500)], names="a,b")
    _, found = stored(pool, reopen, [masked, record, np.dtype("f4")])
    assert type(found[0]) is type(masked)
    assert (found[0] == masked).all()
    assert found[0].mask.sum() == 10
    assert type(found[1]) is type(record)
    assert (found[1].b == 1).all()
    assert found[2] == np.dtype("f4")


def test_views_of_values_outlive_the_pool(tmp_path: Any) -> None:
    with pmemobj.create(tmp_path / "p.pmem") as pool:
        pool.root = {"df": frame()}
        found = pool.root["df"]
    assert found["int"].sum() == sum(range(ROWS))
    del found


def test_replaced_values_stay_while_they_are_viewed(pool: Any) -> None:
    pool.root["df"] = frame()
    found = pool.root["df"]
    pool.root["df"] = 1
    pool.gc()
    pool.root["other"] = np.zeros(1_000_000)
    assert found["int"].sum() == sum(range(ROWS))


def test_an_untrusted_pool_gives_placeholders(pool: Any, tmp_path: Any) -> None:
    pool.root["df"] = frame()
    pool.root["a"] = np.arange(10)
    pool.close()
    pool = pmemobj.open(tmp_path / "test.pmem", allow_pickle=False)
    assert pool.root["a"].tolist() == list(range(10))
    missing = pool.root["df"]
    with pytest.raises(pmemobj.MissingClassError, match="allow_pickle"):
        missing["int"]
    pool.root["kept"] = missing
    del pool.root["df"], missing
    pool.gc()
    assert pool.check().ok
    pool.close()
    with pmemobj.open(tmp_path / "test.pmem", allow_pickle=True) as pool:
        assert pool.root["kept"]["int"].sum() == sum(range(ROWS))


def test_plain_copies_view_nothing_of_the_pool(pool: Any) -> None:
    pool.root["v"] = {"df": frame(), "n": np.float64(2)}
    found = pmemobj.plain(pool.root)["v"]
    assert not in_pool(pool, found["df"]["int"].to_numpy())
    assert found["df"]["int"].sum() == sum(range(ROWS))
    assert found["n"] == 2


def test_arrays_share_memory_as_they_do_in_a_pickle(pool: Any, either_way: str) -> None:
    pool.persist_via_pickle(Nominated)
    data = np.arange(5000.0)
    pool.root["v"] = Nominated([data, data, data[:], data[1:]])
    one, same, view, part = pool.root["v"].data
    assert same is one
    pickled = pickle.loads(pickle.dumps([data, data[:], data[1:]], 5))
    for found, other in ((view, pickled[1]), (part, pickled[2])):
        assert np.shares_memory(found, one) is np.shares_memory(other, pickled[0]), either_way
    stored_ones = {raw._p_off for raw, _ in pool.mm.sealed.values()}
    assert len(stored_ones) == 2  # the same bytes are stored once


class Nominated:
    def __init__(self, data: Any) -> None:
        self.data = data


@pytest.mark.usefixtures("mapped")
def test_nominated_values_keep_their_buffers_outside_too(pool: Any, reopen: Any) -> None:
    with pytest.raises(pmemobj.UnstorableError):
        pool.root["v"] = Nominated(np.ones(5000))
    pool.persist_via_pickle(Nominated)
    pool, found = stored(pool, reopen, Nominated(np.ones(5000)))
    assert type(found) is Nominated
    assert in_pool(pool, found.data)


def test_damaged_bytes_are_found(pool: Any) -> None:
    pool.root["df"] = frame()
    found = pool.root["df"]
    from pmemobj._native import ffi

    raw = next(raw for raw, _ in pool.mm.sealed.values() if raw.length == 8 * ROWS)
    assert pool.check().ok
    ffi.cast("double *", raw.address)[3] += 1
    assert not pool.check().ok
    del found


def test_a_missing_library_is_named(pool: Any, tmp_path: Any) -> None:
    pool.root["a"] = np.arange(10)
    pool.root["s"] = np.float64(2)
    pool.root["n"] = 1
    pool.close()
    program = f"""
import sys
sys.modules["numpy"] = None
import pmemobj
with pmemobj.open({str(tmp_path / "test.pmem")!r}) as pool:
    assert pool.root["n"] == 1
    try:
        pool.root["a"]
    except pmemobj.MissingClassError as error:
        print(error)
    print(repr(pool.root["s"]))
    assert pool.check().ok
    pool.gc()
"""
    printed = processes.run(program)
    assert "needs numpy" in printed
    assert "<missing" in printed
