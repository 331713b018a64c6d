"""Operations drawn by number, the same for a pool's containers and for plain ones.

``operation(number)`` always draws the same; what it does depends only on the content of the
root that it is given, so that a model of plain containers follows a pool exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Random = random.Random
Step = Callable[[Random, Any], object]

TEXT = "a string that is too long for a cell, "


def fill() -> dict[str, Any]:
    """What the root holds besides an object called "object"."""
    return {"list": [1, TEXT], "dict": {"a": 1}, "set": {1, "b"}, "nested": [[1], {"k": [2]}]}


def leaf(draw: Random) -> Any:
    kind = draw.randrange(8)
    if kind == 0:
        return draw.choice([None, True, False, 0.5, 1 << 80])
    if kind <= 3:
        return draw.randrange(1000)
    if kind <= 5:
        return TEXT * draw.randrange(1, 4) + str(draw.randrange(100))
    if kind == 6:
        return str(draw.randrange(1000))
    return ("tuple", draw.randrange(10), TEXT)


def value(draw: Random) -> Any:
    kind = draw.randrange(10)
    if kind <= 6:
        return leaf(draw)
    if kind == 7:
        return [leaf(draw) for _ in range(draw.randrange(5))]
    if kind == 8:
        return {leaf(draw): [leaf(draw)] for _ in range(draw.randrange(4))}
    return TEXT * 200


def key(draw: Random, table: Any) -> Any:
    """One that is there, or another."""
    keys = list(table)
    if keys and draw.random() < 0.6:
        # A set's order is its own.
        return draw.choice(sorted(keys, key=repr) if isinstance(table, frozenset) else keys)
    return leaf(draw)


def emptied(items: Any) -> bool:
    """Nothing grows for ever: what is large is emptied instead."""
    if len(items) <= 60:
        return False
    items.clear()
    return True


def append(draw: Random, root: Any) -> None:
    if emptied(root["list"]):
        return
    root["list"].append(value(draw))


def extend(draw: Random, root: Any) -> None:
    if emptied(root["list"]):
        return
    root["list"].extend([value(draw) for _ in range(draw.randrange(1, 12))])


def insert(draw: Random, root: Any) -> None:
    root["list"].insert(draw.randrange(20), value(draw))


def set_item(draw: Random, root: Any) -> None:
    if root["list"]:
        root["list"][draw.randrange(len(root["list"]))] = value(draw)


def pop(draw: Random, root: Any) -> None:
    if root["list"]:
        root["list"].pop(draw.randrange(len(root["list"])))


def splice(draw: Random, root: Any) -> None:
    start = draw.randrange(len(root["list"]) + 1)
    stop = start + draw.randrange(6)
    root["list"][start:stop] = [value(draw) for _ in range(draw.randrange(6))]


def stride(draw: Random, root: Any) -> None:
    del root["list"][draw.randrange(4) :: draw.randrange(2, 5)]


def reorder(draw: Random, root: Any) -> None:
    if draw.random() < 0.5:
        root["list"].reverse()
    else:
        root["list"].sort(key=lambda item: isinstance(item, str))


def put(draw: Random, root: Any) -> None:
    if emptied(root["dict"]):
        return
    root["dict"][key(draw, root["dict"])] = value(draw)


def remove(draw: Random, root: Any) -> None:
    root["dict"].pop(key(draw, root["dict"]), None)


def update(draw: Random, root: Any) -> None:
    if emptied(root["dict"]):
        return
    root["dict"].update({key(draw, root["dict"]): value(draw) for _ in range(8)})


def pop_item(draw: Random, root: Any) -> None:
    if root["dict"]:
        root["dict"].popitem()


def set_default(draw: Random, root: Any) -> None:
    root["dict"].setdefault(key(draw, root["dict"]), value(draw))


def add(draw: Random, root: Any) -> None:
    if emptied(root["set"]):
        return
    root["set"].add(leaf(draw))


def discard(draw: Random, root: Any) -> None:
    root["set"].discard(key(draw, frozenset(root["set"])))


def combine(draw: Random, root: Any) -> None:
    others = {leaf(draw) for _ in range(6)} | {key(draw, frozenset(root["set"]))}
    name = draw.choice(["ior", "isub", "ixor"])
    getattr(root["set"], f"__{name}__")(others)


def attribute(draw: Random, root: Any) -> None:
    name = f"field_{draw.randrange(6)}"
    if draw.random() < 0.2 and hasattr(root["object"], name):
        delattr(root["object"], name)
    else:
        setattr(root["object"], name, value(draw))


def share(draw: Random, root: Any) -> None:
    """Two places refer to one container."""
    root["nested"].append(root["nested"][0])
    root["nested"][0].append(leaf(draw))
    root["dict"]["shared"] = root["nested"][1]


def unshare(draw: Random, root: Any) -> None:
    root["nested"][:] = [[leaf(draw)], {"k": [leaf(draw)]}]


def clear(draw: Random, root: Any) -> None:
    root[draw.choice(["list", "dict", "set"])].clear()


def cycle(draw: Random, root: Any) -> None:
    """What it replaces is garbage that only gc() finds."""
    knot: list[Any] = [leaf(draw)]
    knot.append({"back": knot})
    root["cycle"] = knot


STEPS: list[Step] = [
    append, append, extend, insert, set_item, set_item, pop, splice, stride, reorder,
    put, put, remove, update, pop_item, set_default, add, add, discard, combine,
    attribute, attribute, unshare, clear, cycle,
]  # fmt: skip
"""Each is one commit."""


class Operation:
    """One operation or a transaction of several."""

    def __init__(self, number: int) -> None:
        self._draw = random.Random(number * 7919)
        self._seed = self._draw.getrandbits(32)
        kind = self._draw.random()
        self.fails = 0.75 < kind < 0.85
        self.collects = kind > 0.97
        self.steps = [self._draw.choice(STEPS)]
        if kind > 0.6 and not self.collects:
            more = self._draw.randrange(1, 5)
            self.steps += [self._draw.choice([*STEPS, share]) for _ in range(more)]
            self.in_transaction = True
        else:
            self.in_transaction = False

    def _run(self, root: Any) -> None:
        draw = random.Random(self._seed)
        for step in self.steps:
            step(draw, root)

    def on_plain(self, root: Any) -> None:
        """Do to a plain root what the operation does to a pool."""
        if not (self.fails or self.collects):
            self._run(root)

    def on_pool(self, pool: Any) -> None:
        if self.collects:
            pool.gc()
        elif self.in_transaction:
            try:
                with pool.transaction():
                    self._run(pool.root)
                    if self.fails:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass
        else:
            self._run(pool.root)
