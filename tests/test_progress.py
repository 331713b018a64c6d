"""Long work tells whoever watches, and stops where it is told to."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest

import pmemobj
from pmemobj.progress import watch


@pytest.fixture
def told():
    """(work, phase, done, total) of each report; the works that have ended."""
    reports, ended = [], []

    @contextlib.contextmanager
    def watcher(work):
        yield lambda phase, done, total: reports.append((work, phase, done, total))
        ended.append(work)

    watch(watcher)
    yield reports, ended
    watch(None)


@pytest.fixture
def stopped():
    """Has the first report interrupt the work, as Ctrl-C does."""

    @contextlib.contextmanager
    def watcher(work):
        def report(phase, done, total):
            raise KeyboardInterrupt

        yield report

    watch(watcher)
    yield
    watch(None)


MANY = [[Decimal(number)] for number in range(10_000)]


def test_work_on_a_pool_is_told(pool, told, tmp_path):
    reports, ended = told
    pool.root["lists"] = MANY
    pool.gc()
    pool.check()
    pool.snapshot(tmp_path / "copy.pmem")
    pmemobj.restore(tmp_path / "copy.pmem", tmp_path / "back.pmem")
    works = {work for work, *_ in reports}
    assert works == {"storing", "collecting", "checking", "snapshot", "restoring"}
    assert set(ended) == works
    for _, _, done, total in reports:
        assert 0 <= done <= (done if total is None else total)


def test_storing_plain_data_in_one_piece_is_told(pool, told, monkeypatch):
    monkeypatch.setattr("pmemobj.progress._INTERVAL", 0.0001)
    monkeypatch.setattr("pmemobj.staging._LARGE", 1 << 20)
    reports, ended = told
    plain = [[number, str(number)] for number in range(100_000)]
    pool.root["plain"] = plain
    done = [done for work, phase, done, _ in reports if (work, phase) == ("storing", "writing")]
    assert done == sorted(done)
    assert ended == ["storing"]
    total = {total for *_, total in reports}
    assert len(total) == 1
    assert max(done) <= max(total)
    assert len(pool.root["plain"]) == len(plain)


def test_a_progress_function_of_ones_own_is_told_instead(pool, told):
    reports, _ = told
    mine = []
    pool.root["lists"] = [[number] for number in range(30_000)]
    pool.gc(progress=lambda *step: mine.append(step))
    pool.check(progress=lambda *step: mine.append(step))
    assert {phase for phase, _, _ in mine} >= {"mark", "verify"}
    assert "checking" not in {work for work, *_ in reports}


def test_storing_that_is_stopped_leaves_nothing(pool, stopped):
    used = pmemobj.checker.check_pool(pool.mm).objects
    with pytest.raises(KeyboardInterrupt):
        pool.root["lists"] = MANY
    watch(None)
    assert "lists" not in pool.root
    assert pool.check().objects == used
    pool.root["lists"] = MANY
    assert len(pool.root["lists"]) == len(MANY)


@pytest.mark.parametrize("work", ["gc", "check", "snapshot"])
def test_work_that_is_stopped_leaves_the_pool_whole(pool, tmp_path, work):
    pool.root["lists"] = [[number] for number in range(30_000)]
    stop = {"gc": pool.gc, "check": pool.check}.get(
        work, lambda progress: pool.snapshot(tmp_path / "copy.pmem", progress=progress)
    )

    def interrupt(*_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop(progress=interrupt)
    assert not (tmp_path / "copy.pmem").exists()
    assert pool.check().ok
    assert len(pool.root["lists"]) == 30_000


def test_restoring_that_is_stopped_leaves_no_pool(pool, tmp_path):
    pool.snapshot(tmp_path / "copy.pmem")

    def interrupt(*_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pmemobj.restore(tmp_path / "copy.pmem", tmp_path / "back.pmem", progress=interrupt)
    assert not (tmp_path / "back.pmem").exists()
