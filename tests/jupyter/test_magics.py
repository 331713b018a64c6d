"""The magics, in a shell of this process."""

from __future__ import annotations

import os
import warnings

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import pmemobj
from pmemobj.jupyter.session import SESSION


class Shell:
    """Runs cells and gives what a person sees."""

    def __init__(self, directory):
        os.environ["IPYTHONDIR"] = str(directory)
        InteractiveShell.clear_instance()
        self.ip = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        self.names = self.ip.user_ns

    def run(self, *lines):
        with capture_output() as seen:
            self.result = self.ip.run_cell("\n".join(lines))
        shown = "".join(output.data.get("text/plain", "") for output in seen.outputs)
        return seen.stdout + seen.stderr + shown

    def good(self, *lines):
        text = self.run(*lines)
        assert self.result.success, text
        return text

    def usage_error(self, *lines):
        text = self.run(*lines)
        assert not self.result.success
        assert "UsageError" in text
        assert "Traceback" not in text
        return text


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = Shell(tmp_path / "ipython")
    shell.good("%load_ext pmemobj")
    yield shell
    for one in SESSION.pools().values():
        one.pool.close()
    InteractiveShell.clear_instance()


def test_open_makes_a_directory_that_grows_or_a_file(shell, tmp_path):
    assert "grows as needed" in shell.good("%pmem_open grows.pool")
    assert (tmp_path / "grows.pool").is_dir()
    shell.good("%pmem_open fixed.pool --size 16M --as fixed")
    assert (tmp_path / "fixed.pool").stat().st_size == 16 << 20
    shell.good("ws.x = 1; fixed.x = 2")
    assert shell.names["ws"].x == 1
    assert shell.names["fixed"].x == 2
    both = shell.good("%pmem")
    assert "grows.pool" in both
    assert "fixed.pool" in both
    only = shell.good("%pmem fixed")
    assert "grows.pool" not in only


def test_opening_again_rebinds_and_shows(shell):
    shell.good("%pmem_open again.pool", "ws.x = 41")
    before = shell.names["ws"]
    assert "41" in shell.good("%pmem_open ./again.pool")
    assert shell.names["ws"] is before
    shell.good("%pmem_open again.pool --as other")
    assert shell.names["other"].x == 41
    assert shell.names["other"].pool is before.pool
    shell.names["ws"] = "overwritten"
    shell.good("%pmem_open again.pool")
    assert shell.names["ws"].x == 41


def test_close_and_open_again(shell):
    shell.good("%pmem_open closing.pool", "ws.items_ = [1]", "kept = ws.items_")
    assert "closed" in shell.good("%pmem_close")
    assert "closed" in shell.good("ws")
    failed = shell.run("kept.append(2)")
    assert "PoolClosedError" in failed
    shell.good("%pmem_open closing.pool")
    assert list(shell.names["ws"].items_) == [1]
    assert "No pool is open" not in shell.good("%pmem")


