"""What displays tell of arrays and pickled values."""

from __future__ import annotations

import re
from typing import Any

import processes
import pytest

np = pytest.importorskip("numpy")

import pmemobj  # noqa: E402
from pmemobj.cards import dtype_words  # noqa: E402
from pmemobj.containers.array import describe_dtype  # noqa: E402
from pmemobj.describe import describe, to_text, variables  # noqa: E402
from pmemobj.display import html  # noqa: E402
from pmemobj.display.shapes import drawing  # noqa: E402
from pmemobj.display.summary import Cell, Gap, Row  # noqa: E402


def text_of(cell: Any) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def rows_of(table: Any) -> list[list[str]]:
    return [[text_of(cell) for cell in row.cells] for row in table.rows if isinstance(row, Row)]


def test_an_array_s_card(pool: Any) -> None:
    pool.root["a"] = np.arange(2_000_000.0).reshape(1000, 2000)
    array = pool.root["a"]
    summary = describe(array)
    facts = {fact.label: fact.value for fact in summary.facts}
    assert summary.title == "PersistentArray"
    assert facts["dtype"] == "float64"
    assert facts["shape"] == "1,000 × 2,000"
    assert facts["size"] == "15.5 MiB"  # in whole chunks
    assert facts["order"] == "C"
    assert facts["writable"] == "yes"
    assert [badge.text for badge in summary.badges] == ["zero-copy"]
    rows = rows_of(summary.tables[0])
    assert rows[0] == ["0", "0", "1", "2", "…", "1997", "1998", "1999"]
    assert rows[-1][0] == "999"
    assert rows[-1][-1] == "2e+06"
    assert len(rows) == 6
    shown = array._repr_html_()
    assert "<svg" in shown
    assert shown == html.render(summary)
    assert "1,000 × 2,000" in to_text(array)


@pytest.mark.parametrize(
    "value",
    [
        np.array(3.5),
        np.empty((0, 3)),
        np.arange(5),
        np.zeros((2, 3, 4, 5), "f4"),
        np.array(["<b>", "x" * 500]),
        np.zeros(2, [("when", "M8[s]"), ("x", "f4", (3,))]),
    ],
    ids=lambda value: f"{value.dtype.str} {value.shape}",
)
def test_every_array_has_a_card(pool: Any, value: Any) -> None:
    pool.root["a"] = value
    shown = pool.root["a"]._repr_html_()
    assert "PersistentArray" in shown
    assert "<b>" not in shown
    assert len(shown) < 60_000
    assert pool.root["a"][...]._repr_html_() is None


def cells_of(array: Any) -> list[list[str]]:
    (table,) = describe(array).tables
    assert table.grid
    return [[column.title for column in table.columns], *rows_of(table)]


def test_records_have_a_column_for_each_field(pool: Any) -> None:
    fields = [("when", "M8[ns]"), ("x", "f4"), ("rgb", "u1", 3)]
    pool.root["a"] = np.array([("2026-01-01T10:00:00.5", 0.5, (1, 2, 3))] * 2, fields)
    row = ["2026-01-01T10:00:00.5", "0.5", "[1 2 3]"]
    assert cells_of(pool.root["a"]) == [["index", "when", "x", "rgb"], ["0", *row], ["1", *row]]


def test_elements_are_short(pool: Any) -> None:
    pool.root["complex"] = np.array([[1 / 3 + 2j, -0.0001234567j]])
    assert cells_of(pool.root["complex"])[1] == ["0", "0.3333+2j", "-0-0.0001235j"]
    times = ["2026-01-01T10:00:00", "2026-01-01T10:30:20.120", "NaT"]
    pool.root["times"] = np.array(times, "M8[ns]")
    shown = [row[1] for row in cells_of(pool.root["times"])[1:]]
    assert shown == ["2026-01-01T10:00:00", "2026-01-01T10:30:20.12", "NaT"]
    pool.root["numbers"] = np.array(["1.50", "10.0"])
    assert [row[1] for row in cells_of(pool.root["numbers"])[1:]] == ["1.50", "10.0"]


def test_dtypes_in_words() -> None:
    for name in ("float64", "int8", "uint16", "bool", "complex64", "datetime64[ns]", "float16"):
        assert dtype_words(describe_dtype(np.dtype(name))) == name
    assert dtype_words("<U5") == "<U5"
    assert dtype_words("|S5") == "S5"
    assert dtype_words(describe_dtype(np.dtype(">f8"))) == "float64 (big-endian)"
    fields = np.dtype([("a", "i4"), ("b", "f8", (2,))])
    assert dtype_words(describe_dtype(fields)) == "{a: int32, b: float64 × 2}"


def test_a_frame_s_card(pool: Any) -> None:
    pd = pytest.importorskip("pandas")
    given = {"n": np.arange(5000), "<i>": np.ones(5000), "o": [object.__name__, 1] * 2500}
    pool.root["df"] = pd.DataFrame(given)
    contents = variables(pool.mm)
    row = contents.table.rows[0]
    assert isinstance(row, Row)
    assert text_of(row.cells[1]) == "DataFrame"
    card = row.cells[-1].nested
    facts = {fact.label: fact.value for fact in card.facts}
    assert facts["rows"] == "5,000"
    assert facts["columns"] == "3"
    columns, first = card.tables
    assert rows_of(columns)[0] == ["n", "int64", "39.1 KiB", "a copy"]
    assert card.badges == ()
    assert facts["read in place"] == "0 B"
    assert rows_of(first)[1][0] == "1"
    assert "<i>" not in html.render(card)


