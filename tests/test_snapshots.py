"""Snapshots and their restoration: what is copied, when it appears, and what is refused."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import run
from ring_buffer import FloatRing
from threads import Worker, paused

import pmemobj
from pmemobj import blocks, copying, drafts, settling, snapshots
from pmemobj.poolfile import PoolFile, boot_id

CONTENT = {"numbers": list(range(2000)), "text": "long enough for the heap " * 3, "set": {1, 2}}
OTHER = ["other"]


@pytest.fixture
def elastic(request: pytest.FixtureRequest) -> bool:
    return bool(getattr(request, "param", False))


both = pytest.mark.parametrize("elastic", [False, True], ids=["file", "directory"], indirect=True)
directory = pytest.mark.parametrize("elastic", [True], ids=["directory"], indirect=True)


@pytest.fixture
def live(tmp_path: Path, elastic: bool) -> Iterator[pmemobj.PersistentObjectPool]:
    """An open pool that holds CONTENT."""
    with pmemobj.create(tmp_path / "live.pmem", elastic=elastic) as pool:
        pool.root = CONTENT
        yield pool


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """Where a copy shall be; nothing but copies is left beside it."""
    folder = tmp_path / "copies"
    folder.mkdir()
    yield folder / "copy.pmem"
    assert {entry.name for entry in folder.iterdir()} <= {"copy.pmem", "other.pmem"}


@pytest.fixture
def other(copy: Path, elastic: bool) -> Path:
    """A closed pool that holds OTHER."""
    path = copy.parent / "other.pmem"
    with pmemobj.create(path, elastic=elastic) as pool:
        pool.root = OTHER
    return path


def content(path: Path, clean: bool = True) -> Any:
    """What a sound pool holds, read in another process: its original may be open in this one."""
    told = run(
        """
        import sys, pmemobj
        with pmemobj.open(sys.argv[1]) as pool:
            assert pool.check().ok
            print(repr((pool.recovery.clean, pmemobj.plain(pool.root))))
        """,
        path,
    )
    found_clean, found = eval(told)
    assert found_clean == clean
    return found


def files(path: Path) -> list[Path]:
    return sorted((path / "parts").iterdir()) if path.is_dir() else [path]


def state(path: Path) -> list[tuple[int, int]]:
    return [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files(path)]


# ---- what is copied ----


@both
def test_a_snapshot_is_a_pool(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    report = live.snapshot(copy)
    assert report.path == str(copy)
    assert report.objects == live.check().objects
    assert report.bytes == sum(file.stat().st_size for file in files(copy))
    assert report.method in ("reflink", "sparse copy")
    assert report.seconds >= report.paused > 0
    assert report.classes_missing == ()
    assert content(copy) == CONTENT


@both
def test_what_is_done_afterwards_is_not_in_it(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    live.snapshot(copy)
    live.root["late"] = 1
    assert content(copy) == CONTENT
    live.snapshot(copy, overwrite=True)
    assert content(copy) == CONTENT | {"late": 1}


def test_changes_of_a_snapshot_are_its_own(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    live.snapshot(copy)
    run(
        """
        import sys, pmemobj
        with pmemobj.open(sys.argv[1]) as pool:
            pool.root["own"] = "x" * 1_000_000
        """,
        copy,
    )
    assert "own" not in live.root
    assert content(copy)["own"]


def test_a_pool_of_several_parts(tmp_path: Path, copy: Path) -> None:
    with pmemobj.create(tmp_path / "live.pmem", elastic=True) as live:
        live.root = [bytes([at]) * 4_000_000 for at in range(1, 5)]
        assert len(files(tmp_path / "live.pmem")) == 2
        report = live.snapshot(copy)
        assert report.bytes == sum(file.stat().st_size for file in files(copy))
        blocks = sum(file.stat().st_blocks for file in files(copy))
        assert 16_000_000 < 512 * blocks < 24_000_000
    shutil.rmtree(tmp_path / "live.pmem")
    with pmemobj.open(copy) as again:
        assert again.root == [bytes([at]) * 4_000_000 for at in range(1, 5)]
        again.root.append(b"x" * 4_000_000)


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system can share blocks."""
    monkeypatch.setattr(blocks, "share", lambda *arguments: False)


