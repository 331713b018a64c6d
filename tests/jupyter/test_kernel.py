"""Real kernels: variables survive what happens to them."""

from __future__ import annotations

import random
import re
import threading

MODEL = """
from pmemobj import PersistentObject

class Model(PersistentObject):
    def __init__(self, rate):
        self.rate = rate
    def double(self):
        return self.rate * 2
"""


def test_variables_and_classes_survive_a_restart(start, notebook):
    first = start()
    opened = first("%pmem_open restart.pool")
    assert "Nothing is stored yet" in opened.text
    assert 'class="pmemobj' in opened.html
    first("ws.numbers = [1, 2.5, 'three']", "ws.config = {'depth': {'x': (1, None)}}")
    first(MODEL, "ws.model = ws.new(Model, 21)")
    first.kernel.shutdown()

    back = notebook("%pmem_open restart.pool")
    assert "recovered" not in back.text, "a kernel's shutdown closes its pools"
    assert "class missing" in back.text
    assert "Model is not defined yet: run the cell that defines it" in back.text
    notebook(
        "assert list(ws.numbers) == [1, 2.5, 'three']",
        "assert ws.config['depth']['x'] == (1, None)",
        "waiting = ws.model",
    )
    failure = notebook.fails("waiting.double()")
    assert "Model" in failure.error["evalue"]
    notebook(MODEL)
    notebook("assert waiting.double() == 42", "assert ws.model is waiting")
    assert "class missing" not in notebook("ws").text


def test_sigkill_in_the_middle_of_a_running_cell(start, notebook):
    victim = start()
    victim("%pmem_open killed.pool", "ws.log = []", "ws.kept = 'safe'")

    def watch(output):
        if "100 done" in output.get("text", ""):
            victim.kernel.kill()

    result = victim.kernel.run(
        "for number in range(10**9):\n"
        "    ws.log.append(number)\n"
        "    if number == 100: print('100 done', flush=True)\n",
        watch,
    )
    assert not result.finished
    victim.kernel.wait_dead()

    back = notebook("%pmem_open killed.pool")
    assert "recovered" in back.text
    assert "everything committed is here" in back.text
    assert "everything committed is here" in back.html
    notebook(
        "assert ws.kept == 'safe'",
        "assert len(ws.log) > 100",
        "assert list(ws.log) == list(range(len(ws.log)))",
    )
    again = notebook("%pmem_open killed.pool")
    assert "everything committed is here" not in again.text


def test_sigkill_inside_a_transaction_cell_leaves_nothing_of_it(start, notebook):
    victim = start()
    victim("%pmem_open cell.pool", "ws.items_ = list(range(50))", "ws.total = sum(ws.items_)")

    def watch(output):
        if "half way" in output.get("text", ""):
            victim.kernel.kill()

    result = victim.kernel.run(
        "%%pmem_transaction\n"
        "import time\n"
        "for number in range(1000): ws.items_.append(number)\n"
        "del ws.total\n"
        "ws.half = True\n"
        "print('half way', flush=True)\n"
        "time.sleep(60)\n",
        watch,
    )
    assert not result.finished
    victim.kernel.wait_dead()

    back = notebook("%pmem_open cell.pool")
    assert re.search(r"rolled back\s+1 transaction", back.text)
    notebook(
        "assert list(ws.items_) == list(range(50))",
        "assert ws.total == sum(range(50))",
        "assert 'half' not in ws",
    )


def test_interrupt_inside_a_transaction_cell_rolls_back(notebook):
    notebook("%pmem_open interrupted.pool", "ws.items_ = [1]")
    result = interrupted(
        notebook,
        "%%pmem_transaction\n"
        "ws.items_.append(2)\n"
        "ws.more = 'x' * 1000\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    ws.items_.append(number)\n"
        "    if number == 500: print('at work')\n",
        0,
    )
    assert result.finished
    assert result.error["ename"] == "KeyboardInterrupt"
    assert "rolled back" in result.text
    assert "rolled back" in result.html
    notebook(
        "assert list(ws.items_) == [1]",
        "assert 'more' not in ws",
        "assert number >= 500",
        "ws.items_.append(2)",
        "assert list(ws.items_) == [1, 2]",
    )


