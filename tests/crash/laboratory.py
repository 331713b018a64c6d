"""The crash laboratory: every state of a pool's file that a sudden end could leave.

The core calls an observer before each range that libpmemobj makes durable: a persist point. At
each one ``Watch`` takes images of the file:

* "kill": the file as it is. That is what the death of the process would leave.
* "cut": only what was made durable so far. That is the least that a power cut would leave.
* "mixed": cache lines of both, at random. Power may go at any time, and a line may have
  reached the media without being asked to; what a process leaves that dies between two
  persist points looks much the same.

``Inspector`` writes an image to a file, opens it as a pool, which recovers it, verifies
everything, and gives its content in a form that is compared.
"""

from __future__ import annotations

import gc
import mmap
import os
import random
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tally import TALLY

import pmemobj
import pmemobj.collector as recovering
from pmemobj._native import ffi, lib
from pmemobj.containers.base import PlainObject, Stored

PAGE = 4096
BLOCK = 16 * PAGE
LINE = 64
POOL_SIZE = pmemobj.MIN_POOL_SIZE
KINDS = ("kill", "cut", "mixed")
LONG = bool(os.environ.get("PMEMOBJ_TEST_LONG"))


# -- the content of a pool, in a form that is compared ----------------------------------------


def canonical(value: Any) -> Any:
    """Nested tuples that are equal for equal contents: types, order and sharing included."""
    return canonical_parts(pmemobj.plain(value), {})


def canonical_parts(value: Any, seen: dict[int, int]) -> Any:
    """The same of a value that holds nothing persistent; *seen* is empty at first."""
    cls = type(value)
    if cls in (list, dict, set, PlainObject):
        if id(value) in seen:
            return ("again", seen[id(value)])
        seen[id(value)] = len(seen)
    if cls in (list, tuple):
        return (cls.__name__, *(canonical_parts(part, seen) for part in value))
    if cls is dict:
        return (
            "dict",
            *((canonical_parts(k, seen), canonical_parts(v, seen)) for k, v in value.items()),
        )
    if cls in (set, frozenset):
        return (cls.__name__, *sorted((canonical_parts(part, seen) for part in value), key=repr))
    if cls is PlainObject:
        fields = dict(vars(value))
        name = fields.pop("_v_class_name")
        return ("object", name, *((k, canonical_parts(v, seen)) for k, v in fields.items()))
    if cls is float:
        return ("float", struct.pack("<d", value))
    if hasattr(value, "tobytes"):  # an array
        return (cls.__name__, str(value.dtype), value.shape, value.tobytes())
    if hasattr(value, "to_dict"):  # a frame
        return (cls.__name__, str(value.to_dict("list")))
    return (cls.__name__, value if cls in (str, bytes) else repr(value))


def handles(root: Any) -> Iterator[Any]:
    """Every persistent container that *root* leads to, itself included."""
    seen: set[int] = set()
    work = [root]
    while work:
        value = work.pop()
        if isinstance(value, Stored):
            if value._p_oid[1] in seen:
                continue
            seen.add(value._p_oid[1])
            yield value
            work.extend(value._p_plain_children())
        elif isinstance(value, (tuple, frozenset)):
            work.extend(value)


def inspect(pool: pmemobj.PersistentObjectPool, garbage: int | None = None) -> Any:
    """The canonical content of a pool that verifies; asserts that it does.

    *garbage*: how many allocations may be left that nothing leads to; None: any number.
    """
    report = pool.check()
    assert report.ok, report.problems
    assert garbage is None or report.garbage <= garbage
    assert not report.classes_missing
    root = pool.root
    for handle in handles(root):
        handle._check()
    return canonical(root)


def settle(pool: pmemobj.PersistentObjectPool) -> None:
    """Let go of the handles that nobody uses any more."""
    gc.collect()
    with pool.mm.lock:
        pool.mm.attend()


# -- images -----------------------------------------------------------------------------------


@dataclass
class Image:
    """One state of the file: the base image with some pages replaced.

    *power*: of a session that promised to survive a power cut.
    """

    kind: str
    point: int
    pages: dict[int, bytes]
    power: bool = False

    def fingerprint(self) -> int:
        value = 0
        for number, content in self.pages.items():
            value ^= hash((number, content))
        return value


