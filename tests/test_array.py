"""Arrays: exact round trips, writes that are atomic, growth, and views that outlive things."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from processes import in_child
from threads import Worker

np = pytest.importorskip("numpy")

import pmemobj  # noqa: E402
from pmemobj import PersistentArray  # noqa: E402
from pmemobj._native import lib  # noqa: E402

RANDOM = np.random.default_rng(3)
STRUCTURED = np.dtype([("when", "M8[ms]"), ("x", "f4", (2,)), ("name", "U5")], align=True)


def samples() -> dict[str, Any]:
    grid = RANDOM.random((40, 50))
    return {
        "0-d": np.array(3.5),
        "empty": np.empty((0,), "i4"),
        "empty 2-d": np.empty((3, 0, 2), "f8"),
        "bool": np.array([True, False, True]),
        "int8": np.arange(-5, 5, dtype="i1"),
        "big-endian": np.arange(5, dtype=">i4"),
        "uint64": np.array([0, 2**64 - 1], "u8"),
        "float16": np.array([1, np.nan, np.inf], "f2"),
        "longdouble": np.array([1, 1 / 3], "longdouble"),
        "complex64": np.array([1j, 2], "c8"),
        "datetime": np.array(["2024-01-02", "NaT"], "M8[ns]"),
        "timedelta": np.array([1, 2], "m8[h]"),
        "bytes": np.array([b"ab", b"c"], "S3"),
        "str": np.array(["ab", "ö€"], "U3"),
        "void": np.array([b"\1\2\3", b"\0\0\0"], "V3"),
        "structured": np.zeros(3, STRUCTURED),
        "C": grid,
        "F": np.asfortranarray(grid),
        "transposed 3-d": RANDOM.random((3, 4, 5)).transpose(2, 0, 1),
        "strided": grid[::3, ::-2],
        "negative": np.arange(7)[::-1],
        "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
        "read-only": np.frombuffer(b"12345678", "i4"),
        "large": RANDOM.random(100_000),
        "large strided": np.arange(2_000_000, dtype="i4").reshape(1000, 2000)[:, ::2],
    }


def same(found: Any, given: Any) -> None:
    assert found.dtype == given.dtype
    assert found.shape == given.shape
    assert found.tobytes() == given.tobytes()


@pytest.mark.parametrize("name", samples())
def test_round_trip(pool: Any, reopen: Any, name: str) -> None:
    given = samples()[name]
    pool.root["a"] = given
    same(pool.root["a"], given)
    assert pool.check().ok
    pool = reopen(pool)
    found = pool.root["a"]
    assert type(found) is PersistentArray
    same(found, given)
    assert found.dtype.isalignedstruct == given.dtype.isalignedstruct
    assert found.__array_interface__["data"][0] % 64 == 0 or not found.size
    assert found.flags.writeable
    contiguous = given.flags.c_contiguous or given.flags.f_contiguous
    if contiguous and given.ndim > 1 and given.size:
        assert found.flags.f_contiguous == given.flags.f_contiguous


def test_in_every_container(pool: Any) -> None:
    class Holder(pmemobj.PersistentObject):
        pass

    given = np.arange(5)
    pool.root["list"] = [given, (given, 1), {"k": given}]
    pool.root["list"].append(given + 1)
    holder = pool.root["holder"] = pool.new(Holder)
    holder.a = given
    same(holder.a, given)
    same(pool.root["list"][3], given + 1)
    inner = pool.root["list"]
    assert inner[0] is inner[1][0] is inner[2]["k"]
    pool.root = given
    same(pool.root, given)
    assert pool.check().garbage == 0


def test_identity_and_sharing(pool: Any) -> None:
    pool.root["a"] = np.arange(5)
    array = pool.root["b"] = pool.root["a"]
    assert pool.root["a"] is pool.root["b"] is array
    with pytest.raises(TypeError):
        pool.root[array] = 1


def test_made_by_new(pool: Any) -> None:
    zeros = pool.new(PersistentArray, (3, 4), dtype="f4")
    same(zeros, np.zeros((3, 4), "f4"))
    same(pool.new(PersistentArray, 5), np.zeros(5))
    same(pool.new(PersistentArray, [1, 2], "i2"), np.array([1, 2], "i2"))
    assert pool.new(PersistentArray, np.ones((2, 3)), order="F").flags.f_contiguous
    with pytest.raises(TypeError, match="no bytes"):
        pool.new(PersistentArray, [object()])
    with pytest.raises(ValueError, match="negative"):
        pool.new(PersistentArray, (-1,))
    with pytest.raises(pmemobj.DetachedObjectError):
        PersistentArray((3,))
    del zeros
    pool.root["x"] = 1
    assert pool.check().garbage == 0


def test_an_array_of_objects_is_a_plain_one(pool: Any, reopen: Any) -> None:
    pool.root["o"] = np.array([1, "two", None], object)
    found = reopen(pool).root["o"]
    assert type(found) is np.ndarray
    assert found.tolist() == [1, "two", None]


def test_one_that_cannot_be_pickled_is_named(pool: Any) -> None:
    bad = np.array([lambda: 1], object)
    with pytest.raises(pmemobj.UnstorableError, match=r"\['deep'\]\[0\].*cannot be pickled"):
        pool.root["x"] = {"deep": [bad]}
    assert "x" not in pool.root


# -- writing -----------------------------------------------------------------------------------

WRITES = {
    "item": lambda a: a.__setitem__((3, 4), 7),
    "slice": lambda a: a.__setitem__((slice(2, 9), slice(None)), -1),
    "column": lambda a: a.__setitem__((slice(None), 3), np.arange(40)),
    "stride": lambda a: a.__setitem__((slice(None, None, -3), slice(1, None, 7)), 5),
    "ellipsis": lambda a: a.__setitem__(Ellipsis, 0),
    "mask": lambda a: a.__setitem__(a > 0.9, 9),
    "row mask": lambda a: a.__setitem__(np.arange(40) % 3 == 0, 9),
    "fancy": lambda a: a.__setitem__(([1, 5, 5], [2, 3, 4]), [10, 11, 12]),
    "fancy and slice": lambda a: a.__setitem__(([1, 7], slice(3, 6)), 2),
    "from itself": lambda a: a.__setitem__(slice(1, None), a[:-1]),
    "view of view": lambda a: a[5:10].T[2:4].__setitem__(slice(None), 3),
    "iadd": lambda a: a.__iadd__(1),
    "imul of a view": lambda a: a[::2].__imul__(2),
    "out": lambda a: np.sqrt(a, out=a),
    "out of a reduction": lambda a: np.add.reduce(np.ones((40, 50, 2)), axis=2, out=a),
    "at": lambda a: np.add.at(a, ([1, 1, 2], [3, 3, 4]), 1),
    "sort": lambda a: a.sort(axis=0),
    "fill": lambda a: a.fill(2),
    "put": lambda a: a.put([3, 99], [1, 2]),
    "partition": lambda a: a.partition(20),
    "copyto": lambda a: np.copyto(a, 3, where=a < 0.5),
    "fill_diagonal": lambda a: np.fill_diagonal(a, 1),
    "clip": lambda a: np.clip(a, 0.2, 0.8, out=a),
    "byteswap": lambda a: a.view("i8").byteswap(True),
    "flat": lambda a: setattr(a, "flat", np.arange(2000)),
    "flat with one value": lambda a: setattr(a, "flat", 3),
    "flat item": lambda a: a.flat.__setitem__(77, 3),
    "flat slice": lambda a: a.flat.__setitem__(slice(3, 900, 7), [1, 2]),
    "flat mask": lambda a: a.flat.__setitem__(np.arange(2000) % 3 == 0, 1),
    "flat of a view": lambda a: a[::2, 1:].flat.__setitem__([5, 900], 1),
    "real": lambda a: setattr(a.view("c16"), "real", 1),
    "imag": lambda a: a.view("c16").imag.__setitem__(Ellipsis, 1),
    "transposed": lambda a: a.T.__setitem__(Ellipsis, 2),
    "ix_": lambda a: a.__setitem__(np.ix_([1, 5], [7, 2]), 2),
    "rows exchanged": lambda a: a.__setitem__([0, 1], a[[1, 0]]),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (20,), (8,), subok=True).__setitem__(
        Ellipsis, 1
    ),
    "shuffle": lambda a: np.random.default_rng(0).shuffle(a),
    "setfield": lambda a: a.setfield(1, "i4", 4),
    "two outs": lambda a: np.divmod(a[:20], 0.3, out=(a[:20], a[20:])),
    "out by place": lambda a: np.add(a, 1, a),
    "where": lambda a: np.add(a, 1, out=a, where=np.asarray(a) < 0.5),
    "accumulate": lambda a: np.add.accumulate(a, 0, None, a),
    "outer": lambda a: np.multiply.outer(np.ones(40), np.ones(50), out=a),
    "matmul": lambda a: np.matmul(np.ones((40, 3)), np.ones((3, 50)), out=a),
    "einsum": lambda a: np.einsum("ij,jk->ik", np.ones((40, 3)), np.ones((3, 50)), out=a),
    "place": lambda a: np.place(a, np.asarray(a) < 0.5, [1, 2, 3]),
    "place, named": lambda a: np.place(vals=[1], arr=a, mask=np.asarray(a) < 0.5),
    "np.put": lambda a: np.put(a, [3, 99], [1, 2]),
    "np.put, named": lambda a: np.put(ind=[3, 99], v=[1, 2], a=a),
    "putmask": lambda a: np.putmask(a, np.asarray(a) < 0.5, 3),
    "put_along_axis": lambda a: np.put_along_axis(a, np.zeros((40, 1), int), 5.0, axis=1),
    "copyto, named": lambda a: np.copyto(src=3, dst=a),
    "fill_diagonal, named": lambda a: np.fill_diagonal(val=3, a=a),
    "nan_to_num": lambda a: [a.__setitem__(3, np.nan), np.nan_to_num(a, copy=False)],
    "median": lambda a: np.median(np.ones((3, 50)), axis=0, out=a[3]),
    "take": lambda a: np.take(np.ones(9), [[0] * 50] * 40, None, a),
    "take of itself": lambda a: a.take([3] * 40, 0, a),
    "choose": lambda a: np.choose(np.zeros((40, 50), int), [np.ones((40, 50))], a),
    "choose of itself": lambda a: a[0].view("i8").choose(a[1], a[2], out=a[3], mode="clip"),
    "compress": lambda a: np.compress([True] * 40, np.ones((40, 50)), 0, a),
    "compress of itself": lambda a: a.compress([False, True], 0, out=a[:1]),
    "dot": lambda a: np.dot(np.ones((40, 3)), np.ones((3, 50)), a),
    "dot of itself": lambda a: a[:5, :5].dot(np.ones(5), a.ravel("K")[:5]),
    "argmax of itself": lambda a: a.argmax(axis=0, out=a[0].view("i8")),
    "concatenate": lambda a: np.concatenate([np.ones((20, 50))] * 2, 0, a),
    "stack": lambda a: np.stack([np.ones(50)] * 40, out=a),
    "cumsum": lambda a: a.cumsum(0, None, a),
    "round": lambda a: a.round(1, out=a),
}

RAW_WRITES = {
    "asarray": lambda a: np.asarray(a).__setitem__(3, 1),
    "memoryview": lambda a: memoryview(a).__setitem__((3, 4), 1),
    "another class": lambda a: a.view(np.matrix).__setitem__(3, 1),
    "method of a plain array": lambda a: np.ones((40, 3)).dot(np.ones((3, 50)), out=a),
    "random": lambda a: np.random.default_rng(0).random(out=a),
    "nditer": lambda a: [one.__setitem__(..., 1) for one in np.nditer(a, (), [["readwrite"]])],
}


def both(pool: Any) -> tuple[Any, Any]:
    plain = RANDOM.random((40, 50))
    pool.root["a"] = plain
    return pool.root["a"], plain


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_writes_reach_the_pool(pool: Any, reopen: Any, name: str, order: str) -> None:
    if order == "F" and name in ("real", "imag", "dot"):
        pytest.skip("not of this order in NumPy either")
    plain = RANDOM.random((40, 50)).copy(order)
    pool.root["a"] = plain
    WRITES[name](pool.root["a"])
    WRITES[name](plain)
    same(pool.root["a"], plain)
    same(reopen(pool).root["a"], plain)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", WRITES)
def test_writes_are_rolled_back(pool: Any, name: str) -> None:
    array, plain = both(pool)
    view = array[3:20, ::2]
    with pytest.raises(KeyError), pool.transaction():
        array[2:30] = 5
        WRITES[name](array)
        array[0, 0] = 1
        WRITES["iadd"](array)
        raise KeyError
    same(array, plain)
    same(view, plain[3:20, ::2])
    with pool.transaction():
        WRITES[name](array)
        WRITES["iadd"](array)
    WRITES[name](plain)
    plain += 1
    same(array, plain)
    assert pool.check().ok


@pytest.mark.parametrize("seed", range(4))
def test_random_writes_and_rollbacks(pool: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    plain = random.random(50_000)
    pool.root["a"] = plain
    array = pool.root["a"]
    for _ in range(12):
        saved = plain.copy()
        try:
            with pool.transaction():
                for _ in range(random.integers(1, 30)):
                    start, length = random.integers(0, 50_000), random.integers(0, 9_000)
                    step = random.integers(1, 4)
                    array[start : start + length : step] = plain[start : start + length : step] = (
                        random.random()
                    )
                if random.random() < 0.5:
                    raise KeyError
        except KeyError:
            plain = saved
        same(array, plain)


def test_a_failed_write_leaves_nothing(pool: Any) -> None:
    array, plain = both(pool)

    class Halfway:
        def __init__(self, value: int) -> None:
            self.value = value

        def __float__(self) -> float:
            if self.value > 30:
                raise RuntimeError("no more")
            return 1.0

    with pytest.raises(RuntimeError):
        array[:, 0] = [Halfway(i) for i in range(40)]
    with pytest.raises(IndexError):
        array[99] = 1
    with pytest.raises(ValueError, match="broadcast"):
        array[0] = [1, 2]
    same(array, plain)
    with pool.transaction():
        array[1] = 3
        with pytest.raises(ValueError, match="broadcast"):
            array[0] = [1, 2]
        with pytest.raises(RuntimeError):
            array[:, 0] = [Halfway(i) for i in range(40)]
    plain[1] = 3
    same(array, plain)


def test_a_large_failed_write_dooms_its_transaction(pool: Any) -> None:
    pool.root["a"] = np.zeros(100_000)
    array = pool.root["a"]
    with pytest.raises(pmemobj.TransactionAbortedError), pool.transaction():
        array[0] = 1
        with pytest.raises(TypeError):
            np.add(array, "x", out=array)
    same(array, np.zeros(100_000))


def test_results_are_ordinary_arrays(pool: Any) -> None:
    array, plain = both(pool)
    for result in (array + 1, np.sqrt(array), array.copy(), copy.copy(array), array.astype("f4")):
        assert type(result) is np.ndarray
    assert type(array[3:]) is PersistentArray
    assert array.sum() == plain.sum()
    picked = array[array > 0.5]
    picked[:] = 0  # in ordinary memory, whatever its class
    joined = np.concatenate([array, array])
    joined[:] = 1
    same(array, plain)
    assert type(copy.deepcopy(array)) is np.ndarray
    loaded = pickle.loads(pickle.dumps(array))
    assert type(loaded) is np.ndarray
    same(loaded, plain)
    plainly = pmemobj.plain(pool.root)
    assert type(plainly["a"]) is np.ndarray
    plainly["a"][0] = 5
    same(array, plain)


def test_setting_a_shape_is_refused(pool: Any) -> None:
    array, _ = both(pool)
    with pytest.raises(AttributeError, match="resize"):
        array.shape = (50, 40)
    with pytest.raises(AttributeError, match="lost"):
        array.label = "x"


@pytest.mark.parametrize("name", RAW_WRITES)
def test_raw_writes_are_in_the_pool_and_not_rolled_back(pool: Any, reopen: Any, name: str) -> None:
    array, plain = both(pool)
    RAW_WRITES[name](plain)
    with pytest.raises(KeyError), pool.transaction():
        RAW_WRITES[name](array)
        raise KeyError
    same(array, plain)
    array.flush()
    array[2:4].flush()
    same(reopen(pool).root["a"], plain)


def test_records(pool: Any, reopen: Any) -> None:
    plain = np.zeros(50, STRUCTURED)
    pool.root["a"] = plain
    array = pool.root["a"]

    def change(a: Any) -> None:
        a["x"] = 3
        a["x"][5:9, 1] = 4
        a["name"][[1, 2]] = "me"
        a[["when", "name"]][7] = ("2026-01-02", "you")
        a[3] = a[7]
        a[10:]["when"] += np.timedelta64(5, "ms")

    with pytest.raises(KeyError), pool.transaction():
        change(array)
        raise KeyError
    same(array, plain)
    change(array)
    change(plain)
    record, plainly = array[4], plain[4]
    with pytest.raises(KeyError), pool.transaction():
        record["x"] = plainly["x"] = 8  # raw, as it is documented
        raise KeyError
    same(reopen(pool).root["a"], plain)


def test_flat_reads_as_numpy_s(pool: Any) -> None:
    array, plain = both(pool)
    flat = array.T.flat
    assert len(flat) == 2000
    assert flat[45] == plain.T.flat[45]
    assert next(flat) == plain[0, 0]
    assert (flat.index, flat.coords) == (1, (0, 1))
    assert sum(1 for _ in array.flat) == 2000
    assert (np.asarray(array.T.flat) == plain.T.ravel()).all()
    assert (array.flat == plain.flat).all()
    assert (array.flat < plain.flat).sum() == 0
    assert array.flat.base is array


def test_another_thread_waits(pool: Any) -> None:
    array, _ = both(pool)
    with pool.transaction():
        array[0] = 1
        worker = Worker(array.__setitem__, 0, 2)
        assert worker.busy()
    worker.end()
    assert (array[0] == 2).all()


# -- growing -----------------------------------------------------------------------------------


def test_append(pool: Any, reopen: Any) -> None:
    log = pool.root["log"] = pool.new(PersistentArray, (0, 3), dtype="i4")
    first = log
    for i in range(200):
        log = log.append([i, i + 1, i + 2])
    log = first.append(np.zeros((2, 3)))
    assert first.shape == (0, 3)
    assert log.shape == (202, 3)
    assert pool.root["log"] is log
    pool = reopen(pool)
    found = pool.root["log"]
    assert found[199].tolist() == [199, 200, 201]
    with pytest.raises(ValueError, match="rows of shape"):
        found.append([1, 2])
    with pytest.raises(pmemobj.InvalidArgumentError, match="view"):
        found[1:].append([1, 2, 3])
    assert pool.check().garbage == 0


def test_an_append_is_rolled_back(pool: Any) -> None:
    pool.root["log"] = np.arange(10)
    for size in (1, 1000):
        with pytest.raises(KeyError), pool.transaction():
            pool.root["log"].append(np.ones(size, int))
            raise KeyError
        same(pool.root["log"], np.arange(10))
    with pytest.raises(KeyError), pool.transaction():
        pool.root["log"].resize(3)
        pool.root["log"].append([77, 78])
        raise KeyError
    same(pool.root["log"], np.arange(10))
    assert pool.check().ok


def test_a_rolled_back_shape_is_not_seen_through_an_old_handle(pool: Any) -> None:
    log = pool.root["log"] = pool.new(PersistentArray, np.arange(4))
    with pytest.raises(KeyError), pool.transaction():
        longer = pool.root["log"].append([4])
        assert pool.root["log"] is longer
        raise KeyError
    assert longer.tolist() == [0, 1, 2, 3, 4]
    assert pool.root["log"].tolist() == log.tolist() == [0, 1, 2, 3]
    longest = longer.append([5])
    assert longest.tolist() == pool.root["log"].tolist() == [0, 1, 2, 3, 5]
    with pool.transaction():
        longest = longest.append([6])
    assert pool.root["log"] is longest


def test_resize(pool: Any) -> None:
    pool.root["a"] = np.arange(6, dtype="i2").reshape(2, 3)
    array = pool.root["a"]
    same(array.resize(4, 3), np.array([[0, 1, 2], [3, 4, 5], [0, 0, 0], [0, 0, 0]], "i2"))
    same(pool.root["a"].resize((2,)), np.array([0, 1], "i2"))
    same(pool.root["a"].resize((4,)), np.array([0, 1, 0, 0], "i2"))
    same(array[0], np.array([0, 1, 2], "i2"))
    assert pool.check().ok


# -- lives of views ----------------------------------------------------------------------------


def test_a_view_keeps_replaced_bytes(pool: Any) -> None:
    pool.root["a"] = np.full(100_000, 7.0)
    used = pool.check().bytes
    view = np.asarray(pool.root["a"])[10:]
    pool.root["a"] = 1
    pool.gc()
    pool.root["b"] = np.zeros(100_000)
    assert (view == 7).all()
    del view
    gc.collect()
    del pool.root["b"]
    assert pool.check().bytes < used - 100_000 * 8 + 10_000


def test_replacing_frees_the_old_bytes(pool: Any) -> None:
    for i in range(40):  # more than the pool holds at a time
        pool.root["a"] = np.full(250_000, i, "f8")
    assert pool.check().garbage == 0


def test_views_of_a_rolled_back_array_stay_as_they_are(pool: Any) -> None:
    with pytest.raises(KeyError), pool.transaction():
        pool.root["a"] = np.full(50_000, 5.0)
        array = pool.root["a"]
        raise KeyError
    pool.root["b"] = np.zeros(50_000)
    assert (np.asarray(array) == 5).all()
    array[0] = 1
    assert (pool.root["b"] == 0).all()
    with pytest.raises(pmemobj.AbortedObjectError):
        pool.root["c"] = array
    with pytest.raises(pmemobj.AbortedObjectError):
        array.append([1])
    del array
    assert pool.check().garbage == 0


def test_views_outlive_the_pool(tmp_path: Any) -> None:
    pool = pmemobj.create(tmp_path / "p.pmem")
    pool.root = {"a": np.arange(100_000), "b": np.arange(3)}
    array, view, part = pool.root["a"], np.asarray(pool.root["a"]), pool.root["b"][1:]
    pool.close()
    del pool
    gc.collect()
    assert view.sum() == array.sum() == sum(range(100_000))
    assert part.tolist() == [1, 2]
    with pytest.raises(pmemobj.PoolClosedError):
        array[0] = 1
    with pytest.raises(pmemobj.PoolClosedError):
        part += 1
    with pytest.raises(pmemobj.PoolClosedError):
        array.append([1])
    view[0] = 99  # a private copy
    with pmemobj.open(tmp_path / "p.pmem") as pool:
        assert pool.root["a"][0] == 0
        assert array is not pool.root["a"]
    assert array[0] == 99


def test_arrays_grow_with_an_elastic_pool(tmp_path: Any) -> None:
    pool = pmemobj.create(tmp_path / "grow", elastic=True)
    pool.root = {}
    held = []
    for i in range(4):
        pool.root[i] = np.full(8_000_000, i, "f8")
        held.append(pool.root[i])
    pool.root[0][5:9] = -1
    pool.close()
    assert [array[-1] for array in held] == [0, 1, 2, 3]
    pool = pmemobj.open(tmp_path / "grow")
    assert pool.root[0][4:10].tolist() == [0, -1, -1, -1, -1, 0]
    assert all((pool.root[i] == i).all() for i in range(1, 4))
    pool.close()


def test_a_pool_whose_size_is_no_multiple_of_a_page(tmp_path: Any) -> None:
    size = pmemobj.MIN_POOL_SIZE + 5_000_123
    with pmemobj.create(tmp_path / "odd.pmem", size) as pool:
        pool.root = {"a": np.arange(300_000)}
        assert pool.root["a"][-1] == 299_999
    with pmemobj.open(tmp_path / "odd.pmem") as pool:
        assert pool.recovery.clean
        assert pool.root["a"][-1] == 299_999


@pytest.fixture
def small_extents() -> Iterator[None]:
    lib.pmo_raw_limits(20_000, 8192)
    yield
    lib.pmo_raw_limits(0, 0)


@pytest.mark.usefixtures("small_extents")
def test_arrays_in_extents(pool: Any, reopen: Any) -> None:
    plain = RANDOM.random((100, 123))
    pool.root["a"] = plain
    array = pool.root["a"]
    same(array, plain)
    for name in ("slice", "mask", "column", "fancy"):
        with pytest.raises(KeyError), pool.transaction():
            WRITES["ellipsis"](array)
            if name == "column":
                array[:, 3] = 1
            else:
                WRITES[name](array)
            raise KeyError
        same(array, plain)
    array[7:60, 3:9] = plain[7:60, 3:9] = 4
    log = pool.root["log"] = pool.new(PersistentArray, (0,), dtype="i8")
    for start in range(0, 20_000, 500):
        log = log.append(np.arange(start, start + 500))
    assert pool.check().ok
    assert pool.check().garbage == 0
    view = np.asarray(array)
    pool = reopen(pool)
    same(view, plain)
    same(pool.root["a"], plain)
    same(pool.root["log"], np.arange(20_000))
    assert pool.gc().freed == 0
    del pool.root["a"], pool.root["log"]
    gc.collect()
    pool.root["x"] = 1
    report = pool.check()
    assert report.ok
    assert report.garbage == 0


def test_a_full_pool_changes_nothing(pool: Any) -> None:
    pool.root["a"] = np.arange(1_000_000)
    with pytest.raises(pmemobj.PoolFullError):
        pool.root["b"] = np.zeros(10_000_000)
    with pytest.raises(pmemobj.PoolFullError):
        pool.root["a"].append(np.zeros(10_000_000))
    same(pool.root["a"], np.arange(1_000_000))
    assert pool.check().garbage == 0


def test_every_failed_allocation_changes_nothing(pool: Any) -> None:
    pool.root["a"] = np.arange(1000.0)
    pool.root["log"] = np.arange(10)

    def change() -> None:
        with pool.transaction():
            pool.root["a"][10:500] = 1
            pool.root["b"] = np.arange(30)
            pool.root["log"].append(np.arange(90))
            pool.root["a"] = np.ones(3)

    before = pmemobj.plain(pool.root)
    for nth in range(1, 100):
        lib.pmo_inject_failure(pool.mm.ctx, nth)
        try:
            change()
        except pmemobj.PoolFullError:
            lib.pmo_inject_failure(pool.mm.ctx, 0)
            assert set(pool.root) == {"a", "log"}
            same(pool.root["a"], before["a"])
            same(pool.root["log"], before["log"])
            gc.collect()
            pool.root["x"] = 1
            del pool.root["x"]
            assert pool.check().garbage == 0
        else:
            break
    lib.pmo_inject_failure(pool.mm.ctx, 0)
    assert nth > 8
    same(pool.root["a"], np.ones(3))


def test_a_damaged_header_is_an_error(pool: Any) -> None:
    pool.root["a"] = np.arange(1000)
    offset = pool.root["a"]._p_raw._p_off
    gc.collect()
    with pool.transaction():
        address = pool.mm.direct((pool.mm.uuid_lo, offset)) + 16
        pool.mm.snapshot_range(address, 8)
        from pmemobj._native import ffi

        ffi.cast("uint64_t *", address)[0] = 1 << 40
    assert not pool.check().ok
    with pytest.raises(pmemobj.PoolCorruptedError):
        pool.root["a"]


@pytest.mark.parametrize(
    "description",
    [
        (1, "|O", (4,), "C"),
        (1, ("fields", 8, False, (("a", None, 0, "|O"),)), (4,), "C"),
        (1, "<f8", (5,), "C"),
        (1, "<f8", (-1, -4), "C"),
        (1, "<f8", (1 << 62, 1 << 62), "C"),
        (1, "<f8", (1,) * 100, "C"),
        (1, "what", (1,), "C"),
        (2, "<f8", (4,), "C"),
        (1, "<f8", (4,), "K"),
        "nothing",
    ],
    ids=str,
)
def test_a_forged_description_is_an_error(pool: Any, description: Any) -> None:
    from pmemobj.containers import array as module

    pool.root["a"] = np.arange(4.0)
    array = pool.root["a"]
    with pool.transaction():
        module._splice(pool.mm, array._p_oid[1], 2, description, array._p_raw)
    del array
    with pytest.raises(pmemobj.PoolCorruptedError):
        pool.root["a"]


def test_a_forked_child_has_a_copy(pool: Any) -> None:
    pool.root["a"] = np.arange(100_000)
    array, view = pool.root["a"], np.asarray(pool.root["a"])

    def work() -> None:
        assert view.sum() == sum(range(100_000))
        view[:] = 0
        with pytest.raises(pmemobj.PoolForkedError):
            array[0] = 5

    in_child(work)
    assert (view == np.arange(100_000)).all()


# -- numbers of numpy ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.1),
        np.float32(0.1),
        np.int64(-5),
        np.uint8(200),
        np.bool_(True),
        np.complex128(1 + 2j),
        np.str_("ä"),
        np.datetime64("2024-05-06", "s"),
        np.float16(1.5),
    ],
)
def test_numpy_scalars(pool: Any, reopen: Any, value: Any) -> None:
    pool.root["v"] = [value, (value, 1)]
    pool = reopen(pool)
    for found in (pool.root["v"][0], pool.root["v"][1][0]):
        assert type(found) is type(value)
        assert found == value
        assert found.dtype == value.dtype


def test_equal_numbers_are_one_key(pool: Any) -> None:
    pool.root[np.int64(5)] = "five"
    assert pool.root[5] == "five"
    pool.root[2.5] = "x"
    assert pool.root[np.float64(2.5)] == "x"
    assert pool.root[np.float32(2.5)] == "x"
    pool.root[np.str_("s")] = 1
    assert pool.root["s"] == 1


def test_views_are_stored_as_arrays_of_their_own(pool: Any, reopen: Any) -> None:
    pool.root = {"a": np.arange(12).reshape(3, 4)}
    a = pool.root["a"]
    views = [a[::2], a.T, a[:0], a[1], a[:, ::-1]]
    expected = [view.copy() for view in views]
    pool.root["views"] = views
    pool.root["one"] = (a[1:], a)
    a[:] = 0
    del a, views
    pool = reopen(pool)
    for found, wanted in zip(pool.root["views"], expected, strict=True):
        assert type(found) is PersistentArray
        assert np.array_equal(found, wanted)
    assert pool.root["one"][0].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert pool.root["one"][1] is pool.root["a"]


def test_impossible_arrays_are_refused(pool: Any) -> None:
    pool.root = {"a": np.arange(4)}
    refused = pytest.raises(pmemobj.InvalidArgumentError)
    with refused:
        pool.new(PersistentArray, (3,), order="X")
    with refused:
        pool.new(PersistentArray, (10**30,))
    with refused:
        pool.root["a"].resize(2**62, 2**62)
    assert pool.root["a"].tolist() == [0, 1, 2, 3]
    assert pool.check()
