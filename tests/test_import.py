"""What ``import pmemobj`` brings along, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import run

HEAVY = {
    "IPython", "asyncio", "concurrent", "ctypes", "datetime", "decimal", "email", "fractions",
    "html", "ipykernel", "json", "multiprocessing", "numpy", "pandas",
    "pathlib", "pickle", "socket", "subprocess", "tempfile", "typing_extensions", "uuid",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    program = f"""
import sys
before = set(sys.modules)
{statement}
print(*(set(sys.modules) - before))
"""
    return set(run(program).split())


def test_importing_loads_nothing_heavy() -> None:
    loaded = {name.partition(".")[0] for name in modules_after("import pmemobj")}
    assert "pmemobj" in loaded
    assert loaded & HEAVY == set()


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
