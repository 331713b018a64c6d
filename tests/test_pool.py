"""Pools as files: made, opened, refused, closed, recovered, moved, locked."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import os
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import NOBODY, PATIENCE, run, running
from threads import together

import pmemobj
from pmemobj import making, poolfile
from pmemobj._native import ffi, lib

MIB = 1024 * 1024
SIZE = 8 * MIB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.pmem"


@pytest.fixture
def closed(path: Path) -> Path:
    """A pool, cleanly closed, whose root is {"kept": [1, 2, 3]}."""
    with pmemobj.create(path) as pool:
        pool.root = {"kept": [1, 2, 3]}
    return path


def content(path: Path) -> Any:
    with pmemobj.open(path) as pool:
        return pmemobj.plain(pool.root)


def die_with_pool_open(path: Path, then: str = "") -> None:
    run(
        """
        import os, signal, sys, pmemobj
        pool = pmemobj.open(sys.argv[1])
        exec(sys.argv[2])
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
        then,
        expected=-signal.SIGKILL,
    )


def patch(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def plant_another_boot(path: Path) -> None:
    this = poolfile.boot_id().encode()
    patch(path, this, this[::-1])


# ---- making and opening ----


def test_create_then_open(path: Path) -> None:
    with pmemobj.create(path) as pool:
        assert pool.root is None
        assert (pool.path, pool.elastic, pool.closed) == (str(path), False, False)
        pool.root = [1]
    assert content(path) == [1]


def features(header: bytes) -> tuple[int, int]:
    """What libpmemobj's header says must not and must be understood."""
    return struct.unpack_from("<II", header, 12)


def checksum(header: bytes) -> int:
    """libpmemobj's, of a header without its variable half."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", header[:2048] + bytes(2048)):
        low = (low + word) % (1 << 32)
        high = (high + low) % (1 << 32)
    return high << 32 | low


@pytest.mark.parametrize("elastic", [False, True])
def test_bad_blocks_are_asked_for_only_where_the_pool_says_so(path: Path, elastic: bool) -> None:
    with pmemobj.create(path, elastic=elastic) as pool:
        pool.root = [1]
        first = Path(pool._file.files()[0])
    compat, incompat = features(first.read_bytes()[:4096])
    assert compat == 0
    assert content(path) == [1]
    with first.open("r+b") as file:
        header = bytearray(file.read(4096))
        assert struct.unpack_from("<Q", header, 4088) == (checksum(header),)
        struct.pack_into("<I", header, 12, 1)
        struct.pack_into("<Q", header, 4088, checksum(header))
        file.seek(0)
        file.write(header)
    assert content(path) == [1]
    assert features(first.read_bytes()[:4096]) == (1, incompat)


def test_flags(path: Path) -> None:
    make = pmemobj.PersistentObjectPool
    with pytest.raises(pmemobj.PoolNotFoundError):
        make(path)
    assert not path.exists()
    make(path, "c").close()
    with pytest.raises(pmemobj.PoolExistsError):
        make(path, "x")
    with make(path, "c") as pool:
        pool.root = [1]
    with make(path, "w") as pool:
        assert pool.root == [1]
    path.unlink()
    make(path, "x").close()
    assert content(path) is None


@pytest.mark.parametrize("flag", ["r", "wx", "", None, 1, []])
def test_an_unknown_flag(path: Path, flag: Any) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match=r"'w'.*'x'.*'c'") as caught:
        pmemobj.PersistentObjectPool(path, flag)
    assert isinstance(caught.value, ValueError)
    assert not path.exists()


@pytest.mark.parametrize("durability", ["", "fast", None, 3, []])
def test_an_unknown_durability(path: Path, durability: Any) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match="'auto', 'process' or 'power'"):
        pmemobj.create(path, durability=durability)
    assert not path.exists()


@pytest.mark.parametrize("size", [0, 1, -1, SIZE - 1, -(10**30), 10**30, 1 << 63, 1 << 60])
@pytest.mark.parametrize("elastic", [False, True])
def test_a_size_that_cannot_be(path: Path, size: int, elastic: bool) -> None:
    with pytest.raises(pmemobj.PoolSizeError, match="MIN_POOL_SIZE") as caught:
        pmemobj.create(path, size, elastic=elastic)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, ValueError)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("size", ["8M", 8e6, None, True, b"8"])
def test_a_size_that_is_none(path: Path, size: Any) -> None:
    with pytest.raises(pmemobj.InvalidTypeError, match=f"int.*{type(size).__name__}") as caught:
        pmemobj.create(path, size)
    assert isinstance(caught.value, TypeError)
    assert list(path.parent.iterdir()) == []


def test_a_size_that_the_disk_does_not_have(path: Path) -> None:
    with pytest.raises(pmemobj.PoolSizeError, match="no room on the disk") as caught:
        pmemobj.create(path, 1 << 46)
    assert caught.value.filename == str(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mode", ["rw", None, 6.0])
def test_a_mode_that_is_none(path: Path, mode: Any) -> None:
    with pytest.raises(pmemobj.InvalidTypeError, match="mode"):
        pmemobj.create(path, mode=mode)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mode", [-1, 0o1000, 10**30])
def test_a_mode_out_of_range(path: Path, mode: int) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match="mode"):
        pmemobj.create(path, mode=mode)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("name", [None, 3, 1.5, ["a"]])
def test_a_filename_that_is_none(name: Any) -> None:
    for use in (pmemobj.open, pmemobj.create):
        with pytest.raises(pmemobj.InvalidTypeError, match="path"):
            use(name)


@pytest.mark.parametrize("name", ["", "a\0b", b"", "a\ud800b"])
def test_a_filename_that_cannot_be(name: Any) -> None:
    for use in (pmemobj.open, pmemobj.create, pmemobj.check):
        with pytest.raises(pmemobj.InvalidArgumentError, match="path"):
            use(name)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    for use in (pmemobj.open, pmemobj.create):
        with pytest.raises(pmemobj.PoolSystemError, match="name too long") as caught:
            use(tmp_path / ("x" * 300))
        assert caught.value.errno == errno.ENAMETOOLONG
    assert list(tmp_path.iterdir()) == []


LONGEST = {False: 255 - len("_r0_p0_badblocks.txt"), True: 255}


@pytest.mark.parametrize("elastic", [False, True])
def test_long_names(tmp_path: Path, elastic: bool) -> None:
    """libpmemobj looks for files beside a plain pool whose names are longer."""
    path, too_long = (tmp_path / ("x" * (LONGEST[elastic] + more)) for more in (0, 1))
    with pmemobj.create(path, elastic=elastic) as pool:
        for use in (
            lambda: pmemobj.create(too_long, elastic=elastic),
            lambda: pool.snapshot(too_long),
        ):
            with pytest.raises(pmemobj.PoolSystemError, match="name too long") as caught:
                use()
            assert caught.value.errno == errno.ENAMETOOLONG
            assert list(tmp_path.iterdir()) == [path]
        pool.root = 1
    assert content(path) == 1
    if not elastic:
        path.rename(too_long)
        with pytest.raises(pmemobj.PoolSystemError, match="name too long"):
            pmemobj.open(too_long)
        too_long.rename(path)
        assert content(path) == 1


@pytest.mark.parametrize("elastic", [False, True])
def test_long_paths(tmp_path: Path, elastic: bool) -> None:
    folder = tmp_path
    while len(str(folder)) < 3840:
        folder /= "f" * min(200, 3840 - len(str(folder)))
    folder.mkdir(parents=True)
    most = poolfile._LONGEST_PATH - len(str(folder) + "/" + "_r0_p0_badblocks.txt")
    most -= len("/pool.set") if elastic else 0
    path, too_long = (folder / ("x" * (most + more)) for more in (0, 1))
    with pytest.raises(pmemobj.PoolSystemError, match="name too long"):
        pmemobj.create(too_long, elastic=elastic)
    assert list(folder.iterdir()) == []
    pmemobj.create(path, elastic=elastic).close()
    assert content(path) is None


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "#",
        "a#b",
        "a b",
        " ",
        "a'b\"c",
        "a\nb",
        "a\tb",
        "a\u2003b",
        "a\\b",
        "%s",
        "\udcff",
        "$HOME",
        "~",
    ],
)
def test_names_of_every_kind(tmp_path: Path, name: str, elastic: bool) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with pmemobj.create(folder / name, elastic=elastic) as pool:
        pool.root = [name.encode(errors="surrogateescape")]
        pool.snapshot(folder / f"{name} copy")
    assert content(folder / name) == content(folder / f"{name} copy")
    shutil.move(folder / name, folder / f"{name} moved")
    assert content(folder / f"{name} moved") == [name.encode(errors="surrogateescape")]
    assert len(list(folder.iterdir())) == 2


def test_paths_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pmemobj.create("relative").close()
    with pmemobj.open(b"relative") as pool:
        assert pool.path == str(tmp_path / "relative")
    (tmp_path / "link").symlink_to("relative")
    assert content(tmp_path / "link") is None


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("mode", [0o666, 0o600, 0o640])
def test_mode_and_umask(path: Path, mode: int, mask: int) -> None:
    before = os.umask(mask)
    try:
        pmemobj.create(path, mode=mode).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode & ~mask


def test_the_default_mode_follows_the_umask(path: Path) -> None:
    before = os.umask(0o027)
    try:
        pmemobj.create(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# ---- what is not a pool, or not there ----


def test_nothing_there(path: Path) -> None:
    with pytest.raises(pmemobj.PoolNotFoundError, match=r"pmemobj\.create") as caught:
        pmemobj.open(path)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.filename == str(path)
    assert str(path) in str(caught.value)


def test_no_directory_to_create_it_in(tmp_path: Path) -> None:
    with pytest.raises(pmemobj.PoolNotFoundError, match="directory"):
        pmemobj.create(tmp_path / "none" / "a")
    (tmp_path / "file").write_text("x")
    for use in (pmemobj.open, pmemobj.create):
        with pytest.raises(pmemobj.PoolNotFoundError):
            use(tmp_path / "file" / "a")


def _text(path: Path) -> None:
    path.write_text("some text\n" * 100)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "notes").write_text("x")


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize("make", [_text, Path.touch, _folder, _dangling, Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("elastic", [False, True])
def test_creating_over_something(path: Path, make: Callable[[Path], None], elastic: bool) -> None:
    make(path)
    before = path.lstat()
    with pytest.raises(pmemobj.PoolExistsError, match="exists") as caught:
        pmemobj.create(path, elastic=elastic)
    assert isinstance(caught.value, FileExistsError)
    assert caught.value.filename == str(path)
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_creating_over_a_pool(closed: Path) -> None:
    with pytest.raises(pmemobj.PoolExistsError):
        pmemobj.create(closed)
    assert content(closed) == {"kept": [1, 2, 3]}


@pytest.mark.parametrize("flag", ["w", "c"])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_text, "no libpmemobj pool"),
        (Path.touch, "no libpmemobj pool"),
        (_folder, "no elastic pool"),
        (Path.mkdir, "no elastic pool"),
        (os.mkfifo, "no ordinary file"),
    ],
)
def test_opening_what_is_no_pool(
    path: Path, make: Callable[[Path], None], what: str, flag: str
) -> None:
    make(path)
    with pytest.raises(pmemobj.NotAPoolError, match=what) as caught:
        pmemobj.PersistentObjectPool(path, flag)
    assert isinstance(caught.value, OSError)
    assert caught.value.filename == str(path)


def test_opening_a_device() -> None:
    with pytest.raises(pmemobj.NotAPoolError, match="no ordinary file"):
        pmemobj.open("/dev/zero")


@pytest.mark.parametrize("flag", ["w", "c"])
def test_opening_a_link_that_leads_nowhere(path: Path, flag: str) -> None:
    _dangling(path)
    with pytest.raises((pmemobj.PoolNotFoundError), match="symbolic link"):
        pmemobj.PersistentObjectPool(path, flag)


def test_a_loop_of_links(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(pmemobj.PoolSystemError) as caught:
        pmemobj.open(path)
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize(
    "length", [1, 7, 8, 100, 4096, 5000, 8192, MIB, 4 * MIB, SIZE - 4096, SIZE - 1]
)
def test_a_truncated_pool(closed: Path, length: int) -> None:
    os.truncate(closed, length)
    with pytest.raises(pmemobj.NotAPoolError) as caught:
        pmemobj.open(closed)
    assert str(closed) in str(caught.value)
    assert closed.stat().st_size == length


@pytest.mark.parametrize("length", [SIZE, 12 * MIB, 16 * MIB - 4096])
def test_a_larger_pool_truncated(path: Path, length: int) -> None:
    pmemobj.create(path, 16 * MIB).close()
    os.truncate(path, length)
    with pytest.raises(pmemobj.NotAPoolError, match=r"truncated|too small|size"):
        pmemobj.open(path)


@pytest.mark.parametrize("start", [0, 16, 4096, 5120])
def test_a_pool_with_a_damaged_header(closed: Path, start: int) -> None:
    with open(closed, "r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * 64)
    with pytest.raises((pmemobj.NotAPoolError, pmemobj.LayoutError, pmemobj.PoolSystemError)):
        pmemobj.open(closed)


def test_a_pool_of_another_program(path: Path) -> None:
    library = ctypes.CDLL("libpmemobj.so.1", use_errno=True)
    library.pmemobj_create.restype = ctypes.c_void_p
    library.pmemobj_create.argtypes = [
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
    ]
    library.pmemobj_close.argtypes = [ctypes.c_void_p]
    made = library.pmemobj_create(bytes(path), b"shopping", SIZE, 0o600)
    assert made, ctypes.get_errno()
    library.pmemobj_close(made)
    before = path.read_bytes()
    with pytest.raises(pmemobj.LayoutError, match="shopping") as caught:
        pmemobj.open(path)
    assert isinstance(caught.value, OSError)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before


ROOT_BLOCK = b"PMEMOBJ1\3\0\0\0"  # its magic and the layout's version


@pytest.mark.parametrize("other", [b"\2", b"\4"])
def test_another_layout_version(closed: Path, other: bytes) -> None:
    patch(closed, ROOT_BLOCK, b"PMEMOBJ1" + other + b"\0\0\0")
    with pytest.raises(pmemobj.LayoutError, match="layout version") as caught:
        pmemobj.open(closed)
    assert str(closed) in str(caught.value)
    patch(closed, b"PMEMOBJ1" + other + b"\0\0\0", ROOT_BLOCK)
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean


def test_a_root_block_of_nonsense(closed: Path) -> None:
    patch(closed, ROOT_BLOCK, b"nonsense\3\0\0\0")
    with pytest.raises(pmemobj.PoolCorruptedError, match="no pmemobj root block") as caught:
        pmemobj.open(closed)
    assert caught.value.filename == str(closed)


AS_NOBODY = """
    import os, sys
    import resource, pmemobj, pmemobj.making  # they may be out of reach later
    open("/proc/self/status", encoding="ascii").close()  # the codec may be out of reach later
    os.setgid(65534), os.setuid(65534)
    use, path = getattr(pmemobj, sys.argv[1]), sys.argv[2]
    try:
        use(path)
    except pmemobj.PoolPermissionError as error:
        assert isinstance(error, PermissionError)
        assert error.filename in (path, os.path.dirname(path)), error.filename
        print(error)
"""


@pytest.fixture
def common() -> Iterator[Path]:
    """A directory that every user can reach."""
    folder = Path("/tmp") / f"pmemobj-test-{os.getpid()}"
    folder.mkdir(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o622])
@pytest.mark.parametrize("elastic", [False, True])
def test_no_permission_to_open(common: Path, mode: int, elastic: bool) -> None:
    pmemobj.create(common / "a", mode=mode, elastic=elastic).close()
    assert "read and write" in run(AS_NOBODY, "open", common / "a")
    assert content(common / "a") is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_no_permission_to_create(common: Path) -> None:
    assert "write to the directory" in run(AS_NOBODY, "create", common / "a")
    assert list(common.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_no_permission_to_grow(common: Path) -> None:
    folder = common / "a"
    pmemobj.create(folder, elastic=True).close()
    for name, _, files in os.walk(folder):
        for file in files:
            os.chown(os.path.join(name, file), NOBODY, NOBODY)
    (folder / "pool.set").write_text("another text\n")
    assert "read and write" in run(AS_NOBODY, "open", folder)


# ---- closing ----


def test_close_is_idempotent(path: Path) -> None:
    pool = pmemobj.create(path)
    pool.close()
    assert pool.closed
    pool.close()
    with pmemobj.open(path) as again:
        assert again.recovery == pmemobj.Recovery()


def test_the_context_manager_closes(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), pmemobj.create(path) as pool:
        pool.root = [1]
        raise ZeroDivisionError
    assert pool.closed
    with pytest.raises(pmemobj.PoolClosedError), pool:
        pass
    with pmemobj.open(path) as again:
        assert again.recovery.clean
        assert again.root == [1]


class Point(pmemobj.PersistentObject):
    def __init__(self) -> None:
        self.x = 1


USES_OF_A_POOL: dict[str, Callable[[Any], Any]] = {
    "root": lambda pool: pool.root,
    "set root": lambda pool: setattr(pool, "root", 1),
    "set root to a list": lambda pool: setattr(pool, "root", [1]),
    "new": lambda pool: pool.new(pmemobj.PersistentList),
    "gc": lambda pool: pool.gc(),
    "check": lambda pool: pool.check(),
    "transaction": lambda pool: pool.transaction().begin(),
    "durability": lambda pool: pool.durability,
    "nominate": lambda pool: pool.persist_via_pickle(complex),
    "enter": lambda pool: pool.__enter__(),
    "persist": lambda pool: pool.mm.persist("x" * 100),
    "persist an int": lambda pool: pool.mm.persist(5),
    "resurrect": lambda pool: pool.mm.resurrect((pool.mm.uuid_lo, 1 << 22)),
    "resurrect an int": lambda pool: pool.mm.resurrect((4, 5)),
    "incref": lambda pool: pool.mm.incref((pool.mm.uuid_lo, 1 << 22)),
    "decref": lambda pool: pool.mm.decref((pool.mm.uuid_lo, 1 << 22)),
    "direct": lambda pool: pool.mm.direct((pool.mm.uuid_lo, 1 << 22)),
    "alloc": lambda pool: pool.mm.alloc(10),
    "free": lambda pool: pool.mm.free((pool.mm.uuid_lo, 1 << 22)),
    "realloc": lambda pool: pool.mm.realloc((pool.mm.uuid_lo, 1 << 22), 5),
    "type_num": lambda pool: pool.mm.type_num((pool.mm.uuid_lo, 1 << 22)),
    "usable_size": lambda pool: pool.mm.usable_size((pool.mm.uuid_lo, 1 << 22)),
    "snapshot": lambda pool: pool.mm.snapshot_range(pool.mm._base + (1 << 22), 8),
}


@pytest.mark.parametrize("use", USES_OF_A_POOL.values(), ids=list(USES_OF_A_POOL))
def test_every_use_of_a_closed_pool_raises(path: Path, use: Callable[[Any], Any]) -> None:
    pool = pmemobj.create(path)
    pool.close()
    with pytest.raises(pmemobj.PoolClosedError) as caught:
        use(pool)
    assert isinstance(caught.value, ValueError)


def test_what_a_closed_pool_still_tells(path: Path) -> None:
    pool = pmemobj.create(path)
    pool.close()
    assert pool.path == str(path)
    assert pool.recovery.clean
    assert "closed" in repr(pool)


def test_every_use_of_its_objects_raises(path: Path) -> None:
    with pmemobj.create(path) as pool:
        pool.root = {"list": [1, 2, 3], "set": {1}, "tuple": (1, [2]), "dict": {"a": 1}}
        pool.root["point"] = pool.new(Point)
        root = pool.root
        parts = {key: root[key] for key in root}
        warm = (root["list"][1], root["dict"]["a"], root["point"].x, 1 in root["set"])
        flights: list[Iterator[Any]] = [iter(root[key]) for key in ("list", "dict", "set")]
        flights += [iter(root["dict"].items()), reversed(root["list"])]
        for flight in flights[:2]:
            next(flight)
    assert warm == (2, 1, 1, True)
    point = parts["point"]
    uses: list[Callable[[], Any]] = [
        lambda: root["list"],
        lambda: root.get("list"),
        lambda: "list" in root,
        lambda: len(root),
        lambda: list(root),
        lambda: parts["list"][1],
        lambda: parts["list"].append(1),
        lambda: parts["list"] == [1],
        lambda: parts["dict"]["a"],
        lambda: parts["dict"].update(a=2),
        lambda: parts["dict"].update(a=[2]),
        lambda: parts["set"].add(1),
        lambda: parts["set"].add(2),
        lambda: 1 in parts["set"],
        lambda: parts["tuple"][1][0],
        lambda: point.x,
        lambda: setattr(point, "x", 1),
        lambda: delattr(point, "x"),
        lambda: root.clear(),
        lambda: pmemobj.plain(root),
        *(lambda flight=flight: next(flight) for flight in flights),
    ]
    for number, use in enumerate(uses):
        with pytest.raises(pmemobj.PoolClosedError):
            pytest.fail(f"use {number} gave {use()!r}")


def test_objects_of_a_closed_pool_put_into_another(tmp_path: Path) -> None:
    with pmemobj.create(tmp_path / "a") as pool:
        pool.root = [1]
        root = pool.root
    with pmemobj.create(tmp_path / "b") as other:
        other.root = []
        with pytest.raises(pmemobj.PoolClosedError):
            other.root.append(root)


def test_a_transaction_on_a_pool_closed_within(closed: Path) -> None:
    pool = pmemobj.open(closed)
    with pytest.raises(pmemobj.PoolClosedError, match="rolled back"), pool.transaction():
        pool.root["kept"].append(4)
        pool.close()
    with pmemobj.open(closed) as again:
        assert again.recovery.clean
        assert again.root == {"kept": [1, 2, 3]}


# ---- the end of a process ----


def test_the_interpreters_exit_closes(closed: Path) -> None:
    run(
        """
        import sys, pmemobj
        pool = pmemobj.open(sys.argv[1])
        pool.root["kept"].append(4)
        """,
        closed,
    )
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean
        assert pool.root["kept"] == [1, 2, 3, 4]


def test_the_exit_closes_a_pool_that_only_its_objects_keep(closed: Path) -> None:
    run(
        """
        import gc, sys, pmemobj
        keep = pmemobj.open(sys.argv[1]).root
        gc.collect()
        keep["kept"].append(4)
        """,
        closed,
    )
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean
        assert pool.root["kept"] == [1, 2, 3, 4]


def test_the_exit_rolls_an_open_transaction_back(closed: Path) -> None:
    run(
        """
        import sys, pmemobj
        pool = pmemobj.open(sys.argv[1])
        pool.root["kept"].append(4)
        pool.transaction().begin()
        pool.root["kept"].append(5)
        """,
        closed,
    )
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean
        assert pool.root["kept"] == [1, 2, 3, 4]


def test_the_exit_does_not_wait_for_another_threads_transaction(closed: Path) -> None:
    run(
        """
        import sys, threading, pmemobj
        pool = pmemobj.open(sys.argv[1])
        begun = threading.Event()
        def work():
            with pool.transaction():
                pool.root["kept"].append(5)
                begun.set()
                threading.Event().wait()
        threading.Thread(target=work, daemon=True).start()
        begun.wait(30)
        """,
        closed,
    )
    with pmemobj.open(closed) as pool:
        assert not pool.recovery.clean
        assert pool.recovery.transactions_rolled_back == 1
        assert pool.root["kept"] == [1, 2, 3]


def test_a_dropped_pool_is_closed(closed: Path) -> None:
    pool = pmemobj.open(closed)
    pool.root["kept"].append(4)
    del pool
    gc.collect()
    with pmemobj.open(closed) as again:
        assert again.recovery.clean
        assert again.root["kept"] == [1, 2, 3, 4]


def test_killed_between_transactions(closed: Path) -> None:
    die_with_pool_open(closed, "pool.root['kept'].append(4)")
    with pmemobj.open(closed) as pool:
        assert pool.recovery == pmemobj.Recovery(clean=False)
        assert pool.root["kept"] == [1, 2, 3, 4]
        assert pool.check().ok
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean


def test_killed_inside_a_transaction(closed: Path) -> None:
    die_with_pool_open(closed, "pool.transaction().begin(); pool.root['kept'].append(['x' * 100])")
    with pmemobj.open(closed) as pool:
        assert pool.recovery == pmemobj.Recovery(clean=False, transactions_rolled_back=1)
        assert pool.root["kept"] == [1, 2, 3]


def test_killed_with_garbage_about(closed: Path) -> None:
    die_with_pool_open(
        closed, "pool.root['ring'] = ring = []; r = pool.root.pop('ring'); r.append(r)"
    )
    with pmemobj.open(closed) as pool:
        assert not pool.recovery.clean
        assert pool.recovery.objects_collected == 2  # the list and its storage
        assert pool.check().garbage == 0


def test_missing_classes_are_told(closed: Path) -> None:
    die_with_pool_open(
        closed,
        "exec('class Gone(pmemobj.PersistentObject): pass\\n'\n"
        "'pool.root[\"it\"] = pool.new(Gone)')",
    )
    with pmemobj.open(closed) as pool:
        assert not pool.recovery.clean
        assert pool.recovery.classes_missing == ("__main__:Gone",)
    with pmemobj.open(closed) as pool:
        assert pool.recovery.clean
        assert pool.recovery.classes_missing == ("__main__:Gone",)


# ---- what is on the disk ----

CACHESTAT = 451  # the same number on every architecture
RUN_TIME = 8192
"""Bytes at the start in which libpmemobj keeps pointers, which it resets after the last write."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """A directory on a disk, while other tests' files may be kept in memory."""
    with tempfile.TemporaryDirectory(prefix="pmemobj-test-", dir="/var/tmp") as made:
        name = subprocess.run(
            ["stat", "-f", "-c", "%T", made],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout.strip()
        if name in ("tmpfs", "ramfs", "overlayfs"):
            pytest.skip(f"/var/tmp is on {name}, which has no disk of its own")
        yield Path(made)


def unwritten(path: Path) -> int:
    """Pages of the pool's file, past RUN_TIME, that the kernel has not written to the disk."""

    class Range(ctypes.Structure):
        _fields_ = [("at", ctypes.c_uint64), ("size", ctypes.c_uint64)]

    class Pages(ctypes.Structure):
        names = ("cached", "dirty", "being_written", "evicted", "recently")
        _fields_ = [(name, ctypes.c_uint64) for name in names]

    found = Pages()
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file:
        if libc.syscall(
            CACHESTAT, file.fileno(), ctypes.byref(Range(RUN_TIME, 0)), ctypes.byref(found), 0
        ):
            pytest.skip("this kernel has no cachestat")
    return found.dirty + found.being_written


@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("how", ["close", "with", "exit"])
def test_closing_leaves_everything_on_the_disk(
    disk: Path, durability: str, elastic: bool, how: str
) -> None:
    path = disk / "p.pmem"
    run(
        """
        import sys, pmemobj
        path, durability, elastic, how = sys.argv[1:]
        pool = pmemobj.create(path, durability=durability, elastic=elastic == "True")
        pool.root = [b"x" * 3_000_000, list(range(1000))]
        pool.root.append(1)
        if how == "close":
            pool.close()
        elif how == "with":
            with pool:
                pool.root.append(2)
        """,
        path,
        durability,
        elastic,
        how,
    )
    for file in poolfile.locate(path).files():
        assert unwritten(Path(file)) == 0


def test_what_is_not_closed_is_not_written_at_once(disk: Path) -> None:
    """What the test above looks at does change; where it does not, the test shows nothing."""
    path = disk / "p.pmem"
    with pmemobj.create(path) as pool:
        before = unwritten(path)
        pool.root = [b"x" * 3_000_000]
        assert unwritten(path) > before + 500
    assert unwritten(path) == 0


# ---- another boot ----


def test_unclean_and_another_boot_is_verified(closed: Path) -> None:
    die_with_pool_open(closed, "pool.root['kept'].append(4)")
    plant_another_boot(closed)
    with pmemobj.open(closed) as pool:
        assert pool.recovery == pmemobj.Recovery(clean=False, verified=True)
        assert pool.root["kept"] == [1, 2, 3, 4]


def test_clean_and_another_boot_is_not(closed: Path) -> None:
    plant_another_boot(closed)
    with pmemobj.open(closed) as pool:
        assert pool.recovery == pmemobj.Recovery()


def test_power_and_another_boot_is_not(closed: Path) -> None:
    pmemobj.open(closed, durability="power").close()
    run(
        """
        import os, sys, pmemobj
        pool = pmemobj.open(sys.argv[1], durability="power")
        os._exit(0)
        """,
        closed,
    )
    plant_another_boot(closed)
    with pmemobj.open(closed) as pool:
        assert pool.recovery == pmemobj.Recovery(clean=False)


def test_unclean_another_boot_and_damage_is_refused_for_ever(closed: Path) -> None:
    with pmemobj.open(closed) as pool:
        pool.root["kept"].append("a string that is found again")
    die_with_pool_open(closed)
    plant_another_boot(closed)
    patch(closed, b"string that is found", b"str\xffng that is found")
    damaged = closed.read_bytes()
    for _ in range(2):
        with pytest.raises(pmemobj.PoolCorruptedError, match="Nothing was changed") as caught:
            pmemobj.open(closed)
        assert caught.value.filename == str(closed)
        assert isinstance(caught.value, OSError)
    after = closed.read_bytes()
    heap = after.index(b"MEMORY_HEAP_HDR")  # before it lies libpmemobj's own run-time state
    assert after[heap:] == damaged[heap:]
    patch(closed, b"str\xffng that is found", b"string that is found")
    with pmemobj.open(closed) as pool:
        assert pool.recovery.verified
        assert pool.root["kept"][3] == "a string that is found again"


def test_damage_of_the_type_table_leaves_an_unclean_pool_unclean(closed: Path) -> None:
    with pmemobj.open(closed) as pool:
        pool.root["point"] = pool.new(Point)
    die_with_pool_open(closed)
    name = f"{Point.__module__}:Point".encode()
    garbage = bytes(range(0xC0, 0xC0 + len(name)))
    patch(closed, name, garbage)
    for _ in range(2):
        with pytest.raises(pmemobj.PoolCorruptedError):
            pmemobj.open(closed)
    patch(closed, garbage, name)
    with pmemobj.open(closed) as pool:
        assert not pool.recovery.clean


# ---- one user at a time ----

HOLD = """
    import sys, pmemobj
    pool = pmemobj.PersistentObjectPool(sys.argv[1], "c")
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("use", [pmemobj.open, lambda p: pmemobj.PersistentObjectPool(p, "c")])
def test_locked_by_another_process(closed: Path, use: Callable[[Path], Any]) -> None:
    with running(HOLD, closed) as holder:
        with pytest.raises(pmemobj.PoolLockedError, match=f"process {holder.pid}") as caught:
            use(closed)
        error = caught.value
        assert isinstance(error, BlockingIOError)
        assert (error.pid, error.kernel, error.filename) == (holder.pid, False, str(closed))
        assert error.command is not None
        assert "close it there" in str(error)
    assert content(closed) == {"kept": [1, 2, 3]}  # it was killed: so is its lock


def test_locked_by_a_jupyter_kernel(closed: Path) -> None:
    with running(HOLD, closed, "ipykernel_launcher") as holder:
        with pytest.raises(pmemobj.PoolLockedError, match="Jupyter kernel") as caught:
            pmemobj.open(closed)
        assert (caught.value.pid, caught.value.kernel) == (holder.pid, True)
        assert "%pmem_close" in str(caught.value)


def test_locked_by_this_process(closed: Path) -> None:
    with pmemobj.open(closed) as pool:
        with pytest.raises(pmemobj.PoolLockedError, match="this process") as caught:
            pmemobj.open(closed)
        assert caught.value.pid == os.getpid()
        assert pool.root == {"kept": [1, 2, 3]}


def test_an_elastic_pool_is_locked_too(path: Path) -> None:
    with running(HOLD.replace('"c"', '"c", elastic=True'), path) as holder:
        with pytest.raises(pmemobj.PoolLockedError, match=f"process {holder.pid}"):
            pmemobj.open(path)
    assert content(path) is None


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("flag", ["x", "c", "w"])
def test_processes_race_for_a_pool(path: Path, flag: str, elastic: bool) -> None:
    code = """
        import os, sys, pmemobj
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            pool = pmemobj.PersistentObjectPool(sys.argv[1], sys.argv[2], elastic=bool(sys.argv[3]))
        except pmemobj.PoolError as error:
            print(type(error).__name__, flush=True)
        else:
            pool.root = os.getpid()
            print("won", flush=True)
            sys.stdin.readline()
    """
    if flag == "w":
        pmemobj.create(path, elastic=elastic).close()
    with contextlib.ExitStack() as stack:
        arguments = (code, path, flag, "elastic" if elastic else "")
        processes = [stack.enter_context(running(*arguments)) for _ in range(3)]
        for process in processes:
            process.stdin.write("\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        said = [process.stdout.readline().strip() for process in processes]  # type: ignore[union-attr]
        # Whoever made it opens it a moment after its name has appeared.
        beaten = {"PoolLockedError"} | ({"PoolExistsError"} if flag == "x" else set())
        assert said.count("won") == 1
        assert set(said) - {"won"} <= beaten
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        winner = processes[said.index("won")]
        with pytest.raises(pmemobj.PoolLockedError) as caught:
            pmemobj.open(path)
        assert caught.value.pid == winner.pid
        winner.kill()
        winner.wait()
        assert content(path) == winner.pid


def test_a_crash_while_creating_leaves_nothing_there(path: Path) -> None:
    run(
        """
        import os, signal, sys, pmemobj
        from pmemobj import making
        making.publish = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
        pmemobj.create(sys.argv[1])
        """,
        path,
        expected=-signal.SIGKILL,
    )
    assert not path.exists()
    pmemobj.create(path).close()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("elastic", [False, True])
def test_an_interrupted_creation_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, elastic: bool
) -> None:
    def interrupt(*names: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pmemobj.create(path, elastic=elastic)
    assert list(path.parent.iterdir()) == []


def test_opening_in_two_threads(closed: Path) -> None:
    def open_it() -> Any:
        try:
            return pmemobj.open(closed)
        except pmemobj.PoolLockedError as error:
            return error.pid

    results = together(*[open_it] * 4)
    pools = [result for result in results if isinstance(result, pmemobj.PersistentObjectPool)]
    assert len(pools) == 1
    assert [result for result in results if result is not pools[0]] == [os.getpid()] * 3
    pools[0].close()


# ---- elastic pools ----


def test_an_elastic_pool_grows_and_moves(tmp_path: Path) -> None:
    first = tmp_path / "with some space"
    with pmemobj.create(first, elastic=True, mode=0o640) as pool:
        assert pool.elastic
        assert pool.durability == "process"
        assert first.is_dir()
        pool.root = []
        small = sum(file.stat().st_size for file in (first / "parts").iterdir())
        for number in range(5):
            pool.root.append(bytes([number]) * 4 * MIB)
        parts = sorted((first / "parts").iterdir())
        assert len(parts) > 1
        assert sum(file.stat().st_size for file in parts) > small
        assert pool.check().ok
    assert {stat.S_IMODE(file.stat().st_mode) for file in parts} == {0o640 & ~_umask()}

    def sound(folder: Path) -> bool:
        with pmemobj.open(folder) as pool:
            assert pool.elastic
            assert pool.recovery.clean
            return [(len(item), item[0]) for item in pool.root] == [
                (4 * MIB, number) for number in range(5)
            ]

    assert sound(first)
    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    moved = tmp_path / "another place" / "moved"
    moved.parent.mkdir()
    first.rename(moved)
    assert sound(copy)
    assert sound(moved)
    with pmemobj.open(copy) as one:
        one.root[0] = b"changed"
        with pytest.raises(pmemobj.PoolLockedError, match="copy of it") as caught:
            pmemobj.open(moved)
        assert caught.value.pid == os.getpid()
    assert sound(moved)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_killed_elastic_pool_recovers(path: Path) -> None:
    pmemobj.create(path, elastic=True).close()
    die_with_pool_open(
        path,
        "pool.root = [b'x' * (3 << 20) for _ in range(4)]; pool.transaction().begin();"
        "pool.root.clear()",
    )
    with pmemobj.open(path) as pool:
        assert pool.recovery.transactions_rolled_back == 1
        assert [len(item) for item in pool.root] == [3 << 20] * 4
        assert pool.check().ok


def test_an_elastic_pool_without_its_parts(path: Path) -> None:
    pmemobj.create(path, elastic=True).close()
    for part in (path / "parts").iterdir():
        part.unlink()
    with pytest.raises(pmemobj.NotAPoolError, match="without its part files"):
        pmemobj.open(path)
    shutil.rmtree(path / "parts")
    with pytest.raises(pmemobj.NotAPoolError, match="no elastic pool"):
        pmemobj.open(path)


def test_a_full_plain_pool(path: Path) -> None:
    with pmemobj.create(path) as pool:
        pool.root = []
        with pytest.raises(pmemobj.PoolFullError, match="elastic") as caught:
            pool.root.append(b"x" * 32 * MIB)
        assert isinstance(caught.value, MemoryError)
        assert caught.value.requested >= 32 * MIB
        assert 0 < caught.value.free < SIZE
        assert pool.root == []


# ---- durability ----


@pytest.mark.parametrize(
    ("asked", "got"), [("auto", "process"), ("process", "process"), ("power", "power")]
)
def test_the_durability_is_what_was_asked_for(path: Path, asked: str, got: str) -> None:
    with pmemobj.create(path, durability=asked) as pool:
        info = ffi.new("pmo_pool_info *")
        assert lib.pmo_info(pool.mm.ctx, info) == 0
        if info.is_pmem:
            pytest.skip("real persistent memory has one durability")
        assert info.hooked
        assert pool.durability == got
        assert got in repr(pool)


DIRTY_AFTER_COMMITS = """
    import sys, pmemobj
    pool = pmemobj.create(sys.argv[1], durability=sys.argv[2])
    pool.root = [0]
    for number in range(20):
        pool.root[0] = number
    dirty, mine = 0, False
    for line in open("/proc/self/smaps"):
        name, first = line.split()[0], line.split()[1]
        if not name.endswith(":"):
            mine = line.rstrip().endswith(sys.argv[1])
        elif mine and name in ("Private_Dirty:", "Shared_Dirty:"):
            dirty += int(first)
    print(dirty)
"""


def test_power_leaves_less_for_the_kernel_to_write(disk: Path) -> None:
    dirty = {
        durability: int(run(DIRTY_AFTER_COMMITS, disk / durability, durability))
        for durability in ("process", "power")
    }
    assert dirty["power"] < dirty["process"], "kilobytes of the pool not on the disk yet"


@pytest.mark.parametrize("durability", ["process", "power"])
def test_libpmemobj_asks_us_to_make_ranges_durable(path: Path, durability: str) -> None:
    with pmemobj.create(path, durability=durability) as pool:
        pool.root = [0]
        counters = ffi.new("pmo_counters *")
        lib.pmo_count(pool.mm.ctx, counters)
        before = counters.persist_points
        pool.root[0] = 1
        lib.pmo_count(pool.mm.ctx, counters)
        assert counters.persist_points > before


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (4, b"4 nowhere:b Nonsense"),
        (4, b"4   "),
        (4, b"4 \xff\xfe X"),
        (0, b"0 x Persistent"),
        (4, b"4 a:\0 PersistentObject"),
        (2, b"2 a:b PersistentDict"),
        (2, b"2 a:b PersistentObject"),
        (4, b"4 a:b PersistentList"),
    ],
)
def test_a_damaged_type_table_is_told(closed: Path, layout: int, text: bytes) -> None:
    with pmemobj.open(closed) as pool:
        out = ffi.new("uint32_t *")
        assert lib.pmo_type_define(pool.mm.ctx, layout, text, len(text), out) == 0
    with pytest.raises(pmemobj.PoolCorruptedError, match="type 64"):
        pmemobj.open(closed)


def test_a_pool_has_no_attributes_that_would_be_lost(path: Path) -> None:
    with pmemobj.create(path) as pool, pytest.raises(AttributeError, match="runs"):
        pool.runs = []  # type: ignore[attr-defined]
