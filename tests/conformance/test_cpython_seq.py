"""CPython's own tests of sequences, run against PersistentTuple."""

from __future__ import annotations

import pytest

import pmemobj

from . import persistent_types as types

seq_tests = pytest.importorskip("test.seq_tests")
support = pytest.importorskip("test.support")

EXCLUDED = {
    "test_contains_order": "stores an instance of a class local to the test; "
    "the same is tested in test_comparison_order",
}


class RaisesWhenCompared:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


@types.excluding(EXCLUDED)
class PersistentTupleTest(seq_tests.CommonTest):
    type2test = types.living_in_a_pool(pmemobj.PersistentTuple)

    @classmethod
    def setUpClass(cls) -> None:
        types.pool().persist_via_pickle(
            type(support.ALWAYS_EQ), type(support.NEVER_EQ), RaisesWhenCompared
        )

    def test_comparison_order(self) -> None:
        self.assertIn(1, self.type2test([1, RaisesWhenCompared()]))
        last = self.type2test([RaisesWhenCompared(), 1])
        self.assertRaises(ZeroDivisionError, last.__contains__, 1)
