"""Run the crash tests, and write what they did into docs/reliability.md.

    ./dev reliability [--short] [-- PYTEST ARGUMENTS]

Every number is counted by the tests while they run. The page is written whether they pass or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import machine, put_on_page

HERE = Path(__file__).parent
PARALLEL = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "worksteal")
PAGE = HERE.parent / "docs" / "reliability.md"


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        proof: what is tried.
        modules: patterns of the test modules that try it.
        tried: how often, a format of the numbers counted.
        never: what none of them may show.
    """

    proof: str
    modules: tuple[str, ...]
    tried: str
    never: str


ROWS = [
    Row(
        "a crash at every persist point",
        ("test_crash_*",),
        "{points:,} persist points; {images:,} images opened: {kill:,} of a killed process, "
        "{cut:,} with what was synced alone, {mixed:,} with random cache lines besides",
        "a torn state",
    ),
    Row(
        "of these under durability `power`",
        ("test_crash_sweep*",),
        "{power_points:,} persist points; {power_cut:,} images with what was synced alone, "
        "{power_mixed:,} with random cache lines besides",
        "a torn state, a lost commit",
    ),
    Row(
        "processes killed at random instants",
        ("test_kill*",),
        "{kills:,} kills, {commits:,} commits compared",
        "a lost commit",
    ),
    Row(
        "killed at every step of a snapshot or a restore",
        ("test_snapshot_kill*",),
        "{kills:,} kills",
        "half a copy, or none of two",
    ),
    Row(
        "no room: every allocation of every operation fails, and pools really full",
        ("test_full*",),
        "{failures:,} failures injected",
        "a changed state",
    ),
    Row(
        "a disk that refuses, at every call that writes to it",
        ("test_refusals*",),
        "{refusals:,} operations with a call refused, once or from then on",
        "a lost commit, half a copy, a dead process",
    ),
    Row(
        "Ctrl-C at every point and at random instants",
        ("test_interrupt*",),
        "{interrupts:,} interrupts",
        "a torn state, an open transaction",
    ),
    Row(
        "random histories of lists, dicts, sets, objects and a graph of them, beside plain ones",
        ("test_state_machine*",),
        "{histories:,} histories of {steps:,} steps, by {passed:,} machines",
        "a difference",
    ),
    Row(
        "large containers: built, changed, rolled back, opened, verified, collected",
        ("test_large*",),
        "{elements:,} elements in {passed:,} containers",
        "a wrong length, more than 256 MiB of memory",
    ),
    Row(
        "damaged pools, opened, walked, checked, changed, collected",
        ("test_damage*",),
        "{damaged:,} pools; in {moved:,} of them sound bytes lay where others belong, and "
        "{misled:,} of these gave what is stored elsewhere, which is not promised to be found",
        "a crash, a hang, wrong data",
    ),
]


def table(modules: dict[str, Counter[str]]) -> Iterator[str]:
    """Lines of Markdown, from what was counted in each module."""
    yield "| what is tried | how often | what no test may show | shown |"
    yield "|---|---|---|---|"
    for row in ROWS:
        total: Counter[str] = Counter()
        for name, numbers in modules.items():
            if any(fnmatch(Path(name).name, pattern) for pattern in row.modules):
                total.update(numbers)
        if not (total["passed"] or total["failed"]):
            continue
        total["kill"] = total["images"] - total["cut"] - total["mixed"]
        tried = row.tried.format_map(total)
        shown = f"**{total['failed']} tests**" if total["failed"] else "0"
        yield f"| {row.proof} | {tried} | {row.never} | {shown} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev reliability", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the tests as the suite has them")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    environment = dict(os.environ)
    if not options.short:
        environment["PMEMOBJ_TEST_LONG"] = "1"
    with tempfile.TemporaryDirectory() as directory:
        counted = Path(directory) / "tally.json"
        command = [sys.executable, "-m", "pytest", HERE / "crash", "--tally", counted, *PARALLEL]
        start = time.monotonic()
        status = subprocess.call([*map(str, command), *options.arguments], env=environment)
        minutes = (time.monotonic() - start) / 60
        modules = {name: Counter(each) for name, each in json.loads(counted.read_text()).items()}
    if not modules:
        return status
    where = machine()
    outcomes = sum(modules.values(), Counter())
    words = "short" if options.short else "long"
    told = (
        f"The {words} form: {outcomes['passed']:,} tests passed, {outcomes['failed']} failed, "
        f"in {minutes:.0f} minutes; Python {where['python']}, {where['system']}, "
        f"{where['processors']} processors."
    )
    put_on_page(options.page, [*table(modules), "", told])
    return status


if __name__ == "__main__":
    sys.exit(main())
