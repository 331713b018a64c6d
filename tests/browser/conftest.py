"""One server and one browser for all tests here; skipped where there is no browser."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("playwright", reason="no playwright: ./dev test brings it")
pytest.importorskip("jupyterlab", reason="no jupyterlab: ./dev test brings it")

import lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = None
    if lab.CHROMIUM is None:
        why = "no Chromium on this machine: apt-get install chromium"
    elif "LD_PRELOAD" in os.environ:
        why = "a browser does not run with a library preloaded"
    if why is not None:
        for item in items:
            if item.path.parent == lab.HOME:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with lab.Server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with lab.chromium() as browser:
        yield browser
