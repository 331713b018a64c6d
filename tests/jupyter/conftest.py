"""Real kernels, started once where a test does not have to kill its own."""

from __future__ import annotations

import pytest

from pmemobj.cli.kernel import Kernel


class Notebook:
    """A kernel and a short way to run cells that have to succeed."""

    def __init__(self, directory, environment=None):
        self.kernel = Kernel(directory, environment)

    def __call__(self, *lines):
        result = self.kernel.run("\n".join(lines))
        assert result.finished, "the kernel died"
        assert result.error is None, result.text
        return result

    def fails(self, *lines):
        result = self.kernel.run("\n".join(lines))
        assert result.error is not None, result.text
        return result


@pytest.fixture(scope="session")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def shared_notebook(directory):
    notebook = Notebook(directory)
    notebook("%load_ext pmemobj")
    yield notebook
    notebook.kernel.stop()


@pytest.fixture
def notebook(shared_notebook):
    """The kernel that all tests share, without names and open pools of another test."""
    yield shared_notebook
    shared_notebook(
        "from pmemobj.jupyter.session import SESSION as _session",
        "for _one in _session.pools().values(): _one.pool.close()",
        "%reset -f",
        "%load_ext pmemobj",
    )


@pytest.fixture
def start(directory):
    """Start further kernels; whatever is left of them ends with the test."""
    started = []

    def start(**environment):
        notebook = Notebook(directory, environment)
        started.append(notebook)
        notebook("%load_ext pmemobj")
        return notebook

    yield start
    for one in started:
        one.kernel.stop()
