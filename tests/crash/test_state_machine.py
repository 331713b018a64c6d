"""Containers against plain ones, by machines that draw what happens next.

One for each kind of container, and one for a graph of all of them. Everything may happen at any
time: changes of every kind, in the graph references that share and close cycles, transactions
in transactions, their ends, collections, reopening, and the sudden end of the process, of which
the file as it lies there is what remains.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from laboratory import LONG, TALLY, canonical, canonical_parts, inspect

import pmemobj
from pmemobj.containers.base import PlainObject

SIZE = 32 << 20
STEPS = 150 if LONG else 60  # of a history, at most
LIMIT = 60  # elements of a container, so that nothing grows for ever


class Node(pmemobj.PersistentObject):
    """An object whose attributes are whatever was set."""


class Undo(Exception):
    """Ends a transaction."""


text = st.text(max_size=8) | st.just("a string that does not fit into a cell") | st.just("w" * 5000)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | text
    | st.binary(max_size=20)
    | st.tuples(st.integers(0, 9), text)
)
values = leaves | st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(leaves, inner, max_size=4),
    max_leaves=12,
)
keys = st.integers(0, 9) | st.sampled_from(["a", "b", 1.0, True, None, (1, "t"), b"k", "x" * 40])
# No two of them are equal: which of two equal elements an intersection keeps is not said.
members = st.integers(0, 9) | st.sampled_from(["a", "b", None, (1, "t"), b"k", "x" * 40])
walks = st.lists(st.integers(0, 7), max_size=4)
places = st.integers(-LIMIT, LIMIT)
bounds = st.none() | places
slices = st.builds(slice, bounds, bounds, st.none() | st.sampled_from([-3, -1, 1, 2, 3]))
names = st.sampled_from(["first", "second", "third", "fourth"])
kinds = (list, dict, set, PlainObject)


def children(model: Any) -> list[tuple[Any, Any]]:
    """The containers directly in a plain container, each with the way to it."""
    if isinstance(model, list):
        pairs = list(enumerate(model))
    elif isinstance(model, dict):
        pairs = list(model.items())
    elif isinstance(model, PlainObject):
        pairs = list(vars(model).items())
    else:
        pairs = []
    return [(way, child) for way, child in pairs if isinstance(child, kinds)]


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def same_failure(*actions: Any) -> None:
    """Run all; they raise the same exception or none."""
    raised = []
    for action in actions:
        try:
            action()
            raised.append(None)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
            raised.append(next(k for k in type(error).__mro__ if k.__module__ == "builtins"))
    assert len(set(raised)) == 1, raised


class Machine(RuleBasedStateMachine):
    """A pool and a model of it: transactions, collections, reopening, death."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="pmemobj-test-"))
        self.generation = 0
        self.open_blocks: list[AbstractContextManager[Any]] = []
        self.before: Any = None
        self.pool = pmemobj.create(self.path, SIZE)

    @property
    def path(self) -> Path:
        return self.directory / f"{self.generation}.pmem"

    @initialize()
    def fill(self) -> None:
        self.pool.root = {"list": [1], "dict": {"a": 1}, "set": {1}}
        self.model = {"list": [1], "dict": {"a": 1}, "set": {1}}
        self.pool.root["object"] = self.pool.new(Node)
        self.model["object"] = PlainObject(pmemobj.plain(self.pool.root["object"])._v_class_name)

    def at(self, walk: list[int], kind: type | None = None) -> tuple[Any, Any]:
        """The container that a walk ends at, stored and plain; of a kind, the last passed."""
        stored, model = self.pool.root, self.model
        found = None
        if kind is not None:
            name = {list: "list", dict: "dict", set: "set", PlainObject: "object"}[kind]
            if not isinstance(model.get(name), kind):
                return None, None
            found = stored[name], model[name]
        for step in walk:
            ways = children(model)
            if not ways:
                break
            way, child = ways[step % len(ways)]
            stored = getattr(stored, way) if isinstance(model, PlainObject) else stored[way]
            model = child
            if kind is None or isinstance(model, kind):
                found = stored, model
        return found or (stored, model)

    # -- transactions

    @precondition(lambda self: len(self.open_blocks) < 3)
    @rule()
    def begin(self) -> None:
        if not self.open_blocks:
            self.before = copy.deepcopy(self.model)
        block = self.pool.transaction()
        block.__enter__()
        self.open_blocks.append(block)

    @precondition(lambda self: self.open_blocks)
    @rule()
    def commit(self) -> None:
        self.open_blocks.pop().__exit__(None, None, None)

    def undo(self) -> None:
        failure = Undo()
        while self.open_blocks:
            self.open_blocks.pop().__exit__(Undo, failure, None)
        self.model = self.before

    @precondition(lambda self: self.open_blocks)
    @rule()
    def abort(self) -> None:
        self.undo()

    @precondition(lambda self: len(self.open_blocks) > 1)
    @rule()
    def abort_inner_commit_outer(self) -> None:
        self.open_blocks.pop().__exit__(Undo, Undo(), None)
        with pytest.raises(pmemobj.TransactionError):
            self.open_blocks.pop().__exit__(None, None, None)
        self.undo()

    # -- the pool

    @precondition(lambda self: not self.open_blocks)
    @rule()
    def collect(self) -> None:
        self.pool.gc()

    @precondition(lambda self: not self.open_blocks)
    @rule()
    def reopen(self) -> None:
        self.pool.close()
        self.pool = pmemobj.open(self.path)
        assert self.pool.recovery.clean
        inspect(self.pool)

    @rule()
    def die(self) -> None:
        left, wanted = self.path, self.before if self.open_blocks else self.model
        self.generation += 1
        shutil.copyfile(left, self.path)
        if self.open_blocks:
            self.undo()
        self.pool.close()
        left.unlink()
        self.model = wanted
        self.pool = pmemobj.open(self.path)
        assert not self.pool.recovery.clean
        inspect(self.pool, garbage=0)

    @invariant()
    def same_content(self) -> None:
        if hasattr(self, "model"):
            TALLY.steps += 1
            assert canonical(self.pool.root) == canonical_parts(self.model, {})

    def teardown(self) -> None:
        TALLY.histories += 1
        if self.open_blocks:
            self.undo()
        inspect(self.pool)
        self.pool.close()
        shutil.rmtree(self.directory)


