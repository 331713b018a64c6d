"""The magics, in a shell of this process."""

from __future__ import annotations

import io
import json
import os
import warnings
from pathlib import Path

import pytest
from IPython.core.guarded_eval import EVALUATION_POLICIES
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets import Undefined
from traitlets.config import Config

import pmemobj
from pmemobj.display.settings import settings as display_settings
from pmemobj.jupyter.configuration import PmemMagics
from pmemobj.jupyter.pools import PoolMagics
from pmemobj.jupyter.session import SESSION
from pmemobj.jupyter.variables import VariableMagics


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


def test_a_refused_setting_is_told_once_and_spoils_no_other(shell):
    shell.good("%config PmemMagics.max_rows = 7")
    shell.run("%config PmemMagics.durability = 'much'")
    shell.run("%config PmemMagics.workspace = 'a b'")
    seen = shell.run("%reload_ext pmemobj")
    assert "c.PmemMagics.durability = 'much'" in seen
    assert "c.PmemMagics.workspace = 'a b': " in seen
    assert (display_settings.max_rows, shell.run("%reload_ext pmemobj")) == (7, "")
    shell.good("%config PmemMagics.max_rows = 50", "%pmem_open t.pool", "ws.x = 1")


def test_names_with_quotes_and_home(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shell.good("%pmem_open '~/with space.pool'")
    assert (tmp_path / "with space.pool").is_dir()


def test_variables_whose_names_need_quotes(shell):
    shell.good("%pmem_open q.pool", "ws['learning rate'] = 1", "ws[\"it's 2\"] = ws['a'] = 2")
    assert offered(shell, "%pmem_rm le") == ["'learning rate'"]
    assert offered(shell, "%pmem_rm 'learning rate' i") == ['"it\'s 2"']
    assert "'learning rate'" not in offered(shell, "%pmem_rm 'learning rate' l")
    assert "not a name" in shell.usage_error("%pmem_pull 'learning rate' a")
    assert "no variable other rate" in shell.usage_error("%pmem_rm 'learning rate' 'other rate'")
    assert "2 variables: learning rate, it's 2" in shell.good(
        "%pmem_rm 'learning rate' \"it's 2\" -w 'ws'"
    )
    shell.good("b = 3", '%pmem_push "b"')
    assert list(shell.names["ws"]) == ["a", "b"]


def test_help_tells_the_options(shell):
    magic = shell.ip.find_line_magic("pmem_open")
    for option in ("--as", "--size", "--durability"):
        assert option in magic.__doc__


def test_a_html_display_and_a_text_display_for_each(shell):
    with capture_output() as seen:
        shell.ip.run_cell("%pmem_open both.pool")
    (shown,) = seen.outputs
    assert set(shown.data) == {"text/plain", "text/html"}


def test_names_that_no_variable_or_pool_can_have(shell, tmp_path):
    for line in ("%pmem_open ''", '%pmem_open " "'):
        assert "needs a name" in shell.usage_error(line)
    for name in ("class", "_", "In", "get_ipython", "a.b"):
        assert name in shell.usage_error(f"%pmem_open a.pool --as {name}")
    shell.usage_error("%pmem_open a.pool --as")
    assert "quote" in shell.usage_error("%pmem_open 'a.pool")
    shell.usage_error("%pmem_open a.pool --unknown")
    shell.usage_error("%pmem_open a.pool b.pool")
    for size in ("0", "-5", "1K", "9999999T", "9" * 30 + "T", "1" * 5000, "many"):
        shell.usage_error(f"%pmem_open a.pool --size {size}")
    assert os.listdir(tmp_path) in ([], ["ipython"])


def test_push_is_all_or_nothing(shell):
    shell.good("%pmem_open p.pool", "x, y, bad = 1, [2], iter(())")
    assert "2 variables: x, y" in shell.good("%pmem_push x y x")
    ws = shell.names["ws"]
    assert (ws.x, list(ws.y)) == (1, [2])
    shell.good("x = 5")
    assert "bad" in shell.usage_error("%pmem_push x bad")
    assert ws.x == 1
    assert "no variable z here" in shell.usage_error("%pmem_push x z")
    assert ws.x == 1
    shell.usage_error("%pmem_push")
    shell.usage_error("%pmem_push x --all")


def test_push_all_takes_what_can_be_stored_and_says_what_not(shell):
    shell.good("%pmem_open p.pool", "import math", "def f(): pass", "class C: pass")
    shell.good("x, y, _private, bad = 1, {'a': 2}, 3, iter(())")
    seen = shell.good("%pmem_push --all")
    assert "bad was left out" in seen
    assert sorted(shell.names["ws"]) == ["x", "y"]


def test_push_takes_no_object_of_another_pool(shell):
    shell.good("%pmem_open a.pool --as a", "%pmem_open b.pool --as b", "a.x = [1]", "mine = a.x")
    assert "another pool" in shell.usage_error("%pmem_push mine -w b")
    shell.good("%pmem_push mine -w a")
    assert shell.names["a"].mine is shell.names["a"].x
    assert len(shell.names["b"]) == 0


def test_pull_binds_what_is_stored(shell):
    shell.good("%pmem_open p.pool", "ws.x, ws.y = [1], 2", "ws['two words'] = 3", "y = 0")
    assert "2 variables: x, y" in shell.good("%pmem_pull")
    shell.good("x.append(4)")
    assert list(shell.names["ws"].x) == [1, 4]
    assert shell.names["y"] == 2
    assert "two words" in shell.good("%pmem_pull --all")
    shell.good("%pmem_pull x --plain")
    assert type(shell.names["x"]) is list
    shell.good("y = 0")
    assert "no variable z" in shell.usage_error("%pmem_pull y z")
    assert shell.names["y"] == 0


def test_rm_is_all_or_nothing(shell):
    shell.good("%pmem_open p.pool", "ws.x, ws.y = 1, 2")
    assert "no variable z" in shell.usage_error("%pmem_rm x z")
    assert list(shell.names["ws"]) == ["x", "y"]
    shell.good("%pmem_rm x x")
    assert list(shell.names["ws"]) == ["y"]
    shell.usage_error("%pmem_rm")


def test_gc_check_info_and_ls(shell):
    shell.good("%pmem_open p.pool", "ws.x = [1]", "ws.x.append(ws.x)", "del ws.x")
    assert "1 object" in shell.good("%pmem_gc")
    assert "sound" in shell.good("%pmem_check ws")
    assert "p.pool" in shell.good("%pmem_info")
    shell.good("ws.reading = 5")
    assert "reading" in shell.good("%pmem_ls")
    assert "inside a transaction" in shell.run("%%pmem_transaction", "%pmem_gc")
    assert not shell.result.success
    for magic in ("gc", "check", "info", "ls"):
        shell.usage_error(f"%pmem_{magic} other")


def test_a_scratch_changes_nothing(shell):
    shell.good("%pmem_open s.pool", "ws.x = [1]")
    assert "not as a scratch" in shell.usage_error("%pmem_open s.pool --scratch")
    shell.good("%pmem_close", "%pmem_open s.pool --scratch", "ws.x.append(2)", "ws.y = 'b' * 10**7")
    assert "scratch" in shell.good("ws")
    assert list(shell.names["ws"].x) == [1, 2]
    shell.good("%pmem_close", "%pmem_open s.pool")
    assert list(shell.names["ws"].x) == [1]
    assert list(shell.names["ws"]) == ["x"]
    assert "does not exist" in shell.usage_error("%pmem_open no.pool --as no --scratch")


def test_a_failed_cell_says_what_was_undone(shell):
    shell.good("%pmem_open t.pool", "ws.kept, ws.gone, ws.old, ws.list_ = 1, 2, 3, [[1]]")
    seen = shell.run(
        "%%pmem_transaction",
        "del ws.gone",
        "ws.old = 4",
        "ws.new_ = 5",
        "ws.list_.append(6)",
        "ws.list_[0].append(7)",
        "1 / 0",
    )
    facts = dict(line.split("  ", 1) for line in seen.splitlines() if "  " in line)
    told = {label.strip(): words.strip() for label, words in facts.items()}
    assert told["removed again"] == "new_"
    assert told["brought back"] == "gone"
    assert told["set back"] == "old, list_"
    assert told["inside of them"].startswith("1 object")
    assert dict(shell.names["ws"].items()) == {"kept": 1, "gone": 2, "old": 3, "list_": [[1]]}


def hooks_of(ip):
    return (
        [type(one).__name__ for one in ip.configurables],
        list(ip.Completer.custom_matchers),
        {name: list(found) for name, found in ip.events.callbacks.items()},
        sorted(ip.magics_manager.registry),
        len(EVALUATION_POLICIES["limited"].allowed_getitem_external),
    )


def test_reload_and_unload_leave_no_hook(shell):
    shell.good("%unload_ext pmemobj")
    clean = hooks_of(shell.ip)
    assert "PmemMagics" not in clean[0]
    shell.good("%load_ext pmemobj")
    once = hooks_of(shell.ip)
    assert once[0].count("PmemMagics") == 1
    assert once[2] == clean[2], "nothing runs at cells that do not touch the extension"
    for _ in range(3):
        shell.good("%reload_ext pmemobj")
    again = hooks_of(shell.ip)
    assert again[0] == once[0]
    assert len(again[1]) == len(once[1])
    assert again[2:] == once[2:]
    shell.good("%unload_ext pmemobj")
    assert hooks_of(shell.ip) == clean


def test_configuration(shell, tmp_path):
    assert "max_rows" in shell.good("%config PmemMagics")
    shell.good("%pmem_open c.pool", "for i in range(30): ws[f'v{i}'] = i")
    shell.good("%config PmemMagics.max_rows = 5")
    assert "v20" not in shell.good("%pmem_ls")
    shell.good("%config PmemMagics.max_rows = 50")
    assert "v20" in shell.good("%pmem_ls")
    shell.good("%config PmemMagics.display = 'text'")
    with capture_output() as seen:
        shell.ip.run_cell("%pmem_ls")
    (shown,) = seen.outputs
    assert set(shown.data) == {"text/plain"}
    shell.good("%config PmemMagics.display = 'html'", "%config PmemMagics.workspace = 'data'")
    shell.good("%pmem_close", "%config PmemMagics.durability = 'power'", "%pmem_open c.pool")
    assert shell.names["data"].pool.durability == "power"
    shell.good("%config PmemMagics.reservation = '2G'", "%pmem_open d.pool --as d")
    assert "2048M" in (tmp_path / "d.pool" / "pool.set").read_text()
    shell.run("%config PmemMagics.reservation = 'much'")
    shell.good("%pmem_open e.pool --as e")


def test_autoload(shell):
    shell.good("%pmem_open auto.pool", "ws.x = 1", "%pmem_close", "%unload_ext pmemobj", "del ws")
    shell.ip.config.PmemMagics.autoload = ["auto.pool --as data", "/no/such/place/b.pool"]
    try:
        seen = shell.good("%load_ext pmemobj")
        assert shell.names["data"].x == 1
        assert "/no/such/place" in seen
        assert "Traceback" not in seen
    finally:
        del shell.ip.config.PmemMagics


def test_loading_inside_a_cell_with_more_in_it(shell):
    shell.good("%unload_ext pmemobj")
    shell.good("%load_ext pmemobj", "%pmem_open l.pool", "ws.x = 1")
    shell.good("%unload_ext pmemobj", "ws.x = 2")
    assert shell.names["ws"].x == 2


def test_what_still_refers_to_a_closed_pool_raises_cleanly(shell):
    shell.good("%pmem_open o.pool", "ws.x = [1]")
    shell.ip.run_cell("ws.x", store_history=True)
    number = shell.ip.execution_count - 1
    shell.good("%pmem_close")
    for kept in (f"Out[{number}]", "_"):
        assert "closed pool" in shell.good(kept)
    assert "PoolClosedError" in shell.run(f"Out[{number}][0]")
    assert "PoolClosedError" in shell.run("ws.x")


def offered(shell, text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        _, matches = shell.ip.complete(None, text, len(text))
    return matches


def test_completion_of_arguments(shell, tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "data.txt").write_text("text")
    shell.good("%pmem_open data.pool --size 16M", "%pmem_open 'da ta.pool' --as other")
    assert offered(shell, "%pmem_open da") == ["'da ta.pool'", "data.pool"]
    assert offered(shell, "%pmem_open ") == ["'da ta.pool'", "data.pool", "directory/", "ipython/"]
    assert offered(shell, "%pmem_open 'da ") == ["ta.pool"]
    assert offered(shell, "pmem_open ./dir") == ["./directory/"]
    assert offered(shell, "%pmem_open x --du") == ["--durability"]
    assert offered(shell, "%pmem_open x --durability p") == ["power", "process"]
    assert offered(shell, "%pmem_close o") == ["other"]
    shell.good("ws.reading, other.remark = 1, 2", "ready = 3")
    assert offered(shell, "%pmem_rm re") == ["reading", "remark"]
    assert offered(shell, "%pmem_pull reading re") == ["remark"]
    assert offered(shell, "%pmem_push rea") == ["ready"]
    assert offered(shell, "%pmem_pull -w w") == ["ws"]
    assert offered(shell, "%%pmem_transaction w") == ["ws"]
    assert "%pmem_open" in offered(shell, "%pmem_o")


def test_completion_of_what_is_stored(shell):
    shell.good("%pmem_open c.pool", "%config IPCompleter.use_jedi = False")
    shell.good("ws.config = {'rate': {'first': 1}, 'two words': 2}", "ws.runs = [{'loss': 1}]")
    shell.good("class Run(__import__('pmemobj').PersistentObject): pass")
    shell.good("ws.run = ws.new(Run)", "ws.run.notes = {'who': 1}")
    assert any(match.endswith("config") for match in offered(shell, "ws.con"))
    assert "config" in offered(shell, "ws['con")
    assert offered(shell, "ws['config']['r") == ["rate"]
    assert offered(shell, "ws.config['two") == ["two words"]
    assert offered(shell, "ws.config['rate']['f") == ["first"]
    assert offered(shell, "ws.runs[0]['l") == ["loss"]
    assert offered(shell, "ws.run.notes['w") == ["who"]
    assert any(match.endswith(".append") for match in offered(shell, "ws.runs.app"))


def test_snapshot_and_restore(shell, tmp_path):
    shell.good("%pmem_open live.pool", "ws.x = [1]", "ws.y = 2")
    assert "verified" in shell.good("%pmem_snapshot copy.pool")
    assert "exists" in shell.usage_error("%pmem_snapshot copy.pool")
    shell.good("ws.x.append(3)", "del ws.y", "kept = ws.x", "%pmem_snapshot --overwrite later.pool")
    assert "--overwrite" in shell.usage_error("%pmem_restore copy.pool")
    assert "no snapshot" in shell.usage_error("%pmem_restore none.pool --overwrite")
    assert list(shell.names["ws"].x) == [1, 3]
    assert "restored" in shell.good("%pmem_restore copy.pool --overwrite")
    assert list(shell.names["ws"].x) == [1]
    assert shell.names["ws"].y == 2
    assert "PoolClosedError" in shell.run("kept.append(4)")
    shell.good("%pmem_restore later.pool other.pool", "%pmem_close")
    shell.good("%pmem_open other.pool --as other")
    assert list(shell.names["other"].x) == [1, 3]
    shell.usage_error("%pmem_restore later.pool other.pool")
    shell.usage_error("%pmem_restore later.pool third.pool -w ws")


def test_a_snapshot_that_cannot_be_restored_leaves_the_workspace(shell, tmp_path):
    shell.good("%pmem_open live.pool --size 16M", "ws.x = [1]", "%pmem_snapshot copy.pool")
    damaged = bytearray((tmp_path / "copy.pool").read_bytes())
    damaged[8192 : 4 << 20] = bytes((4 << 20) - 8192)
    (tmp_path / "copy.pool").write_bytes(damaged)
    shell.usage_error("%pmem_restore copy.pool --overwrite")
    assert list(shell.names["ws"].x) == [1]
    shell.good("ws.x.append(2)")


def test_the_page_lists_every_magic_option_and_setting(shell):
    page = (Path(__file__).parents[2] / "docs" / "jupyter.md").read_text("utf-8")
    for parts in (PoolMagics, VariableMagics):
        for name in parts.magics["line"]:
            assert f"`%{name}" in page
            for action in shell.ip.find_line_magic(name).parser._actions:
                for option in action.option_strings[-1:]:
                    assert option in page, f"{name} {option}"
    assert "`%%pmem_transaction`" in page
    for name, trait in PmemMagics.class_traits(config=True).items():
        default = json.dumps(trait.default_value) if trait.default_value is not Undefined else "[]"
        words = {"true": "True"}.get(default, default)
        assert f"| `{name}` | `{words}` |" in page


LOST = "class Lost(__import__('pmemobj').PersistentObject): pass"


def test_a_missing_class_is_told_with_the_cell_that_defined_it(shell, tmp_path):
    shell.good("%pmem_open lost.pool")
    shell.ip.run_cell(LOST, store_history=True)
    shell.good("ws.lost = ws.new(Lost)", "%pmem_close", "del Lost")
    told = shell.good("%pmem_open lost.pool")
    assert "run the cell that defines it." in told
    shell.good("%pmem_close")
    before = shell.ip.history_manager
    kept = HistoryManager(shell=shell.ip, hist_file=str(tmp_path / "history"))
    kept.store_inputs(7, LOST)
    kept.writeout_cache()
    shell.ip.history_manager = kept
    told = shell.good("%pmem_open lost.pool")
    shell.ip.history_manager = before
    assert "(In [7]: class Lost(" in " ".join(told.split())
    shell.good(LOST)
    assert type(shell.names["ws"].lost) is shell.names["Lost"]


def test_pull_leaves_the_notebook_s_own_names(shell):
    shell.good("%pmem_open p.pool", "ws['ws'], ws['In'], ws['class'], ws['x'] = 1, 2, 3, 4")
    seen = shell.good("%pmem_pull")
    for name in ("ws", "In", "'class'"):
        assert name in seen
    assert shell.names["x"] == 4
    assert shell.names["ws"].x == 4
    assert "something else" in shell.usage_error("%pmem_pull x ws")
    assert "not a name" in shell.usage_error("%pmem_pull class")


def test_closing_inside_a_transaction_is_told(shell):
    shell.good("%pmem_open c.pool", "ws.x = 1", "t = ws.transaction()", "t.begin()", "ws.x = 2")
    assert "rolled back" in shell.good("%pmem_close")
    shell.good("%pmem_open c.pool")
    seen = shell.run("%%pmem_transaction", "ws.x = 2", "%pmem_close")
    assert "PoolClosedError" in seen
    shell.good("%pmem_open c.pool")
    assert shell.names["ws"].x == 1


def test_settings_that_make_no_sense_do_not_keep_the_extension_away(shell):
    shell.good("%unload_ext pmemobj")
    shell.ip.config.PmemMagics.max_rows = 0
    try:
        assert "max_rows" in shell.good("%load_ext pmemobj")
        shell.good("%pmem_open s.pool", "%pmem_ls")
    finally:
        del shell.ip.config.PmemMagics


class Screen(io.StringIO):
    """A terminal, or what is none."""

    def __init__(self, seen):
        super().__init__()
        self._seen = seen

    def isatty(self):
        return self._seen


@pytest.mark.parametrize("seen", [True, False], ids=["terminal", "file"])
def test_bars_are_for_those_who_look(shell, monkeypatch, seen):
    monkeypatch.setattr("pmemobj.jupyter.progress.PATIENCE", 0.0)
    shell.good("%pmem_open b.pool", "ws.x = [[number] for number in range(30_000)]")
    screen = Screen(seen)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", screen)
        assert shell.names["ws"].pool.check().ok
    assert ("checking: mark" in screen.getvalue()) == seen
    shell.good("%config PmemMagics.progress = False")
    silent = Screen(True)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", silent)
        assert shell.names["ws"].pool.check().ok
    assert silent.getvalue() == ""


def test_no_bar_for_what_is_done_at_once(shell, monkeypatch):
    shell.good("%pmem_open b.pool", "ws.x = [[number] for number in range(30_000)]")
    screen = Screen(True)
    monkeypatch.setattr("pmemobj.jupyter.progress.PATIENCE", 3600.0)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", screen)
        assert shell.names["ws"].pool.check().ok
    assert screen.getvalue() == ""


def test_a_transaction_cell_does_not_become_a_part_of_another(shell):
    shell.good("%pmem_open a.pool --as a", "%pmem_open b.pool --as b", "a.x = 1")
    shell.good("t = a.transaction()", "t.begin()")
    assert "commit or abort" in shell.usage_error("%%pmem_transaction a", "a.x = 2")
    assert "another pool" in shell.usage_error("%%pmem_transaction b", "b.x = 2")
    shell.good("a.x = 3", "t.commit()")
    assert shell.names["a"].x == 3
    assert len(shell.names["b"]) == 0


def test_a_pool_that_is_put_back_keeps_all_of_its_names(shell):
    shell.good("%pmem_open n.pool", "%pmem_open n.pool --as other", "ws.x = 1")
    shell.good("%pmem_snapshot n.copy", "ws.x = 2", "%pmem_restore n.copy --overwrite -w other")
    assert shell.names["ws"].x == shell.names["other"].x == 1
    assert shell.names["ws"].pool is shell.names["other"].pool


def test_push_all_takes_objects_that_can_be_called(shell):
    shell.good("%pmem_open p.pool", "from pmemobj import PersistentObject")
    shell.good("class Model(PersistentObject):", "    def __call__(self): return 5")
    shell.good("model = ws.new(Model)", "%pmem_push --all")
    assert list(shell.names["ws"]) == ["model"]
