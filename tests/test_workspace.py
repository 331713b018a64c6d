"""Workspace: names under the root, and nothing but a view."""

from __future__ import annotations

import re

import pytest

import pmemobj
from pmemobj.display.text import render
from pmemobj.errors import (
    InvalidTypeError,
    PoolClosedError,
    UnstorableError,
    WorkspaceNameError,
    WorkspaceRootError,
)
from pmemobj.report import (
    pool_info,
    pool_summary,
    recovery_info,
    recovery_summary,
    workspace_summary,
)
from pmemobj.workspace import Workspace


@pytest.fixture
def path(tmp_path):
    return tmp_path / "work.pool"


@pytest.fixture
def pool(path):
    with pmemobj.create(path, 64 << 20) as pool:
        yield pool


@pytest.fixture
def ws(pool):
    return Workspace(pool)


def test_attributes_and_items_are_the_same_names(ws):
    ws.x = 1
    ws["y"] = "two"
    assert (ws["x"], ws.y) == (1, "two")
    assert "x" in ws
    assert "z" not in ws
    assert len(ws) == 2
    assert list(ws) == ["x", "y"]
    assert list(ws.items()) == [("x", 1), ("y", "two")]
    assert list(ws.keys()) == ["x", "y"]
    assert list(ws.values()) == [1, "two"]
    assert ws.get("x") == 1
    assert ws.get("z", 7) == 7
    del ws.x
    del ws["y"]
    assert len(ws) == 0
    assert ws


def test_it_is_a_view_of_the_root(ws, pool):
    ws.x = [1, 2]
    assert pool.root["x"] is ws.x
    pool.root["y"] = 3
    assert ws.y == 3
    pool.root = {"other": 1}
    assert list(ws) == ["other"]
    ws.more = 2
    assert pool.root["more"] == 2


def test_variables_survive(path):
    with pmemobj.create(path) as pool:
        ws = Workspace(pool)
        ws.data = {"a": [1, 2.5, None], "b": ("t", {3})}
    with pmemobj.open(path) as pool:
        assert pmemobj.plain(Workspace(pool).data) == {"a": [1, 2.5, None], "b": ("t", {3})}


def test_a_root_of_another_kind_is_refused_with_advice(path):
    with pmemobj.create(path) as pool:
        pool.root = [1, 2]
        with pytest.raises(WorkspaceRootError, match="PersistentList") as caught:
            Workspace(pool)
        assert "pool.root = {'old': pool.root}" in str(caught.value)
        assert list(pool.root) == [1, 2]
        pool.root = {"old": pool.root}
        assert list(Workspace(pool).old) == [1, 2]


@pytest.mark.parametrize("pool", [None, 3, "path", {}])
def test_a_workspace_needs_a_pool(pool):
    with pytest.raises(InvalidTypeError, match=type(pool).__name__):
        Workspace(pool)


@pytest.mark.parametrize("name", ["items", "pool", "new", "transaction", "_pool", "__dict__"])
def test_own_names_go_by_item_only(ws, name):
    with pytest.raises(WorkspaceNameError, match=r"ws\['" + name):
        setattr(ws, name, 1)
    with pytest.raises(WorkspaceNameError):
        delattr(ws, name)
    assert name not in ws
    ws[name] = 5
    assert ws[name] == 5
    assert callable(ws.items)


def test_a_missing_name_is_an_attribute_error_with_a_hint(ws):
    ws.readings = 1
    with pytest.raises(AttributeError, match="did you mean 'readings'"):
        _ = ws.readigns
    with pytest.raises(AttributeError):
        del ws.nothing
    with pytest.raises(KeyError):
        _ = ws["nothing"]
    with pytest.raises(KeyError):
        del ws["nothing"]
    assert not hasattr(ws, "_repr_png_")
    assert not hasattr(ws, "__array__")


def test_completion_offers_what_can_be_typed(ws):
    for name in ("alpha", "two words", "class", "items", "_private"):
        ws[name] = 0
    offered = dir(ws)
    assert {"alpha", "_private", "new", "transaction", "items"} <= set(offered)
    assert "two words" not in offered
    assert "class" not in offered
    assert ws._ipython_key_completions_() == ["alpha", "two words", "class", "items", "_private"]


def test_new_and_transaction(ws):
    ws.made = ws.new(pmemobj.PersistentList, [1])
    assert list(ws.made) == [1]
    with pytest.raises(ZeroDivisionError):
        with ws.transaction():
            ws.made.append(2)
            ws.extra = 1 / 0
    assert list(ws.made) == [1]
    assert "extra" not in ws


