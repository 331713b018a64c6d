"""What a pool of somebody else's making can do to the process that opens it: nothing."""

from __future__ import annotations

import enum
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import NOBODY, run

import pmemobj
from pmemobj import making, poolfile
from pmemobj.codecs import GLOBAL, Missing, decode
from pmemobj.codecs.references import encode_constant
from pmemobj.codecs.wire import pack_text

TRAP = """
import os, pathlib
import pmemobj
pathlib.Path(os.environ["SPRUNG"]).touch()

import enum

class Colour(enum.Enum):
    RED = 1

class Thing(pmemobj.PersistentObject):
    pass

class Custom:
    def __new__(cls, *args):
        return super().__new__(cls)
    def _p_new(self, manager):
        self._p_mm, self._p_oid = manager, manager.zalloc(64)
    _p_resurrect = lambda self, manager, oid: self.__dict__.update(_p_mm=manager, _p_oid=oid)
    _p_traverse = _p_substructures = lambda self: ()

class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["SPRUNG"] + ".pickle",)

def function():
    pass
"""
FILL = """
import sys, pmemobj, trap
with pmemobj.create(sys.argv[1]) as pool:
    pool.persist_via_pickle(trap.Bomb)
    pool.root = {
        "bomb": trap.Bomb(), "tuple": (1, trap.Bomb()), "list": [trap.Bomb(), trap.function],
        "function": trap.function, "class": trap.Bomb, "colour": trap.Colour.RED,
        "thing": pool.new(trap.Thing), "plain": [1, ..., "text"],
    }
    pool.root["custom"] = pool.new(trap.Custom)
"""
KINDS = ("bomb", "function", "class", "colour")


class Colour(enum.Enum):
    RED = 1


class Known(pmemobj.PersistentObject):
    pass


@pytest.fixture
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What exists once the trap's module has been imported, or (.pickle) its pickle loaded."""
    path = tmp_path / "sprung"
    monkeypatch.setenv("SPRUNG", str(path))
    return path


@pytest.fixture
def trapped(tmp_path: Path, sprung: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pool full of traps, whose module can be imported; none has sprung yet."""
    (tmp_path / "trap.py").write_text(TRAP)
    path = tmp_path / "trapped.pmem"
    run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + FILL, path)
    assert sprung.exists()
    sprung.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("trap", None)


def stranger(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY)


def writable_for_all(path: Path) -> None:
    path.chmod(0o666)


def writable_for_a_group(path: Path) -> None:
    os.chown(path, -1, 1)
    path.chmod(0o660)


def made_elsewhere(path: Path) -> None:
    """Downloaded, say: the file is this user's, but says that another one made it."""
    data = path.read_bytes()
    at = data.index(b"PMEMOBJ1") + 12
    with open(path, "r+b") as file:
        file.seek(at)
        file.write((os.getuid() + 1).to_bytes(4, "little"))


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(stranger, marks=as_root),
        pytest.param(writable_for_a_group, marks=as_root),
        writable_for_all,
        made_elsewhere,
    ],
)
def test_a_pool_that_others_could_write_runs_nothing(
    trapped: Path, sprung: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(trapped)
    with pmemobj.open(trapped) as pool:
        assert not pool.allow_pickle
        assert set(pool.recovery.classes_missing) == {"trap:Thing", "trap:Custom"}
        root = pool.root
        for kind in KINDS:
            value = root[kind]
            assert isinstance(value, Missing)
            with pytest.raises(pmemobj.MissingClassError, match="allow_pickle=True"):
                value()
        assert isinstance(root["tuple"][1], Missing)
        assert [type(item) for item in root["list"]] == [Missing, Missing]
        assert list(root["plain"]) == [1, ..., "text"]
        assert isinstance(root["thing"], pmemobj.PersistentObject)
        with pytest.raises(pmemobj.MissingClassError, match="allow_pickle=True"):
            assert root["custom"]
        repr(root["list"])
        repr(pool)
        pool.check()
        pool.gc()
        root["again"] = root["bomb"]  # kept, as it is
        root["colour", "again"] = root["colour"]
    assert "trap" not in sys.modules
    assert not sprung.exists()
    with pmemobj.open(trapped, allow_pickle=True) as pool:
        import trap

        assert pool.root["function"] is trap.function
        assert pool.root["colour", "again"] is trap.Colour.RED
        assert type(pool.root["thing"]) is trap.Thing
        assert pool.root["again"] is None  # what mkdir returns
    assert sprung.exists()
    assert sprung.with_suffix(".pickle").exists()


def test_a_pool_of_ones_own_is_trusted(trapped: Path, sprung: Path) -> None:
    with pmemobj.open(trapped) as pool:
        assert pool.allow_pickle
        assert pool.root["bomb"] is None
    assert sprung.exists()
    with pmemobj.create(trapped.parent / "new.pmem") as pool:
        assert pool.allow_pickle


def test_trust_can_be_refused(trapped: Path, sprung: Path) -> None:
    with pmemobj.open(trapped, allow_pickle=False) as pool:
        assert isinstance(pool.root["bomb"], Missing)
    assert not sprung.exists()


@pytest.mark.parametrize("value", ["yes", 2, []])
def test_trust_that_is_no_answer(tmp_path: Path, value: Any) -> None:
    with pytest.raises(pmemobj.InvalidArgumentError, match="allow_pickle"):
        pmemobj.create(tmp_path / "a.pmem", allow_pickle=value)
    assert not (tmp_path / "a.pmem").exists()


@pytest.mark.parametrize("command", ["info", "ls", "check"])
def test_commands_run_nothing(trapped: Path, sprung: Path, command: str) -> None:
    """Not even of a pool that is this user's."""
    told = run(
        """
        import sys
        from pmemobj.cli import main
        status = main(sys.argv[1:])
        print("loaded", "trap" in sys.modules)
        sys.exit(status)
        """,
        command,
        trapped,
        cwd=trapped.parent,
    )
    assert told.splitlines()[-1] == "loaded False"
    assert not sprung.exists()
    assert not sprung.with_suffix(".pickle").exists()


def test_check_can_be_told_to_trust(trapped: Path, sprung: Path) -> None:
    from pmemobj.cli import main

    assert main(["check", "--allow-pickle", str(trapped)]) == 0
    assert sprung.exists()


def test_a_snapshot_of_a_strangers_pool_runs_nothing(trapped: Path, sprung: Path) -> None:
    copy, restored = trapped.parent / "copy.pmem", trapped.parent / "restored.pmem"
    with pmemobj.open(trapped, allow_pickle=False) as pool:
        assert pool.snapshot(copy).classes_missing == ("trap:Custom",)
    assert not sprung.exists()
    writable_for_all(copy)
    assert pmemobj.restore(copy, restored).classes_missing == ("trap:Custom",)
    assert not sprung.exists()
    restored.unlink()
    copy.chmod(0o600)
    assert pmemobj.restore(copy, restored).classes_missing == ()
    assert sprung.exists()


def test_classes_that_the_program_has_are_used(tmp_path: Path) -> None:
    path = tmp_path / "a.pmem"
    with pmemobj.create(path) as pool:
        pool.root = {"known": pool.new(Known), "colour": Colour.RED}
    with pmemobj.open(path, allow_pickle=False) as pool:
        assert type(pool.root["known"]) is Known
        assert pool.root["colour"] is Colour.RED


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        (2, "os", "system"),
        (2, "builtins", "eval"),
        (1, "builtins", "eval"),
        (0, "builtins", "type"),
    ],
)
def test_a_forged_name_gives_nothing(kind: int, module: str, name: str) -> None:
    payload = bytes((kind,)) + pack_text(module) + pack_text(name)
    assert isinstance(decode(GLOBAL, len(payload), payload, allow_pickle=False), Missing)


