"""CPython's own tests of sets, run against PersistentSet."""

from __future__ import annotations

import pytest

import pmemobj

from . import persistent_types as types

test_set = pytest.importorskip("test.test_set")

EXCLUDED = {
    "test_pickling": "wants an instance's own attributes kept; a set is pickled as a plain set, "
    "which tests/test_set.py tests",
    "test_iterator_pickling": "iterators read on in the pool and cannot be pickled",
    "test_deepcopy": "stores an instance of a class local to the test, to see it copied; "
    "tests/test_set.py tests deepcopy",
    "test_badcmp": "stores instances whose comparison raises; the core compares canonical bytes",
    "test_do_not_rehash_dict_keys": "counts calls of __hash__ of stored elements; the core hashes "
    "canonical bytes",
    "test_cyclical_repr": "stores an instance of a class of the test that refers to the set",
}


@types.excluding(EXCLUDED)
class PersistentSetTest(test_set.TestSet):
    thetype = types.living_in_a_pool(pmemobj.PersistentSet)
    basetype = set
