"""PersistentObject: attributes, classes that change, classes that are missing."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from threads import Worker

import pmemobj
from pmemobj import PersistentDict, PersistentList, PersistentObject
from pmemobj.containers.base import PlainObject
from pmemobj.containers.object import MissingClassObject


class Upper:
    """A data descriptor."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = "raw_" + name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else getattr(instance, self.name, None)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance, self.name, value.upper())


class Run(PersistentObject):
    limit = 10
    parent = None
    title = Upper()

    def __init__(self, name: str) -> None:
        self.name = name
        self.losses = []

    def _v__init__(self) -> None:
        self._v_lock = threading.Lock()

    @property
    def best(self) -> Any:
        return min(self.losses)

    @best.setter
    def best(self, value: Any) -> None:
        self.losses = [value]

    @property
    def broken(self) -> Any:
        return self.nowhere

    def describe(self) -> str:
        return f"{self.name}: {len(self.losses)}"

    @classmethod
    def make(cls, pool: Any) -> Any:
        return pool.new(cls, "made")

    @staticmethod
    def double(value: int) -> int:
        return 2 * value


class Node(PersistentObject):
    next = None

    def __init__(self, number: int, following: Any = None) -> None:
        self.number = number
        if following is not None:
            self.next = following


def test_attributes_methods_and_descriptors(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "first")
    assert pool.root["run"] is run and type(run) is Run
    assert run.name == "first" and run.losses is run.losses
    assert type(run.losses) is PersistentList
    run.losses.extend([3, 1, 2])
    run.title = "loud"
    assert run.title == run.raw_title == "LOUD"
    assert run.best == 1
    run.extra = {"k": {1}}
    assert type(run.extra) is PersistentDict
    assert run.describe() == "first: 3" and Run.double(2) == 4 and run.double(3) == 6
    del run
    pool = reopen(pool)
    run = pool.root["run"]
    assert type(run) is Run and run.name == "first" and run.losses == [3, 1, 2]
    assert run.title == "LOUD" and run.extra == {"k": {1}} and run.describe() == "first: 3"
    run.best = 0
    assert run.losses == [0]
    del run.extra
    for missing in ("extra", "never"):
        assert not hasattr(run, missing)
        with pytest.raises(AttributeError, match=missing):
            getattr(run, missing)
        with pytest.raises(AttributeError, match=missing):
            delattr(run, missing)
    with pytest.raises(AttributeError, match="nowhere"):
        run.broken  # noqa: B018
    with pytest.raises(AttributeError):
        run.broken = 1
    assert Run.make(pool).name == "made"