@pytest.mark.parametrize("constant", [..., NotImplemented])
def test_constants_need_no_trust(constant: object) -> None:
    assert decode(*encode_constant(constant), allow_pickle=False) is constant


def test_a_class_that_is_no_persistent_one_is_not_used(trapped: Path) -> None:
    """A type table may name anything that can be imported."""
    with pmemobj.open(trapped) as pool:
        types = pool.mm.types
        assert types.missing() == ()
        code = types.code_of(__import__("trap").Thing)
        types._names[code] = (types._names[code][0], "subprocess:Popen", "PersistentObject")
        del types._resolved[code]
        assert types.missing() == ("subprocess:Popen",)
        assert isinstance(pool.root["thing"], pmemobj.PersistentObject)


# ---- files ----


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize(("mode", "mask"), [(0o600, 0), (0o666, 0o077), (0o640, 0o022)])
def test_nobody_may_look_before_the_mode_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elastic: bool, mode: int, mask: int
) -> None:
    seen: list[int] = []
    publish = making.publish

    def look(draft: str, name: str, replace: bool = False) -> None:
        place = os.path.dirname(draft)
        seen.append(stat.S_IMODE(os.stat(place).st_mode))
        publish(draft, name, replace)

    monkeypatch.setattr(making, "publish", look)
    before = os.umask(mask)
    try:
        pmemobj.create(tmp_path / "a.pmem", mode=mode, elastic=elastic).close()
    finally:
        os.umask(before)
    assert seen == [0o700]
    for file in poolfile.locate(tmp_path / "a.pmem").files():
        assert stat.S_IMODE(os.stat(file).st_mode) == mode & ~mask


def test_ones_own_group_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pmem"
    pmemobj.create(path).close()
    path.chmod(0o660)
    private = poolfile._is_private_group(path.stat().st_gid)
    with pmemobj.open(path) as pool:
        assert pool.allow_pickle == private
    assert not poolfile._is_private_group(2**31)


def test_a_pickle_that_is_damaged_is_never_loaded(trapped: Path, sprung: Path) -> None:
    data = trapped.read_bytes()
    assert b".pickle" in data
    trapped.write_bytes(data.replace(b".pickle", b".PICKLE"))
    with pmemobj.open(trapped) as pool, pytest.raises(pmemobj.PoolCorruptedError):
        assert pool.root["bomb"]
    assert not sprung.with_suffix(".PICKLE").exists()
