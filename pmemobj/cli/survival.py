"""The demonstration itself: two kernels, one pool, one SIGKILL, and a verification."""

from __future__ import annotations

import json
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmemobj.cli.kernel import CellResult, Kernel, Output
from pmemobj.cli.notebook import Notebook, find_notebook, source, tags
from pmemobj.cli.terminal import Terminal
from pmemobj.errors import PmemobjError

__all__ = ["Survival"]

EPOCHS_BEFORE_KILL = 12

_EVIDENCE = "from pmemobj.cli.evidence import evidence as _evidence; print(_evidence(ws))"
_FIRST_LABEL = 16


@dataclass
class _Training:
    """What the training cell printed, line by line."""

    text: str = ""
    started: int = 0
    losses: dict[int, str] = field(default_factory=dict)
    in_flight: bool = False

    @property
    def committed(self) -> int:
        return max(self.losses, default=0)

    def read(self, text: str) -> None:
        self.text += text
        *lines, self.text = self.text.split("\n")
        for line in lines:
            if found := re.fullmatch(r"epoch (\d+): half way", line):
                self.started, self.in_flight = int(found[1]), True
            elif found := re.fullmatch(r"epoch (\d+): committed, loss (\S+)", line):
                self.losses[int(found[1])] = found[2]
                self.in_flight = False