def test_an_unstorable_value_changes_nothing(ws):
    ws.x = 1
    with pytest.raises(UnstorableError):
        ws.x = [1, iter(())]
    assert ws.x == 1
    with pytest.raises(TypeError, match="plain"):
        ws.__reduce__()


def test_a_root_made_in_a_transaction_that_fails_is_made_again(pool):
    with pytest.raises(ZeroDivisionError):
        with pool.transaction():
            ws = Workspace(pool)
            ws.x = 1 / 0
    ws.x = 2
    assert pool.root["x"] == 2


def test_closed(path):
    pool = pmemobj.create(path)
    ws = Workspace(pool)
    ws.x = 1
    pool.close()
    with pytest.raises(PoolClosedError):
        _ = ws.x
    with pytest.raises(PoolClosedError):
        ws.x = 2
    assert "closed" in repr(ws)
    assert "closed" in ws._repr_html_()


def test_display_of_variables(ws):
    ws.empty = []
    ws.text = "a <b> & \u202e" + "long " * 1000
    ws.numbers = list(range(1000))
    ws.settings = {"rate": 0.5, "layers": [1, 2, {"deep": True}]}
    ws.shared = ws.settings
    ws.pair = (1, "two")
    ws["odd name\n"] = None
    told = repr(ws)
    assert "7 " not in told.splitlines()[0]
    assert "PersistentList" in told
    assert "[0, 1, 2, 3, 4, 5, …]" in told
    assert "1,000" in told
    assert "shared ×2" in told
    assert r"'odd name\n'" in told
    assert "\u202e" not in told
    assert max(len(line) for line in told.splitlines()[1:]) <= 100  # the first has the path
    markup = ws._repr_html_()
    assert "<b>" not in markup
    assert "&lt;b&gt;" in markup
    assert "<details>" in markup
    assert "True" in markup


def test_display_is_bounded(ws):
    with ws.transaction():
        for number in range(1000):
            ws[f"variable_{number}"] = [number] * 20
    ws.large = ["x" * 50] * 100_000
    markup = ws._repr_html_()
    assert "… 951 more" in markup
    assert markup.count("<tr>") < 300
    assert len(markup) < 120_000
    assert len(repr(ws).splitlines()) < 60


def test_display_skips_deleted_entries(ws):
    for number in range(200):
        ws[f"v{number}"] = number
    for number in range(190):
        del ws[f"v{number}"]
    told = repr(ws)
    assert "v199" in told
    assert "more" not in told


def test_display_of_each_kind_of_value(ws, pool):
    import datetime
    import decimal
    import enum
    import pathlib

    ws.none, ws.true, ws.whole, ws.real = None, True, -5, -0.0
    ws.large = 1 << 100
    ws.raw = b"\x00\xff"
    ws.day = datetime.date(2024, 2, 29)
    ws.price = decimal.Decimal("1.10")
    ws.path = pathlib.PurePosixPath("/a/b")
    ws.function = len
    ws.group = {1, 2}
    ws.frozen = frozenset("a")
    ws.mixed = (1, [2])
    told = repr(ws)
    for words in (
        "None",
        "True",
        "-5",
        "-0.0",
        str(1 << 100),
        r"b'\x00\xff'",
        "datetime.date(2024, 2, 29)",
        "Decimal('1.10')",
        "PurePosixPath('/a/b')",
        "<built-in function len>",
        "{1, 2}",
        "frozenset({'a'})",
        "(1, […])",
    ):
        assert words in told
    assert enum.Enum.__name__ not in told


def test_keys_of_every_kind_are_shown(pool):
    import decimal

    pool.root = {1: "int", 2.5: "float", decimal.Decimal("0.1"): "decimal", (1, 2): "tuple"}
    told = repr(Workspace(pool))
    for words in ("1 ", "2.5", "Decimal('0.1')", "(1, 2)"):
        assert words in told


def test_pool_card_and_states(path):
    pool = pmemobj.create(path)
    info = pool_info(pool)
    assert 0 < info.used < info.size
    assert info.free == info.size - info.used
    assert "survives" in render(pool_summary(info))
    with pool.transaction():
        assert "transaction is open" in render(pool_summary(pool_info(pool)))
    pool.close()
    assert pool_info(pool).closed
    assert "closed" in render(pool_summary(pool_info(pool)))
    assert "closed" in render(workspace_summary(pool))


def test_recovery_says_clean_or_not(path):
    pmemobj.create(path).close()
    with pmemobj.open(path) as pool:
        info = recovery_info(pool)
        assert info.clean
        assert info.rolled_back == 0
        assert render(recovery_summary(info)).startswith("opened")


