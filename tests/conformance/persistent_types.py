"""What CPython's own container tests need to run against types that live in a pool.

Those tests make containers by calling a class. ``living_in_a_pool`` gives a class whose call
is ``pool.new``, and so are the calls of its subclasses.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import unittest
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pmemobj

pytest.importorskip("test.list_tests", reason="this Python came without its test suite")
pytest.importorskip("test.test_set", reason="this Python came without its test suite")


@cache
def pool() -> pmemobj.PersistentObjectPool:
    """The pool of all conformance tests."""
    directory = tempfile.mkdtemp(prefix="pmemobj-conformance-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    made = pmemobj.create(Path(directory) / "pool.pmem", 64 * 1024 * 1024)
    atexit.register(made.close)
    return made


class MadeInPool(type):
    """Calling the class makes an object in the pool."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return pool().new(cls, *args, **kwargs)


def living_in_a_pool(base: type) -> Any:
    """A subclass of *base* whose instances are made by calling it, as those of a builtin."""
    made = MadeInPool(base.__name__, (base,), {"__module__": __name__})
    globals()[base.__name__] = made  # where the pool looks for it
    return made


def excluding(excluded: dict[str, str]) -> Any:
    """A class decorator: skip the named inherited tests, each for its stated reason.

    A name that is no test of the class is an error, so that no exclusion outlives its test.
    """

    def decorate(cls: Any) -> Any:
        for name, reason in excluded.items():
            if not hasattr(cls, name):
                raise AttributeError(f"{cls.__name__} has no test {name} to exclude")
            setattr(cls, name, unittest.skip(reason)(getattr(cls, name)))
        return cls

    return decorate