class Lists(Machine):
    @rule(walk=walks, value=values)
    def append(self, walk: list[int], value: Any) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) < LIMIT:
            stored.append(value)
            model.append(copy.deepcopy(value))

    @rule(walk=walks, place=places, value=values)
    def insert(self, walk: list[int], place: int, value: Any) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) < LIMIT:
            stored.insert(place, value)
            model.insert(place, copy.deepcopy(value))

    @rule(walk=walks, place=places, value=values)
    def set_item(self, walk: list[int], place: int, value: Any) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            same_failure(
                lambda: stored.__setitem__(place, value),
                lambda: model.__setitem__(place, copy.deepcopy(value)),
            )

    @rule(walk=walks, place=slices, several=st.lists(values, max_size=6))
    def set_slice(self, walk: list[int], place: slice, several: list[Any]) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) < LIMIT:
            plain = copy.deepcopy(several)
            same_failure(
                lambda: stored.__setitem__(place, several),
                lambda: model.__setitem__(place, plain),
            )

    @rule(walk=walks, place=slices)
    def delete_slice(self, walk: list[int], place: slice) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            del stored[place]
            del model[place]

    @rule(walk=walks, place=places)
    def pop(self, walk: list[int], place: int) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            same_failure(lambda: stored.pop(place), lambda: model.pop(place))

    @rule(walk=walks, times=st.integers(0, 2))
    def repeat(self, walk: list[int], times: int) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) * times < LIMIT:
            stored *= times
            model *= times

    @rule(walk=walks)
    def reverse(self, walk: list[int]) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            stored.reverse()
            model.reverse()

    @rule(walk=walks, several=st.lists(values, max_size=6))
    def extend(self, walk: list[int], several: list[Any]) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) < LIMIT:
            stored.extend(several)
            model.extend(copy.deepcopy(several))

    @rule(walk=walks, place=places)
    def delete_item(self, walk: list[int], place: int) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            same_failure(lambda: stored.__delitem__(place), lambda: model.__delitem__(place))

    @rule(walk=walks, value=leaves)
    def remove_value(self, walk: list[int], value: Any) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            same_failure(lambda: stored.remove(value), lambda: model.remove(value))

    @rule(walk=walks)
    def sort(self, walk: list[int]) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            stored.sort(key=is_text)
            model.sort(key=is_text)

    @rule(walk=walks)
    def clear_list(self, walk: list[int]) -> None:
        stored, model = self.at(walk, list)
        if model is not None:
            stored.clear()
            model.clear()


