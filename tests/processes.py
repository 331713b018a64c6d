"""Python programs run in processes of their own."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

HERE = Path(__file__).parent
NOBODY = 65534
SANITIZED = hasattr(ctypes.CDLL(None), "__asan_init")  # as './dev sanitize' runs the tests
PATIENCE = 60.0  # seconds that a process may live, many times what anything here takes


def environment() -> dict[str, str]:
    """This process's, with the package and the tests' own modules importable."""
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
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
        timeout=PATIENCE,
        check=False,
        **how,
    )
    assert done.returncode == expected, done.stderr
    return done.stdout.strip()


def in_child(work: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Run *work* in a forked child, which must not fail, nor take longer than *patience*."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(patience))  # a child that hangs dies of it
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs *code* and has printed its first line; killed at the end.

    Or earlier, if it lives too long: whoever reads from it, or waits for it, goes on then.
    """
    process = subprocess.Popen(
        command(code, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    hangs = threading.Timer(PATIENCE, process.kill)
    hangs.daemon = True
    hangs.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the process ended before it said anything"
        yield process
    finally:
        hangs.cancel()
        process.kill()
        process.communicate(timeout=PATIENCE)
