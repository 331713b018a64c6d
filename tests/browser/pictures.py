"""Picture each display, light and dark, for the documentation: ./dev pictures."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gallery import CELLS, OPENED, PICTURED
from lab import Notebook, Server, chromium, write_notebook

SIZE = {"width": 1040, "height": 1800}
SCALE = 1.5


def main(target: Path) -> None:
    """Write pictures into *target*: NAME-light.png and NAME-dark.png."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pmemobj-") as place:
        directory = Path(place)
        write_notebook(directory / "gallery.ipynb", list(CELLS.values()))
        with Server(directory) as server, chromium() as browser:
            notebook = Notebook(
                browser, server, "gallery.ipynb", viewport=SIZE, device_scale_factor=SCALE
            )
            notebook.run()
            cells = dict(zip(CELLS, notebook.code.all(), strict=True))
            for name in OPENED:
                notebook.open_rows(cells[name])
            for theme in ("Light", "Dark"):
                notebook.theme(f"JupyterLab {theme}")
                for name in PICTURED:
                    card = cells[name].locator(".pmemobj").first
                    card.screenshot(path=target / f"{name}-{theme.lower()}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