@pytest.mark.parametrize("mapped", [True, False])
def test_zero_copy_is_what_lies_in_the_pool(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    rows = 300_000
    monkeypatch.setattr("pmemobj.raws.MAPPED", 1 << 20 if mapped else 1 << 40)
    pool = pmemobj.create(tmp_path / "p.pmem", 64 << 20)
    pool.root = {}
    pool.root["df"] = pd.DataFrame(
        {
            "n": np.arange(rows),
            "when": pd.date_range("2026-01-01", periods=rows, freq="s", tz="UTC"),
            "nullable": pd.array(np.arange(rows), "Int64"),
            "kind": pd.Categorical.from_codes(np.zeros(rows, int), ["red"]),
            "text": pd.Series(["some words"] * rows, dtype="string[pyarrow]"),
            "objects": pd.Series(["words"] * rows, dtype=object),
        }
    )
    pool.root["block"] = pd.DataFrame(np.ones((rows, 2)))
    pool.root["table"] = pa.table({"n": np.arange(rows), "flag": [True, None] * (rows // 2)})
    cards = {}
    for row in variables(pool.mm).table.rows:
        card = row.cells[-1].nested
        cards[text_of(row.cells[0])] = {name: read for name, _, _, read in rows_of(card.tables[0])}
    pool.close()
    one = "zero-copy" if mapped else "a copy"
    assert cards["df"] == {
        "n": one,
        "when": one,
        "nullable": one,
        "kind": "a copy",  # 300 KB
        "text": one,
        "objects": "a copy",
    }
    assert cards["block"] == {"0": one, "1": one}
    assert cards["table"] == {"n": one, "flag": "a copy"}


def test_other_frames_have_cards(pool: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pl = pytest.importorskip("polars")
    pool.root["t"] = pa.table({"a": list(range(3000)), "s": ["x"] * 3000})
    pool.root["p"] = pl.DataFrame({"a": list(range(3000))})
    for row in variables(pool.mm).table.rows:
        facts = {fact.label: fact.value for fact in row.cells[-1].nested.facts}
        assert facts["rows"] == "3,000"


def test_the_card_of_a_frame_with_many_columns(pool: Any) -> None:
    pd = pytest.importorskip("pandas")
    hours = pd.date_range("2026-01-01", periods=300, freq="h", name="hour")
    pool.root["df"] = pd.DataFrame({f"c{n}": np.arange(300) for n in range(50)}, index=hours)
    columns, first = variables(pool.mm).table.rows[0].cells[-1].nested.tables
    assert Gap(31) in columns.rows
    assert [column.title for column in first.columns] == [
        *("hour", "c0", "c1", "c2", "c3", "…", "c46", "c47", "c48", "c49"),
    ]
    assert rows_of(first)[1][:2] == ["2026-01-01 01:00:00", "1"]


def test_cards_of_a_series_and_a_model(pool: Any) -> None:
    pd = pytest.importorskip("pandas")
    linear = pytest.importorskip("sklearn.linear_model")
    pool.root["series"] = pd.Series(np.arange(500.0), name="rain")
    inputs = np.arange(400.0).reshape(4, 100)
    pool.root["model"] = linear.Ridge(0.5).fit(inputs, np.arange(4.0))
    series, model = (row.cells[-1].nested for row in variables(pool.mm).table.rows)
    assert [column.title for column in series.tables[1].columns] == ["index", "rain"]
    assert ["alpha", "0.5"] in rows_of(model.tables[0])


def test_in_containers_and_workspaces(pool: Any) -> None:
    pool.root["list"] = [np.arange(3000), 1]
    pool.root["a"] = pool.root["list"][0]
    table = variables(pool.mm).table
    assert "int64, 3,000" in text_of(table.rows[0].cells[-1])
    assert table.rows[1].cells[-1].badges[0].text == "shared ×2"
    assert re.search(r"\[<int64, 3,000>, 1\]", text_of(table.rows[0].cells[-1]))


def test_no_library_is_loaded_for_a_look(pool: Any, tmp_path: Any) -> None:
    pd = pytest.importorskip("pandas")
    pool.root["a"] = np.arange(100)
    pool.root["df"] = pd.DataFrame({"x": np.arange(5000)})
    pool.close()
    program = f"""
import sys, pmemobj
from pmemobj.describe import variables
from pmemobj.display import text
with pmemobj.open({str(tmp_path / "test.pmem")!r}) as pool:
    for row in variables(pool.mm).table.rows:
        print(row.cells[1], row.cells[-1].text)
        print(text.render(row.cells[-1].nested).splitlines()[-1])
assert "numpy" not in sys.modules and "pandas" not in sys.modules
"""
    assert processes.run(program).splitlines() == [
        "PersistentArray int64, 100",
        "What is in it is shown once numpy is imported.",
        "DataFrame pandas DataFrame, 1 buffer",
        "What is in it is shown once pandas is imported.",
    ]


def test_drawings_have_their_numbers() -> None:
    assert drawing(()) == ""
    for shape in ((5,), (3, 1_000_000), (2, 3, 4), (9, 2, 3, 4)):
        shown = drawing(shape)
        assert all(f">{one:,}</text>" in shown for one in shape[-3:])
        assert float(re.search(r'width="(\d+)"', shown)[1]) < 300


def test_a_closed_pool_has_no_card(pool: Any) -> None:
    pool.root["a"] = np.arange(5)
    array = pool.root["a"]
    pool.close()
    assert array._repr_html_() is None
    assert pmemobj.PersistentArray.__name__ in repr(array)
