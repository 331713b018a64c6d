"""A base class that is defined again reaches the classes derived from it."""

from __future__ import annotations

import sys
import types

import pytest

import pmemobj


@pytest.fixture
def run(monkeypatch):
    """Run code as in a cell: in one module, whose names stay."""
    module = types.ModuleType("garden")
    module.PersistentObject = pmemobj.PersistentObject
    monkeypatch.setitem(sys.modules, "garden", module)

    def run(code):
        exec(code, vars(module))
        return module

    return run


BASE = "class Base(PersistentObject):\n  def told(self): return 1\n"
AGAIN = "class Base(PersistentObject):\n  size = 5\n  def told(self): return 2 + self.size\n"


def test_instances_of_derived_classes_follow(run, pool):
    garden = run(BASE + "class Derived(Base):\n  def more(self): return self.told() * 10\n")
    pool.root["one"] = one = pool.new(garden.Derived)
    one.size = 7
    garden = run(AGAIN)
    assert isinstance(one, garden.Base)
    assert one.told() == 9
    assert one.more() == 90
    del one.size
    assert one.told() == 7
    one = None
    assert pool.root["one"].more() == 70


def test_a_class_extended_under_its_own_name(run, pool):
    garden = run(BASE + "class Derived(Base): pass\n")
    one = pool.new(garden.Derived)
    garden = run("class Base(Base):\n  def further(self): return super().told() + 1\n")
    assert one.told() == 1
    assert one.further() == 2


def test_what_cannot_be_is_left_as_it_was(run, pool):
    garden = run(BASE + "class Derived(Base): pass\n")
    one = pool.new(garden.Derived)
    run("from pmemobj import PersistentList\nclass Base(PersistentList): pass\n")
    assert one.told() == 1
    garden = run(BASE + "class Derived(Base): pass\nclass Base(Derived): pass\n")
    assert pool.new(garden.Base).told() == 1


def test_classes_inside_of_functions_are_their_own(run, pool):
    garden = run(
        "def make(number):\n"
        "  class Base(PersistentObject):\n"
        "    def told(self): return number\n"
        "  class Derived(Base): pass\n"
        "  return Derived\n"
    )
    first, _ = garden.make(1), garden.make(2)
    assert pool.new(first).told() == 1
