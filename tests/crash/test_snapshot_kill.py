"""A process is killed at every step of making a snapshot, or of restoring one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from laboratory import LONG, TALLY
from processes import PATIENCE

import pmemobj
from pmemobj import copying, drafts, poolfile, settling, snapshots

STEPS = [
    (copying.os, "open"),
    (copying.os, "mkdir"),
    (copying.os, "pwrite"),
    (copying.os, "ftruncate"),
    (copying.os, "posix_fallocate"),
    (copying.os, "fchmod"),
    (copying.os, "chmod"),
    (copying.os, "fsync"),
    (copying.os, "link"),
    (copying.os, "unlink"),
    (copying.os, "rename"),
    (copying.os, "replace"),
    (copying.os, "close"),
    (poolfile.fcntl, "flock"),
    (settling, "_converse"),
    (snapshots, "publish"),
    (drafts, "_exchange"),
    (drafts, "sync"),
]
STRIDE = 1 if LONG else 3
OLD, NEW = ["old"], {"new": list(range(100))}


@contextmanager
def dying(at: int) -> Iterator[None]:
    """End this process, as SIGKILL does, before step number *at* of the block."""
    step = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kw: Any) -> Any:
            nonlocal step
            step += 1
            if step == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kw)

        return call

    for module, name in STEPS:
        setattr(module, name, deadly(getattr(module, name)))
    yield


def killed_at(at: int, work: Callable[[], object]) -> bool:
    """Did *work*, in a process of its own, come to its step number *at*?"""
    pid = os.fork()
    if pid == 0:
        signal.alarm(int(PATIENCE))  # one that hangs dies of it
        status = 1
        try:
            with dying(at):
                work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        assert os.WEXITSTATUS(status) == 0, "it failed by itself"
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL
    TALLY.kills += 1
    return True


def make(path: Path, value: Any, elastic: bool) -> None:
    with pmemobj.create(path, elastic=elastic) as pool:
        pool.root = value


def read(path: Path) -> Any:
    with pmemobj.open(path) as pool:
        assert pool.recovery.clean
        assert pool.check().ok
        return pmemobj.plain(pool.root)


def snapshot(source: Path, target: Path) -> Any:
    with pmemobj.open(source) as pool:
        return pool.snapshot(target, overwrite=True)


def restore(source: Path, target: Path) -> Any:
    return pmemobj.restore(source, target, overwrite=True)


@pytest.mark.parametrize("work", [snapshot, restore])
@pytest.mark.parametrize("there", [False, True], ids=["new", "replacing"])
@pytest.mark.parametrize("elastic", [False, True], ids=["file", "directory"])
def test_killed_at_every_step(
    tmp_path: Path, work: Callable[[Path, Path], Any], there: bool, elastic: bool
) -> None:
    source, target = tmp_path / "source.pmem", tmp_path / "copies" / "copy.pmem"
    target.parent.mkdir()
    make(source, NEW, elastic)
    if there:
        make(target, OLD, elastic)
    before = OLD if there else None
    published, at = 0, 1 - STRIDE
    while killed_at(at := at + STRIDE, lambda: work(source, target)):
        found = read(target) if target.exists() else None
        assert found == NEW or (found == before and not published)
        published += found == NEW
    assert published > 0, "it was never killed after it had published"
    assert at > 15
    assert published < at // 2, "it was published too early"
    work(source, target)
    assert os.listdir(target.parent) == [target.name], "what the killed ones left is removed"
    assert read(source) == read(target) == NEW
