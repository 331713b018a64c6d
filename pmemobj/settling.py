"""A copy of a pool is verified, recovered and marked as clean in a process of its own.

libpmemobj does not open two pools of one identity in a process, and a copy has its original's.
A process of its own also proves what matters: that somebody else can open the copy.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from pmemobj._native import lib
from pmemobj.checker import CheckReport, check_file, check_pool
from pmemobj.collector import collect
from pmemobj.errors import PmemobjError, PoolCorruptedError, PoolSystemError
from pmemobj.manager import MemoryManager
from pmemobj.poolfile import PARTS_NAME, PoolFile

if TYPE_CHECKING:
    import subprocess

    from pmemobj.progress import Progress

__all__ = ["Settled", "main", "settle"]

LONGEST = 1 << 20
"""Bytes of one line that the other process says; more is no answer."""

INTERVAL = 0.05
"""Seconds between two reports of progress."""

_PROGRAM = """
import json, sys
request = json.loads(sys.stdin.readline())
sys.path[:] = request["modules"]
from pmemobj.settling import main
main(request)
"""


_channel: IO[str]
"""In the other process: to this one."""


class Settled(NamedTuple):
    """What came of a copy.

    Attributes:
        objects: how many there are; all were verified.
        classes_missing: classes with a memory layout of their own that could not be imported;
            what only their instances lead to was not verified.
    """

    objects: int
    classes_missing: tuple[str, ...]


def settle(
    file: PoolFile, progress: Progress | None, allow_pickle: bool | None, look: bool = False
) -> Settled:
    """Verify the pool *file*, recover it, and mark it as clean. O(pool).

    It stays marked as in use if classes are missing: only they know what is garbage.

    Args:
        allow_pickle: import modules that the pool names; None: if it says that this user made it.
        look: verify it alone, and leave its files as they are.

    Raises:
        PoolCorruptedError: it does not verify; says where.
        PoolSystemError: no process could be started, or it was killed.
    """
    import subprocess
    import tempfile

    if not sys.executable:
        raise PoolSystemError(
            errno.ENOSYS,
            "a copy is verified by a Python process of its own, and sys.executable names none",
            file.path,
        )
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is this process's to deal with
        ) as process:
            try:
                answer = _converse(process, file, progress, allow_pickle, look)
            except BaseException:
                process.kill()
                raise
        complaints.seek(0)
        noise = complaints.read().decode(errors="replace").strip()
    if answer is None:
        raise PoolSystemError(
            errno.ECHILD,
            f"the process that verifies the copy ended with status {process.returncode}: "
            f"{noise[-500:] or 'it said nothing'}",
            file.path,
        )
    if "problem" in answer:
        raise PoolCorruptedError(answer["problem"])
    return Settled(answer["objects"], tuple(answer["missing"]))


def _converse(
    process: subprocess.Popen[bytes],
    file: PoolFile,
    progress: Progress | None,
    allow_pickle: bool | None,
    look: bool,
) -> dict[str, Any] | None:
    import json

    request = {
        "modules": [entry for entry in sys.path if isinstance(entry, str)],
        "path": os.fsencode(file.path).decode("latin-1"),
        "elastic": file.elastic,
        "allow_pickle": allow_pickle,
        "look": look,
    }
    try:
        with cast("IO[bytes]", process.stdin) as stream:
            stream.write(json.dumps(request).encode())
    except BrokenPipeError:
        return None
    for line in iter(lambda: cast("IO[bytes]", process.stdout).readline(LONGEST), b""):
        if not line.endswith(b"\n"):
            process.kill()
            return None
        answer = json.loads(line)
        if isinstance(answer, dict):
            return answer
        if progress is not None:
            progress(*answer)
    return None


def main(request: dict[str, Any]) -> None:
    """The other process's side: does what *request* says, and answers on standard output."""
    path = os.fsdecode(request["path"].encode("latin-1"))
    file = PoolFile(path, os.path.join(path, PARTS_NAME) if request["elastic"] else None)
    global _channel
    _channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what modules print when they are imported is no answer
    try:
        answer = (_look_at if request["look"] else _settle_here)(file, request["allow_pickle"])
    except PmemobjError as error:
        answer = {"problem": str(error)}
    _say(answer)


def _say(what: object) -> None:
    import json

    _channel.write(json.dumps(what) + "\n")
    _channel.flush()


def _settle_here(file: PoolFile, allow_pickle: bool | None) -> dict[str, Any]:
    mm = MemoryManager(file.open(lib.PMO_POLICY_PROCESS))
    try:
        mm.allow_pickle = mm.creator == os.geteuid() if allow_pickle is None else allow_pickle
        found = _answer(check_pool(mm, _relay()))
        if "problem" not in found:
            collect(mm, progress=_relay())
            if not found["missing"]:
                mm.close()
    finally:
        mm.abandon()
    return found


def _look_at(file: PoolFile, allow_pickle: bool | None) -> dict[str, Any]:
    return _answer(check_file(file, allow_pickle, _relay()))


def _answer(report: CheckReport) -> dict[str, Any]:
    if not report.ok:
        return {"problem": report.problems[0]}
    return {"objects": report.objects, "missing": report.classes_missing}


def _relay() -> Progress:
    """Passes progress on, but not more often than anybody can see."""
    last = 0.0

    def relay(phase: str, done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > INTERVAL:
            last = now
            _say([phase, done, total])

    return relay
