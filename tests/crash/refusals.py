"""A disk that refuses: what an operation does when one of its calls to the system fails.

Run by test_refusals.py with the library of refusing.c preloaded:

    python refusals.py DIRECTORY NAME ERRNO STRIDE

For every STRIDE-th call of the operation that writes to the disk: a child does the operation,
that call fails, once or with all that follow, and the child tells what came of it. Then, with a
disk that works again, the pool must hold what it held, or what was committed. Writes one JSON
object to standard output.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from processes import SANITIZED

import pmemobj

FOREVER = (1 << 63) - 1
SECONDS = 60
DEATHS = (-signal.SIGABRT, 1 if SANITIZED else -signal.SIGSEGV)
DIED = "the process died"
BEFORE = {"list": [1, "a string that is too long for a cell"], "dict": {"a": 1}}
LATER = "made when the disk worked again"


@functools.cache
def shim() -> ctypes.CDLL:
    """The functions of refusing.c."""
    found = ctypes.CDLL(None)
    found.refuse.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_int)
    found.refuse_failed.restype = ctypes.c_long
    found.refuse_names.restype = ctypes.c_char_p
    return found


class Outcome(NamedTuple):
    """What a child tells.

    Attributes:
        calls: the names of those that write to the disk.
        refused: how many of them failed.
        error: of the operation; None: it succeeded all the same.
        committed: operations of it that had reported success.
        alien: a traceback, where the error is none of pmemobj's, or the child had another.
    """

    calls: tuple[str, ...]
    refused: int
    error: str | None
    committed: int
    alien: str | None


class Case(NamedTuple):
    """An operation on the directory that it is given, and what must be there afterwards.

    Attributes:
        prepare: makes the pools that it needs.
        ready: opens what shall be open when the disk begins to refuse.
        operate: generator function of what is ready: yields after each commit.
        verify: of the directory, how many commits were told of, and whether all went well.
        deadly: the call at which libpmemobj itself ends the process.
    """

    prepare: Callable[[Path], None]
    ready: Callable[[Path], Any]
    operate: Callable[[Any], Any]
    verify: Callable[[Path, int, bool], None]
    deadly: str = ""


def read(path: Path) -> Any:
    """What a pool holds that is sound and of use."""
    with pmemobj.open(path) as pool:
        report = pool.check()
        assert report.ok, report.problems
        assert report.garbage == 0
        found = pmemobj.plain(pool.root)
        pool.root = [pool.root, LATER]
    with pmemobj.open(path) as pool:
        assert pool.recovery.clean
        assert pool.root[1] == LATER
        pool.root = pool.root[0]
    return found


def make(path: Path, root: Any = None, elastic: bool = False) -> None:
    with pmemobj.create(path, elastic=elastic) as pool:
        pool.root = BEFORE if root is None else root


def child(case: Case, directory: Path, span: tuple[int, int, int]) -> Outcome:
    """In a process of its own: the operation, with the calls in *span* failing."""
    ready = case.ready(directory)
    committed, error, alien = 0, None, None
    shim().refuse(*span)
    try:
        for _ in case.operate(ready):
            committed += 1
    except pmemobj.PmemobjError as caught:
        error = f"{type(caught).__name__}: {caught}"
    except BaseException:
        alien = traceback.format_exc()
    calls = tuple(shim().refuse_names().decode().split())
    refused = shim().refuse_failed()
    shim().refuse(0, 0, 0)
    if alien is None and isinstance(ready, pmemobj.PersistentObjectPool) and span[0] % 2:
        alien = aftermath(ready)
    return Outcome(calls, refused, error, committed, alien)


def aftermath(pool: pmemobj.PersistentObjectPool) -> str | None:
    """Use a pool whose disk has refused something, then close it: it works, or says no."""
    try:
        for use in (
            lambda: pool.root.__setitem__("more", 1),
            lambda: pool.transaction().__enter__().__exit__(None, None, None),
            pool.gc,
            pool.check,
            pool.close,
            pool.close,
        ):
            with suppress(pmemobj.PmemobjError, TypeError):  # the root may be a list
                use()
        assert pool.closed
    except BaseException:
        return traceback.format_exc()
    return None


def in_child(case: Case, directory: Path, span: tuple[int, int, int]) -> Outcome:
    """The child's outcome, or how it ended instead."""
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        try:
            told = json.dumps(child(case, directory, span))
        except BaseException:
            told = json.dumps(Outcome((), 0, None, 0, traceback.format_exc()))
        os.write(here, told.encode())
        os._exit(0)
    os.close(here)
    with open(there, "rb") as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    if not told:
        code = os.waitstatus_to_exitcode(status)
        return Outcome((), 1, DIED, 0, None if code in DEATHS else f"exit {code}")
    return Outcome(*json.loads(told))