@dataclass
class Base:
    """The file before the operation."""

    size: int
    blocks: list[bytes]

    @classmethod
    def read(cls, path: Path) -> Base:
        content = path.read_bytes()
        blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
        return cls(len(content), blocks)

    def page(self, number: int) -> bytes:
        at = number * PAGE % BLOCK
        return self.blocks[number * PAGE // BLOCK][at : at + PAGE]


class Scratch:
    """A file that becomes one image after the other, and is written only where they differ."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._view: mmap.mmap | None = None

    def become(self, base: Base, image: Image) -> None:
        view = self._mapped(base.size)
        wanted = list(base.blocks)
        for number, page in image.pages.items():
            block, at = divmod(number * PAGE, BLOCK)
            wanted[block] = wanted[block][:at] + page + wanted[block][at + PAGE :]
        with memoryview(view) as memory, ffi.from_buffer("char[]", memory) as start:
            for place, block in enumerate(wanted):
                at = place * BLOCK
                if ffi.buffer(start + at, len(block)) != block:
                    memory[at : at + len(block)] = block

    def _mapped(self, size: int) -> mmap.mmap:
        if self._view is None:
            with open(self.path, "w+b") as file:
                file.truncate(size)
                self._view = mmap.mmap(file.fileno(), size)
        return self._view


class Watch:
    """Images of one pool's file at every persist point between start and stop."""

    def __init__(self, path: Path, kinds: tuple[str, ...] = KINDS, power: bool = False) -> None:
        self.path = path
        self.kinds = kinds
        self.power = power
        self.images: list[Image] = []
        self.points = 0
        self._random = random.Random(20)
        self._errors: list[BaseException] = []

    def start(self) -> None:
        self.base = Base.read(self.path)
        self._now = list(self.base.blocks)
        self._volatile: dict[int, bytes] = {}
        self._durable: dict[int, bytes] = {}
        self._dirty: set[int] = set()
        self._last: dict[str, dict[int, bytes]] = {}
        self._mapping = 0
        with open(self.path, "rb") as file:
            self._view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._start = ffi.from_buffer("char[]", self._view)
        self._callback = ffi.callback("pmo_persist_observer", self._persist, onerror=self._failed)
        lib.pmo_observe_persists(self._callback)

    def stop(self) -> None:
        """End, with the images of the last state."""
        lib.pmo_observe_persists(ffi.NULL)
        if not self._errors:
            self._take(last=True)
        ffi.release(self._start)
        self._view.close()
        TALLY.points += self.points
        TALLY.power_points += self.points if self.power else 0
        if self._errors:
            raise self._errors[0]

    def _failed(self, kind: Any, error: BaseException, trace: Any) -> None:
        self._errors.append(error)

    def _persist(self, address: Any, size: int) -> None:
        offset = self._offset(int(ffi.cast("uintptr_t", address)))
        if offset is None:
            return  # another pool's
        self.points += 1
        self._take()
        first, last = offset // LINE * LINE, -(-(offset + size) // LINE) * LINE
        for number in range(first // PAGE, -(-last // PAGE)):
            self._save(number, max(first - number * PAGE, 0), min(last - number * PAGE, PAGE))

    def _offset(self, address: int) -> int | None:
        """Where in the file *address* is; None: it is not a mapping of the file."""
        if not self._mapping <= address < self._mapping + self.base.size:
            with open("/proc/self/maps") as maps:
                for line in maps:
                    fields = line.split(maxsplit=5)
                    if len(fields) < 6 or fields[5].strip() != str(self.path):
                        continue
                    start, end = (int(part, 16) for part in fields[0].split("-"))
                    if start <= address < end:
                        self._mapping = start - int(fields[2], 16)
                        break
                else:
                    return None
        return address - self._mapping

    def _save(self, number: int, start: int, stop: int) -> None:
        """Bytes start..stop-1 of a page are durable now."""
        if number not in self._dirty:
            return
        new = self._volatile[number]
        old = self._durable.get(number) or self.base.page(number)
        page = old[:start] + new[start:stop] + old[stop:]
        self._durable[number] = page
        if page == new:
            self._dirty.discard(number)

    def _refresh(self) -> None:
        """Find the pages that were stored to."""
        for place, known in enumerate(self._now):
            at = place * BLOCK
            if ffi.buffer(self._start + at, len(known)) == known:
                continue
            block = self._view[at : at + len(known)]
            self._now[place] = block
            for inner in range(0, len(block), PAGE):
                page = block[inner : inner + PAGE]
                if page != known[inner : inner + PAGE]:
                    number = (at + inner) // PAGE
                    self._volatile[number] = page
                    if page == (self._durable.get(number) or self.base.page(number)):
                        self._dirty.discard(number)
                    else:
                        self._dirty.add(number)

    def _take(self, last: bool = False) -> None:
        self._refresh()
        if "kill" in self.kinds:
            self._keep("kill", dict(self._volatile))
        if "cut" in self.kinds and (LONG or last or self.points % 3 == 0):
            self._keep("cut", dict(self._durable))
        if "mixed" in self.kinds and self._dirty and (LONG or self.points % 5 == 0):
            for _ in range(3 if LONG else 1):
                pages = dict(self._durable)
                pages.update((number, self._mixed(number)) for number in self._dirty)
                self._keep("mixed", pages)

    def _mixed(self, number: int) -> bytes:
        new = self._volatile[number]
        old = self._durable.get(number) or self.base.page(number)
        choose = self._random.getrandbits
        return b"".join((new if choose(1) else old)[at : at + LINE] for at in range(0, PAGE, LINE))

    def _keep(self, kind: str, pages: dict[int, bytes]) -> None:
        pages = {n: page for n, page in pages.items() if page != self.base.page(n)}
        if self._last.get(kind) != pages:
            self._last[kind] = pages
            self.images.append(Image(kind, self.points, pages, self.power))


@contextmanager
def watching(path: Path, kinds: tuple[str, ...] = KINDS, power: bool = False) -> Iterator[Watch]:
    """Take images of the pool file *path* at every persist point of the block."""
    watch = Watch(path, kinds, power)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


@contextmanager
def sound_counts() -> Iterator[None]:
    """Opening an unclean pool in the block must find every reference count as it should be.

    The collection that belongs to it would put wrong ones right without a word. Only what it
    frees, because nothing but a handle kept it, may have counted among the references.
    """
    collect = recovering.collect

    def collecting(*args: Any, **how: Any) -> Any:
        report = collect(*args, **how)
        assert report.freed or not report.corrected, (
            f"{report.corrected} reference counts were wrong"
        )
        return report

    recovering.collect = collecting
    try:
        yield
    finally:
        recovering.collect = collect


class Inspector:
    """Opens images as pools and reads what is there."""

    def __init__(self, path: Path) -> None:
        self.scratch = Scratch(path)

    def open_image(self, base: Base, image: Image) -> pmemobj.PersistentObjectPool:
        self.scratch.become(base, image)
        TALLY.images += 1
        TALLY.cut += image.kind == "cut"
        TALLY.mixed += image.kind == "mixed"
        TALLY.power_cut += image.power and image.kind == "cut"
        TALLY.power_mixed += image.power and image.kind == "mixed"
        with sound_counts():
            return pmemobj.open(self.scratch.path)

    def content(self, base: Base, image: Image, ending: bool = False) -> Any:
        """What a person finds who opens the image; asserts that it is sound and of use.

        *ending*: it is of a time when the pool was closed or about to be.
        """
        pool = self.open_image(base, image)
        try:
            assert ending or not pool.recovery.clean
            found = inspect(pool, garbage=None if pool.recovery.clean else 0)
            if TALLY.images % 16 == 0:
                pool.root = [pool.root, "and it works"]
                pool.close()
                pool = pmemobj.open(self.scratch.path)
                assert pool.recovery.clean
                assert inspect(pool)[2] == ("str", "and it works")
                assert canonical(pool.root[0]) == found
            return found
        finally:
            pool.mm.abandon()

    def require(self, watch: Watch, states: list[Any], ending: bool = False) -> None:
        """Every image shows one of *states*, and never an earlier one than before it did.

        What was committed by the end is in the last images.
        """
        contents: dict[int, Any] = {}
        reached = dict.fromkeys(watch.kinds, 0)
        for image in watch.images:
            mark = image.fingerprint()
            if mark not in contents:
                contents[mark] = self.content(watch.base, image, ending)
            found = contents[mark]
            least = 0 if image.kind == "mixed" else reached[image.kind]
            place = _place(found, states, least)
            assert place is not None, (
                f"{'an earlier state' if found in states else 'torn'} at {image.kind} image of "
                f"point {image.point} of {watch.points}: {found}, not one of {states[least:]}"
            )
            reached[image.kind] = place
        for kind in {"kill", "cut"} & set(watch.kinds):
            last = states[reached[kind]]
            assert last == states[-1], f"{kind}: committed, and lost at the end: {last}"


def _place(found: Any, states: list[Any], least: int) -> int | None:
    for place in range(least, len(states)):
        if found == states[place]:
            return place
    return None


class Laboratory:
    """A directory for pools, and what a test does with them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.durability = "auto"
        self.path = directory / "pool.pmem"
        self.inspector = Inspector(directory / "image.pmem")

    def create(self, prepare: Callable[[pmemobj.PersistentObjectPool], object]) -> None:
        """A new pool, filled and closed."""
        self.path.unlink(missing_ok=True)
        with pmemobj.create(self.path, POOL_SIZE) as pool:
            prepare(pool)

    def sweep(
        self,
        prepare: Callable[[pmemobj.PersistentObjectPool], object],
        change: Callable[[pmemobj.PersistentObjectPool], object],
    ) -> tuple[Any, Any]:
        """Run *change* on a pool made by *prepare*: every crash leaves the state before or after.

        If *change* is a generator function, what it leaves at each yield is a state as well.
        Gives the states before and after.
        """
        self.create(prepare)
        pool = pmemobj.open(self.path, durability=self.durability)
        try:
            before = canonical(pool.root)
            settle(pool)
            states = [before]
            with watching(self.path, power=self.durability == "power") as watch:
                steps = change(pool)
                if isinstance(steps, Generator):
                    for _ in steps:
                        states.append(canonical(pool.root))
                settle(pool)
            states.append(inspect(pool))
        finally:
            pool.mm.abandon()
        assert watch.points > 0, "no persist point was seen: the laboratory is blind"
        self.inspector.require(watch, states)
        return before, states[-1]
