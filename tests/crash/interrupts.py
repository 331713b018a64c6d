"""KeyboardInterrupt at chosen instants: wherever Python looks whether a signal has come.

That is when a function is entered, when a loop jumps back and after a call. The points are
counted by tracing, so that a test can go through all of them.
"""

from __future__ import annotations

import contextlib
import dis
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pmemobj

FILES = (str(Path(pmemobj.__file__).parent), str(Path(contextlib.__file__)))
CALLS = frozenset(
    code
    for name, code in dis.opmap.items()
    if name.startswith("CALL") or name in ("JUMP_BACKWARD", "JUMP_ABSOLUTE")
)


class Interrupter:
    """Within the block, raises KeyboardInterrupt at the point of the given number.

    Attributes:
        points: how many points were passed.
    """

    def __init__(self, number: int) -> None:
        self.points = 0
        self._number = number
        self._last: dict[FrameType, int] = {}

    def __enter__(self) -> Interrupter:
        self._former = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._former)
        self._last.clear()

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(FILES):
            return None
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            self._pass()
        elif event == "opcode":
            if self._last.get(frame) in CALLS:
                self._pass()
            self._last[frame] = frame.f_code.co_code[frame.f_lasti]
        elif event == "return":
            self._last.pop(frame, None)
        return self._trace

    def _pass(self) -> None:
        self.points += 1
        if self.points == self._number:
            raise KeyboardInterrupt
