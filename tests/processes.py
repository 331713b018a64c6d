"""Python programs run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

PACKAGE = Path(__file__).parent.parent
NOBODY = 65534


def environment() -> dict[str, str]:
    """This process's, with the package importable."""
    paths = [str(PACKAGE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def command(code: str, *arguments: object) -> list[str]:
    """The command line that runs *code*; its sys.argv[1:] are *arguments*."""
    return [sys.executable, "-c", dedent(code), *map(str, arguments)]


def run(code: str, *arguments: object, expected: int = 0, **how: Any) -> str:
    """Run *code* to its end, which must be *expected*; gives what it printed."""
    done = subprocess.run(
        command(code, *arguments),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
        **how,
    )
    assert done.returncode == expected, done.stderr
    return done.stdout.strip()


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs *code* and has printed its first line; killed at the end."""
    process = subprocess.Popen(
        command(code, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the process ended before it said anything"
        yield process
    finally:
        process.kill()
        process.communicate()
