"""A disk that refuses to write, at every call: an error of ours, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import LONG, TALLY
from processes import environment
from refusals import CASES

HERE = Path(__file__).parent
SECONDS = 1800  # of one case in its long form, many times what it takes
MANY = {"work under power": (4, 41), "grow": (1, 2), "grow under power": (4, 12)}
COPIED = (2, 9)
"""Of operations with many calls every so many of them, in the long and in the short form."""

SILENT = {"chmod", "pwrite"}
"""A mode is left as it was; what is not written through the file is stored through memory."""

FULL = {"create", "create elastic", "grow", "large values", "snapshot", "restore"}
"""Operations that meet a full disk in the short form, too."""

REFUSALS = [
    (name, number)
    for name in CASES
    for number in (errno.EIO, errno.ENOSPC)
    if LONG or number == errno.EIO or name in FULL
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "refusing.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "refusing.c", "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs a C compiler")
    return library


def stride(name: str) -> int:
    usual = COPIED if name.startswith(("snapshot", "restore")) else (1, 1)
    long, short = MANY.get(name, usual)
    return long if LONG else short


@pytest.mark.parametrize(
    ("name", "number"), REFUSALS, ids=[f"{name} {errno.errorcode[n]}" for name, n in REFUSALS]
)
def test_a_disk_that_refuses(tmp_path: Path, shim: Path, name: str, number: int) -> None:
    preloaded = [os.environ.get("LD_PRELOAD", ""), str(shim)]
    done = subprocess.run(
        [sys.executable, HERE / "refusals.py", tmp_path, name, str(number), str(stride(name))],
        env={**environment(), "LD_PRELOAD": " ".join(filter(None, preloaded))},
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    toll = json.loads(done.stdout)
    TALLY.refusals += toll["tried"]
    assert not toll["bad"], "\n".join(toll["bad"])
    calls = sum(toll["kinds"].values())
    assert toll["tried"] == 2 * calls > 0
    silent = sum(count for kind, count in toll["kinds"].items() if kind in SILENT)
    assert toll["told"] >= 2 * (calls - silent) - 4
    assert os.listdir(tmp_path) == []
