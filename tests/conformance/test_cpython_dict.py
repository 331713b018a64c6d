"""CPython's own tests of mappings, run against PersistentDict."""

from __future__ import annotations

from typing import Any

import pytest

import pmemobj

from . import persistent_types as types

mapping_tests = pytest.importorskip("test.mapping_tests")

EXCLUDED = {
    "test_repr_deep": "a repr stops at a depth instead of raising RecursionError",
    "test_fromkeys": "a class method cannot know the pool; see test_from_keys",
    "test_copy": "demands a copy of the same class; a copy is a plain dict, see test_plain_copy",
    "test_eq": "uses an instance of a class local to the test as a key; see test_equality",
    "test_repr": "stores an instance of a class local to the test; see test_short_repr",
    "test_getitem": "uses instances of local classes as keys; see test_item and "
    "test_key_whose_hash_raises",
    "test_pop": "uses an instance of a local class as a key; see test_popping",
    "test_setdefault": "uses an instance of a local class as a key; see test_defaults",
}


class HashRaises:
    def __hash__(self) -> int:
        raise ZeroDivisionError


class ComparisonRaises:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        return 1


class ReprRaises:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@types.excluding(EXCLUDED)
class PersistentDictTest(mapping_tests.TestHashMappingProtocol):
    type2test = types.living_in_a_pool(pmemobj.PersistentDict)

    @classmethod
    def setUpClass(cls) -> None:
        types.pool().persist_via_pickle(ReprRaises)

    def test_from_keys(self) -> None:
        made = types.pool().new(pmemobj.PersistentDict, dict.fromkeys("abc"))
        self.assertEqual(made, {"a": None, "b": None, "c": None})
        self.assertRaises(pmemobj.DetachedObjectError, self.type2test.fromkeys, "abc")

    def test_plain_copy(self) -> None:
        d = self._full_mapping({1: 1, 2: 2, 3: 3})
        self.assertEqual(d.copy(), {1: 1, 2: 2, 3: 3})
        self.assertIs(type(d.copy()), dict)
        self.assertEqual(self._empty_mapping().copy(), {})
        self.assertRaises(TypeError, d.copy, None)

    def test_equality(self) -> None:
        self.assertEqual(self._empty_mapping(), self._empty_mapping())
        self.assertEqual(self._full_mapping({1: 2}), self._full_mapping({1: 2}))
        self.assertEqual(self._full_mapping({1: 2, 3: 4}), {3: 4, 1: 2})
        self.assertNotEqual(self._full_mapping({1: 2}), {1: 3})
        self.assertNotEqual(self._full_mapping({1: 2}), {2: 2})
        stored = self._full_mapping({1: 1})
        self.assertRaises(ZeroDivisionError, lambda: stored == {ComparisonRaises(): 1})
        self.assertRaises(ZeroDivisionError, lambda: stored == {1: ComparisonRaises()})

    def test_short_repr(self) -> None:
        d = self._empty_mapping()
        self.assertEqual(repr(d), "{}")
        d[1] = 2
        self.assertEqual(repr(d), "{1: 2}")
        d[1] = d
        self.assertEqual(repr(d), "{1: {...}}")
        d = self._full_mapping({1: ReprRaises()})
        self.assertRaises(ZeroDivisionError, repr, d)

    def test_item(self) -> None:
        mapping_tests.TestMappingProtocol.test_getitem(self)

    def test_popping(self) -> None:
        mapping_tests.TestMappingProtocol.test_pop(self)

    def test_defaults(self) -> None:
        mapping_tests.TestMappingProtocol.test_setdefault(self)

    def test_key_whose_hash_raises(self) -> None:
        d = self._full_mapping({1: 2})
        key: Any = HashRaises()
        for use in (d.__getitem__, d.get, d.pop, d.__contains__, d.__delitem__, d.setdefault):
            self.assertRaises(ZeroDivisionError, use, key)
        self.assertRaises(ZeroDivisionError, d.__setitem__, key, 1)
        self.assertRaises(ZeroDivisionError, d.update, [(2, 3), (key, 4)])
        self.assertEqual(d, {1: 2})
