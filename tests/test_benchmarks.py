"""The benchmarks measure what they say: stores keep the contract, comparisons judge rightly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth, tables, works
from benchmarks.groups import GROUPS
from benchmarks.harness import Comparison, Contender, Group, Result, Role
from benchmarks.stores import CRASH, STORES, Store, installed, store_class

here = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not installed(name), reason=f"{name} is only installed for the benchmarks"
        ),
    )
    for name in STORES
    if name != "plain"
]


@pytest.mark.parametrize("name", here)
def test_changes_are_there_when_opened_again(name: str, tmp_path: Path) -> None:
    kind = store_class(name)
    store = kind(tmp_path, CRASH)
    store.insert(["a", "b", "a"], [1, 2, 3])
    store.insert_together([f"k{i}" for i in range(10)], list(range(10)))
    store.close()
    again = kind(tmp_path, CRASH)
    assert again.count() == 12
    again.close()


@pytest.mark.parametrize("name", here)
def test_records_are_read(name: str, tmp_path: Path) -> None:
    kind = store_class(name)
    if kind.walk is Store.walk:
        pytest.skip("keeps no records")
    some = works.records()[:20]
    store = kind(tmp_path, CRASH)
    store.save("records", some)
    wanted = sum(len(r["name"]) + len(r["address"]["city"]) for r in some)
    assert store.walk("records") == wanted
    store.close()


def comparison(must: float, aim: float | None, ours: float, *peers: float) -> Comparison:
    def result(role: Role, *figures: float) -> Result:
        return Result(Contender("", lambda _: 0.0, role), list(figures))

    results = [result(Role.OURS, ours), result(Role.ASIDE, 1e-9)]
    results += [result(Role.PEER, one) for one in peers]
    return Comparison(Group("g", "g", (), must, aim), tuple(results))


@pytest.mark.parametrize(
    ("ours", "verdict"), [(1.0, "met, and the aim"), (1.9, "met"), (2.1, "MISSED")]
)
def test_ours_is_judged_by_the_best_peer(ours: float, verdict: str) -> None:
    assert comparison(2.0, 1.2, ours, 3.0, 1.0).verdict == verdict


def test_a_page_gets_its_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before {tables.BEGIN} old {tables.END} after")
    tables.put_on_page(page, tables.markdown([comparison(2.0, None, 1.0, 1.0)]))
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before")
    assert text.endswith("after")
    assert "| 1.00 | at most 2x | met |" in text


def test_groups_have_names_of_their_own() -> None:
    names = [group.name for group in GROUPS]
    assert len(names) == len(set(names))


def test_costs_as_a_container_grows_are_a_table_of_their_own() -> None:
    costs = {(Role.OURS, 10): 2e-6, (Role.OURS, 1000): 3e-6, (Role.ASIDE, 10): 5e-8}
    results = tuple(
        Result(Contender("", lambda _: 0.0, role, "", size), [cost])
        for (role, size), cost in costs.items()
    )
    grown = Comparison(Group("g", "d[key]", ()), results)
    assert grown.grows
    plain = comparison(2.0, None, 1.0, 1.0)
    assert "d[key]" not in "\n".join(tables.markdown([plain, grown]))
    assert list(tables.growth([plain])) == []
    assert list(tables.growth([plain, grown])) == [
        "| elements | | 10 | 1,000 | growth |",
        "|---|---|---|---|---|",
        "| d[key] | pmemobj | 2 us | 3 us | 1.5x |",
        "| d[key] | in memory | 50 ns |  |  |",
    ]


@pytest.mark.parametrize("name", sorted(growth.OPERATIONS))
@pytest.mark.parametrize("store", ["pmemobj", "memory"])
def test_an_operation_is_done_as_often_as_it_is_counted(
    name: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "ROOM", 64 << 20)
    lengths = []

    with growth.making(store, tmp_path) as make:

        def keep(value: Any) -> Any:
            lengths.append(len(value))
            kept.append(make(value))
            return kept[0]

        kept: list[Any] = []
        act, count = growth.OPERATIONS[name](keep, 1000)
        act()
        lengths.append(len(kept[0]))
    changed = {"append": 500, "insert": 500, "add": 500, "get": 0, "delete": -500}[name]
    assert lengths[1] - lengths[0] == changed
    assert count == (abs(changed) or 1000)
