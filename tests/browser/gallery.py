"""A notebook that shows every kind of display, for the browser tests and the pictures in docs/.

Each cell has the name of its picture.
"""

from __future__ import annotations

__all__ = ["CELLS", "OPENED", "PICTURED"]

_PREPARE = """
import subprocess, sys
subprocess.run([sys.executable, "-c", '''
import os, signal, pmemobj

class Model(pmemobj.PersistentObject):
    def __init__(self, kind):
        self.kind = kind
        self.weights = [0.31, -1.27, 0.05, 2.25]
        self.history = {"epoch": 12, "loss": 0.183}

pool = pmemobj.create("survey", elastic=True)
pool.root = {
    "model": pool.new(Model, "linear"),
    "readings": [number / 8 for number in range(40_000)],
    "seen": {"Lima", "Oslo", "Quito"},
}
pool.transaction().begin()
pool.root["readings"].clear()
os.kill(os.getpid(), signal.SIGKILL)
'''])
"""

_FILL = """
import datetime, decimal, pmemobj
with ws.transaction():
    ws.cities = {"Lima": 10.1, "Oslo": 0.7, "Quito": 1.9, "Bern": 0.4}
    ws.settings = {
        "rate": 0.05,
        "layers": [64, 64, 10],
        "optimiser": {
            "name": "adam",
            "betas": (0.9, 0.999),
            "schedule": {"warmup": 500, "decay": "cosine"},
        },
        "labels": ["cat", "dog", "bird"],
        "resume from": None,
    }
    ws.current = ws.settings
    ws.words = [f"word number {number:,}" for number in range(100_000)]
    ws.started = datetime.datetime(2026, 3, 1, 9, 30, tzinfo=datetime.timezone.utc)
    ws.price = decimal.Decimal("1249.90")
    ws.a_name_that_is_much_longer_than_any_column_should_ever_be = 1
    ws.report = "All of this is one long sentence that nobody wants to see whole in a table. " * 40
    ws["with spaces"] = (1, 2.5, "three")
    ws.nested = ws.new(pmemobj.PersistentTuple, [1, [2, {"three": 4}], "five"])
    ws.markup = "<b>not bold</b> & <script>alert(1)</script>"
"""

_LARGE = """
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
from sklearn.linear_model import Ridge

random = np.random.default_rng(1)
with ws.transaction():
    ws.scan = random.random((12, 480, 640)).astype("f4")
    ws.waves = random.normal(size=(300, 400)) * np.exp(1j * random.random((300, 400)))
    ws.labels = np.array([["a rather long string of letters", "b", "mañana"] * 6] * 30)
    ws.hours = np.arange("2026-01-01", "2026-01-09", dtype="M8[h]").astype("M8[ns]").reshape(24, 8)
    ws.events = np.array(
        [(f"2026-01-01T10:00:{n % 60:02}", n / 3, n, b"ab", (1, 2, 3)) for n in range(200)],
        [("when", "M8[us]"), ("level", "f4"), ("count", "i8"), ("tag", "S4"), ("rgb", "u1", 3)],
    )
    rows, few = 150_000, 3000
    names = ["Ann", "Bob", "Carla of the long name"] * 50_000
    hours = pd.date_range("2026-01-01", periods=rows, freq="h", name="hour")
    orders = pd.DataFrame(
        {"customer": names, "amount": random.random(rows) * 99, "mixed": [1, "a", None] * 50_000}
        | {f"more {n}": random.random(rows).astype(f"f{2 ** n * 2}") for n in range(3)},
        index=hours,
    )
    stock = pl.DataFrame(
        {"item": names[:few], "left": range(few), "hour": hours[:few].to_numpy()}
    )
    table = pa.table({"item": pa.array(names[:few]).dictionary_encode(), "left": range(few)})
    ridge = Ridge(0.5).fit(random.random((300, 100)), random.random(300))
    ws.large = {"scan": ws.scan, "orders": orders, "stock": stock, "table": table, "ridge": ridge}
    ws.study = {"orders": orders, "ridge": ridge}
"""

CELLS: dict[str, str] = {
    "": "%load_ext pmemobj\n" + _PREPARE,
    "recovered": "%pmem_open survey",
    "new": "%pmem_open fresh --as other",
    "filled": _FILL,
    "workspace": "ws",
    "variables": "%pmem_ls ws",
    "stored": _LARGE,
    "array": "ws.scan",
    "complex": "ws.waves",
    "strings": "ws.labels",
    "times": "ws.hours",
    "records": "ws.events",
    "large": "ws.large",
    "study": "ws.study",
    "pool": "%pmem_info ws",
    "list": "ws.words",
    "floats": "ws.readings",
    "dict": "ws.settings",
    "set": "ws.seen",
    "tuple": "ws.nested",
    "missing": "ws.model",
    "object": """
import threading

class Model(pmemobj.PersistentObject):
    def _v__init__(self):
        self._v_lock = threading.Lock()

    def __repr__(self):
        return f"Model of kind {self.kind!r}, epoch {self.history['epoch']}"

ws.model""",
    "committed": """%%pmem_transaction ws
ws.cities["Bonn"] = 0.3
ws.settings["rate"] = 0.01
""",
    "rolled-back": """%%pmem_transaction ws
ws.cities.clear()
1 / 0
""",
    "transaction": """
with ws.transaction():
    ws.cities["Rome"] = 2.8
    display(ws.pool)
""",
    "check": "%pmem_check ws",
    "gc": "%pmem_gc ws",
    "snapshot": "%pmem_snapshot copy -w ws",
    "closed": "%pmem_close other",
    "scratch": "%pmem_open fresh --scratch --as look",
}

OPENED = ("dict", "large", "study")
"""The displays whose rows are opened, outer ones before those inside."""

PICTURED = (
    "recovered",
    "workspace",
    "pool",
    "list",
    "set",
    "dict",
    "array",
    "records",
    "study",
    "object",
    "missing",
    "committed",
    "rolled-back",
    "transaction",
    "check",
    "gc",
    "snapshot",
    "scratch",
    "closed",
)
"""Those of which docs/ has a picture."""
