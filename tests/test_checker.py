"""The checker against damage: every byte of a pool that means something, changed one by one."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from media import Media, Range
from processes import run
from ring_buffer import ObjectRing

import pmemobj
from pmemobj.containers.base import PlainObject

LONG = bool(os.environ.get("PMEMOBJ_TEST_LONG"))
HEAPED = "a string of some forty bytes, in the heap"
BLOB = "a string with an allocation of its own " * 130


class Order(pmemobj.PersistentObject):
    def __init__(self) -> None:
        self.number = 1
        self.lines = [HEAPED]


def fill(pool: pmemobj.PersistentObjectPool) -> None:
    """Everything that has a layout, full and empty, with holes and with garbage in its heap."""
    shared = [1, HEAPED]
    mixed = [0, 1, -1, 2.5, "short", HEAPED, BLOB, None, True, shared, 1 << 100, b"bytes" * 9]
    table = {f"{HEAPED} {i}": i for i in range(14)} | dict.fromkeys(range(14), HEAPED)
    keys = {1.5: shared, (1, "two"): 1, Decimal("1.5") + 1: 2, None: 3, frozenset({1, 2}): 4}
    pool.root = {
        "empty": [[], {}, set()],
        "mixed": mixed,
        "table": table,
        "small": {"a": 1, "b": HEAPED},
        "keys": keys,
        "set": {1, "two", HEAPED, 3.5, (1, HEAPED)} | set(range(100, 110)),
        "tuple": (1, [2], HEAPED),
        "frozen": frozenset(str(i) * 400 for i in range(20)),
    }
    pool.root["object"] = pool.new(Order)
    pool.root["ptuple"] = pool.new(pmemobj.PersistentTuple, [1, HEAPED])
    for at in (3, 4):
        del pool.root["table"][f"{HEAPED} {at}"]
    pool.root["mixed"][5] = HEAPED.upper()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.pmem"
    with pmemobj.create(path) as pool:
        fill(pool)
    return path


@pytest.fixture
def pool(sound: Path, tmp_path: Path) -> Iterator[pmemobj.PersistentObjectPool]:
    """A copy of the sound pool, open; the caller puts right what it damages."""
    copy = tmp_path / "copy.pmem"
    shutil.copyfile(sound, copy)
    with pmemobj.open(copy) as opened:
        yield opened


IMMATERIAL = {
    "creator": "only told, and asked for by whoever wants to know whether to trust the pool",
    "dirty": "says whether the pool is recovered at its opening, which changes no value",
    "policy": "says whether what is recovered is verified before",
    "boot id": "likewise",
    "in flight": "only told, by pool.recovery",
    "used": "only told, and counted anew by each recovery",
    "serial": "says, with the next, whether the journal is of a transaction that was not ended",
    "journal serial": "likewise; every record of the journal has a check of its own",
    "reserved": "nothing reads it; room for what leaves all else as it is",
}
"""Fields of the root block whose change the checker cannot find, and why no value depends on it."""


def is_immaterial(where: Range, tables: bool = True) -> bool:
    """*tables*: there is a set or a dict, whose index depends on the hash key."""
    field = where.what.removeprefix("root block: ")
    return field in IMMATERIAL or (field == "hash key" and not tables)


def changes(where: Range) -> Iterator[tuple[int, int]]:
    """(offset, exclusive or) for the bytes of a range; of long payloads a sample, unless LONG."""
    step = 1 if LONG or where.size <= 64 else 97
    for at in range(where.start, where.start + where.size, step):
        for flip in (0xFF, 0x01, 0x80) if LONG else (0xFF if at % 2 else 1 << at % 8,):
            yield at, flip


def is_found(pool: pmemobj.PersistentObjectPool, media: Media, at: int, flip: int) -> bool:
    """Does the checker find damage while the byte at *at* is changed?"""
    old = media.bytes[at]
    media.bytes[at] = bytes([old[0] ^ flip])
    try:
        return not pool.check().ok
    finally:
        media.bytes[at] = old


def test_every_changed_byte_is_found(pool: pmemobj.PersistentObjectPool) -> None:
    media = Media(pool)
    assert pool.check().ok
    missed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for where in list(media.live()):
        if is_immaterial(where):
            continue
        for at, flip in changes(where):
            tried[where.what] += 1
            missed[where.what] += not is_found(pool, media, at, flip)
    assert pool.check().ok
    assert +missed == Counter()
    assert sum(tried.values()) > 3000
    kinds = {what.partition(":")[0] for what in tried}
    assert kinds == {"root block", "sequence", "set", "dict", "blob"}


@pytest.mark.parametrize("root", [list, lambda: "text", lambda: BLOB, lambda: (1, [2])])
def test_every_changed_byte_of_other_roots_is_found(tmp_path: Path, root: Any) -> None:
    with pmemobj.create(tmp_path / "a.pmem") as pool:
        pool.root = root()
        media = Media(pool)
        for where in list(media.live()):
            for at, flip in () if is_immaterial(where, tables=False) else changes(where):
                assert is_found(pool, media, at, flip), where


def test_a_root_that_denies_its_reference_is_no_reason_to_free_everything(
    pool: pmemobj.PersistentObjectPool,
) -> None:
    media = Media(pool)
    cell, old = media.root + 96, media.bytes[media.root + 96]
    media.bytes[cell] = b"\4"  # an int now, if nobody looks at the check
    try:
        with pytest.raises(pmemobj.PoolCorruptedError):
            pool.gc()
    finally:
        media.bytes[cell] = old
    assert pool.gc().freed == 0
    assert pool.check().ok


def test_every_changed_byte_of_a_custom_objects_header_is_found(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "a.pmem") as pool:
        ring = pool.root = pool.new(ObjectRing, 3)
        ring.append([1])
        media = Media(pool)
        custom = [where for where in media.live() if where.what.startswith("custom")]
        assert len(custom) == 3
        for where in custom:
            for at, flip in changes(where):
                assert is_found(pool, media, at, flip), where


def test_every_changed_byte_of_an_arrays_description_is_found(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with pmemobj.create(tmp_path / "a.pmem") as pool:
        pool.root = [numpy.arange(10.0), numpy.zeros((300, 300))]
        media = Media(pool)
        ranges = [where for where in media.live() if not is_immaterial(where, tables=False)]
        assert sum(where.what.startswith("raw") for where in ranges) > 2
        for where in ranges:
            for at, flip in changes(where):
                assert is_found(pool, media, at, flip), where


def plain(root: Any) -> Any:
    return _plain(pmemobj.plain(root))


def _plain(value: Any) -> Any:
    if isinstance(value, PlainObject):
        return {key: _plain(inner) for key, inner in vars(value).items()}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def test_a_changed_byte_of_the_root_block_is_told_or_does_not_matter(
    sound: Path, tmp_path: Path
) -> None:
    """At opening, when the root block and the type table are read."""
    copy = tmp_path / "copy.pmem"
    shutil.copyfile(sound, copy)
    with pmemobj.open(copy) as pool:
        expected = plain(pool.root)
        media = Media(pool)
        types = media.number(media.root + 88)
        body = media.number(types + 56)
        ranges = [where for where in media.live() if where.what.startswith("root block")]
        ranges += [Range("type table", types, 96), Range("type table", body, 64)]
    content = sound.read_bytes()
    outcomes: Counter[str] = Counter()
    for where in ranges:
        for at in range(where.start, where.start + where.size, 1 if LONG else 5):
            shutil.copyfile(sound, copy)
            with open(copy, "r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ (0xFF if at % 2 else 0x01)]))
            try:
                with pmemobj.open(copy) as pool:
                    found = plain(pool.root)
                    sane = pool.check().ok
            except pmemobj.PmemobjError:
                outcomes["raised"] += 1
                continue
            outcomes["told" if not sane else "immaterial"] += 1
            assert found == expected or not sane, where
            assert not sane or is_immaterial(where) or where.what == "type table", where
    assert outcomes["raised"] > 10


# ---- pools that are not open ----


def test_check_of_a_closed_pool(sound: Path) -> None:
    before = sound.read_bytes()
    report = pmemobj.check(sound)
    assert report.ok
    assert report.objects > 15
    assert report.garbage == 0
    assert sound.read_bytes() == before


@pytest.mark.parametrize("elastic", [False, True])
def test_check_of_a_pool_that_was_not_closed(tmp_path: Path, elastic: bool) -> None:
    path = tmp_path / "a.pmem"
    pmemobj.create(path, elastic=elastic).close()
    run(
        """
        import os, sys, pmemobj
        pool = pmemobj.open(sys.argv[1])
        pool.root = {"a": [1, 2, 3]}
        pool.transaction().begin()
        pool.root["b"] = list(range(1000))
        os._exit(0)
        """,
        path,
    )
    files = [path] if not elastic else sorted((path / "parts").iterdir())
    before = [file.read_bytes() for file in files]
    report = pmemobj.check(path)
    assert report.ok, report.problems
    assert report.objects == 2
    assert [file.read_bytes() for file in files] == before
    with pmemobj.open(path) as pool:
        assert not pool.recovery.clean


def test_check_of_a_pool_that_cannot_be_opened(sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pmem"
    content = bytearray(sound.read_bytes())
    content[content.index(b"PMEMOBJ1")] ^= 1
    copy.write_bytes(content)
    report = pmemobj.check(copy)
    assert not report.ok
    assert "root block" in report.problems[0]
    content[100] ^= 1  # libpmemobj's own header
    copy.write_bytes(content)
    assert not pmemobj.check(copy).ok


def test_check_of_what_is_no_pool_or_not_closed(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(pmemobj.NotAPoolError):
        pmemobj.check(tmp_path / "text")
    with pytest.raises(pmemobj.PoolNotFoundError):
        pmemobj.check(tmp_path / "none")
    with pmemobj.create(tmp_path / "open.pmem"), pytest.raises(pmemobj.PoolLockedError):
        pmemobj.check(tmp_path / "open.pmem")


def test_a_report_as_text_and_html(sound: Path, tmp_path: Path) -> None:
    report = pmemobj.check(sound)
    for shown in (str(report), report._repr_html_()):
        assert "sound" in shown
        assert f"{report.objects:,}" in shown
    copy = tmp_path / "copy.pmem"
    copy.write_bytes(sound.read_bytes().replace(HEAPED.encode(), HEAPED.upper().encode()))
    report = pmemobj.check(copy)
    for shown in (str(report), report._repr_html_()):
        assert "damaged" in shown
        assert "offset" in shown
    assert len(report.problems) > 5


def test_check_tells_its_progress(sound: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    pmemobj.check(sound, progress=lambda *step: told.append(step))
    assert {phase for phase, _, _ in told} <= {"mark", "verify"}
    assert told
