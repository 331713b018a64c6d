"""The public interface documents itself, and the media format's page matches its header."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pmemobj
from pmemobj.workspace import Workspace

ROOT = Path(__file__).parents[1]
PUBLIC = [*(getattr(pmemobj, name) for name in pmemobj.__all__), Workspace]
CLASSES = [each for each in PUBLIC if inspect.isclass(each)]


@pytest.mark.parametrize(
    "each", [each for each in PUBLIC if callable(each)], ids=lambda each: each.__name__
)
def test_what_is_public_has_a_docstring(each: object) -> None:
    assert inspect.cleandoc(each.__doc__ or "")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_public_methods_have_docstrings(cls: type) -> None:
    own = [base for base in cls.__mro__ if base.__module__.startswith("pmemobj")]
    silent = [
        f"{base.__name__}.{name}"
        for base in own
        for name, member in vars(base).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property))
        and not member.__doc__
    ]
    assert silent == []


@pytest.mark.parametrize("name", [name for name in pmemobj.__all__ if name.endswith("Error")])
def test_every_error_has_a_builtin_parent(name: str) -> None:
    error = getattr(pmemobj, name)
    assert issubclass(error, pmemobj.PmemobjError)
    builtin = [base for base in error.__mro__ if base.__module__ == "builtins"]
    family = {Exception, BaseException, object}
    assert name in ("PmemobjError", "PoolError") or set(builtin) - family


def header(name: str) -> str:
    return (ROOT / "csrc" / name).read_text("utf-8")


def test_format_page_names_the_header_s_sizes() -> None:
    page = (ROOT / "docs" / "format.md").read_text("utf-8")
    layout = header("layout.h")
    version = re.search(r"#define PMO_LAYOUT_VERSION (\d+)u", layout)
    assert version is not None
    assert f"Layout version {version[1]}." in page
    sizes = dict(re.findall(r"sizeof\((\w+)\) == (\d+)", layout))
    assert f"{sizes['pmo_root']} bytes, libpmemobj's root object" in page
    assert f"A cell is one value in {sizes['pmo_cell']} bytes" in page
    assert f"Every object starts with {sizes['pmo_header']} bytes" in page
    assert f"attribute table is {sizes['pmo_container']} bytes" in page


def test_format_page_lists_every_built_in_type_and_core_tag() -> None:
    page = (ROOT / "docs" / "format.md").read_text("utf-8")
    for code, kind in re.findall(r"PMO_TYPE_(\w+) = (\d+)", header("pmo.h")):
        assert re.search(rf"^\| {kind} \|", page, re.MULTILINE), code


def test_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{pmemobj.__version__}"\n' in project
    assert f"\n## {pmemobj.__version__} " in (ROOT / "CHANGELOG.md").read_text("utf-8")
