"""What ``import pmemobj`` brings along, in a process of its own."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from processes import run

import pmemobj

CORE = sys.modules["pmemobj._core"].__file__
HEAVY = {
    "IPython", "asyncio", "collections", "concurrent", "contextlib", "ctypes", "dataclasses",
    "datetime", "decimal", "email", "enum", "fractions", "functools", "html", "importlib",
    "inspect", "ipykernel", "json", "logging", "multiprocessing", "numbers", "numpy", "operator",
    "pandas", "pathlib", "pickle", "random", "re", "shutil", "socket", "subprocess", "tempfile",
    "threading", "types", "typing", "typing_extensions", "uuid", "warnings", "weakref",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    program = f"""
import sys, _frozen_importlib_external as importing

class Core:
    def find_spec(name, *where):
        if name == "pmemobj._core":
            return importing.spec_from_file_location(name, {CORE!r})

# What finds an installation that is used in place imports much itself.
sys.meta_path = [finder for finder in sys.meta_path if isinstance(finder, type)] + [Core]
for name in {sorted(HEAVY)!r}:  # what the environment has loaded at its start
    sys.modules.pop(name, None)
before = set(sys.modules)
{statement}
print(*(set(sys.modules) - before))
"""
    return set(run(program).split())


def test_importing_loads_nothing_heavy() -> None:
    loaded = modules_after("import pmemobj")
    assert "pmemobj" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_reading_a_pool_loads_nothing_heavy(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.pool"
    with pmemobj.create(path) as pool:
        pool.root = {"strings": ["a", "b" * 40], "nested": [{"one": 1.5}]}
    reading = f"import pmemobj; pool = pmemobj.open({path!r}); pool.root['strings'][1]"
    assert modules_after(f"{reading}; pool.root['nested'][0]['one']; pool.close()") & HEAVY == set()


def test_recovering_loads_nothing_heavy(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.pool"
    dying = (
        f"import os, pmemobj; p = pmemobj.create({path!r}); p.root = [[1]]; os.kill(os.getpid(), 9)"
    )
    run(dying, expected=-signal.SIGKILL)
    opening = f"import pmemobj; assert not pmemobj.open({path!r}).recovery.clean"
    assert modules_after(opening) & HEAVY == set()


def test_what_is_imported_later_is_there() -> None:
    program = """
import pmemobj
listed = dir(pmemobj)
for name in pmemobj.__all__:
    if name != "PersistentArray":
        assert getattr(pmemobj, name).__class__ is not None and name in listed
print(type(pmemobj.plain).__name__, hasattr(pmemobj, "nothing"))
"""
    assert run(program) == "function False"


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("{1, 2}", "type(root['made']).__name__, sorted(root['made'])"),
        ("pool.new(pmemobj.PersistentTuple, [1])", "type(root['made']).__name__, *root['made']"),
        ("pool.new(pmemobj.PersistentObject)", "type(root['made']).__name__"),
        ("pool.new(Box)", "root['made'], pool.recovery.classes_missing"),
        ("pool.new(Bag, [3])", "sorted(root['made']), pool.recovery.classes_missing"),
    ],
)
def test_a_kind_is_loaded_when_an_object_of_it_is_met(made: str, read: str, tmp_path: Path) -> None:
    path = f"{tmp_path}/a.pool"
    making = f"""
import pmemobj
class Box(pmemobj.PersistentObject): pass
class Bag(pmemobj.PersistentSet): pass
pool = pmemobj.create({path!r})
pool.root = {{}}
pool.root["made"] = {made}
pool.close()
"""
    run(making)
    reading = f"import pmemobj; pool = pmemobj.open({path!r}); root = pool.root; print({read})"
    first = run(reading)
    assert first == run(f"from pmemobj import *; import pmemobj.containers.missing; {reading}")
    assert "Box" not in made or "placeholder" in first


@pytest.mark.parametrize("absent", ["IPython", "numpy", "pandas", "ipykernel", "jupyter_client"])
def test_works_where_a_package_is_not_installed(absent: str, tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules[{absent!r}] = None  # makes importing it fail
import pmemobj
with pmemobj.create({f"{tmp_path}/a.pool"!r}) as pool:
    pool.root = {{"list": [1, 2.5, "three"]}}
with pmemobj.open({f"{tmp_path}/a.pool"!r}) as pool:
    print(pmemobj.plain(pool.root))
"""
    assert run(program) == "{'list': [1, 2.5, 'three']}"