WORK = """
number = 0
print("at work", flush=True)
while True:
    number += 1
    with ws.transaction():
        ws.items_.append([number])
        ws.table[number] = {"of": number}
    ws.loose.append(number)
    if number % 7 == 0:
        ws.loose.pop()
"""


def interrupted(notebook, cell, delay):
    """Run *cell* and press stop *delay* seconds after it said "at work".

    Once more after a second: Python loses a KeyboardInterrupt that it raises in a destructor.
    """
    ended = threading.Event()

    def press():
        ended.wait(delay)
        while not ended.is_set():
            notebook.kernel.interrupt()
            ended.wait(1)

    def watch(output):
        if "at work" in output.get("text", ""):
            threading.Thread(target=press).start()

    try:
        return notebook.kernel.run(cell, watch)
    finally:
        ended.set()


def test_interrupts_at_any_moment_leave_everything_whole(start):
    notebook = start()  # its own: an interrupt may as well hit the kernel's code as ours
    notebook("%load_ext pmemobj", "%pmem_open whole.pool")
    dice = random.Random(5)
    for cell in (WORK, "%%pmem_transaction" + WORK) * 4:
        notebook("ws.items_, ws.table, ws.loose = [], {}, []")
        result = interrupted(notebook, cell, dice.uniform(0, 0.1))
        assert result.finished
        assert "KeyboardInterrupt" in result.text  # IPython cannot format a frame without a line
        notebook(
            "assert [n for (n,) in ws.items_] == list(ws.table)",
            "assert ws.pool.check().ok",
        )
        if cell is not WORK:
            notebook("assert len(ws.loose) == 0")


def test_a_pool_held_by_another_kernel_names_it(start, notebook):
    holder = start(JPY_SESSION_NAME="work/analysis.ipynb")
    holder("%pmem_open held.pool", "ws.x = 1")
    refused = notebook.kernel.run("%pmem_open held.pool")
    assert f"{holder.kernel.pid}" in refused.text
    assert "work/analysis.ipynb" in refused.text
    assert "%pmem_close there" in refused.text
    assert "Jupyter kernel" in refused.text
    assert refused.text.startswith("UsageError: ")
    assert "Traceback" not in refused.text
    assert "ws" not in notebook("print(dir())").text.split("'")
    holder("%pmem_close")
    notebook("%pmem_open held.pool", "assert ws.x == 1")


def test_a_failed_transaction_cell_fails_as_a_cell(notebook):
    notebook("%pmem_open failed.pool", "ws.x = 1")
    failed = notebook.fails(
        "%%pmem_transaction",
        "ws.x = 2",
        "def inner():",
        "    return 1 / 0",
        "local = 5",
        "inner()",
    )
    assert failed.error["ename"] == "ZeroDivisionError"
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(failed.error["traceback"]))
    assert "return 1 / 0" in trace
    assert "in inner" in trace
    assert "run_cell_magic" not in trace
    assert "ipython_ext" not in trace
    assert "rolled back" in failed.text
    notebook("assert ws.x == 1", "assert local == 5", "ws.x = 3")


def test_the_threads_of_a_kernel_share_a_workspace(notebook):
    notebook("%pmem_open threads.pool", "ws.items_ = []")
    notebook(
        "import threading",
        "def work():",
        "    for number in range(200): ws.items_.append(number)",
        "workers = [threading.Thread(target=work) for _ in range(3)]",
        "[worker.start() for worker in workers]",
        "[worker.join() for worker in workers]",
        "assert sorted(ws.items_) == sorted(list(range(200)) * 3)",
    )


def test_completion_in_the_kernel(notebook):
    notebook("%pmem_open complete.pool", "ws.readings = 1", "ws['two words'] = 2")
    notebook("%config IPCompleter.use_jedi = False")  # it gives up when the machine is busy
    client = notebook.kernel._client
    for code, expected in (("ws.read", "readings"), ("ws['two", "two words")):
        reply = client.complete(code, reply=True, timeout=20)["content"]
        assert any(expected in match for match in reply["matches"]), reply["matches"]