def test_class_attributes_are_defaults(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    other = pool.root["other"] = pool.new(Run, "b")
    assert run.limit == 10 and "limit" not in vars(run)
    run.limit = 20
    run.parent = other
    run.describe = "hidden"
    assert (run.limit, other.limit, Run.limit) == (20, 10, 10)
    assert run.parent is other and other.parent is None and Run.parent is None
    assert run.describe == "hidden" and other.describe() == "b: 0"
    del run, other
    pool = reopen(pool)
    run, other = pool.root["run"], pool.root["other"]
    assert (run.limit, other.limit, Run.limit) == (20, 10, 10)
    assert run.parent is other and other.parent is None
    assert run.describe == "hidden" and other.describe() == "b: 0"
    with pytest.raises(KeyError), pool.transaction():
        run.limit = 30
        run.parent = run
        assert run.limit == 30 and run.parent is run
        raise KeyError
    assert run.limit == 20 and run.parent is other
    del run.limit, run.parent, run.describe
    assert run.limit == 10 and run.parent is None and run.describe() == "a: 0"


def test_a_long_chain_over_a_class_default(pool: Any, reopen: Any) -> None:
    head = None
    with pool.transaction():
        for number in range(3000):
            head = pool.new(Node, number, head)
        pool.root["head"] = head
    del head
    gc.collect()
    pool = reopen(pool)
    node, count = pool.root["head"], 0
    while node is not None:
        node, count = node.next, count + 1
    assert count == 3000


def test_initialisers(pool: Any, reopen: Any) -> None:
    calls.clear()
    made = pool.root["order"] = pool.new(Order, 5)
    assert calls == ["_v__init__", "__init__"]
    assert made._v_open == [] and made.value == 5
    del made
    pool = reopen(pool)
    calls.clear()
    assert pool.root["order"].value == 5
    assert calls == ["_v__init__"]
    assert "_v_open" in vars(pool.root["order"]) and hasattr(pool.root["order"], "_v_open")


calls: list[str] = []


class Order(PersistentObject):
    def __init__(self, value: int) -> None:
        calls.append("__init__")
        self.value = value

    def _v__init__(self) -> None:
        calls.append("_v__init__")
        self._v_open: list[Any] = []


def test_volatile_and_reserved_names(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    run._v_handle = object()
    with pytest.raises(AttributeError, match="belong to the library"):
        run._p_mine = 1
    with pytest.raises(AttributeError):
        run._p_mine  # noqa: B018
    with pytest.raises(KeyError), pool.transaction():
        run.name = "b"
        run._v_handle = 5
        raise KeyError
    assert run.name == "a" and run._v_handle == 5
    del run._v_handle
    assert not hasattr(run, "_v_handle")
    del run
    pool = reopen(pool)
    assert not hasattr(pool.root["run"], "_v_handle")
    assert pool.root["run"]._v_lock.acquire(blocking=False)


def test_the_dictionary_is_a_live_view(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    view = vars(run)
    assert view == {"name": "a", "losses": [], "_v_lock": run._v_lock}
    view["x"] = [1]
    assert run.x == [1] and type(run.x) is PersistentList and view["x"] is run.x
    view.update(y=2, limit=3)
    assert run.limit == 3 and Run.limit == 10
    del view["name"]
    assert not hasattr(run, "name") and len(view) == 5 and "name" not in view
    with pytest.raises(KeyError):
        del view["name"]
    with pytest.raises(KeyError):
        view["never"]
    with pytest.raises(AttributeError):
        view["_p_mine"] = 1
    view["_v_note"] = object()
    assert run._v_note is view.pop("_v_note") and not hasattr(run, "_v_note")
    assert view | {"z": 1} == {**view.copy(), "z": 1} and {"y": 0} | view == view.copy()
    with pytest.raises(AttributeError):
        run.__dict__ = {}
    assert {"x", "losses", "best", "describe", "_v_lock", "__init__"} <= set(dir(run))
    assert list(dir(run)) == sorted(dir(run))
    with pytest.raises(pmemobj.UnstorableError, match="y"):
        view["y"] = object()
    del run, view
    pool = reopen(pool)
    view = vars(pool.root["run"])
    assert view == {"losses": [], "x": [1], "y": 2, "limit": 3, "_v_lock": view["_v_lock"]}


def test_identity_is_equality_unless_defined(pool: Any) -> None:
    a, b = pool.new(Run, "x"), pool.new(Run, "x")
    assert a == a and a != b and len({a, b}) == 2 and bool(a)
    with pytest.raises(TypeError):
        len(a)
    with pytest.raises(TypeError):
        iter(a)
    c, d = pool.new(Sized, 0), pool.new(Sized, 0)
    assert c == d and not c and len(pool.new(Sized, 3)) == 3


class Sized(PersistentObject):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sized) and self.size == other.size

    __hash__ = None  # type: ignore[assignment]


def test_repr(pool: Any) -> None:
    run = pool.new(Run, "a")
    run.me = [run]
    assert repr(run) == "<Run name='a', losses=[], me=[<Run ...>]>"
    run.name = "x" * 500_000
    assert len(repr(run)) < 200_000


@pytest.mark.parametrize(
    "change",
    [
        lambda run: setattr(run, "name", [1]),
        lambda run: setattr(run, "fresh", {"k": 1}),
        lambda run: delattr(run, "name"),
        lambda run: setattr(run, "best", 4),
        lambda run: run.__init__("again"),
    ],
)
def test_an_aborted_change_leaves_what_was_there(pool: Any, reopen: Any, change: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    run.losses = losses = [1, 2]
    before = pmemobj.plain(run)
    assert run.name == "a" and run.losses == losses
    with pytest.raises(KeyError), pool.transaction():
        change(run)
        raise KeyError
    assert vars(pmemobj.plain(run)) == vars(before)
    assert run.name == "a" and run.losses == losses and not hasattr(run, "fresh")
    run._check()
    change(run)
    changed = vars(pmemobj.plain(run))
    pool = reopen(pool)
    assert vars(pmemobj.plain(pool.root["run"])) == changed != vars(before)


def test_a_refused_value_changes_nothing(pool: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    for bad in (object(), [1, object()], {"k": object()}):
        with pytest.raises(pmemobj.UnstorableError):
            run.name = bad
        with pytest.raises(pmemobj.UnstorableError):
            run.fresh = bad
    assert run.name == "a" and not hasattr(run, "fresh")
    with pytest.raises(pmemobj.UnstorableError):
        pool.new(Run, object())
    assert pool.gc().freed == 0


def test_objects_of_a_rolled_back_transaction_are_gone(pool: Any) -> None:
    with pytest.raises(KeyError), pool.transaction():
        run = pool.new(Run, "lost")
        raise KeyError
    for use in (lambda: run.name, lambda: setattr(run, "name", 1), lambda: dict(vars(run))):
        with pytest.raises(pmemobj.AbortedObjectError):
            use()
    assert "rolled back" in repr(run)
    with pytest.raises(pmemobj.DetachedObjectError):
        Run("no pool")


def test_closed_pool(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    assert run.name == "a"
    reopen(pool)
    for use in (lambda: run.name, lambda: setattr(run, "name", 1), lambda: delattr(run, "name")):
        with pytest.raises(pmemobj.PoolClosedError):
            use()
    assert repr(run) == "<Run of a closed pool>"


def test_plain_values_leave_the_pool(pool: Any, reopen: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "a")
    run.losses = [1, 2]
    run.self = run
    copies = [pickle.loads(pickle.dumps(run)), copy.deepcopy(run), pmemobj.plain(run)]
    reopen(pool)
    for made in copies:
        assert type(made) is PlainObject
        assert made.name == "a" and made.losses == [1, 2] and made.self is made
        assert type(made.losses) is list and "Run" in repr(made)


def test_mixing_and_slots_are_refused() -> None:
    for base in (PersistentList, PersistentDict, pmemobj.PersistentSet, pmemobj.PersistentTuple):
        with pytest.raises(TypeError, match="mixed"):
            type("Mixed", (PersistentObject, base), {})
        with pytest.raises(TypeError, match="mixed"):
            type("Mixed", (base, Run), {})
    with pytest.raises(TypeError, match="mixed"):
        type("Mixed", (PersistentList, PersistentDict), {})
    with pytest.raises(TypeError, match="__slots__"):
        type("Slotted", (PersistentObject,), {"__slots__": ("x",)})
    assert type("Fine", (Run, Sized), {}).limit == 10


@dataclass
class Settings(PersistentObject):
    name: str
    size: int = 3
    tags: list[str] = field(default_factory=list)
    following: Any = None


def test_dataclasses(pool: Any, reopen: Any) -> None:
    last = pool.new(Settings, "last")
    made = pool.root["settings"] = pool.new(Settings, "s", size=5, following=last)
    made.tags.append("t")
    del made, last
    pool = reopen(pool)
    made = pool.root["settings"]
    assert (made.name, made.size, made.tags) == ("s", 5, ["t"])
    assert made.following.size == 3 and made.following.following is None
    assert made.following.tags == []


def test_getattr_of_the_class_is_asked_last(pool: Any, reopen: Any) -> None:
    made = pool.root["fallback"] = pool.new(Fallback)
    made.stored = 1
    del made
    pool = reopen(pool)
    made = pool.root["fallback"]
    assert made.stored == 1 and made.other == "fallback other"


class Fallback(PersistentObject):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return f"fallback {name}"


def test_only_committed_values_are_seen_by_other_threads(pool: Any) -> None:
    run = pool.root["run"] = pool.new(Run, "old")
    assert run.name == "old"
    with pytest.raises(KeyError), pool.transaction():
        run.name = "uncommitted"
        assert run.name == "uncommitted"
        reader = Worker(getattr, run, "name")
        assert reader.busy(0.2)
        raise KeyError
    assert reader.end() == "old"


# -- classes that come, go and change ---------------------------------------------------------


@pytest.fixture
def notebook() -> Iterator[types.ModuleType]:
    """A module in which classes are defined as in a notebook, by running source."""
    module = types.ModuleType("notebook_of_tests")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def run_cell(module: types.ModuleType, source: str) -> None:
    exec(compile(source, "<cell>", "exec"), vars(module))


CELL = """
from pmemobj import PersistentObject, PersistentList, PersistentDict, PersistentSet, PersistentTuple

class Model(PersistentObject):
    def __init__(self, w):
        self.w = w
        self.data = [w]
    def _v__init__(self):
        self._v_ready = True
    def norm(self):
        return abs(self.w)

class Stack(PersistentList):
    def top(self):
        return self[-1]

class Table(PersistentDict):
    def rows(self):
        return list(self)

class Tags(PersistentSet):
    def first(self):
        return min(self)

class Pair(PersistentTuple):
    def left(self):
        return self[0]
"""


def test_a_missing_class_loses_nothing(pool: Any, reopen: Any, notebook: Any) -> None:
    run_cell(notebook, CELL)
    root = pool.root
    root["model"] = pool.new(notebook.Model, -2.5)
    root["model"].friend = pool.new(notebook.Model, 1)
    root["stack"] = pool.new(notebook.Stack, [1, [2]])
    root["table"] = pool.new(notebook.Table, a=1)
    root["tags"] = pool.new(notebook.Tags, "xy")
    root["pair"] = pool.new(notebook.Pair, "lr")
    del root
    gc.collect()
    for name in ("Model", "Stack", "Table", "Tags", "Pair"):
        delattr(notebook, name)
    pool = reopen(pool)
    assert "notebook_of_tests:Model" in pool.recovery.classes_missing
    model = pool.root["model"]
    assert isinstance(model, MissingClassObject)
    assert model.w == -2.5 and model.data == [-2.5] and model.friend.w == 1
    assert not hasattr(model, "norm") and not hasattr(model, "_v_ready")
    assert "missing class notebook_of_tests:Model" in repr(model) and "w=-2.5" in repr(model)
    with pytest.raises(pmemobj.MissingClassError, match="notebook_of_tests:Model") as caught:
        model.norm()
    assert caught.value.name == "notebook_of_tests:Model"
    for change in (
        lambda: setattr(model, "w", 1),
        lambda: delattr(model, "w"),
        lambda: pool.root["stack"].append(1),
        lambda: pool.root["stack"].__setitem__(0, 1),
        lambda: pool.root["table"].update(b=2),
        lambda: pool.root["tags"].add("z"),
    ):
        with pytest.raises(pmemobj.MissingClassError):
            change()
    stack, table, tags = pool.root["stack"], pool.root["table"], pool.root["tags"]
    assert stack == [1, [2]] and stack[1][0] == 2 and table["a"] == 1 and "x" in tags
    assert pool.root["pair"] == ("l", "r") and "missing" in repr(stack)
    with pytest.raises(pmemobj.MissingClassError):
        stack.top()
    assert pmemobj.plain(pool.root["stack"]) == [1, [2]]

    run_cell(notebook, CELL)
    assert type(model) is notebook.Model and model.norm() == 2.5 and model._v_ready
    assert pool.root["model"] is model and type(model.friend) is notebook.Model
    model.w = 3
    assert model.norm() == 3
    assert type(stack) is notebook.Stack and stack.top() == [2]
    stack.append(9)
    assert table.rows() == ["a"] and tags.first() == "x" and pool.root["pair"].left() == "l"


def test_a_class_defined_again_takes_over_its_objects(
    pool: Any, reopen: Any, notebook: Any
) -> None:
    run_cell(notebook, CELL)
    model = pool.root["model"] = pool.new(notebook.Model, -1)
    first = notebook.Model
    assert model.norm() == 1
    run_cell(notebook, CELL.replace("abs(self.w)", "'redefined'") + "\n    w = 'default'\n")
    assert type(model) is notebook.Model is not first
    assert model.norm() == "redefined" and model.w == -1
    pool.root["model"].w = 5
    made = pool.new(notebook.Model, 7)
    assert made.norm() == "redefined"
    del model, made
    gc.collect()
    pool = reopen(pool)
    assert pool.root["model"].w == 5 and pool.root["model"].norm() == "redefined"


def test_a_property_that_comes_with_a_redefinition_is_used(pool: Any, notebook: Any) -> None:
    run_cell(notebook, CELL)
    model = pool.root["model"] = pool.new(notebook.Model, 4)
    assert model.w == 4
    run_cell(
        notebook,
        CELL.replace(
            "    def norm",
            "    @property\n    def w(self): return 'property'\n"
            "    @w.setter\n    def w(self, value): self.other = value\n    def norm",
        ),
    )
    assert model.w == "property"
    model.w = 5
    assert model.other == 5 and vars(model)["w"] == 4


def test_a_default_that_comes_with_a_redefinition_hides_nothing(
    pool: Any, reopen: Any, notebook: Any
) -> None:
    run_cell(notebook, CELL)
    pool.root["model"] = pool.new(notebook.Model, 4)
    gc.collect()
    pool = reopen(pool)
    model = pool.root["model"]
    run_cell(notebook, CELL.replace("    def norm", "    w = 0\n    def norm"))
    assert model.w == 4 and notebook.Model.w == 0


def test_subclasses_and_super(pool: Any, reopen: Any) -> None:
    made = pool.root["special"] = pool.new(Special, "s")
    assert made.describe() == "special s: 0" and made.limit == 99
    made.limit = 7
    del made
    pool = reopen(pool)
    assert pool.root["special"].describe() == "special s: 0" and pool.root["special"].limit == 7
    assert Special.limit == 99 and pool.new(Special, "t").limit == 99


class Special(Run):
    limit = 99

    def describe(self) -> str:
        return "special " + super().describe()


def test_a_class_that_is_now_of_another_kind_loses_nothing(
    pool: Any, reopen: Any, notebook: Any
) -> None:
    run_cell(notebook, CELL)
    table = pool.root["table"] = pool.new(notebook.Table, a=1)
    old = notebook.Table
    changed = CELL.replace("class Table(PersistentDict)", "class Table(PersistentObject)")
    run_cell(notebook, changed)
    assert type(table) is old and table["a"] == 1
    made = pool.root["new"] = pool.new(notebook.Table)
    made.x = 2
    assert type(made) is notebook.Table and type(pool.root["table"]) is old
    del table, made
    pool = reopen(pool)
    table = pool.root["table"]
    assert table["a"] == 1 and pool.root["new"].x == 2
    for refused in (lambda: table.update(b=2), lambda: table.rows()):
        with pytest.raises(
            pmemobj.MissingClassError,
            match="Table is a PersistentObject now, and was stored as a PersistentDict",
        ):
            refused()
    with pytest.raises(AttributeError):
        pool.root["new"].missing  # noqa: B018
    assert pool.check().ok
    run_cell(notebook, CELL)
    assert type(table) is notebook.Table and table.rows() == ["a"]
    table["b"] = 2
    assert pool.root["new"].x == 2 and table == {"a": 1, "b": 2}
