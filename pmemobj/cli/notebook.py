"""Notebook files: just enough to run one cell by cell and write it back with its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pmemobj
from pmemobj.cli.kernel import CellResult
from pmemobj.errors import PmemobjError

__all__ = ["Notebook", "find_notebook"]

Cell = dict[str, Any]


def find_notebook(name: str) -> Path:
    """A notebook that ships with the project: beside the package, or in this directory.

    Raises:
        PmemobjError: it is in neither.
    """
    package = Path(pmemobj.__file__).resolve().parent
    for home in (package.parent, Path.cwd()):
        path = home / "notebooks" / name
        if path.is_file():
            return path
    raise PmemobjError(
        f"notebooks/{name} not found: run this in a checkout of the project, or name a notebook"
    )


class Notebook:
    """A notebook's cells; outputs are replaced as cells run."""

    def __init__(self, path: Path) -> None:
        self._content = json.loads(path.read_text("utf-8"))
        for cell in self.cells:
            if cell["cell_type"] == "code":
                cell["outputs"] = []
                cell["execution_count"] = None

    @property
    def cells(self) -> list[Cell]:
        """All cells, in order."""
        cells: list[Cell] = self._content["cells"]
        return cells

    @property
    def code_cells(self) -> list[Cell]:
        """The cells that can run."""
        return [cell for cell in self.cells if cell["cell_type"] == "code"]

    def tagged(self, tag: str) -> Cell:
        """The first code cell with that tag."""
        return next(cell for cell in self.code_cells if tag in tags(cell))

    def record(self, cell: Cell, result: CellResult) -> None:
        """Keep what running *cell* gave."""
        cell["outputs"] = result.outputs
        cell["execution_count"] = result.execution_count

    def write(self, path: Path) -> None:
        """Write the notebook with its outputs."""
        text = json.dumps(self._content, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", "utf-8")


def source(cell: Cell) -> str:
    """A cell's code."""
    return "".join(cell["source"])


def tags(cell: Cell) -> list[str]:
    """A cell's tags."""
    found: list[str] = cell["metadata"].get("tags", [])
    return found
