"""Each measurement in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def printed_by(module: str, *words: object) -> str:
    """What a module of the benchmarks prints when it is run with these words."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(map(str, words))} failed:\n{done.stderr}")
    return done.stdout
