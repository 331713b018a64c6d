"""An elastic pool grows by another file: at every persist point a crash loses nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from laboratory import LONG, canonical, inspect
from tally import TALLY

import pmemobj
from pmemobj._native import ffi, lib
from pmemobj.poolfile import PART_SIZE

BLOCK = 1 << 18
VALUE = "a megabyte of text: " * 50_000
CODE = 77  # of no type


class File(NamedTuple):
    """What a sparse file holds: its size, and its blocks that are not holes."""

    size: int
    blocks: dict[int, bytes]


class Trees:
    """Directories as they were, which share what is equal in them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._known: dict[bytes, bytes] = {}

    def read(self) -> dict[Path, File]:
        found = {}
        for path in self.top.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    found[path.relative_to(self.top)] = self._read(file.fileno())
        return found

    def _read(self, file: int) -> File:
        size, blocks, at = os.fstat(file).st_size, {}, 0
        while at < size:
            try:
                at = os.lseek(file, at, os.SEEK_DATA) // BLOCK * BLOCK
            except OSError:  # only a hole follows
                break
            content = os.pread(file, BLOCK, at)
            blocks[at] = self._known.setdefault(content, content)
            at += BLOCK
        return File(size, blocks)


def write(top: Path, files: dict[Path, File]) -> None:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        with open(top / name, "wb") as file:
            os.truncate(file.fileno(), content.size)
            for at, block in content.blocks.items():
                os.pwrite(file.fileno(), block, at)


@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in a transaction"])
def test_a_crash_while_a_pool_grows_loses_nothing(tmp_path: Path, in_transaction: bool) -> None:
    path, again = tmp_path / "growing.pmem", tmp_path / "again.pmem"
    with pmemobj.create(path, elastic=True) as pool:
        pool.root = {"list": [1]}
    pool = pmemobj.open(path)
    with pool.transaction():  # most of the first file is taken, and not written to
        pool.mm.alloc(PART_SIZE - (1 << 20), CODE)
    trees = Trees(path)
    images: list[dict[Path, File]] = []
    states = [canonical(pool.root)]

    @ffi.callback("pmo_persist_observer")
    def take(address: Any, size: int) -> None:
        TALLY.points += 1
        image = trees.read()
        if not images or images[-1] != image:
            images.append(image)

    def append() -> None:
        pool.root["list"].append(VALUE)
        if not in_transaction:
            states.append(canonical(pool.root))

    lib.pmo_observe_persists(take)
    try:
        if in_transaction:
            with pool.transaction():
                for _ in range(4):
                    append()
            states.append(canonical(pool.root))
        else:
            for _ in range(4):
                append()
    finally:
        lib.pmo_observe_persists(ffi.NULL)
    images.append(trees.read())
    pool.mm.abandon()
    assert len(images[0]) < len(images[-1]), "it did not grow"
    grown = next(at for at, image in enumerate(images) if len(image) == len(images[-1]))
    reached = 0
    for at, image in enumerate(images):
        if not (LONG or abs(at - grown) < 4 or at % 16 == 0 or at == len(images) - 1):
            continue
        write(again, image)
        with pmemobj.open(again) as found:
            TALLY.images += 1
            content = inspect(found, garbage=0)
        assert content in states[reached:], f"torn at image {at}, grown at {grown}"
        reached = states.index(content)
        shutil.rmtree(again)
    assert states[reached] == states[-1]
