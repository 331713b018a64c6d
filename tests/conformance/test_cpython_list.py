"""CPython's own tests of lists (and, in them, of sequences), run against PersistentList."""

from __future__ import annotations

import pytest

import pmemobj

from . import persistent_types as types

list_tests = pytest.importorskip("test.list_tests")
support = pytest.importorskip("test.support")

EXCLUDED = {
    "test_repr_deep": "a repr stops at a depth instead of raising RecursionError",
    "test_contains_order": "stores an instance of a class local to the test; "
    "the same is tested in test_comparison_order",
    "test_remove": "stores instances of classes local to the test; see test_removal",
    "test_index": "stores instances of classes local to the test; see test_positions",
}


class RaisesWhenCompared:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


@types.excluding(EXCLUDED)
class PersistentListTest(list_tests.CommonTest):
    type2test = types.living_in_a_pool(pmemobj.PersistentList)

    @classmethod
    def setUpClass(cls) -> None:
        types.pool().persist_via_pickle(
            type(support.ALWAYS_EQ), type(support.NEVER_EQ), RaisesWhenCompared
        )

    def test_comparison_order(self) -> None:
        self.assertIn(1, self.type2test([1, RaisesWhenCompared()]))
        last = self.type2test([RaisesWhenCompared(), 1])
        self.assertRaises(ZeroDivisionError, last.__contains__, 1)

    def test_removal(self) -> None:
        a = self.type2test([0, 0, 1])
        for value, left in ((1, [0, 0]), (0, [0]), (0, [])):
            a.remove(value)
            self.assertEqual(a, left)
        self.assertRaises(ValueError, a.remove, 0)
        self.assertRaises(TypeError, a.remove)
        a = self.type2test([1, 2])
        self.assertRaises(ValueError, a.remove, support.NEVER_EQ)
        a.remove(support.ALWAYS_EQ)
        self.assertEqual(a, [2])
        a = self.type2test([support.ALWAYS_EQ])
        a.remove(1)
        self.assertEqual(a, [])
        a = self.type2test([support.NEVER_EQ])
        self.assertRaises(ValueError, a.remove, support.ALWAYS_EQ)
        a = self.type2test([0, 1])
        self.assertRaises(ZeroDivisionError, a.remove, RaisesWhenCompared())
        d = self.type2test(["a", "b", RaisesWhenCompared(), "c"])
        self.assertRaises(ZeroDivisionError, d.remove, "c")
        self.assertEqual(len(d), 4)
        self.assertEqual([d[0], d[1], d[3]], ["a", "b", "c"])

    def test_positions(self) -> None:
        plain = [-2, -1, 0, 0, 1, 2]
        u = self.type2test(plain)
        bounds = (None, 0, 1, 3, 4, 10, -1, -3, -10, -(1 << 100), 1 << 100)
        for value in (*range(-3, 4), support.ALWAYS_EQ, support.NEVER_EQ):
            for start in bounds[1:]:
                for stop in bounds:
                    arguments = (value, start) if stop is None else (value, start, stop)
                    try:
                        expected = plain.index(*arguments)
                    except ValueError:
                        self.assertRaises(ValueError, u.index, *arguments)
                    else:
                        self.assertEqual(u.index(*arguments), expected)
        self.assertRaises(TypeError, u.index)
        self.assertRaises(TypeError, u.index, 1, "a")
        self.assertRaises(ZeroDivisionError, u.index, RaisesWhenCompared())

    def test_positions_while_a_comparison_empties_the_list(self) -> None:
        a = self.type2test(range(100))

        class Empties:
            def __eq__(self, other: object) -> bool:
                del a[:]
                return False

            __hash__ = None  # type: ignore[assignment]

        self.assertRaises(ValueError, a.index, Empties())
        self.assertEqual(a, [])
