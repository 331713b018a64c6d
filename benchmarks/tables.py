"""Comparisons as text for a terminal, as Markdown and a chart for the documentation, as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import BYTES, SECONDS, Comparison, Result, Role

BEGIN, END = "<!-- measured -->", "<!-- measured end -->"


def machine() -> dict[str, object]:
    """Where the figures come from."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def quantity(value: float, unit: str) -> str:
    """A figure with its unit, three significant digits."""
    if unit == BYTES:
        return f"{value:.1f} B" if value < 10_000 else f"{value / 1e6:.3g} MB"
    if unit != SECONDS:
        return f"{value:.0f}"
    for name, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {name}" if value < 1000 * scale else f"{value:.0f} s"
    return f"{value / 1e-9:.3g} ns"


def goal(comparison: Comparison) -> str:
    """What ours has to reach, in words."""
    group = comparison.group
    if group.limit is not None:
        return f"at most {quantity(group.limit, group.unit)}"
    if group.must is None:
        return ""
    hoped = f", aim {group.aim:g}x" if group.aim is not None else ""
    return f"at most {group.must:g}x{hoped}"


def _ordered(comparison: Comparison) -> list[Result]:
    found = [one for one in comparison.results if one.figures]
    return found if comparison.grows else sorted(found, key=lambda one: one.median)


def text(comparison: Comparison) -> Iterable[str]:
    """Lines for a terminal."""
    group = comparison.group
    wanted, verdict = goal(comparison), comparison.verdict
    yield group.title + (f"   ({wanted}: {verdict})" if verdict else "")
    best = comparison.best_peer or comparison.ours
    for one in _ordered(comparison):
        ratio = f"{one.median / best.median:8.2f}x" if best and best.median else " " * 9
        least, most = (quantity(f(one.figures), group.unit) for f in (min, max))
        mark = {Role.OURS: "*", Role.FLOOR: "_"}.get(one.contender.role, " ")
        yield (
            f" {mark} {one.contender.title:<30}{quantity(one.median, group.unit):>10}{ratio}"
            f"   [{least} .. {most}]"
        )
    for one in comparison.results:
        if one.failure:
            yield f"   {one.contender.title:<30}failed"
    yield ""


def markdown(comparisons: Sequence[Comparison]) -> Iterable[str]:
    """A table: a line for each comparison that has ours in it."""
    yield "| work | best peer | its figure | engine in C | ours | ratio | goal | |"
    yield "|---|---|---|---|---|---|---|---|"
    for each in comparisons:
        if each.ours is None or each.grows:
            continue
        unit = each.group.unit
        peer, ratio = each.best_peer, each.ratio
        floor = next((one for one in each.results if one.contender.role is Role.FLOOR), None)
        cells = (
            each.group.title,
            peer.contender.title if peer else "",
            quantity(peer.median, unit) if peer else "",
            quantity(floor.median, unit) if floor and floor.figures else "",
            quantity(each.ours.median, unit),
            f"{ratio:.2f}" if ratio is not None else "",
            goal(each),
            each.verdict,
        )
        yield "| " + " | ".join(cells) + " |"


def growth(comparisons: Sequence[Comparison]) -> Iterable[str]:
    """A table: an operation's cost at each size, ours and beside it the same in memory."""
    shown = [each for each in comparisons if each.grows]
    if not shown:
        return
    sizes = sorted({one.contender.size for each in shown for one in each.results})
    yield "| elements | | " + " | ".join(f"{size:,}" for size in sizes) + " | growth |"
    yield "|---" * (len(sizes) + 3) + "|"
    for each in shown:
        for role, who in ((Role.OURS, "pmemobj"), (Role.ASIDE, "in memory")):
            found = {
                one.contender.size: one.median
                for one in each.results
                if one.contender.role is role and one.figures
            }
            cells = [
                quantity(found[size], each.group.unit) if size in found else "" for size in sizes
            ]
            first, last = found.get(sizes[0]), found.get(sizes[-1])
            cells.append(f"{last / first:.1f}x" if first and last else "")
            yield f"| {each.group.title} | {who} | " + " | ".join(cells) + " |"


def put_on_page(page: Path, lines: Iterable[str]) -> None:
    """Replace what stands between the two marks of a page."""
    before, found, rest = page.read_text("utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise SystemExit(f"{page} has no {BEGIN} ... {END}")
    block = "\n".join(lines)
    page.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}", "utf-8")


def record(comparisons: Sequence[Comparison], rounds: int) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "machine": machine(),
        "rounds": rounds,
        "groups": [
            {
                "name": each.group.name,
                "title": each.group.title,
                "unit": each.group.unit,
                "must": each.group.must,
                "aim": each.group.aim,
                "limit": each.group.limit,
                "ratio": each.ratio,
                "verdict": each.verdict,
                "results": [
                    {
                        "title": one.contender.title,
                        "role": one.contender.role.name.lower(),
                        "settings": one.contender.note,
                        "figures": one.figures,
                        "failure": one.failure,
                    }
                    for one in each.results
                ],
            }
            for each in comparisons
        ],
    }


def chart(comparisons: Sequence[Comparison], path: Path) -> None:
    """A bar for each work: ours beside the best peer, on a logarithmic axis."""
    from matplotlib.figure import Figure

    shown = [each for each in comparisons if each.ratio is not None and each.group.must]
    shown.reverse()
    figure = Figure(figsize=(9, 0.36 * len(shown) + 1.1), layout="constrained")
    axes = figure.subplots()
    ratios = [each.ratio or 0.0 for each in shown]
    colours = ["#2a7f62" if "met" in each.verdict else "#b5502c" for each in shown]
    axes.barh(range(len(shown)), [ratio - 1 for ratio in ratios], left=1, color=colours)
    for row, (each, ratio) in enumerate(zip(shown, ratios, strict=True)):
        axes.plot([each.group.must], [row], marker="|", color="black", markersize=13)
        peer = each.best_peer
        name = peer.contender.title if peer else ""
        axes.annotate(
            f" {ratio:.2f} of {name} ",
            (ratio, row),
            ha="left" if ratio >= 1 else "right",
            va="center",
            fontsize=7,
        )
    axes.set_yticks(range(len(shown)), [each.group.title for each in shown], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min([*ratios, 1]) / 4, max([*ratios, 1]) * 4)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("cost beside the best peer (less is better; the tick is the goal)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
