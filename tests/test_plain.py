"""plain(): deep plain copies."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import pmemobj
from pmemobj import PersistentObject, plain
from pmemobj.containers.base import PlainObject


class Node(PersistentObject):
    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Opaque(pmemobj.Persistent):
    """A custom class without ``_p_plain``."""

    def _p_new(self, manager: Any) -> None:
        self._p_resurrect(manager, manager.zalloc(64))

    def _p_resurrect(self, manager: Any, oid: Any) -> None:
        self._p_mm, self._p_oid = manager, oid

    def _p_traverse(self) -> Any:
        return ()

    def _p_substructures(self) -> Any:
        return ()


def test_leaves_and_plain_values_of_other_types_stay(pool: Any) -> None:
    for value in (1, "a", None, (1, 2), frozenset((3,)), 1.5):
        assert plain(value) == value
    anything = object()
    assert plain(anything) is anything


def test_every_kind_becomes_plain(pool: Any, reopen: Any) -> None:
    root = pool.root
    root["list"] = [1, {"k": {1, (2, 3)}}]
    root["tuple"] = pool.new(pmemobj.PersistentTuple, [1, [2]])
    root["holds"] = (1, [2], {"x": ()})
    root["node"] = pool.new(Node, x=[1], y=root["list"])
    copied = plain(root)
    also = plain([root, {"r": (root,)}])
    reopen(pool)
    assert type(copied) is dict and type(copied["list"]) is list
    assert copied["list"] == [1, {"k": {1, (2, 3)}}]
    assert type(copied["list"][1]["k"]) is set
    assert copied["tuple"] == (1, [2]) and type(copied["tuple"]) is tuple
    assert copied["holds"] == (1, [2], {"x": ()})
    assert copied["node"].x == [1] and copied["node"].y is copied["list"]
    assert also[0] is also[1]["r"][0] and also[0]["list"] == copied["list"]


def test_shared_references_and_cycles(pool: Any) -> None:
    root = pool.root
    root["a"] = shared = [1]
    root["a"].append(root["a"])
    root["b"] = (root["a"], [root["a"]])
    root["t"] = pool.new(pmemobj.PersistentTuple, [root, root["a"]])
    root["n"] = pool.new(Node)
    root["n"].me = [root["n"], (root["n"],)]
    root["keyed"] = {root["n"]: "value"}
    root["members"] = {root["n"], 1}
    copied = plain(root)
    assert shared == [1]
    a = copied["a"]
    assert a[1] is a and copied["b"][0] is a and copied["b"][1][0] is a
    assert copied["t"][0] is copied and copied["t"][1] is a
    node = copied["n"]
    assert node.me[0] is node and node.me[1][0] is node
    assert copied["keyed"] == {node: "value"} and copied["members"] == {node, 1}


def test_any_depth(pool: Any) -> None:
    deep: Any = []
    for number in range(20_000):
        deep = [number, deep] if number % 2 else {"n": number, "deep": (deep,)}
    pool.root["deep"] = deep
    copied = plain(pool.root["deep"])
    for number in reversed(range(20_000)):
        if number % 2:
            assert type(copied) is list and copied[0] == number
            copied, deep = copied[1], deep[1]
        else:
            assert type(copied) is dict and copied["n"] == number
            copied, deep = copied["deep"][0], deep["deep"][0]
    assert copied == []


def test_a_custom_class_without_a_plain_form(pool: Any) -> None:
    pool.root["opaque"] = pool.new(Opaque)
    with pytest.raises(pmemobj.UnstorableError, match="_p_plain"):
        plain(pool.root)


class Tagged(pmemobj.PersistentList):
    """Not a list to the core: it has a class of its own."""


def test_common_data_is_copied_in_one_piece(pool: Any, monkeypatch: Any) -> None:
    shared: list[Any] = [1, "é" * 300, b"bytes"]
    model: dict[str, Any] = {
        "numbers": [0, -1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 0.5, None, True],
        "set": {"a", 2, "\ud800"}, "shared": shared, "again": [shared, {"it": shared}], 3: {},
        "long": "x" * 9000, -5: -0.0, True: False, None: {"k" * 300: []},
    }  # fmt: skip
    pool.root["model"] = model
    with monkeypatch.context() as patch:
        patch.delattr(sys.modules["pmemobj.containers.plain"], "_Copier")
        copied = plain(pool.root["model"])
        assert copied == model and list(copied) == list(model)
        assert [type(n) for n in copied["numbers"]] == [type(n) for n in model["numbers"]]
        assert copied["shared"] is copied["again"][0] is copied["again"][1]["it"]
        pool.root["model"]["self"] = pool.root["model"]
        looped = plain(pool.root["model"])
        assert looped["self"] is looped


def test_other_data_is_copied_part_by_part(pool: Any) -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    odd: list[Any] = [(1, [2]), 10**30, {(1, 2): 3}, [pool.new(Tagged, [1])], deep]
    for value in odd:
        pool.root["value"] = [value]
        copied = plain(pool.root["value"])
        assert copied == [plain(value)] and type(copied[0]) is type(plain(value))
    pool.root["key"] = {pool.new(Node, x=1): 1}
    assert type(next(iter(plain(pool.root["key"])))) is PlainObject