@pytest.mark.usefixtures("unshared")
def test_blocks_of_zeros_take_no_room(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    live.snapshot(copy)
    assert 512 * copy.stat().st_blocks < copy.stat().st_size // 2


@both
def test_a_system_that_takes_less_than_it_is_given(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def some(file: int, content: bytes, at: int) -> int:
        return write(file, content[: max(1, len(content) // 2)], at)

    monkeypatch.setattr(os, "pwrite", some)
    live.snapshot(copy)
    monkeypatch.undo()
    assert content(copy) == CONTENT


@both
def test_blocks_that_the_file_system_shares(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sharing looks, from outside, as copying at once does."""

    def share(to: int, source: int) -> bool:
        assert os.fstat(to).st_size == 0
        os.pwrite(to, os.pread(source, os.fstat(source).st_size, 0), 0)
        return True

    monkeypatch.setattr(blocks, "share", share)
    monkeypatch.setattr(copying.FileCopy, "fill", None)
    told: list[tuple[str, int, int | None]] = []
    report = live.snapshot(copy, progress=lambda *step: told.append(step))
    assert report.method == "reflink"
    assert ("copy", report.bytes, report.bytes) in told
    assert content(copy) == CONTENT


def test_a_part_whose_blocks_cannot_be_shared(
    tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied at once; the others are copied later, all the same."""
    shared = iter([True, False] * 2)
    separated: list[copying.FileCopy] = []
    separate = copying.FileCopy.separate

    def share(to: int, source: int) -> bool:
        if not next(shared):
            return False
        os.pwrite(to, os.pread(source, os.fstat(source).st_size, 0), 0)
        return True

    def note(file: copying.FileCopy, told: Any) -> None:
        separated.append(file)
        separate(file, told)

    monkeypatch.setattr(blocks, "share", share)
    monkeypatch.setattr(copying.FileCopy, "separate", note)
    with pmemobj.create(tmp_path / "live.pmem", elastic=True) as pool:
        pool.root = [bytes([at]) * 4_000_000 for at in range(1, 5)]
        assert pool.snapshot(copy).method == "sparse copy"
    assert len(separated) == 1
    with pmemobj.open(copy) as again:
        assert again.root == [bytes([at]) * 4_000_000 for at in range(1, 5)]


def test_sharing_is_refused_by_the_file_system(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> int:
        raise OSError(errno.EIO, "a broken disk")

    monkeypatch.setattr(blocks.fcntl, "ioctl", refuse)
    with pytest.raises(pmemobj.PoolSystemError) as caught:
        live.snapshot(copy)
    assert caught.value.errno == errno.EIO
    assert not copy.exists()


@both
def test_the_mode_is_the_originals_within_the_umask(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    for file in files(Path(live.path)):
        file.chmod(0o664)
    before = os.umask(0o027)
    try:
        live.snapshot(copy)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(copy)} == {0o640}
    if live.elastic:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o750


def test_a_class_with_its_own_layout(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    ring = live.root["ring"] = live.new(FloatRing, 3)
    ring.append(1.5)
    assert live.snapshot(copy).classes_missing == ()


def test_a_class_that_only_this_process_has(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    only = type("Only", (FloatRing,), {"__module__": "nowhere"})
    live.root["ring"] = live.new(only, 3)
    garbage = live.new(pmemobj.PersistentList)
    report = live.snapshot(copy)
    assert report.classes_missing == ("nowhere:Only",)
    assert report.objects > 0
    del garbage, live.root["ring"]
    live.close()
    with pmemobj.open(copy) as again:
        assert not again.recovery.clean


# ---- when it appears ----


@both
def test_progress(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    report = live.snapshot(copy, progress=lambda *step: told.append(step))
    copied = [step for step in told if step[0] == "copy"]
    assert {total for _, _, total in copied} == {report.bytes}
    assert [done for _, done, _ in copied] == sorted(done for _, done, _ in copied)
    assert copied[-1][1] == report.bytes
    assert {phase for phase, _, _ in told} >= {"copy", "verify"}
    del told[:]
    pmemobj.restore(copy, copy.parent / "other.pmem", progress=lambda *step: told.append(step))
    assert ("copy", report.bytes, report.bytes) in told


@both
@pytest.mark.parametrize("replaced", [False, True])
def test_an_interrupt_anywhere_leaves_what_was_there(
    live: pmemobj.PersistentObjectPool, copy: Path, other: Path, replaced: bool
) -> None:
    if replaced:
        shutil.move(other, copy)
    for stop in range(100):
        steps = iter(range(stop))

        def interrupt(*step: object, steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt

        try:
            live.snapshot(copy, overwrite=replaced, progress=interrupt)
            break
        except KeyboardInterrupt:
            assert os.listdir(copy.parent) == [copy.name] if replaced else ["other.pmem"]
    assert stop > 1
    assert content(copy) == CONTENT


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("name", ["pwrite", "ftruncate", "fchmod", "fsync"])
def test_a_full_disk_leaves_what_was_there(
    live: pmemobj.PersistentObjectPool,
    copy: Path,
    other: Path,
    replaced: bool,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if replaced:
        shutil.move(other, copy)

    def fail(*arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(copying.os, name, fail)
        with pytest.raises(pmemobj.PoolSystemError, match="full") as caught:
            live.snapshot(copy, overwrite=replaced)
    assert caught.value.errno == errno.ENOSPC
    if replaced:
        assert content(copy) == OTHER
    else:
        assert not copy.exists()
    live.snapshot(copy, overwrite=True)
    assert content(copy) == CONTENT


@pytest.mark.usefixtures("unshared")
def test_a_change_while_it_is_copied_makes_it_copied_again(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    """Other threads have to wait; the progress function does not."""
    changes = iter(["late"])

    def change(*step: object) -> None:
        for key in changes:
            live.root[key] = 1

    live.snapshot(copy, progress=change)
    assert content(copy) == CONTENT | {"late": 1}


@pytest.mark.usefixtures("unshared")
def test_changes_without_end_while_it_is_copied(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    def change(*step: object) -> None:
        live.root["late"] = step

    with pytest.raises(pmemobj.TransactionError, match="again and again"):
        live.snapshot(copy, progress=change)
    assert not copy.exists()


def test_a_snapshot_while_another_thread_has_a_transaction(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    def work() -> Iterator[None]:
        with live.transaction():
            live.root["half"] = list(range(5000))
            yield
            live.root["other half"] = 1

    with paused(work):
        live.snapshot(copy)
    assert content(copy) == CONTENT
    assert live.root["half"][-1] == 4999
    assert live.root["other half"] == 1


def test_an_array_that_another_thread_is_changing(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    numpy = pytest.importorskip("numpy")
    live.root["array"] = numpy.arange(10_000.0)
    with live.transaction():
        live.root["array"][7] = -1.0

    def work() -> Iterator[None]:
        with live.transaction():
            live.root["array"][:] = 0.0
            yield

    with paused(work):
        live.snapshot(copy)
    live.close()
    expected = numpy.arange(10_000.0)
    expected[7] = -1.0
    with pmemobj.open(copy) as again:
        assert numpy.array_equal(again.root["array"], expected)


def test_every_snapshot_of_a_busy_pool_is_a_state(tmp_path: Path, copy: Path) -> None:
    """Threads move amounts between accounts, and append to lists, while snapshots are made."""
    threads = 3
    with pmemobj.create(tmp_path / "busy.pmem", 32 << 20) as pool:
        pool.root = {"accounts": [1000] * 8, "logs": [[] for _ in range(threads)], "moves": 0}
        ending = threading.Event()
        written = [0] * threads

        def work(number: int) -> None:
            accounts, log = pool.root["accounts"], pool.root["logs"][number]
            while not ending.wait(0.001):
                at = written[number]
                with pool.transaction():
                    accounts[at % 8] -= number + 1
                    accounts[(at + 3) % 8] += number + 1
                    pool.root["moves"] += 1
                log.append(f"{number} wrote {at} and some text that fills the heap")
                written[number] = at + 1

        workers = [Worker(work, number) for number in range(threads)]
        try:
            seen = []
            for _ in range(4):
                before = list(written)
                pool.snapshot(copy, overwrite=True)
                seen.append((before, content(copy), list(written)))
        finally:
            ending.set()
            for worker in workers:
                worker.end()
        assert pool.check().ok
    assert sum(seen[-1][0]) > 0, "nothing was written meanwhile"
    for before, found, after in seen:
        assert sum(found["accounts"]) == 8000
        counts = [len(log) for log in found["logs"]]
        for number, log in enumerate(found["logs"]):
            assert before[number] <= len(log) <= after[number] + 1
            assert [line.split()[2] for line in log] == list(map(str, range(len(log))))
        assert sum(counts) <= found["moves"] <= sum(counts) + threads


# ---- what is refused ----


def test_inside_a_transaction(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    with live.transaction():
        live.root["inside"] = 1
        with pytest.raises(pmemobj.TransactionError, match="inside a transaction"):
            live.snapshot(copy)
    assert live.root["inside"] == 1
    assert not copy.exists()


def test_of_a_closed_pool(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    live.close()
    with pytest.raises(pmemobj.PoolClosedError):
        live.snapshot(copy)


def test_over_something(live: pmemobj.PersistentObjectPool, copy: Path, other: Path) -> None:
    before = state(other)
    for use in (live.snapshot, lambda path: pmemobj.restore(live.path, path)):
        with pytest.raises(pmemobj.PoolExistsError, match=r"overwrite.*replaces"):
            use(other)
    assert state(other) == before


@both
def test_over_itself(live: pmemobj.PersistentObjectPool) -> None:
    with pytest.raises(pmemobj.PoolLockedError) as caught:
        live.snapshot(live.path, overwrite=True)
    assert caught.value.pid == os.getpid()
    assert live.root == CONTENT


@directory
def test_into_itself(live: pmemobj.PersistentObjectPool) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match="own files"):
        live.snapshot(Path(live.path) / "parts" / "copy.pmem")


def test_over_a_directory_that_is_no_pool(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    (copy / "inner").mkdir(parents=True)
    with pytest.raises(pmemobj.NotAPoolError):
        live.snapshot(copy, overwrite=True)
    assert (copy / "inner").is_dir()


def test_over_one_of_the_other_kind(tmp_path: Path, copy: Path) -> None:
    for elastic in (False, True):
        with pmemobj.create(tmp_path / f"{elastic}.pmem", elastic=elastic) as pool:
            pool.root = elastic
            pool.snapshot(copy, overwrite=True)
            assert content(copy) is elastic
    pmemobj.restore(tmp_path / "False.pmem", copy, overwrite=True)
    assert content(copy) is False


def test_directories_that_cannot_be_exchanged(
    tmp_path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "lib", type("Refusing", (), {"pmo_exchange": lambda *a: -12}))
    with pmemobj.create(tmp_path / "live.pmem", elastic=True) as pool:
        pool.snapshot(copy)
        pool.root = 1
        with pytest.raises(pmemobj.PoolSystemError, match="exchange") as caught:
            pool.snapshot(copy, overwrite=True)
    assert caught.value.errno == errno.ENOTSUP
    assert content(copy) is None
    shutil.rmtree(copy)
    with pmemobj.create(tmp_path / "plain.pmem") as pool:
        for value in (1, 2):
            pool.root = value
            pool.snapshot(copy, overwrite=True)
    assert content(copy) == 2


def test_where_no_directory_is(live: pmemobj.PersistentObjectPool, tmp_path: Path) -> None:
    with pytest.raises(pmemobj.PoolNotFoundError, match="directory"):
        live.snapshot(tmp_path / "none" / "copy")
    with pytest.raises(pmemobj.PoolNotFoundError):
        pmemobj.restore(tmp_path / "none", tmp_path / "copy")


def test_of_a_damaged_pool(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    damage(Path(live.path))
    with pytest.raises(pmemobj.PoolCorruptedError, match="no snapshot") as caught:
        live.snapshot(copy)
    assert caught.value.filename == live.path
    assert not copy.exists()


def damage(path: Path) -> None:
    """Change a string; there may be remains of it that are no part of the pool any more."""
    for file in files(path):
        file.write_bytes(file.read_bytes().replace(b"long enough", b"wrong, long"))


@pytest.mark.parametrize("answer", ["", "sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_the_verifying_process_fails(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(settling, "_PROGRAM", f"import os, sys\n{answer}")
    with pytest.raises(pmemobj.PoolSystemError, match=r"ended with status (0|3|-9)"):
        live.snapshot(copy)
    assert not copy.exists()


def test_no_python_to_verify_with(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling.sys, "executable", "")
    with pytest.raises(pmemobj.PoolSystemError, match=r"sys\.executable"):
        live.snapshot(copy)


# ---- the way back ----


@both
def test_restore(live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path) -> None:
    live.snapshot(copy)
    live.root["numbers"].clear()
    before = state(copy)
    report = pmemobj.restore(copy, tmp_path / "restored.pmem")
    assert report.objects == live.check().objects
    assert content(tmp_path / "restored.pmem") == CONTENT
    assert state(copy) == before
    for file in files(tmp_path / "restored.pmem"):
        assert 512 * file.stat().st_blocks >= file.stat().st_size


@both
def test_restore_over_the_pool(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    live.snapshot(copy)
    live.root = None
    with pytest.raises(pmemobj.PoolLockedError):
        pmemobj.restore(copy, live.path, overwrite=True)
    assert live.root is None
    live.close()
    pmemobj.restore(copy, live.path, overwrite=True)
    with pmemobj.open(live.path) as again:
        assert again.root == CONTENT


@both
def test_restore_over_what_was_a_pool(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    live.snapshot(copy)
    live.close()
    for file in files(Path(live.path)):
        os.truncate(file, 5000)
    pmemobj.restore(copy, live.path, overwrite=True)
    assert content(Path(live.path)) == CONTENT


def test_restore_through_a_link(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    live.snapshot(copy)
    live.close()
    (tmp_path / "link").symlink_to(live.path)
    pmemobj.restore(copy, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()


def test_restore_of_a_pool_in_use(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    with pytest.raises(pmemobj.PoolLockedError):
        pmemobj.restore(live.path, copy)


@pytest.mark.parametrize("replaced", [False, True])
def test_restore_of_a_damaged_snapshot(
    live: pmemobj.PersistentObjectPool, copy: Path, other: Path, tmp_path: Path, replaced: bool
) -> None:
    live.snapshot(tmp_path / "snapshot")
    damage(tmp_path / "snapshot")
    target = other if replaced else copy
    with pytest.raises(pmemobj.PoolCorruptedError, match="snapshot is damaged"):
        pmemobj.restore(tmp_path / "snapshot", target, overwrite=replaced)
    assert not copy.exists()
    assert content(other) == OTHER


@both
def test_restore_of_a_read_only_snapshot(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    live.snapshot(copy)
    for file in files(copy):
        file.chmod(0o444)
    pmemobj.restore(copy, tmp_path / "restored.pmem")
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(tmp_path / "restored.pmem")} == {
        0o644
    }


@both
def test_restore_of_a_copy_of_a_pool_that_died(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    """What ``cp`` makes of a pool that nobody was at work on, but that is marked as open."""
    (shutil.copytree if live.elastic else shutil.copyfile)(live.path, tmp_path / "dead")
    pmemobj.restore(tmp_path / "dead", copy)
    assert content(copy) == CONTENT


def test_a_disk_without_room_for_the_pool(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.snapshot(copy)

    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copying.os, "posix_fallocate", fail)
    with pytest.raises(pmemobj.PoolSystemError, match="full"):
        pmemobj.restore(copy, copy.parent / "other.pmem")
    assert not (copy.parent / "other.pmem").exists()


@both
def test_an_opened_snapshot_has_all_its_blocks(
    live: pmemobj.PersistentObjectPool, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store to a page without a block kills the process when the disk is full."""
    live.snapshot(copy)
    live.close()
    sparse = [file.stat().st_blocks for file in files(copy)]

    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        with pytest.raises(pmemobj.PoolSystemError, match="scratch=True"):
            pmemobj.open(copy)
        with pmemobj.open(copy, scratch=True) as pool:
            assert pool.root["set"] == CONTENT["set"]
    assert [file.stat().st_blocks for file in files(copy)] == sparse
    with pmemobj.open(copy) as pool:
        assert pool.root["set"] == CONTENT["set"]
        for file in files(copy):
            assert 512 * file.stat().st_blocks >= file.stat().st_size


def test_a_module_that_prints(
    live: pmemobj.PersistentObjectPool,
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process that verifies the copy imports it; what it prints is no answer."""
    source = "from ring_buffer import FloatRing\nclass Ring(FloatRing): pass\nprint('[', end='')\n"
    (tmp_path / "printing.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    live.root["ring"] = live.new(importlib.import_module("printing").Ring, 3)
    assert live.snapshot(copy).classes_missing == ()


# ---- drafts ----


def test_what_a_killed_process_left_is_removed(
    live: pmemobj.PersistentObjectPool, copy: Path, other: Path
) -> None:
    left = copy.parent / ".pmemobj-0123.draft"
    (left / "inner").mkdir(parents=True)
    (left / "new").write_text("half")
    live.snapshot(copy)
    assert not left.exists()


def test_the_draft_of_a_process_at_work_stays(
    live: pmemobj.PersistentObjectPool, copy: Path
) -> None:
    found = []

    def another(*step: object) -> None:
        if not found:
            found.extend(entry for entry in os.listdir(copy.parent) if entry.endswith(".draft"))
            pmemobj.create(copy.parent / "other.pmem").close()
            assert set(found) <= set(os.listdir(copy.parent))

    live.snapshot(copy, progress=another)
    assert len(found) == 1
    assert copy.exists()


def test_a_planted_link_is_not_followed(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    planted = copy.parent / ".pmemobj-0123.draft"
    planted.symlink_to(precious)
    live.snapshot(copy)
    assert (precious / "file").read_text() == "kept"
    planted.unlink()


def test_drafts_are_private(live: pmemobj.PersistentObjectPool, copy: Path) -> None:
    modes = set()

    def look(*step: object) -> None:
        for entry in copy.parent.iterdir():
            if entry.name.endswith(".draft"):
                modes.add(stat.S_IMODE(entry.stat().st_mode))

    before = os.umask(0)
    try:
        live.snapshot(copy, progress=look)
    finally:
        os.umask(before)
    assert modes == {0o700}


# ---- finding them again, when the pool is lost ----


def lose(path: Path) -> None:
    """Another boot, and pages that do not fit together."""
    run(
        """
        import os, sys, pmemobj
        pool = pmemobj.open(sys.argv[1])
        os._exit(0)
        """,
        path,
    )
    this = boot_id().encode()
    for file in files(path):
        file.write_bytes(file.read_bytes().replace(this, this[::-1]))
    damage(path)


@both
def test_a_lost_pool_names_its_newest_good_snapshot(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    for name in ("oldest", "newest", "damaged"):
        live.root["name"] = name
        live.snapshot(tmp_path / name)
    damage(tmp_path / "damaged")
    stranger = pmemobj.create(tmp_path / "of another pool")
    stranger.close()
    live.close()
    before = state(tmp_path / "newest")
    lose(Path(live.path))
    with pytest.raises(pmemobj.PoolCorruptedError, match="newest good snapshot") as caught:
        pmemobj.open(live.path)
    assert caught.value.snapshot == str(tmp_path / "newest")
    assert f"restore({caught.value.snapshot!r}, {live.path!r}, overwrite=True)" in str(caught.value)
    assert state(tmp_path / "newest") == before
    pmemobj.restore(caught.value.snapshot, live.path, overwrite=True)
    with pmemobj.open(live.path) as again:
        assert again.root["name"] == "newest"


def test_a_lost_pool_without_snapshots(live: pmemobj.PersistentObjectPool, tmp_path: Path) -> None:
    pmemobj.create(tmp_path / "of another pool").close()
    live.close()
    lose(Path(live.path))
    with pytest.raises(pmemobj.PoolCorruptedError, match="No good snapshot") as caught:
        pmemobj.open(live.path)
    assert caught.value.snapshot is None


def test_snapshots_elsewhere_are_remembered(
    live: pmemobj.PersistentObjectPool, copy: Path, tmp_path: Path
) -> None:
    try:
        os.setxattr(live.path, "user.pmemobj.test", b"")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    for number in (*range(10), 5):
        live.snapshot(tmp_path / str(number) / "copy", overwrite=True)
    live.close()
    with open(live.path, "r+b") as file:
        file.write(bytes(4096))
    for expected in ("5", "9", "8"):
        with pytest.raises(pmemobj.NotAPoolError):
            pmemobj.open(live.path)
        assert snapshots.newest_good(PoolFile(live.path)) == str(tmp_path / expected / "copy")
        (tmp_path / expected / "copy").unlink()


def test_a_pool_that_libpmemobj_refuses_names_a_snapshot(
    live: pmemobj.PersistentObjectPool, tmp_path: Path
) -> None:
    live.snapshot(tmp_path / "snapshot")
    live.close()
    with open(live.path, "r+b") as file:
        file.seek(200)
        file.write(b"damage in the header")
    with pytest.raises(pmemobj.NotAPoolError, match=r"newest good snapshot is .*/snapshot"):
        pmemobj.open(live.path)