def test_a_kernel_that_ends_by_itself_closes_its_pools(start, notebook):
    first = start()
    first("%pmem_open ended.pool", "ws.x = 1")
    first.kernel._client.execute("exit()")
    first.kernel.wait_dead()
    assert not first.kernel.alive
    assert "recovered" not in notebook("%pmem_open ended.pool", "assert ws.x == 1").text


def test_a_class_defined_again_updates_live_instances(notebook):
    notebook("%pmem_open again.pool", MODEL, "ws.model = ws.new(Model, 21)", "held = ws.model")
    notebook(MODEL.replace("self.rate * 2", "self.rate * 3").replace("double", "triple"))
    notebook(
        "assert held.triple() == 63",
        "assert ws.model is held",
        "assert type(held) is Model",
        "assert not hasattr(held, 'double')",
    )
    notebook.fails("class Model(PersistentObject):", "    def half(self): return 1", "1 / 0")
    notebook("assert held.half() == 1", "assert held.rate == 21")


def test_reloading_the_extension_keeps_the_workspace(notebook):
    notebook("%pmem_open reload.pool", "ws.x = [1]", "x = ws.x")
    notebook("%reload_ext pmemobj", "%reload_ext pmemobj")
    assert "1 variable," in notebook("%pmem_open reload.pool", "assert ws.x is x").text
    notebook("%unload_ext pmemobj", "ws.x.append(2)")
    assert "not found" in notebook.kernel.run("%pmem_ls").text
    notebook("%load_ext pmemobj", "%pmem_ls", "assert list(x) == [1, 2]")


def test_an_async_cell_is_told_of_a_transaction_across_an_await(notebook):
    notebook("%pmem_open async.pool", "import asyncio", "ws.x = 0")
    between = notebook(
        "with ws.transaction(): ws.x = 1",
        "await asyncio.sleep(0)",
        "with ws.transaction(): ws.x = 2",
    )
    assert "across an await" not in between.text
    across = notebook("with ws.transaction():", "    ws.x = 3", "    await asyncio.sleep(0)")
    assert "across an await" in across.text
    refused = notebook.kernel.run("%%pmem_transaction\nws.x = 4\nawait asyncio.sleep(0)")
    assert "cannot span an await" in refused.text
    notebook("assert ws.x == 3")


def test_work_that_takes_long_shows_a_bar(notebook):
    notebook(
        "%pmem_open bar.pool",
        "from pmemobj.jupyter import progress",
        "from decimal import Decimal",
        "patience, progress.PATIENCE = progress.PATIENCE, 0.0",
    )
    told = notebook("ws.x = [[Decimal(number)] for number in range(20000)]")
    assert "storing: writing" in told.text
    assert "checking: mark" in notebook("%pmem_check").text
    assert "snapshot" in notebook("%pmem_snapshot bar.copy").text
    notebook("%config PmemMagics.progress = False")
    assert "checking: mark" not in notebook("%pmem_check").text
    notebook("%config PmemMagics.progress = True", "progress.PATIENCE = patience")
    assert "checking: mark" not in notebook("%pmem_gc").text


LONG_WORK = """
print("at work", flush=True)
while True:
    ws.pool.gc()
    ws.pool.check()
    ws.copies = lists
    ws.pool.snapshot("long.copy", overwrite=True)
"""


def test_long_work_is_stopped_cleanly(notebook):
    notebook("%pmem_open long.pool", "lists = [[number, {number}] for number in range(20000)]")
    notebook("ws.kept = lists")
    dice = random.Random(9)
    for _ in range(4):
        result = interrupted(notebook, LONG_WORK, dice.uniform(0, 1))
        assert result.finished
        assert "KeyboardInterrupt" in result.text
        notebook(
            "assert ws.pool.check().ok",
            "assert len(ws.kept) == len(lists)",
            "assert 'copies' not in ws or len(ws.copies) == len(lists)",
        )
    notebook("import os", "assert not [n for n in os.listdir() if n.startswith('.pmemobj')]")
