"""The notebooks that ship: they run, and what is saved in them is what they show."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest

HOME = Path(__file__).parents[2] / "notebooks"
_found = importlib.util.spec_from_file_location("refresh", HOME / "refresh.py")
refresh = importlib.util.module_from_spec(_found)
_found.loader.exec_module(refresh)

MACHINE = re.compile(r"(/tmp|/home|/root|/work|/usr|site-packages|ipykernel_\d)", re.ASCII)


def code_cells(path):
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if "outputs" in cell]


def said(cell):
    """What the cell's own code gave: printed, returned, raised; displays are tested elsewhere."""
    words = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        if "text/html" not in data:
            plain = data.get("text/plain", "")
            words += [output.get("text", ""), plain, output.get("evalue", "")]
    return ["".join(each) for each in words]


@pytest.mark.parametrize("name", refresh.names())
def test_outputs_are_saved_and_tell_nothing_of_a_machine(name):
    path = HOME / f"{name}.ipynb"
    nbformat.validate(nbformat.read(path, as_version=4))
    assert sum(bool(cell["outputs"]) for cell in code_cells(path)) >= 5
    assert MACHINE.search(path.read_text("utf-8")) is None


@pytest.mark.parametrize("name", [n for n in refresh.names() if n != refresh.DEMONSTRATION])
def test_it_runs_and_shows_what_is_saved(name, tmp_path):
    refresh.run(name, tmp_path / "run.ipynb")
    ran = code_cells(tmp_path / "run.ipynb")
    saved = code_cells(HOME / f"{name}.ipynb")
    assert [cell["source"] for cell in ran] == [cell["source"] for cell in saved]
    assert [said(cell) for cell in ran] == [said(cell) for cell in saved]
    assert [len(cell["outputs"]) for cell in ran] == [len(cell["outputs"]) for cell in saved]
