"""Run the benchmarks: a table on the terminal, everything in a JSON file.

Each figure is the median over rounds; in every round each contender runs once, in a
process and a directory of its own, so that what disturbs the machine disturbs them all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measures import GIB, run_measure


@dataclass(frozen=True)
class Contender:
    measure: str
    title: str
    goal: float | None = None  # at most so many times the first contender of the group
    limit: float | None = None  # at most so many seconds


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    contenders: tuple[Contender, ...]
    note: str = ""


@dataclass
class Result:
    group: str
    contender: Contender
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


GROUPS = (
    Group(
        "replace",
        "one committed replacement, durability 'process'",
        (
            Contender("raw-store", "raw libpmemobj transaction, like update"),
            Contender("raw-word", "raw libpmemobj transaction, 8 bytes"),
            Contender("dict-replace", "d[key] = int, key present", goal=4),
            Contender("list-replace", "l[i] = int", goal=4),
        ),
    ),
    Group(
        "append",
        "one committed append, durability 'process'",
        (
            Contender("raw-append", "raw libpmemobj transaction, like update"),
            Contender("list-append", "l.append(int)", goal=4),
        ),
    ),
    Group(
        "insert",
        "one committed insertion, durability 'process'",
        (
            Contender("raw-insert", "raw libpmemobj transaction, like update"),
            Contender("dict-insert", "d[key] = int, new key", goal=4),
        ),
    ),
    Group(
        "read-dict",
        "d[key], warm",
        (
            Contender("read-dict-zodb", "ZODB PersistentMapping"),
            Contender("read-dict-pmemobj", "PersistentDict", goal=1),
            Contender("read-dict-plain", "dict"),
        ),
    ),
    Group(
        "read-list",
        "l[i], warm",
        (
            Contender("read-list-zodb", "ZODB PersistentList"),
            Contender("read-list-pmemobj", "PersistentList", goal=1),
            Contender("read-list-plain", "list"),
        ),
    ),
    Group(
        "ints-small",
        "a list of the ints 0..999,999, built and committed",
        (
            Contender("ints-small-pickle", "pickle.dump to a file"),
            Contender("ints-small-pmemobj", "root['ints'] = ints", goal=3),
        ),
    ),
    Group(
        "ints-large",
        "a list of 1,000,000 random 62-bit ints, built and committed",
        (
            Contender("ints-large-pickle", "pickle.dump to a file"),
            Contender("ints-large-pmemobj", "root['ints'] = ints", goal=3),
        ),
    ),
    Group(
        "open",
        "opening a pool that was closed",
        (
            Contender("open-64MiB", "64 MiB, empty", limit=0.010),
            Contender("open-64MiB-full", "64 MiB, 2,000,000 strings", limit=0.010),
            Contender("open-10GiB", "10 GiB, empty", limit=0.010),
        ),
    ),
    Group(
        "import",
        "starting Python",
        (
            Contender("start-python", "python -c pass"),
            Contender("start-pmemobj", "python -c 'import pmemobj'"),
        ),
        note="goal: less than 100 ms more",
    ),
)


def duration(seconds: float) -> str:
    for unit, scale in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:7.2f} {unit}"
    return f"{seconds / 1e-9:7.1f} ns"


def verdict(result: Result, first: Result) -> str:
    goal, limit = result.contender.goal, result.contender.limit
    if goal is not None:
        kept = result.median <= goal * first.median
        return f"goal {goal:g}x: {'met' if kept else 'MISSED'}"
    if limit is not None:
        kept = result.median <= limit
        return f"goal {duration(limit).strip()}: {'met' if kept else 'MISSED'}"
    return ""


def table(group: Group, results: list[Result]) -> Iterable[str]:
    yield f"{group.title}{'; ' + group.note if group.note else ''}"
    first = results[0]
    for result in results:
        spread = f"{duration(min(result.seconds))} ..{duration(max(result.seconds))}"
        ratio = result.median / first.median
        line = f"  {result.contender.title:<42}{duration(result.median)}  {ratio:6.2f}x"
        yield f"{line}  [{spread.strip()}]  {verdict(result, first)}".rstrip()
    yield ""


def machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
    }


def measured(group: Group, rounds: int, parent: Path) -> list[Result]:
    contenders = list(group.contenders)
    if group.name == "open" and shutil.disk_usage(parent).free < 12 * GIB:
        print(f"less than 12 GiB free in {parent}: no pool of 10 GiB", file=sys.stderr)
        contenders = [one for one in contenders if one.measure != "open-10GiB"]
    results = [Result(group.name, contender) for contender in contenders]
    for _ in range(rounds):
        for result in results:
            with tempfile.TemporaryDirectory(dir=parent, prefix="pmemobj-bench-") as directory:
                result.seconds.append(run_measure(result.contender.measure, Path(directory)))
    return results


def put_on_page(page: Path, lines: list[str]) -> None:
    before, _, rest = page.read_text("utf-8").partition("```text\n")
    _, _, after = rest.partition("```\n")
    block = "\n".join(lines).rstrip()
    page.write_text(f"{before}```text\n{block}\n```\n{after}", "utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="all, if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--directory", type=Path, help="where the pools lie; default: temporary")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--page", type=Path, help="a page whose first text block is replaced")
    parser.add_argument("--list", action="store_true", help="name the groups and stop")
    chosen = parser.parse_args()
    unknown = set(chosen.groups) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}; --list names them")
    if chosen.rounds < 1:
        parser.error("--rounds takes a number from 1 on")
    return chosen


def main() -> int:
    chosen = arguments()
    if chosen.list:
        for group in GROUPS:
            print(f"{group.name:<12}{group.title}")
        return 0
    parent = chosen.directory or Path(tempfile.gettempdir())
    about = machine()
    lines = [
        f"Python {about['python']}, {about['processors']} processors, {about['system']}",
        f"medians of {chosen.rounds} rounds",
        "",
    ]
    print("\n".join(lines))
    results: list[Result] = []
    for group in GROUPS:
        if not chosen.groups or group.name in chosen.groups:
            found = measured(group, chosen.rounds, parent)
            results += found
            lines += table(group, found)
            print("\n".join(table(group, found)), flush=True)
    if chosen.page is not None:
        put_on_page(chosen.page, lines)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    record = [asdict(result) | {"median": result.median} for result in results]
    chosen.json.write_text(json.dumps({"machine": about, "results": record}, indent=1) + "\n")
    print(f"every figure: {chosen.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
