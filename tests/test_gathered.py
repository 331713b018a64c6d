"""Entries that a transaction sets one by one and the core gets together: nobody can tell."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pmemobj
from pmemobj import PersistentDict, PoolFullError, TransactionAbortedError, plain
from pmemobj._native import ffi, lib
from pmemobj.containers import gathered
from pmemobj.transaction import STEPWISE

Pool = pmemobj.PersistentObjectPool

pytestmark = pytest.mark.skipif(STEPWISE, reason="this Python gathers nothing")


def fill(table: Any, count: int = 200) -> dict[str, Any]:
    """Set so many entries that the last ones are gathered; what is in the table then."""
    model = plain(table)
    for i in range(count):
        table[f"key{i}"] = model[f"key{i}"] = i
    return model


def held(table: Any) -> int:
    """How many entries the core has."""
    info = ffi.new("pmo_object_info *")
    assert lib.pmo_object_info_get(table._p_mm.ctx, table._p_off, info) == 0
    return int(info.length)


def test_they_are_gathered(pool: Pool) -> None:
    pool.root = {}
    table = pool.root
    with pool.transaction():
        model = fill(table)
        assert held(table) < 200
        assert len(table) == 200 == held(table)
        assert list(table.items()) == list(model.items())
    assert list(table.items()) == list(model.items())
    table._check()


READERS: dict[str, Callable[[Any], Any]] = {
    "[]": lambda d: d["key199"],
    "get": lambda d: d.get("key199"),
    "in": lambda d: "key199" in d,
    "len": len,
    "list": list,
    "reversed": lambda d: list(reversed(d)),
    "items": lambda d: list(d.items()),
    "==": lambda d: d == {f"key{i}": i for i in range(200)},
    "repr": repr,
    "plain": plain,
    "copy": lambda d: d.copy(),
    "keys &": lambda d: d.keys() & {"key199", "x"},
    "setdefault": lambda d: d.setdefault("key199", 5),
    "pop": lambda d: d.pop("key199"),
    "popitem": lambda d: d.popitem(),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_reads_sees_them(pool: Pool, name: str) -> None:
    pool.root = {}
    table = pool.root
    with pool.transaction():
        model = fill(table)
        assert READERS[name](table) == READERS[name](model)
        assert table == model


def test_displays_see_them(pool: Pool) -> None:
    pool.root = {}
    table = pool.root
    with pool.transaction():
        fill(table)
        assert "key199" in (table._repr_html_() or "")


def test_as_a_dict_does(pool: Pool) -> None:
    choice = random.Random(7)
    names = [f"name{i}" for i in range(400)] + ["é", "\ud800", "long " * 30]
    values = [
        0,
        -(1 << 63),
        (1 << 63) - 1,
        1 << 63,
        0.5,
        float("inf"),
        True,
        None,
        "text",
        b"x" * 99,
    ]
    pool.root = {"one": {}, "other": {}}
    tables = [pool.root["one"], pool.root["other"]]
    models: list[dict[str, Any]] = [{}, {}]
    for _ in range(25):
        kept = [dict(model) for model in models]
        fails = choice.random() < 0.3
        try:
            with pool.transaction():
                for _ in range(choice.randrange(700)):
                    at = choice.randrange(2)
                    name = choice.choice(names)
                    value = (
                        choice.choice(values) if choice.random() < 0.02 else choice.randrange(99)
                    )
                    tables[at][name] = models[at][name] = value
                    if choice.random() < 0.004:
                        del tables[at][name], models[at][name]
                    if choice.random() < 0.004:
                        name = choice.choice(list(models[at] or ["é"]))
                        assert tables[at][name] == models[at][name]
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            models = kept
        except KeyError:
            models = kept
        for table, model in zip(tables, models, strict=True):
            assert repr(list(table.items())) == repr(list(model.items()))
            table._check()


def test_an_iteration_notices_them(pool: Pool) -> None:
    pool.root = {}
    table = pool.root
    with pool.transaction():
        model = fill(table)
        seen = []
        for name in table:
            table[name] = seen.append(name) or 7
        assert seen == list(model)
        table.update(dict.fromkeys(map(str, range(400)), 1))
        fill(table)
        with pytest.raises(RuntimeError, match="changed size"):
            for name in table:
                table[f"new {name}"] = 1


def test_an_abort_forgets_them(pool: Pool) -> None:
    pool.root = {"kept": 1}
    table = pool.root
    with pytest.raises(ZeroDivisionError), pool.transaction():
        fill(table)
        raise ZeroDivisionError
    assert table == {"kept": 1}
    table["after"] = 2
    assert table == {"kept": 1, "after": 2}


def test_a_nested_failure_forgets_them(pool: Pool) -> None:
    pool.root = {"kept": 1}
    table = pool.root
    with pytest.raises(TransactionAbortedError), pool.transaction():
        fill(table)
        with pytest.raises(ZeroDivisionError), pool.transaction():
            raise ZeroDivisionError
        with pytest.raises(TransactionAbortedError):
            table["more"] = 1
    assert table == {"kept": 1}


def test_closing_forgets_them(pool: Pool, reopen: Any) -> None:
    pool.root = {"kept": 1}
    table = pool.root
    with pytest.raises(pmemobj.PoolClosedError), pool.transaction():
        fill(table)
        pool.close()
        table["more"] = 1
    pool = reopen(pool)
    assert pool.root == {"kept": 1}


def test_room_is_never_wanting(pool: Pool) -> None:
    """What is gathered can be stored, whatever fails; what there is no room for is told at once."""
    pool.root = {}
    table = pool.root
    with pool.transaction():
        model = fill(table)
        missing = len(model) - held(table)
        assert missing > 10
        lib.pmo_inject_failure(pool.mm.ctx, 1)
        try:
            assert table == model
            with pytest.raises(PoolFullError):
                for i in range(10_000):
                    table[f"more{i}"] = i
                    model[f"more{i}"] = i
            assert table == model
        finally:
            lib.pmo_inject_failure(pool.mm.ctx, 0)
        table["last"] = model["last"] = 1
    assert table == model


def test_long_keys_have_room_too(pool: Pool) -> None:
    pool.root = {}
    table = pool.root
    model = {f"a key that is not short {i}": i for i in range(3000)}
    with pool.transaction():
        for name, i in model.items():
            table[name] = i
        missing = len(model) - held(table)
        lib.pmo_inject_failure(pool.mm.ctx, 1)
        assert table == model
        lib.pmo_inject_failure(pool.mm.ctx, 0)
    assert missing > 10
    assert table == model


def test_references_are_never_gathered_over(pool: Pool) -> None:
    """Replacing a reference can need room, so nothing is gathered where there is one."""
    pool.root = {}
    table = pool.root
    with pool.transaction():
        table["nested"] = [1]
        fill(table)
        assert held(table) == 201
        table["nested"] = 5
    assert pool.gc().freed == 0


def test_another_thread_waits(pool: Pool) -> None:
    pool.root = {"kept": 0}
    table = pool.root
    seen = []

    def other() -> None:
        seen.append(table.get("key199"))
        table["key199"] = "other"

    thread = threading.Thread(target=other)
    with pool.transaction():
        fill(table)
        thread.start()
        thread.join(0.1)
        table["key199"] = 200
        assert seen == []
    thread.join(10)
    assert seen == [200]
    assert table["key199"] == "other"


@pytest.mark.parametrize("place", ["encode_key_batch", "encode_batch", "bind_keys", "bind_batch"])
@pytest.mark.parametrize("reads", [False, True])
def test_a_signal_handler_amid_storing(
    pool: Pool, monkeypatch: Any, place: str, reads: bool
) -> None:
    pool.root = {}
    table = pool.root
    original = getattr(gathered, place)
    seen = []

    def handler(number: int, frame: Any) -> None:
        monkeypatch.setattr(gathered, place, original)
        if reads:
            seen.append(table["key199"])
        table["key198"] = 500
        table["by the handler"] = 1

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return original(*arguments)

    former = signal.signal(signal.SIGUSR1, handler)
    try:
        with pool.transaction():
            model = fill(table)
            monkeypatch.setattr(gathered, place, interrupted)
            assert len(table) == 201
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert table == model | {"key198": 500, "by the handler": 1}
    assert seen == [199] * reads


def test_a_subclass_and_its_missing_keys(pool: Pool) -> None:
    table = pool.new(Counting)
    pool.root = table
    with pool.transaction():
        for i in range(300):
            table[f"key{i}"] += i
            table[f"key{i}"] = i
    assert table == {f"key{i}": i for i in range(300)}


class Counting(PersistentDict):
    def __missing__(self, key: Any) -> int:
        return 0
