"""The command line, in this process."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys

import pytest
from processes import environment

import pmemobj
from pmemobj.cli import main
from pmemobj.cli.terminal import Terminal


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "work.pool"
    with pmemobj.create(path) as pool:
        pool.root = {"numbers": list(range(100)), "name": "a pool"}
    return path


def test_info(path, capsys):
    assert main(["info", str(path)]) == 0
    told = capsys.readouterr().out
    assert "work.pool" in told
    assert "8.0 MiB" in told
    assert "survives kill -9" in told
    assert "\x1b" not in told


def test_ls(path, capsys):
    assert main(["ls", str(path)]) == 0
    told = capsys.readouterr().out
    assert "[0, 1, 2, 3, 4, 5, …]" in told
    assert "'a pool'" in told


def test_check_of_a_sound_pool(path, capsys):
    assert main(["check", str(path)]) == 0
    assert "sound" in capsys.readouterr().out


def test_check_of_a_damaged_pool(path, capsys):
    content = path.read_bytes()
    at = content.find(b"a pool")
    assert at > 0
    path.write_bytes(content[:at] + b"b pool" + content[at + 6 :])
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().out
    assert "damaged" in told
    assert "offset" in told


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path, path, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("notes\n" * 4000)
    for command in ("info", "ls", "check"):
        for wrong in (tmp_path / "missing.pool", text, tmp_path):
            assert main([command, str(wrong)]) == 2
            seen = capsys.readouterr()
            assert seen.out == ""
            assert seen.err.count("\n") == 1
            assert str(wrong) in seen.err
            assert "Errno" not in seen.err
    with pmemobj.open(path):
        assert main(["info", str(path)]) == 2


def test_an_unclean_pool_is_recovered_and_said_to_be(path, tmp_path, capsys):
    with pmemobj.open(path):
        shutil.copy(path, tmp_path / "copy.pool")
    assert main(["info", str(tmp_path / "copy.pool")]) == 0
    assert "everything committed is here" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "copy.pool")]) == 0
    assert "everything committed is here" not in capsys.readouterr().out


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_colour_only_where_it_is_wanted(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Terminal(Screen()).paint("x", "good") == "\x1b[32mx\x1b[0m"
    assert Terminal(io.StringIO()).paint("x", "good") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal(Screen()).paint("x", "good") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert Terminal(Screen()).paint("x", "good") == "x"


def test_a_terminal_without_unicode_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal = Terminal(stream)
    terminal.line("█░ … · 日")
    stream.seek(0)
    assert stream.read() == "#. ~ - \\u65e5\n"
    assert terminal.mark("✓", "ok") == "ok"


def test_snapshot_and_restore(path, tmp_path, capsys):
    copy = tmp_path / "copy.pool"
    assert main(["snapshot", str(path), str(copy)]) == 0
    assert "verified" in capsys.readouterr().out
    assert main(["snapshot", str(path), str(copy)]) == 2
    assert main(["restore", str(copy), str(path)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["snapshot", str(path), str(copy), "--overwrite"]) == 0
    path.write_bytes(b"")
    assert main(["restore", str(copy), str(path), "--overwrite"]) == 0
    with pmemobj.open(path) as pool:
        assert pool.root["name"] == "a pool"


# ---- in a process ----


def told_by(*words: object, out: int | None = subprocess.PIPE) -> tuple[int, str, str]:
    """Exit status, output and errors of the command."""
    done = subprocess.run(
        [sys.executable, "-m", "pmemobj", *map(str, words)],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        check=False,
    )
    return done.returncode, done.stdout or "", done.stderr


def test_the_version():
    assert told_by("--version") == (0, f"pmemobj {pmemobj.__version__}\n", "")


@pytest.mark.parametrize("command", ["info", "ls", "check"])
def test_output_that_nobody_reads(path, command):
    reading, writing = os.pipe()
    os.close(reading)
    status, _, errors = told_by(command, path, out=writing)
    os.close(writing)
    assert (status, errors) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("command", ["info", "ls", "check"])
def test_output_to_a_full_disk(path, command):
    full = os.open("/dev/full", os.O_WRONLY)
    status, _, errors = told_by(command, path, out=full)
    os.close(full)
    assert (status, errors) == (2, f"pmemobj {command}: No space left on device\n")
