"""Picture each display, light and dark, for the documentation: ./dev screenshots."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gallery import CELLS, OPENED
from lab import Notebook, Server, chromium, write_notebook


def main(target: Path) -> None:
    """Write the pictures of all cells that have a name into *target*."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pmemobj-") as place:
        directory = Path(place)
        write_notebook(directory / "gallery.ipynb", list(CELLS.values()))
        with Server(directory) as server, chromium() as browser:
            notebook = Notebook(browser, server, "gallery.ipynb", device_scale_factor=2)
            notebook.run()
            notebook.open_rows(notebook.code.nth(list(CELLS).index(OPENED)))
            for theme in ("Light", "Dark"):
                notebook.theme(f"JupyterLab {theme}")
                for name, cell in zip(CELLS, notebook.code.all(), strict=True):
                    for place, display in enumerate(cell.locator(".pmemobj").all()):
                        suffix = f"-{place + 1}" if place else ""
                        display.scroll_into_view_if_needed()
                        display.screenshot(path=target / f"{name}{suffix}-{theme.lower()}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
