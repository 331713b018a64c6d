"""A full disk: clear errors, nothing lost, and the pool goes on when there is room again."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE

import pmemobj
from pmemobj import blocks

MIB = 1024 * 1024
VALUE = b"x" * 240_000
OTHER = b"y" * len(VALUE)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small disk by these arguments of mount."""
    place = tmp_path / "disk"
    place.mkdir()
    done = False

    def mount(*arguments: str | Path) -> Path:
        nonlocal done
        attempt("mount", *arguments, place)
        done = True
        return place

    try:
        yield mount
    finally:
        if done:
            subprocess.run(["umount", "--lazy", place], timeout=PATIENCE, check=True)


def attempt(*command: str | Path) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except FileNotFoundError:
        pytest.skip(f"needs {command[0]}")
    if done.returncode:
        pytest.skip(f"needs the right to mount a small disk: {done.stderr.strip()}")


@pytest.fixture
def disk(mounted: Callable[..., Path]) -> Callable[[int], Path]:
    """Makes the empty disk of so many MiB."""
    return lambda size: mounted("-t", "tmpfs", "-o", f"size={size}m", "none")


@pytest.fixture(params=["xfs", "btrfs"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path, mounted: Callable[..., Path]) -> Path:
    """A disk of 400 MiB whose files can share blocks."""
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(400 * MIB)
    attempt(f"mkfs.{request.param}", "-q", image)
    return mounted("-o", "loop", image)


def fill(disk: Path) -> Path:
    """A file that takes all that is free."""
    ballast = disk / "ballast"
    for size in (MIB, 4096):
        with suppress(OSError), open(ballast, "ab", buffering=0) as file:
            while file.write(bytes(size)):
                pass
            os.fsync(file.fileno())
    assert os.statvfs(disk).f_bavail < 16
    return ballast


def make_room(ballast: Path) -> None:
    """Remove what fill made; XFS and Btrfs give its blocks back after a while."""
    blocks = ballast.stat().st_blocks * 512
    ballast.unlink()
    for _ in range(1200):
        disk = os.statvfs(ballast.parent)
        if disk.f_bavail * disk.f_frsize >= 0.9 * blocks:
            return
        time.sleep(0.05)
    raise AssertionError("a minute later the disk is still full")


def files_of(pool: Path) -> list[Path]:
    return sorted((pool / "parts").iterdir()) if pool.is_dir() else [pool]


def append_until_full(values: Any, value: bytes) -> pmemobj.PoolFullError:
    with pytest.raises(pmemobj.PoolFullError) as caught:
        while True:
            values.append(value)
    return caught.value


@pytest.mark.parametrize(("elastic", "size"), [(False, 64 * MIB), (True, 8 * MIB)])
def test_creating(disk: Callable[[int], Path], elastic: bool, size: int) -> None:
    place = disk(7)
    with pytest.raises(pmemobj.PoolSizeError, match="no room on the disk") as caught:
        pmemobj.create(place / "a", size, elastic=elastic)
    assert caught.value.errno == errno.ENOSPC
    assert list(place.iterdir()) == []
    assert os.statvfs(place).f_bavail == os.statvfs(place).f_blocks


def test_growing(disk: Callable[[int], Path]) -> None:
    place = disk(160)
    with pmemobj.create(place / "a", elastic=True) as pool:
        pool.root = {"values": []}
        values = pool.root["values"]
        error = append_until_full(values, VALUE)
        assert "its disk has" in str(error)
        assert error.requested >= len(VALUE)
        count = len(values)
        assert count * len(VALUE) > 64 * MIB
        with pytest.raises(pmemobj.PoolFullError), pool.transaction():
            pool.root["more"] = 1
            append_until_full(values, VALUE)
            values.append(VALUE)
        assert pool.check().ok
        assert "more" not in pool.root
        fill(place)
        for _ in range(count // 2):
            values.pop()
        for _ in range(count // 4):
            values.append(OTHER)
    with pmemobj.open(place / "a") as pool:
        assert pool.recovery.clean
        assert pool.check().ok
        kept = count - count // 2
        assert list(pool.root["values"]) == [VALUE] * kept + [OTHER] * (count // 4)
        for file in files_of(place / "a"):
            assert file.stat().st_blocks * 512 >= file.stat().st_size


def test_what_is_stored_needs_no_room_on_the_disk(disk: Callable[[int], Path]) -> None:
    """All blocks of a pool are its own from the start: no write into it can lack one."""
    place = disk(40)
    with pmemobj.create(place / "a", 16 * MIB) as pool:
        fill(place)
        pool.root = []
        error = append_until_full(pool.root, VALUE)
        assert "its disk has" not in str(error)
        assert len(pool.root) * len(VALUE) > 8 * MIB
        assert pool.check().ok
    with pmemobj.open(place / "a") as pool:
        assert all(value == VALUE for value in pool.root)
        pool.root = list(range(1000))
        assert pool.root == list(range(1000))


@pytest.mark.parametrize("elastic", [False, True])
def test_a_snapshot(disk: Callable[[int], Path], elastic: bool) -> None:
    place = disk(40)
    with pmemobj.create(place / "a", 16 * MIB, elastic=elastic) as pool:
        pool.root = [VALUE] * 10
        pool.snapshot(place / "copy")
        former = [file.read_bytes() for file in files_of(place / "copy")]
        ballast = fill(place)
        for use in (
            lambda: pool.snapshot(place / "other"),
            lambda: pool.snapshot(place / "copy", overwrite=True),
            lambda: pmemobj.restore(place / "copy", place / "other"),
        ):
            with pytest.raises(pmemobj.PoolSystemError, match="disk is full") as caught:
                use()
            assert caught.value.errno == errno.ENOSPC
            assert {entry.name for entry in place.iterdir()} == {"a", "copy", "ballast"}
        pool.root.append(VALUE)
        make_room(ballast)
        assert former == [file.read_bytes() for file in files_of(place / "copy")]
        pool.snapshot(place / "copy", overwrite=True)
        assert pool.root == [VALUE] * 11
    with pmemobj.open(place / "copy") as copy:
        assert copy.root == [VALUE] * 11


def test_opening(disk: Callable[[int], Path]) -> None:
    place = disk(40)
    for name, elastic in (("plain", False), ("elastic", True)):
        with pmemobj.create(place / name, elastic=elastic) as pool:
            pool.root = [VALUE]
    fill(place)
    for name in ("plain", "elastic"):
        with pmemobj.open(place / name) as pool:
            assert pool.root == [VALUE]
            pool.root.append(1)
        with pmemobj.open(place / name) as pool:
            assert pool.root == [VALUE, 1]
    (place / "elastic").rename(place / "moved")
    with suppress(pmemobj.PoolSystemError):  # the file that tells where its parts are has no room
        pmemobj.open(place / "moved").close()
    make_room(place / "ballast")
    with pmemobj.open(place / "moved") as pool:
        assert pool.root == [VALUE, 1]
    assert {entry.name for entry in (place / "moved").iterdir()} == {"parts", "pool.set"}


# ---- blocks that files share ----

ANEW = b"z" * len(VALUE)


def test_a_pool_owns_its_blocks_after_a_snapshot(sharing: Path) -> None:
    """Or else a store, into what was stored before, would need another one."""
    with pmemobj.create(sharing / "a", 32 * MIB) as pool:
        pool.root = [VALUE] * 40
        assert pool.snapshot(sharing / "copy").method == "reflink"
        os.sync()
        fill(sharing)
        for index in range(40):
            pool.root[index] = None
        for index in range(40):
            pool.root[index] = ANEW
        assert pool.check().ok
    with pmemobj.open(sharing / "copy", scratch=True) as copy:
        assert copy.root == [VALUE] * 40
    with pmemobj.open(sharing / "a") as pool:
        assert pool.root == [ANEW] * 40


def test_a_snapshot_shares_nothing_where_there_is_no_room_for_two(sharing: Path) -> None:
    with pmemobj.create(sharing / "a", 32 * MIB) as pool:
        pool.root = [VALUE] * 40
        fill(sharing)
        with pytest.raises(pmemobj.PoolSystemError, match="disk is full"):
            pool.snapshot(sharing / "copy")
        for index in range(40):
            pool.root[index] = ANEW
        assert pool.root == [ANEW] * 40
    assert {entry.name for entry in sharing.iterdir()} == {"a", "ballast"}


def test_opening_a_copy_that_shares_blocks(sharing: Path) -> None:
    with pmemobj.create(sharing / "a", 32 * MIB) as pool:
        pool.root = [VALUE] * 40
    (sharing / "twins").mkdir()
    folder = os.open(sharing / "twins", os.O_RDONLY)
    blocks.keep_in_place(folder)  # Btrfs shares blocks between files of one kind only
    os.close(folder)
    attempt("cp", "--reflink=always", sharing / "a", sharing / "twins" / "b")
    ballast = fill(sharing)
    with pytest.raises(pmemobj.PoolSystemError, match="shares with another"):
        pmemobj.open(sharing / "twins" / "b")
    with pmemobj.open(sharing / "twins" / "b", scratch=True) as pool:
        assert pool.root == [VALUE] * 40
    make_room(ballast)
    with pmemobj.open(sharing / "twins" / "b") as pool:
        fill(sharing)
        for index in range(40):
            pool.root[index] = ANEW
        assert pool.root == [ANEW] * 40
    with pmemobj.open(sharing / "a") as pool:
        assert pool.root == [VALUE] * 40


# ---- files that take no more ----


def test_large_values_where_the_file_cannot_be_written(tmp_path: Path) -> None:
    """Wherever in them the system refuses, or writes but a part, the mapping takes the rest."""
    np = pytest.importorskip("numpy")
    numbers = [*range(100_000), 0.5]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pmemobj.create(tmp_path / "a", 16 * MIB) as pool:
        pool.root = {}
        for limit in range(3 * MIB, 12 * MIB, 700_001):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
            try:
                pool.root["list"] = numbers
                pool.root["array"] = np.arange(90_000.0)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            assert pool.root["list"] == numbers
            assert (pool.root["array"] == np.arange(90_000.0)).all()
        assert pool.check().ok
