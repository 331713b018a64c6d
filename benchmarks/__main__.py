"""Run the benchmarks: tables on the terminal, every figure in a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import tables
from benchmarks.arrays import SIZE_NAME
from benchmarks.groups import GROUPS
from benchmarks.harness import Comparison, compare, selected

QUICK_BESIDE = "64"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="all, if none is named")
    parser.add_argument("--quick", action="store_true", help="one round of the short groups")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 1")
    parser.add_argument("--size", type=int, help="MiB of the array groups' arrays; default 1024")
    parser.add_argument("--directory", type=Path, help="where the files lie; default: temporary")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--page", type=Path, help="a page whose measured part is replaced")
    parser.add_argument("--chart", type=Path, help="a file for the chart, .svg or .png")
    parser.add_argument("--list", action="store_true", help="name the groups and stop")
    chosen = parser.parse_args()
    unknown = set(chosen.groups) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}; --list names them")
    chosen.rounds = chosen.rounds if chosen.rounds is not None else 1 if chosen.quick else 5
    if chosen.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return chosen


def run(chosen: argparse.Namespace) -> list[Comparison]:
    parent = chosen.directory or Path(tempfile.gettempdir())
    found = []
    for group in selected(GROUPS, chosen.groups, chosen.quick):
        comparison = compare(group, chosen.rounds, parent)
        print("\n".join(tables.text(comparison)), flush=True)
        found.append(comparison)
    return found


def main() -> int:
    chosen = arguments()
    if chosen.size is not None and os.environ.get(SIZE_NAME) != str(chosen.size):
        os.environ[SIZE_NAME] = str(chosen.size)  # before the groups are made
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
    if chosen.list:
        for group in GROUPS:
            print(f"{group.name:<20}{group.title}")
        return 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # starting up is measured as users have it
    if chosen.quick:
        os.environ["PMEMOBJ_BENCH_MIB"] = QUICK_BESIDE
    about = tables.machine()
    heading = (
        f"Python {about['python']}, {about['processors']} processors, {about['system']}, "
        f"load {about['load']:.1f} at the start; medians of {chosen.rounds} rounds"
    )
    print(f"{heading}\n* ours   _ the floor   ratios: to the best peer\n")
    found = run(chosen)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(tables.record(found, chosen.rounds), indent=1) + "\n")
    if chosen.page is not None:
        both = [*tables.markdown(found), "", *tables.growth(found)]
        tables.put_on_page(chosen.page, [f"{heading}.", "", *both])
    if chosen.chart is not None:
        tables.chart(found, chosen.chart)
    print(f"every figure: {chosen.json}")
    return int(any(one.failure for each in found for one in each.results))


if __name__ == "__main__":
    sys.exit(main())
