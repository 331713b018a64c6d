"""Each measurement in a process of its own, and what it measures with there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def printed_by(module: str, *words: object) -> str:
    """What a module of the benchmarks prints when it is run with these words."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(map(str, words))} failed:\n{done.stderr}")
    return done.stdout


def seconds(action: Callable[[], Any]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
