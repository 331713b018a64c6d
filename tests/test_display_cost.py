"""A display costs what it shows: it makes the same calls for a container 25 times as long."""

from __future__ import annotations

import pytest

import pmemobj
from pmemobj import peek
from pmemobj.containers import base, sequence, table
from pmemobj.describe import to_html, to_text
from pmemobj.workspace import Workspace

SHORT, LONG = 2_000, 50_000


class Counted:
    """A module that counts the calls of its functions, and the bytes that are copied."""

    def __init__(self, module):
        self.module = module
        self.calls = 0
        self.bytes = 0

    def __getattr__(self, name):
        found = getattr(self.module, name)
        if not callable(found) or name in ("NULL", "typeof"):
            return found

        def call(*args):
            self.calls += 1
            if name == "buffer":
                self.bytes += args[1]
            return found(*args)

        return call


@pytest.fixture
def cost(monkeypatch):
    """Run something; the calls into the core, and the bytes that looks copied from it."""

    def cost(work):
        with monkeypatch.context() as patch:
            counted = []
            for module in (peek, sequence, table, base):
                for name in ("lib", "ffi"):
                    counted.append(Counted(getattr(module, name)))
                    patch.setattr(module, name, counted[-1])
            work()
            return sum(one.calls for one in counted), sum(one.bytes for one in counted)

    return cost


class Node(pmemobj.PersistentObject):
    pass


def attributes(pool, numbers):
    node = pool.new(Node)
    with pool.transaction():
        for number in numbers:
            setattr(node, f"attribute{number:08}", number)
    return node


KINDS = {
    "list": lambda pool, numbers: [f"{number:08}" for number in numbers],
    "tuple": lambda pool, numbers: pool.new(pmemobj.PersistentTuple, map(str, numbers)),
    "set": lambda pool, numbers: {f"{number:08}" for number in numbers},
    "dict": lambda pool, numbers: {f"{number:08}": number for number in numbers},
    "nested": lambda pool, numbers: (
        [[{"a": [1]}, list(range(20))] for _ in numbers[:10]] + list(numbers)
    ),
    "object": attributes,
}


@pytest.mark.parametrize("show", [to_html, to_text, repr])
@pytest.mark.parametrize("kind", KINDS)
def test_length_costs_nothing(pool, cost, kind, show):
    costs = []
    for length in (SHORT, LONG):
        first = 10_000_000
        pool.root["shown"] = KINDS[kind](pool, range(first, first + length))
        shown = pool.root["shown"]
        costs.append(cost(lambda shown=shown: show(shown)))
        del pool.root["shown"]
    calls, copied = costs[0]
    assert 0 < calls < 10_000
    assert copied < 200_000
    assert costs[0] == costs[1]


def test_the_number_of_variables_costs_nothing(pool, cost):
    ws = Workspace(pool)
    costs = []
    for start, stop in ((0, SHORT), (SHORT, LONG)):
        with pool.transaction():
            for number in range(start, stop):
                ws[f"v{number:08}"] = number
        costs.append([cost(lambda show=show: show(ws)) for show in (repr, Workspace._repr_html_)])
    assert 0 < costs[0][0][0] < 10_000
    assert costs[0] == costs[1]


def test_a_long_payload_is_not_copied_whole(pool, cost):
    pool.root["long"] = ["x" * 10_000_000, b"y" * 10_000_000, 1 << 10_000_000]
    _, copied = cost(lambda: to_html(pool.root["long"]))
    assert copied <= 3 * peek.PREFIX
