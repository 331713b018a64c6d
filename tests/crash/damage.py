"""Damaged pools: bytes and pages changed all over a file, then opened and used by a child.

Whatever was damaged, opening, reading, checking, changing and collecting give right data or
an error of pmemobj's own. A child that dies of a signal, never ends or takes memory without
bound is a crash; content that differs from what was stored is silently wrong.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import random_work
from laboratory import canonical
from processes import SANITIZED

import pmemobj

PAGE = 4096
SIZE = pmemobj.MIN_POOL_SIZE
SECONDS = 30  # a child that takes longer on one pool hangs
MEMORY = 4 << 30  # of a child's address space

Damage = Callable[[random.Random, bytearray, list[int]], str]


class Account(pmemobj.PersistentObject):
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.history = [owner, 1]


# ---- what is done to a file ---------------------------------------------------------------


def place(draw: random.Random, live: list[int]) -> int:
    """An offset in a page that is not all zero."""
    return draw.choice(live) * PAGE + draw.randrange(PAGE)


def flip_bit(draw: random.Random, content: bytearray, live: list[int]) -> str:
    at = place(draw, live)
    content[at] ^= 1 << draw.randrange(8)
    return f"bit of byte {at}"


def change_byte(draw: random.Random, content: bytearray, live: list[int]) -> str:
    at = place(draw, live)
    content[at] = draw.randrange(256)
    return f"byte {at}"


def change_word(draw: random.Random, content: bytearray, live: list[int]) -> str:
    at = place(draw, live) & ~7
    wild = (
        0,
        1,
        (1 << 64) - 1,
        1 << 63,
        SIZE,
        SIZE - 8,
        draw.getrandbits(64),
        draw.getrandbits(20),
    )
    content[at : at + 8] = draw.choice(wild).to_bytes(8, "little")
    return f"word {at}"


def change_several(draw: random.Random, content: bytearray, live: list[int]) -> str:
    told = [change_word(draw, content, live) for _ in range(draw.randrange(2, 12))]
    return ", ".join(told)


def zero_range(draw: random.Random, content: bytearray, live: list[int]) -> str:
    at, length = place(draw, live), draw.randrange(1, 3 * PAGE)
    length = min(length, len(content) - at)
    content[at : at + length] = bytes(length)
    return f"zeros {at}+{length}"


def random_range(draw: random.Random, content: bytearray, live: list[int]) -> str:
    at, length = place(draw, live), draw.randrange(1, 600)
    length = min(length, len(content) - at)
    content[at : at + length] = draw.randbytes(length)
    return f"noise {at}+{length}"


def swap_pages(draw: random.Random, content: bytearray, live: list[int]) -> str:
    one, other = (draw.choice(live) * PAGE for _ in range(2))
    content[one : one + PAGE], content[other : other + PAGE] = (
        content[other : other + PAGE],
        content[one : one + PAGE],
    )
    return f"pages {one} and {other} swapped"


def copy_range(draw: random.Random, content: bytearray, live: list[int]) -> str:
    source, target = place(draw, live) & ~15, place(draw, live) & ~15
    length = min(draw.choice((16, 64, 512)), len(content) - max(source, target))
    content[target : target + length] = content[source : source + length]
    return f"{length} bytes of {source} at {target}"


def cut_off(draw: random.Random, content: bytearray, live: list[int]) -> str:
    length = draw.choice((draw.randrange(len(content)), draw.choice(live) * PAGE))
    del content[length:]
    return f"cut off at {length}"


DAMAGES: tuple[Damage, ...] = (
    flip_bit,
    flip_bit,
    change_byte,
    change_word,
    change_word,
    change_several,
    zero_range,
    random_range,
    swap_pages,
    copy_range,
    cut_off,
)


# A valid cell that lies where another one belongs is right by itself: no check at reading can
# tell, though pool.check() finds most of it.
MISPLACING = (swap_pages, copy_range)


# ---- the pool that is damaged ----------------------------------------------------------------


def original(path: Path, clean: bool) -> Any:
    """Make a pool that has everything in it; its canonical content."""
    pool = pmemobj.create(path, SIZE)
    pool.root = random_work.fill()
    pool.root["object"] = pool.new(Account, "Ada")
    pool.root["long"] = ["x" * 5000, b"y" * 70000, 1 << 5000, (1, ("two", 3.0)), None, -0.5]
    pool.root["many"] = {f"key{i}": i for i in range(300)}
    for number in range(120):
        random_work.Operation(number).on_pool(pool)
    found = canonical(pool.root)
    if clean:
        pool.close()
        return found
    shutil.copyfile(path, path.with_suffix(".dead"))
    pool.close()
    path.with_suffix(".dead").replace(path)
    return found


def live_pages(content: bytes) -> list[int]:
    empty = bytes(PAGE)
    return [at // PAGE for at in range(0, len(content), PAGE) if content[at : at + PAGE] != empty]


def damaged(content: bytes, live: list[int], number: int) -> tuple[str, bytes, bool]:
    """The damage of this number in words, the file's content, whether it moved sound bytes."""
    draw = random.Random(number)
    after = bytearray(content)
    damage = draw.choice(DAMAGES)
    told = damage(draw, after, live)
    return told, bytes(after), damage in MISPLACING