def nothing(directory: Path) -> Path:
    return directory


def opened(**how: Any) -> Callable[[Path], Any]:
    return lambda directory: pmemobj.open(directory / "a", **how)


# ---- the operations ---------------------------------------------------------------------------


def creates(elastic: bool) -> Case:
    def operate(directory: Path) -> Any:
        pool = pmemobj.create(directory / "a", elastic=elastic)
        pool.root = BEFORE
        yield
        pool.close()

    def verify(directory: Path, committed: int, well: bool) -> None:
        if committed or well:
            assert read(directory / "a") == BEFORE
        elif (directory / "a").exists():
            assert read(directory / "a") in (None, BEFORE)
        else:
            make(directory / "a", elastic=elastic)
        assert os.listdir(directory) == ["a"]

    return Case(lambda directory: None, nothing, operate, verify)


def opens(unclean: bool, elastic: bool = False, **how: Any) -> Case:
    """Opening, one change, closing."""

    def prepare(directory: Path) -> None:
        make(directory / "a", elastic=elastic)
        if unclean:
            pool = pmemobj.open(directory / "a")
            pool.root["garbage"] = [1]
            pool.root["garbage"].append(pool.root["garbage"])
            del pool.root["garbage"]
            pool.mm.abandon()

    def operate(directory: Path) -> Any:
        pool = pmemobj.open(directory / "a", **how)
        pool.root["more"] = 1
        yield
        pool.close()

    return Case(prepare, nothing, operate, changed_once)


def changed_once(directory: Path, committed: int, well: bool) -> None:
    found = read(directory / "a")
    after = {**BEFORE, "more": 1}
    assert found == after or (found == BEFORE and not committed), found
    assert os.listdir(directory) == ["a"]


def looks() -> Case:
    def operate(directory: Path) -> Any:
        pool = pmemobj.open(directory / "a", scratch=True)
        pool.root["more"] = list(range(5000))
        yield
        pool.close()

    def verify(directory: Path, committed: int, well: bool) -> None:
        assert read(directory / "a") == BEFORE

    return Case(lambda directory: make(directory / "a"), nothing, operate, verify)


def closes(elastic: bool) -> Case:
    def prepare(directory: Path) -> None:
        make(directory / "a", elastic=elastic)

    def operate(pool: Any) -> Any:
        pool.root["more"] = 1
        yield
        pool.close()
        yield

    return Case(prepare, opened(), operate, changed_once)


TEXT = "a string of some length " * 400


def works() -> Case:
    """Commits that wait for the disk, each of which may be told that it failed."""

    def operate(pool: Any) -> Any:
        root = pool.root
        for number in range(6):
            root["list"].append(number)
            yield
            root[f"new {number}"] = [TEXT]
            yield
            with pool.transaction():
                root["list"].extend([TEXT, number])
                root["dict"].clear()
            yield
            with pool.transaction():
                root["dict"]["last"] = number
            yield
            root["list"].clear()
            yield
        pool.close()

    def verify(directory: Path, committed: int, well: bool) -> None:
        make(directory / "model")
        states = []
        with pmemobj.open(directory / "model") as pool:
            states.append(pmemobj.plain(pool.root))
            for _ in operate(pool):
                states.append(pmemobj.plain(pool.root))
        found = read(directory / "a")
        place = states.index(found)
        assert committed <= place <= committed + 1, (committed, place)
        shutil.rmtree(directory)

    return Case(
        lambda directory: make(directory / "a"), opened(durability="power"), operate, verify
    )


def grows(durability: str) -> Case:
    """An elastic pool gets another file."""
    value = bytes(40 << 20)

    def prepare(directory: Path) -> None:
        with pmemobj.create(directory / "a", elastic=True) as pool:
            pool.root = [1, value, value]

    def operate(pool: Any) -> Any:
        for _ in range(2):
            pool.root.append(value)
            yield
        pool.close()

    def verify(directory: Path, committed: int, well: bool) -> None:
        with pmemobj.open(directory / "a") as pool:
            report = pool.check()
            assert report.ok, report.problems
            assert report.garbage == 0
            assert committed <= len(pool.root) - 3 <= committed + 1
            assert pool.root[-1] == value
            pool.root.append(value)
        with pmemobj.open(directory / "a") as pool:
            assert pool.recovery.clean
            assert all(each == value for each in pool.root[1:])

    return Case(prepare, opened(durability=durability), operate, verify, deadly="chmod")


