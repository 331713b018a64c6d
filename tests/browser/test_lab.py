"""What a person sees in JupyterLab: the quick start by clicks and keys, displays in both themes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import lab
import nbformat
import pytest
from gallery import CELLS, OPENED
from lab import Notebook
from playwright.sync_api import expect

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LOOKS = Path(__file__).with_name("looks.js").read_text()


def problems(notebook: Notebook) -> list[str]:
    """What is wrong with the looks of any display of *notebook*."""
    return notebook.displays.evaluate_all(f"(cards) => cards.flatMap({LOOKS})")


@pytest.fixture(scope="module")
def gallery(server, browser):
    """The gallery, run, with the rows of some displays opened."""
    lab.write_notebook(server.directory / "gallery.ipynb", list(CELLS.values()))
    notebook = Notebook(browser, server, "gallery.ipynb")
    notebook.run()
    for name in OPENED:
        assert notebook.open_rows(notebook.code.nth(list(CELLS).index(name))) >= 2
    yield notebook
    notebook.page.close()


def test_the_quick_start(server, browser):
    shutil.copy(NOTEBOOKS / "quickstart.ipynb", server.directory)
    notebook = Notebook(browser, server, "quickstart.ipynb")
    notebook.run()
    assert notebook.displays.count() >= 3
    assert problems(notebook) == []
    before = notebook.displays.first.inner_text()
    assert "Nothing is stored yet" in before

    notebook.restart()
    notebook.code.first.click()
    notebook.page.keyboard.press("Shift+Enter")
    again = notebook.displays.first
    expect(again).to_contain_text("cities")
    assert "Nothing is stored yet" not in again.inner_text()
    assert problems(notebook) == []
    hosts = {urlsplit(url).netloc for url in notebook.requests if url.startswith("http")}
    assert hosts == {urlsplit(server.url).netloc}
    notebook.page.close()


def test_each_cell_of_the_gallery_has_its_display(gallery):
    for name, cell in zip(CELLS, gallery.code.all(), strict=True):
        expected = 0 if name in ("", "filled", "stored") else 1
        assert cell.locator(".pmemobj").count() >= expected, name


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_displays_are_legible_and_stay_inside(gallery, theme):
    gallery.theme(f"JupyterLab {theme}")
    for width in (1400, 1000, 800, 640):
        gallery.page.set_viewport_size({"width": width, "height": 900})
        assert problems(gallery) == [], width


HOSTS = {
    "VS Code, light": "data-vscode-theme-kind=vscode-light #3b3b3b #ffffff",
    "VS Code, dark": "data-vscode-theme-kind=vscode-dark #cccccc #1f1f1f",
    "VS Code, high contrast": "data-vscode-theme-kind=vscode-high-contrast #ffffff #000000",
    "VS Code, bright contrast": "data-vscode-theme-kind=vscode-high-contrast-light #292929 #fff",
    "Furo, dark": "data-theme=dark #cfd0d0 #131416",
    "nowhere in particular": "class=unknown #000000 #ffffff",
}
"""What the body says of its theme, its text's colour and its background."""


@pytest.mark.parametrize("host", HOSTS)
def test_displays_are_legible_elsewhere(gallery, browser, host):
    """In pages that have none of JupyterLab's variables and style sheets."""
    mark, text, ground = HOSTS[host].split()
    cards = gallery.displays.evaluate_all("(cards) => cards.map((one) => one.outerHTML).join('')")
    style = f"--vscode-foreground: {text}; color: {text}; background: {ground}"
    page = browser.new_page(viewport={"width": 700, "height": 900})
    page.set_content(f'<!DOCTYPE html><body {mark} style="{style}">{cards}</body>')
    found = page.locator(".pmemobj").evaluate_all(f"(cards) => cards.flatMap({LOOKS})")
    page.close()
    assert found == []


def test_what_is_wrong_with_a_display_is_found(gallery):
    wrong = {
        "color: #999; background: #aaa": "contrast",
        "width: 5000px": "not inside",
        "font-size: 6px": "set in 6px",
    }
    card = gallery.displays.first
    for style, words in wrong.items():
        card.evaluate("(card, style) => { card.style.cssText = style; }", style)
        assert words in str(card.evaluate(LOOKS))
    card.evaluate("(card) => { card.style.cssText = ''; }")


def test_rows_open_and_close(gallery):
    row = gallery.code.nth(list(CELLS).index("workspace")).locator("summary").first
    inside = row.locator("xpath=..").locator(".pmo-nested").first
    expect(inside).to_be_hidden()
    row.click()
    expect(inside).to_be_visible()
    assert problems(gallery) == []
    row.click()
    expect(inside).to_be_hidden()


def test_a_notebook_that_is_not_trusted_is_readable(gallery, server, browser):
    """Its HTML loses the style sheet and nothing else; the text beside it is there as well."""
    source = server.directory / "gallery.ipynb"
    gallery.page.keyboard.press("Control+s")
    expect(gallery.page.locator(".jp-mod-dirty")).to_have_count(0)
    stored = nbformat.read(source, 4)
    markup = [
        output.data["text/html"]
        for cell in stored.cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert len(markup) >= len(CELLS) - 3
    for cell in stored.cells:
        cell.source += "\n# changed by somebody else"
        cell.metadata.pop("trusted", None)
    nbformat.write(stored, server.directory / "stranger.ipynb")
    notebook = Notebook(browser, server, "stranger.ipynb", idle=False)
    outputs = notebook.page.locator(".jp-OutputArea")
    expect(outputs.filter(has_text="survives kill -9").first).to_be_visible(timeout=30_000)
    expect(outputs.filter(has_text="readings").first).to_be_visible(timeout=30_000)
    words = outputs.all_inner_texts()
    shown = "\n".join(words)
    assert notebook.page.locator(".jp-OutputArea style").count() == 0
    assert "readings" in shown
    assert "survives kill -9" in shown
    assert re.search(r"--pmo-|\.pmemobj|\{ *$", shown, re.MULTILINE) is None
    assert notebook.page.locator(".jp-OutputArea details").count() > 5
    notebook.page.close()
