"""The shape of an array as a small drawing: SVG that takes its colours from the text around it."""

from __future__ import annotations

import math

__all__ = ["drawing"]

_LONGEST = 96.0
_SHORTEST = 10.0
_MARGIN = 16.0
_DIGIT = 6.5  # how wide one is, at most
_SLANT = 0.45  # how far a third axis goes to the side and up, of its length


def _lengths(shape: tuple[int, ...]) -> list[float]:
    """Sides in pixels: by the logarithm, so that one side does not make the others vanish."""
    logs = [math.log2(max(one, 1)) + 1 for one in shape]
    longest = max(logs, default=1.0)
    return [max(_SHORTEST, _LONGEST * one / longest) for one in logs]


def _room(number: int) -> float:
    """What a label takes beside a side."""
    return len(f"{number:,}") * _DIGIT + 8


def _label(x: float, y: float, number: int, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{number:,}</text>'


def drawing(shape: tuple[int, ...]) -> str:
    """A bar, a rectangle or a box with the lengths of its sides; of more axes the last three."""
    if not shape:
        return ""
    told = shape[-3:]
    lengths = _lengths(told)
    width = lengths[-1]
    height = lengths[-2] if len(told) > 1 else _SHORTEST
    depth = lengths[-3] * _SLANT if len(told) > 2 else 0.0
    left = _room(told[-2]) if len(told) > 1 else max(0.0, (_room(told[-1]) - width) / 2)
    top = _MARGIN / 2 + depth
    right, bottom = left + width, top + height
    lines = [
        f'<path d="M{left:.0f} {top:.0f}H{right:.0f}V{bottom:.0f}H{left:.0f}Z" fill-opacity=".12"/>'
    ]
    if depth:
        lines.append(
            f'<path d="M{left:.0f} {top:.0f}l{depth:.0f} {-depth:.0f}h{width:.0f}'
            f"l{-depth:.0f} {depth:.0f}M{right + depth:.0f} {top - depth:.0f}v{height:.0f}"
            f'l{-depth:.0f} {depth:.0f}" fill="none"/>'
        )
    labels = [_label(left + width / 2, bottom + 12, told[-1])]
    if len(told) > 1:
        labels.append(_label(left - 5, top + height / 2 + 4, told[-2], "end"))
    if depth:
        labels.append(_label(right + depth + 5, top - depth / 2 + 4, told[-3], "start"))
    beside = _room(told[-3]) if depth else max(2.0, (_room(told[-1]) - width) / 2)
    wide, high = right + depth + beside, bottom + _MARGIN
    return (
        f'<svg class="pmo-shape" role="img" aria-label="shape {shape}" '
        f'width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}">'
        f'<g stroke="currentColor" fill="currentColor">{"".join(lines)}</g>'
        f'<g fill="currentColor" font-size="11">{"".join(labels)}</g></svg>'
    )
