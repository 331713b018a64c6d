"""JupyterLab on this machine in the system's Chromium: opened, typed into, looked at.

Neither reaches out: the server looks for no news, updates or extensions, and the browser
resolves no name and asks nobody but the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

expect.set_options(timeout=90_000.0)

HOME = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

START = 90.0  # seconds that the server may take
PATIENCE = 90_000.0  # milliseconds that the page may take for anything

_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--headless",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-sandbox",
]

_SERVER = {
    "ServerApp": {"ip": "127.0.0.1", "port": 0, "open_browser": False, "allow_root": True},
    "IdentityProvider": {"token": "", "password_required": False},
    "LabApp": {
        "news_url": None,
        "extension_manager": "readonly",
        "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    },
}
_SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


_DONE = re.compile(r"\[\d+\]:")


class Server:
    """A Jupyter server for the notebooks in *directory*; it ends with the block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.own = directory / ".jupyter"
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        self._environment = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1", JUPYTER_NO_CONFIG="")
        del self._environment["JUPYTER_NO_CONFIG"]
        for variable, name in places.items():
            (self.own / name).mkdir(parents=True)
            self._environment[variable] = str(self.own / name)
        (self.own / "config/jupyter_server_config.json").write_text(json.dumps(_SERVER))
        for plugin, values in _SETTINGS.items():
            place = self.own / f"settings/@jupyterlab/{plugin}.jupyterlab-settings"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(values))

    def __enter__(self) -> Server:
        with open(self.own / "log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={self.directory}"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START
        while True:
            with contextlib.suppress(OSError, ValueError, StopIteration):
                found = next((self.own / "runtime").glob("jpserver-*.json"))
                self.url = json.loads(found.read_text())["url"]
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError((self.own / "log").read_text())
            time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)


@contextlib.contextmanager
def chromium():
    """The system's browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Notebook:
    """A notebook open in JupyterLab.

    Attributes:
        requests: the addresses that the page asked for.
    """

    def __init__(
        self, browser: Browser, server: Server, name: str, *, idle: bool = True, **how: object
    ) -> None:
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **how})
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{server.url}doc/tree/{name}")
        self.cells = self.page.locator(".jp-Notebook .jp-Cell")
        self.code = self.page.locator(".jp-Notebook .jp-CodeCell")
        self.displays = self.page.locator(".jp-OutputArea-output .pmemobj")
        expect(self.code.first).to_be_visible()
        if idle:
            self._idle()

    def run(self) -> None:
        """Run all cells from the first on, by the keys a person uses, and wait for the last."""
        self.cells.first.click()
        self.page.keyboard.press("Escape")
        cells = self.cells.all()
        for cell in cells:
            self.page.keyboard.press("Control+Enter" if cell is cells[-1] else "Shift+Enter")
            if "jp-CodeCell" in (cell.get_attribute("class") or ""):
                # Only now the next one: a cell that fails takes back those that wait.
                expect(cell.locator(".jp-InputPrompt")).to_have_text(_DONE)
        self._idle()

    def _idle(self) -> None:
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()

    def open_rows(self, cell: Locator) -> int:
        """Click on all rows in *cell* that open, outer ones before those inside; how many."""
        opened = 0
        while True:
            closed = cell.locator("details:not([open]) > summary:visible")
            if not closed.count():
                return opened
            closed.first.click()
            opened += 1

    def restart(self) -> None:
        """Restart the kernel by the menu, and confirm."""
        self._choose("Kernel", "Restart Kernel…")
        self.page.locator(".jp-Dialog button.jp-mod-warn").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        self._idle()

    def theme(self, name: str) -> None:
        """Change the theme by the menu: "JupyterLab Light" or "JupyterLab Dark"."""
        self._choose("Settings", "Theme", name)
        light = "true" if name.endswith("Light") else "false"
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)

    def _choose(self, menu: str, *entries: str) -> None:
        self.page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        for entry in entries:
            self.page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()


def write_notebook(path: Path, sources: list[str]) -> None:
    """A notebook of code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