def large_values() -> Case:
    """What is written through the file, not the mapping."""
    numbers = [*range(100_000), 0.5]

    def prepare(directory: Path) -> None:
        with pmemobj.create(directory / "a", 16 << 20) as pool:
            pool.root = {}

    def operate(pool: Any) -> Any:
        pool.root["numbers"] = numbers
        yield
        pool.root["bytes"] = b"x" * 3_000_000
        yield
        pool.close()

    def verify(directory: Path, committed: int, well: bool) -> None:
        found = read(directory / "a")
        assert len(found) >= committed
        assert found.get("numbers", numbers) == numbers
        assert found.get("bytes", b"x" * 3_000_000) == b"x" * 3_000_000

    return Case(prepare, opened(), operate, verify)


def copies(elastic: bool, there: bool, back: bool) -> Case:
    """A snapshot, or a restoration (*back*), to where something is *there*."""
    former = ["former"]

    def prepare(directory: Path) -> None:
        make(directory / "a", elastic=elastic)
        (directory / "copies").mkdir()
        if there:
            make(directory / "copies" / "b", former, elastic)

    def operate(ready: Any) -> Any:
        if back:
            pmemobj.restore(ready / "a", ready / "copies" / "b", overwrite=True)
        else:
            ready.snapshot(Path(ready.path).parent / "copies" / "b", overwrite=True)
            ready.root["more"] = 1
            ready.close()
        yield

    def verify(directory: Path, committed: int, well: bool) -> None:
        copy = directory / "copies" / "b"
        found = read(copy) if copy.exists() else None
        allowed = [BEFORE] if well else [BEFORE, former if there else None]
        assert found in allowed, found
        source = read(directory / "a")
        assert source in (BEFORE, {**BEFORE, "more": 1})
        with pmemobj.open(directory / "a") as pool:
            pool.snapshot(copy, overwrite=True)
        assert read(copy) == source
        assert os.listdir(copy.parent) == ["b"]

    return Case(prepare, nothing if back else opened(), operate, verify)


CASES = {
    "create": creates(elastic=False),
    "create elastic": creates(elastic=True),
    "open": opens(unclean=False),
    "open elastic": opens(unclean=False, elastic=True),
    "open under power": opens(unclean=False, durability="power"),
    "recover": opens(unclean=True),
    "recover under power": opens(unclean=True, durability="power"),
    "look": looks(),
    "close": closes(elastic=False),
    "close elastic": closes(elastic=True),
    "work under power": works(),
    "grow": grows("process"),
    "grow under power": grows("power"),
    "large values": large_values(),
    "snapshot": copies(elastic=False, there=False, back=False),
    "snapshot replacing": copies(elastic=False, there=True, back=False),
    "snapshot elastic replacing": copies(elastic=True, there=True, back=False),
    "restore": copies(elastic=False, there=False, back=True),
    "restore replacing": copies(elastic=False, there=True, back=True),
    "restore elastic replacing": copies(elastic=True, there=True, back=True),
}


def attempt(case: Case, directory: Path, span: tuple[int, int, int]) -> tuple[Outcome, str | None]:
    """One operation with its refusals, and what was wrong about it."""
    directory.mkdir()
    try:
        case.prepare(directory)
        outcome = in_child(case, directory, span)
        wrong = outcome.alien
        if wrong is None:
            try:
                case.verify(directory, outcome.committed, outcome.error is None)
            except BaseException:
                wrong = traceback.format_exc()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return outcome, wrong


def main() -> None:
    directory, name, number, stride = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    case = CASES[name]
    tempfile.gettempdir()  # which a process finds by writing into one, once
    calm, wrong = attempt(case, directory / "calm", (FOREVER, FOREVER, number))
    bad = [f"nothing refused: {calm.error}: {wrong}"] if wrong or calm.error else []
    kinds: dict[str, int] = {}
    told = tried = 0
    for at in range(1, len(calm.calls) + 1, stride):
        call = calm.calls[at - 1]
        for to in (at, FOREVER):
            outcome, wrong = attempt(case, directory / "refusing", (at, to, number))
            if outcome.error == DIED and call != case.deadly:
                wrong = DIED
            if wrong:
                span = "once" if to == at else "for ever"
                bad.append(f"call {at} of {len(calm.calls)} ({call}, {span}): {outcome}: {wrong}")
            tried += bool(outcome.refused)
            told += outcome.error is not None
        kinds[call] = kinds.get(call, 0) + 1
    json.dump({"tried": tried, "told": told, "kinds": kinds, "bad": bad}, sys.stdout)


if __name__ == "__main__":
    main()