class Survival:
    """Runs notebooks/survive.ipynb in two kernels and kills the first."""

    def __init__(self, terminal: Terminal, out: Path) -> None:
        self._terminal = terminal
        self._out = out / "survive.ipynb"
        self._notebook = Notebook(find_notebook("survive.ipynb"))
        self._training = _Training()
        self._failed: list[str] = []
        self._started = time.perf_counter()

    def run(self) -> int:
        """Do it all; 0 when what had to survive survived."""
        say = self._terminal
        say.line()
        say.line(say.paint("  A kernel is killed at work. What survives?", "bold"))
        say.line()
        cells = self._notebook.code_cells
        kill = cells.index(self._notebook.tagged("kill"))
        with tempfile.TemporaryDirectory(prefix="pmemobj-demo-") as directory:
            before = self._first_kernel(Path(directory), cells[:kill], cells[kill])
            self._second_kernel(Path(directory), cells[kill + 1 :], before)
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._notebook.write(self._out)
        say.line()
        self._verdict()
        return 1 if self._failed else 0

    def _first_kernel(
        self, directory: Path, cells: list[dict[str, Any]], kill: dict[str, Any]
    ) -> dict[str, Any]:
        say = self._terminal
        start = time.perf_counter()
        kernel = Kernel(directory)
        try:
            pid = kernel.pid
            self._step("first kernel", f"process {pid}", start)
            start = time.perf_counter()
            for cell in cells:
                self._run_cell(kernel, cell)
            before = self._ask(kernel)
            count = len(before["variables"]) + 1
            self._step("cells run", f"{count} variables assigned to the workspace", start)
            start = time.perf_counter()

            def watch(output: Output) -> None:
                if output["output_type"] == "stream":
                    self._training.read(output["text"])
                    self._show_training()
                if self._training.in_flight and self._training.started > EPOCHS_BEFORE_KILL:
                    kernel.kill()

            result = kernel.run(source(kill), watch)
            if result.finished:
                raise PmemobjError("the training cell ended before its kernel could be killed")
            kernel.wait_dead()
        finally:
            kernel.stop()
        say.settle()
        training = self._training
        words = f"{training.committed} epochs committed, the next one half way"
        self._step("training", words, start)
        self._step("SIGKILL", f"process {pid} is gone, in the middle of its cell", tone="bad")
        result.outputs.append(
            {
                "output_type": "stream",
                "name": "stderr",
                "text": f"SIGKILL: kernel process {pid} ended here, in epoch {training.started}\n",
            }
        )
        self._notebook.record(kill, result)
        return before

    def _second_kernel(
        self, directory: Path, cells: list[dict[str, Any]], before: dict[str, Any]
    ) -> None:
        start = time.perf_counter()
        kernel = Kernel(directory)
        try:
            self._step("second kernel", f"process {kernel.pid}", start)
            after = before
            for cell in cells:
                if "definitions-first" in tags(cell):
                    self._ran(kernel.run(source(self._notebook.tagged("definitions"))))
                    after = self._ask(kernel)
                    self._verify(before, after)
                start = time.perf_counter()
                result = self._run_cell(kernel, cell)
                if "reopen" in tags(cell):
                    self._tell_opening(result, start)
                if "resume" in tags(cell):
                    resumed = _Training()
                    resumed.read(result.text)
                    first = min(resumed.losses, default=0)
                    self._expect(
                        first == after["epochs"] + 1,
                        f"{'training':{_FIRST_LABEL}}went on at epoch {first}, "
                        f"now at {resumed.committed}",
                    )
            kernel.shutdown()
        finally:
            kernel.stop()

    def _tell_opening(self, result: CellResult, start: float) -> None:
        undone = re.search(r"rolled back +(\d+ transactions?)", result.text)
        words = f"recovered, {undone[1] if undone else 'no transaction'} rolled back"
        self._step("%pmem_open", words, start)
        if not result.text.startswith("recovered"):
            self._expect(False, "the opening did not report a recovery")

    def _verify(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        training, say = self._training, self._terminal
        say.line()
        say.line(say.paint("  What the second kernel found", "bold"))
        say.line()
        for name, had in before["variables"].items():
            found = after["variables"].get(name)
            items = f"{had['items']:,} {'item' if had['items'] == 1 else 'items'}"
            same = found == had
            self._expect(same, f"{name:{_FIRST_LABEL}}{items}, identical (sha256)")
        strangers = sorted(set(after["variables"]) - set(before["variables"]))
        epochs, losses = after["epochs"], after["losses"]
        printed = [training.losses[epoch] for epoch in sorted(training.losses)]
        self._expect(
            training.committed <= epochs <= training.started,
            f"{'model':{_FIRST_LABEL}}epoch {epochs} is the last one committed "
            f"(the first kernel had reported {training.committed})",
        )
        stored = [f"{loss:.4f}" for loss in losses]
        self._expect(
            len(losses) == epochs and stored[: len(printed)] == printed,
            f"{'model.losses':{_FIRST_LABEL}}{len(losses)} losses, as they were reported",
        )
        self._expect(
            not strangers,
            f"{'uncommitted':{_FIRST_LABEL}}epoch {training.started} was half done: "
            "nothing of it is there",
        )

    def _verdict(self) -> None:
        say = self._terminal
        seconds = time.perf_counter() - self._started
        if self._failed:
            say.line(say.paint("  FAILED: " + "; ".join(self._failed), "bad"))
        else:
            words = "Everything committed survived, nothing else did."
            say.line(f"  {say.paint(words, 'good')}  {say.paint(f'{seconds:.1f} s in all', 'dim')}")
        say.line(f"  Read it: {self._out}")
        say.line()

    def _run_cell(self, kernel: Kernel, cell: dict[str, Any]) -> CellResult:
        result = kernel.run(source(cell))
        self._notebook.record(cell, result)
        return self._ran(result)

    def _ran(self, result: CellResult) -> CellResult:
        if not result.finished:
            raise PmemobjError("the kernel died by itself")
        if result.error is not None:
            raise PmemobjError(f"a cell failed: {result.error['ename']}: {result.error['evalue']}")
        return result

    def _ask(self, kernel: Kernel) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ran(kernel.run(_EVIDENCE, silent=True)).text)
        return answer

    def _step(self, label: str, words: str, start: float | None = None, tone: str = "info") -> None:
        say = self._terminal
        took = "" if start is None else f"{time.perf_counter() - start:6.2f} s"
        say.line(
            f"  {say.paint(f'{label:{_FIRST_LABEL}}', tone)}{words:54}{say.paint(took, 'dim')}"
        )

    def _expect(self, kept: bool, words: str) -> None:
        say = self._terminal
        mark = say.mark("✓", "ok") if kept else say.mark("✗", "LOST")
        say.line(f"  {say.paint(mark, 'good' if kept else 'bad')} {words}")
        if not kept:
            self._failed.append(re.sub(r"\s+", " ", words))

    def _show_training(self) -> None:
        say, training = self._terminal, self._training
        done = min(training.committed, EPOCHS_BEFORE_KILL)
        bar = "█" * done + "░" * (EPOCHS_BEFORE_KILL - done)
        label = say.paint(f"{'training':{_FIRST_LABEL}}", "info")
        say.rewrite(f"  {label}{bar} epoch {training.started} at work")