def test_holes_before_the_first_entry_do_not_hide_it(pool):
    ws = Workspace(pool)
    ws.queue = dict.fromkeys(range(30000))
    for number in range(14_000):
        del ws.queue[number]
    markup = ws.queue._repr_html_()
    assert "14000" in markup
    assert "15,950 more" in markup


class Named(pmemobj.PersistentObject):
    def __init__(self, name):
        self.name = name
        self.parts = [1, 2, 3]


class Loud(Named):
    def __repr__(self):
        return f"I am {self.name} <&>!"


class Bag(pmemobj.PersistentList):
    pass


def test_display_of_objects_of_user_classes(ws):
    ws.named = ws.new(Named, "n1")
    ws.loud = ws.new(Loud, "n2")
    ws.bag = ws.new(Bag, [1, 2])
    told = repr(ws)
    assert "Named(name='n1', parts=[…])" in told
    assert "Bag" in told
    assert "[1, 2]" in told
    markup = ws.named._repr_html_()
    for words in ("Named", "<dt>attributes</dt> <dd>2</dd>", "name", "n1", "<details>"):
        assert words in markup
    assert "I am n2 &lt;&amp;&gt;!" in ws.loud._repr_html_()


def test_display_of_a_class_that_is_missing(path, monkeypatch):
    with pmemobj.create(path) as pool:
        Workspace(pool).lost = pool.new(Named, "n1")
    monkeypatch.delattr(f"{__name__}.Named")
    with pmemobj.open(path) as pool:
        told = repr(Workspace(pool))
        assert "[class missing] Named(name='n1'" in told
        recovery = render(recovery_summary(recovery_info(pool)))
        assert "Class Named is not defined yet: import it from" in recovery


def test_a_handle_that_is_gone_has_no_html(path):
    with pmemobj.create(path) as pool:
        pool.root = [1]
        handle = pool.root
        with pytest.raises(ZeroDivisionError):
            with pool.transaction():
                undone = pool.new(pmemobj.PersistentList, [1 / 1])
                assert undone._repr_html_()
                raise ZeroDivisionError
        assert undone._repr_html_() is None
        assert "<dt>items</dt> <dd>1</dd>" in handle._repr_html_()
    assert handle._repr_html_() is None


def test_display_inside_a_transaction_shows_what_it_changed(ws):
    ws.x = 1
    with ws.transaction():
        ws.x = 2
        assert "transaction is open" in repr(ws)
        assert repr(ws).rstrip().endswith("2")


def test_long_strings_are_not_read_whole(ws):
    ws.long = "é" * 1_000_000
    ws.blob = b"x" * 1_000_000
    told = repr(ws)
    assert "1.9 MiB" in told
    assert "1,000,000" in told
    assert "éééé" in told
    assert len(told) < 1000


def test_the_root_is_the_present_one(pool):
    ws = Workspace(pool)
    ws.x = 1
    with pytest.raises(ZeroDivisionError):
        with pool.transaction():
            pool.root = {"x": 2}
            assert ws.x == 2
            raise ZeroDivisionError
    assert ws.x == 1
    with pool.transaction():
        assert ws.x == 1
        pool.root = {"x": 3}
        assert ws.x == 3
    assert ws.x == 3
    with pytest.raises(UnstorableError):
        pool.root = iter(())
    assert ws.x == 3
    pool.root = {"x": 4}
    assert ws.x == 4


def test_the_root_in_nested_transactions_that_fail(pool):
    ws = Workspace(pool)
    ws.x = 1
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            with pool.transaction():
                assert ws.x == 1
                with pool.transaction():
                    pool.root = {"x": 2}
                    assert ws.x == 2
                assert ws.x == 2
                raise ZeroDivisionError
        with pool.transaction():
            assert ws.x == 1
    assert ws.x == 1


def test_what_ipython_shows_as_text(ws):
    pretty = pytest.importorskip("IPython.lib.pretty").pretty
    ws.short = [1, 2, {"a": (3,)}]
    ws.long = [f"word {number}" for number in range(10_000)]
    ws.entries = {number: str(number) for number in range(1000)}
    ws.named = ws.new(Named, "n" * 2000)
    ws.loud = ws.new(Loud, "n" * 2000)
    assert pretty(ws.short) == "[1, 2, {'a': (3,)}]"
    for shown in (pretty(ws.long), pretty(ws.entries), pretty(ws.named)):
        assert len(shown) < 5000
        assert re.search(r"^size +\d", shown, re.MULTILINE)
    assert "9,999  'word 9999'" in pretty(ws.long)
    assert pretty([ws.long]).startswith("[['word 0', 'word 1'")
    assert pretty(ws.loud) == repr(ws.loud)