# ---- using it --------------------------------------------------------------------------------

RIGHT, TOLD, WRONG, FOREIGN = "right", "told", "wrong", "foreign"


def use(path: Path, wanted: Any, number: int) -> tuple[str, str]:
    """Do everything with a damaged pool; how it went and, if badly, what happened."""
    outcome = RIGHT
    try:
        pool = pmemobj.open(path)
    except pmemobj.PmemobjError:
        return TOLD, ""
    try:
        for step in (look, check, collect, change):
            try:
                if step(pool, wanted, number) is WRONG:
                    return WRONG, step.__name__
            except pmemobj.PmemobjError:
                outcome = TOLD
    finally:
        pool.close()
    return outcome, ""


def look(pool: Any, wanted: Any, number: int) -> str:
    return RIGHT if canonical(pool.root) == wanted else WRONG


def check(pool: Any, wanted: Any, number: int) -> str:
    return RIGHT if pool.check().ok else TOLD


def collect(pool: Any, wanted: Any, number: int) -> str:
    pool.gc()
    return look(pool, wanted, number)


def change(pool: Any, wanted: Any, number: int) -> str:
    model = pmemobj.plain(pool.root)
    for more in range(20):
        operation = random_work.Operation(number + more)
        operation.on_pool(pool)
        operation.on_plain(model)
    for root in (pool.root, model):
        root["many"].clear()
        del root["long"]
    pool.gc()
    return look(pool, canonical(model), number)


def child(connection: Connection, path: Path, wanted: Any) -> None:
    """Use one pool after the other; each is told before and after."""
    if not SANITIZED:  # a sanitizer's shadow takes terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    while True:
        number = connection.recv()
        if number is None:
            return
        try:
            connection.send(use(path, wanted, number))
        except BaseException:
            connection.send((FOREIGN, traceback.format_exc()))


@dataclass
class Toll:
    """What came of the damaged pools.

    Attributes:
        tried: how many there were.
        right: gave what was stored.
        told: gave an error.
        moved: had sound bytes where others belong.
        misled: of these, gave what had been stored elsewhere.
        bad: descriptions of those that gave anything else.
    """

    tried: int = 0
    right: int = 0
    told: int = 0
    moved: int = 0
    misled: int = 0
    bad: list[str] = field(default_factory=list)


class Children:
    """One child at a time; a new one after each that died."""

    def __init__(self, path: Path, wanted: Any) -> None:
        self._path = path
        self._wanted = wanted
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=child, args=(theirs, self._path, self._wanted), daemon=True
        )
        self._process.start()
        theirs.close()

    def use(self, number: int) -> tuple[str, str]:
        self._connection.send(number)
        end = time.monotonic() + SECONDS
        while not self._connection.poll(0.05):
            if not self._process.is_alive() and not self._connection.poll():
                return self._replaced(f"died: {self._ending()}")
            if time.monotonic() > end:
                return self._replaced("hangs")
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join(SECONDS)
            return self._replaced(f"died: {self._ending()}")

    def _ending(self) -> str:
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def _replaced(self, told: str) -> tuple[str, str]:
        self._process.kill()
        self._process.join(SECONDS)
        self._start()
        return "crash", told

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(None)
        self._process.join(SECONDS)


def try_damages(directory: Path, numbers: Iterator[int] | range, clean: bool) -> Toll:
    """Damage a pool in the ways of these numbers, each time from the undamaged one."""
    path = directory / "damaged.pmem"
    wanted = original(path, clean)
    content = path.read_bytes()
    live = live_pages(content)
    toll = Toll()
    children = Children(path, wanted)
    for number in numbers:
        told, after, moved = damaged(content, live, number)
        path.write_bytes(after)
        outcome, why = children.use(number)
        toll.tried += 1
        toll.moved += moved
        if outcome == RIGHT:
            toll.right += 1
        elif outcome == TOLD:
            toll.told += 1
        elif outcome == WRONG and moved:
            toll.misled += 1
        else:
            toll.bad.append(f"{number} ({told}): {outcome} {why}")
    children.end()
    return toll
