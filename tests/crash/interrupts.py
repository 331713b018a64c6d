"""KeyboardInterrupt at chosen instants: those at which Python looks whether a signal has come.

That is when a function is entered or a generator goes on, and after a call into C. A profiler
is called just then, and what it raises is raised there.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pmemobj

FILES = (str(Path(pmemobj.__file__).parent), str(Path(contextlib.__file__)))
EVENTS = ("call", "c_return")


class Interrupter:
    """Within the block, raises KeyboardInterrupt at the point of the given number.

    Attributes:
        points: how many points were passed.
    """

    def __init__(self, number: int) -> None:
        self.points = 0
        self._number = number

    def __enter__(self) -> Interrupter:
        self._former = sys.getprofile()
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(self._former)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in EVENTS and frame.f_code.co_filename.startswith(FILES):
            self.points += 1
            if self.points == self._number:
                raise KeyboardInterrupt
