"""The repr of stored objects: that of the plain type, safe for cycles, depth and size."""

from __future__ import annotations

from pmemobj.errors import (
    AbortedObjectError,
    DetachedObjectError,
    PoolClosedError,
    PoolForkedError,
)
from pmemobj.light import thread_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "MAX_ITEMS", "represent"]

MAX_ITEMS = 1000  # elements shown of one container
MAX_CHARACTERS = 50_000  # of one whole repr, about
MAX_DEPTH = 30  # containers in containers shown

_GONE = {
    PoolForkedError: "of a parent process's pool",
    PoolClosedError: "of a closed pool",
    AbortedObjectError: "gone: made in a transaction that was rolled back",
    DetachedObjectError: "in no pool",
}


class _State(thread_local):
    def __init__(self) -> None:
        self.active: dict[int, None] = {}
        self.room = 0


_state = _State()


def represent(
    handle: Any,
    opening: str,
    closing: str,
    items: Iterable[tuple[str, Any]],
    *,
    again: str,
    empty: str | None = None,
) -> str:
    """``opening`` + the items, joined by commas, + ``closing``.

    Args:
        items: (text before the value, value); read only as far as there is room.
        again: what stands for the handle inside of itself, and below ``MAX_DEPTH``.
        empty: the whole text when there are no items.
    """
    state = _state
    mark = id(handle)
    if mark in state.active or len(state.active) >= MAX_DEPTH:
        return again
    if not state.active:
        state.room = MAX_CHARACTERS
    active = state.active
    # No calls here and in finally: Ctrl-C or a full stack could keep one from taking effect.
    active[mark] = None
    try:
        shown: list[str] = []
        for before, value in items:
            if len(shown) >= MAX_ITEMS or state.room <= 0:
                shown.append("...")
                break
            text = before + _text(value, state.room)
            state.room -= len(text) + 2
            shown.append(text)
    except tuple(_GONE) as error:
        reason = next(words for kind, words in _GONE.items() if isinstance(error, kind))
        return f"<{type(handle).__name__} {reason}>"
    finally:
        del active[mark]
    if not shown and empty is not None:
        return empty
    return f"{opening}{', '.join(shown)}{closing}"


def _text(value: Any, room: int) -> str:
    if type(value) in (str, bytes) and len(value) > room:
        return repr(value[:room]) + "..."
    text = repr(value)
    return text if len(text) <= 2 * room + 200 else text[:room] + "..."