class Dicts(Machine):
    @rule(walk=walks, key=keys, value=values)
    def put(self, walk: list[int], key: Any, value: Any) -> None:
        stored, model = self.at(walk, dict)
        if model is not None and model is not self.model:
            stored[key] = value
            model[key] = copy.deepcopy(value)

    @rule(walk=walks, more=st.dictionaries(keys, values, max_size=8))
    def update(self, walk: list[int], more: dict[Any, Any]) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            stored.update(more)
            model.update(copy.deepcopy(more))

    @rule(walk=walks, key=keys)
    def remove_key(self, walk: list[int], key: Any) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            same_failure(lambda: stored.__delitem__(key), lambda: model.__delitem__(key))

    @rule(walk=walks)
    def pop_item(self, walk: list[int]) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            same_failure(stored.popitem, model.popitem)

    @rule(walk=walks, key=keys, value=values)
    def set_default(self, walk: list[int], key: Any, value: Any) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            stored.setdefault(key, value)
            model.setdefault(key, copy.deepcopy(value))

    @rule(walk=walks, key=keys)
    def pop_key(self, walk: list[int], key: Any) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            same_failure(lambda: stored.pop(key), lambda: model.pop(key))

    @rule(walk=walks)
    def clear_dict(self, walk: list[int]) -> None:
        stored, model = self.at(walk, dict)
        if model is not None:
            stored.clear()
            model.clear()


class Sets(Machine):
    @rule(walk=walks, value=members)
    def add(self, walk: list[int], value: Any) -> None:
        stored, model = self.at(walk, set)
        if model is not None:
            stored.add(value)
            model.add(value)

    @rule(walk=walks, value=members)
    def remove(self, walk: list[int], value: Any) -> None:
        stored, model = self.at(walk, set)
        if model is not None:
            same_failure(lambda: stored.remove(value), lambda: model.remove(value))

    @rule(
        walk=walks,
        operator=st.sampled_from(["__ior__", "__iand__", "__isub__", "__ixor__"]),
        others=st.sets(members, max_size=6),
    )
    def combine(self, walk: list[int], operator: str, others: set[Any]) -> None:
        stored, model = self.at(walk, set)
        if model is not None:
            getattr(stored, operator)(others)
            getattr(model, operator)(others)

    @rule(walk=walks, value=members)
    def discard(self, walk: list[int], value: Any) -> None:
        stored, model = self.at(walk, set)
        if model is not None:
            stored.discard(value)
            model.discard(value)

    @rule(walk=walks)
    def clear_set(self, walk: list[int]) -> None:
        stored, model = self.at(walk, set)
        if model is not None:
            stored.clear()
            model.clear()


class Objects(Machine):
    @rule(walk=walks, name=names, value=values)
    def set_attribute(self, walk: list[int], name: str, value: Any) -> None:
        stored, model = self.at(walk, PlainObject)
        if model is not None:
            setattr(stored, name, value)
            setattr(model, name, copy.deepcopy(value))

    @rule(walk=walks, name=names)
    def delete_attribute(self, walk: list[int], name: str) -> None:
        stored, model = self.at(walk, PlainObject)
        if model is not None:
            same_failure(lambda: delattr(stored, name), lambda: delattr(model, name))


class Graph(Lists, Dicts, Sets, Objects):
    """All of them, and references between them."""

    @rule(walk=walks, to=walks)
    def link(self, walk: list[int], to: list[int]) -> None:
        stored, model = self.at(walk, list)
        target, plain = self.at(to)
        if model is not None and len(model) < LIMIT and plain is not self.model:
            stored.append(target)
            model.append(plain)

    @rule(walk=walks, key=keys, to=walks)
    def link_by_key(self, walk: list[int], key: Any, to: list[int]) -> None:
        stored, model = self.at(walk, dict)
        target, plain = self.at(to)
        if model is not None and model is not self.model and plain is not self.model:
            stored[key] = target
            model[key] = plain

    @rule(walk=walks)
    def new_object(self, walk: list[int]) -> None:
        stored, model = self.at(walk, list)
        if model is not None and len(model) < LIMIT:
            stored.append(self.pool.new(Node))
            model.append(PlainObject(vars(pmemobj.plain(stored[-1]))["_v_class_name"]))


MACHINES = {
    Lists: (15, 150),
    Dicts: (15, 150),
    Sets: (15, 150),
    Objects: (10, 50),
    Graph: (25, 250),
}
"""How many histories of each, in the suite and in the long form."""


@pytest.mark.parametrize("machine", MACHINES)
def test_random_histories(machine: type[Machine]) -> None:
    few, many = MACHINES[machine]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=many if LONG else few,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
