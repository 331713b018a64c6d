"""Fixtures that the tests share, and what they counted."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tally import TALLY, Ledger, since

import pmemobj

# How long an example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

POOL_SIZE = 32 * 1024 * 1024

MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""Bytes free there, with which the tests' files are kept in memory."""


def pytest_configure(config: pytest.Config) -> None:
    """Thousands of pools are made: in memory, where there is room, so that no disk is waited for.

    ``--basetemp`` or ``PYTEST_DEBUG_TEMPROOT`` names another place.
    """
    named = config.getoption("basetemp") is not None
    if not named and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="module", autouse=True)
def _own_garbage() -> Iterator[None]:
    """What earlier modules made or imported is left out of this one's garbage collections.

    They are what many a test spends its time on, once a dozen libraries are loaded.
    """
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[pmemobj.PersistentObjectPool]:
    """A fresh pool, closed after the test; its root is an empty PersistentDict."""
    made = pmemobj.create(tmp_path / "test.pmem", POOL_SIZE)
    made.root = {}
    yield made
    made.close()


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[Any], Any]]:
    """Close a pool and open its file again: ``pool = reopen(pool)``."""
    opened = []

    def again(pool: pmemobj.PersistentObjectPool) -> pmemobj.PersistentObjectPool:
        pool.close()
        opened.append(pmemobj.open(tmp_path / "test.pmem"))
        return opened[-1]

    yield again
    for pool in opened:
        pool.close()


# -- what was counted: told with each test's report, so that it may have run in another process --

before = pytest.StashKey[dict[str, int]]()
LEDGER = Ledger()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tally", metavar="FILE", help="write what the tests counted, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[before] = TALLY.numbers()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    item.user_properties.append(("tally", since(item.stash[before])))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    module = report.nodeid.partition("::")[0]
    if report.failed:
        LEDGER.add(module, {"failed": 1})
    elif report.when == "call":
        LEDGER.add(module, {report.outcome: 1})
    if report.when == "teardown":
        LEDGER.add(module, dict(report.user_properties).get("tally", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    total = LEDGER.total()
    if any(total[name] for name in TALLY.numbers()):
        terminalreporter.write_line(
            f"crash tests: {total['points']} persist points, {total['images']} images opened, "
            f"{total['kills']} processes killed, {total['failures']} failures injected, "
            f"{total['refusals']} operations refused by the disk, "
            f"{total['interrupts']} interrupts, {total['damaged']} damaged pools"
        )
    if path := config.getoption("--tally"):
        Path(path).write_text(json.dumps(LEDGER.modules, indent=1))
