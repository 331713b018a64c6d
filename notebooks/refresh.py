"""Run the notebooks in real kernels, and save what they show: ``./dev notebooks [NAME...]``.

A cell tagged ``restart`` ends its kernel, and the next one runs in a new kernel; one tagged
``raises-exception`` has to fail. ``survive.ipynb`` is run as ``pmemobj demo`` does it.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from pmemobj.cli.kernel import CellResult, Kernel
from pmemobj.cli.notebook import Notebook, source, tags
from pmemobj.cli.survival import Survival
from pmemobj.cli.terminal import Terminal
from pmemobj.errors import PmemobjError

HERE = Path(__file__).resolve().parent
DEMONSTRATION = "survive"


def names() -> list[str]:
    """All notebooks."""
    return sorted(path.stem for path in HERE.glob("*.ipynb"))


def run(name: str, out: Path) -> None:
    """Run a notebook from its first cell to its last, and write it with its outputs to *out*.

    Raises:
        PmemobjError: a cell did something else than it should.
    """
    if name == DEMONSTRATION:
        story = io.StringIO()
        if Survival(Terminal(story), out.parent).run() != 0:
            raise PmemobjError(story.getvalue())
        return
    notebook = Notebook(HERE / f"{name}.ipynb")
    with tempfile.TemporaryDirectory(prefix="pmemobj-notebooks-") as directory:
        kernel = Kernel(Path(directory))
        try:
            for number, cell in enumerate(notebook.code_cells, 1):
                result = kernel.run(source(cell))
                _check(f"{name}, code cell {number}", tags(cell), result)
                if "restart" in tags(cell):
                    kernel.wait_dead()
                    kernel.stop()
                    kernel = Kernel(Path(directory))
                notebook.record(cell, result)
                _tidy(result)
            kernel.shutdown()
        finally:
            kernel.stop()
    notebook.write(out)


def _tidy(result: CellResult) -> None:
    """Leave out where this machine keeps the files of running cells."""
    for output in result.outputs:
        if "text" in output:
            output["text"] = re.sub(r"\S*/ipykernel_\d+/\d+\.py:", "cell, line ", output["text"])


def _check(place: str, marks: list[str], result: CellResult) -> None:
    if ("restart" in marks) == result.finished:
        raise PmemobjError(f"{place}: the kernel lived on, or died, against its tag")
    refused = "UsageError:" in result.text and result.error is None
    if ("raises-exception" in marks) != (result.error is not None or refused):
        raise PmemobjError(f"{place}: it failed, or did not, against its tag: {result.text}")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or names():
        run(chosen, HERE / f"{chosen}.ipynb")