def test_mistakes_are_usage_errors(shell, tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes\n" * 1000)
    assert "notes.txt" in shell.usage_error("%pmem_open notes.txt")
    assert "--size 12X" in shell.usage_error("%pmem_open a.pool --size 12X")
    shell.usage_error("%pmem_open a.pool --size 1K")
    shell.usage_error("%pmem_open no/such/directory/a.pool")
    assert "not a name" in shell.usage_error("%pmem_open a.pool --as 1st")
    shell.usage_error("%pmem_open")
    shell.usage_error("%pmem_open a.pool --durability always")
    assert "no pool is open" in shell.usage_error("%pmem_close")
    assert "no pool is open" in shell.usage_error("%%pmem_transaction", "x = 1")
    assert not (tmp_path / "a.pool").exists()
    shell.good("%pmem_open a.pool --size 16M")
    assert "exists" in shell.usage_error("%pmem_close", "%pmem_open a.pool --size 16M")
    shell.good("%pmem_open a.pool")
    assert "close that with %pmem_close ws" in shell.usage_error("%pmem_open b.pool")
    assert "durability" in shell.usage_error("%pmem_open a.pool --durability power")
    assert "open: ws" in shell.usage_error("%pmem other")


def test_a_pool_with_another_root_is_left_alone(shell):
    with pmemobj.create("list.pool") as pool:
        pool.root = [1]
    assert "PersistentList" in shell.usage_error("%pmem_open list.pool")
    with pmemobj.open("list.pool") as pool:
        assert list(pool.root) == [1]


def test_a_transaction_cell_commits_and_displays_its_last_expression(shell):
    shell.good("%pmem_open t.pool", "ws.x = 1")
    seen = shell.good("%%pmem_transaction", "ws.x = 5", "y = ws.x + 1", "y * 2")
    assert "committed" in seen
    assert shell.result.result == 12
    assert shell.names["y"] == 6
    assert shell.names["ws"].x == 5
    shell.good("%%pmem_transaction", "ws.x = 6", "7;  # quiet")
    assert shell.result.result is None
    shell.good("%%pmem_transaction", "value = !echo hello", "ws.words = list(value)")
    assert list(shell.names["ws"].words) == ["hello"]
    shell.good("%%pmem_transaction", "def later(): return ws.x", "class C: pass")
    assert shell.names["later"]() == 6


def test_a_transaction_cell_that_fails_rolls_back(shell):
    shell.good("%pmem_open t.pool", "ws.items_ = [1]")
    for mistake, name in (
        ("1 / 0", "ZeroDivisionError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise SystemExit", "SystemExit"),
        ("%pmem_close nothing", "UsageError"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seen = shell.run("%%pmem_transaction", "ws.items_.append(2)", "ws.new_ = 1", mistake)
        assert not shell.result.success
        assert "rolled back" in seen
        assert name in seen
        assert list(shell.names["ws"].items_) == [1]
        assert "new_" not in shell.names["ws"]


def test_what_does_not_compile_opens_no_transaction(shell):
    shell.good("%pmem_open t.pool", "ws.x = 1")
    assert "SyntaxError" in shell.run("%%pmem_transaction", "ws.x = = 2")
    for waiting in ("await thing()", "async with a: pass", "[x async for x in y()]"):
        assert "await" in shell.usage_error("%%pmem_transaction", "ws.x = 2", waiting)
    shell.good("%%pmem_transaction", "async def f():", "    await g()")
    assert shell.names["ws"].x == 1


def test_an_error_raised_twice_is_shown_as_what_it_is(shell):
    shell.good("%pmem_open t.pool", "ws.x = 1")
    shell.good("error = ValueError('kept')")
    assert "kept" in shell.run("%%pmem_transaction", "raise error")
    seen = shell.run("def elsewhere():", "    raise error", "elsewhere()")
    assert "elsewhere" in seen


def test_several_pools_need_a_name(shell):
    shell.good("%pmem_open one.pool --as one", "%pmem_open two.pool --as two")
    assert "one, two" in shell.usage_error("%%pmem_transaction", "one.x = 1")
    shell.good("%%pmem_transaction two", "two.x = 1")
    assert "two.pool" in shell.good("%pmem_close two")
    shell.good("%%pmem_transaction", "one.x = 1")
    assert shell.names["one"].x == 1


def test_reload_and_unload(shell):
    shell.good("%pmem_open r.pool", "ws.x = 1")
    shell.good("%reload_ext pmemobj")
    assert "1 variable," in shell.good("%pmem_open r.pool")
    shell.good("%unload_ext pmemobj")
    assert "not found" in shell.run("%pmem")
    shell.good("%load_ext pmemobj", "%pmem")
    assert shell.names["ws"].x == 1


def test_names_with_quotes_and_home(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shell.good("%pmem_open '~/with space.pool'")
    assert (tmp_path / "with space.pool").is_dir()


def test_help_tells_the_options(shell):
    magic = shell.ip.find_line_magic("pmem_open")
    for option in ("--as", "--size", "--durability"):
        assert option in magic.__doc__


def test_a_html_display_and_a_text_display_for_each(shell):
    with capture_output() as seen:
        shell.ip.run_cell("%pmem_open both.pool")
    (shown,) = seen.outputs
    assert set(shown.data) == {"text/plain", "text/html"}
