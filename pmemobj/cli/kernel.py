"""A Jupyter kernel to run cells in: started, watched, interrupted, killed."""

from __future__ import annotations

import os
import queue
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from pmemobj.errors import PmemobjError

__all__ = ["CellResult", "Kernel"]

Output = dict[str, Any]

_TIMEOUT = 60.0


class _Manager(KernelManager):
    """Runs this very Python, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
                "--HistoryManager.enabled=False",
            ],
            display_name="Python 3",
            language="python",
        )


@dataclass
class CellResult:
    """What running a cell gave.

    Attributes:
        outputs: in the shape that notebooks store.
        finished: the kernel reported its end.
    """

    outputs: list[Output] = field(default_factory=list)
    execution_count: int | None = None
    finished: bool = False

    @property
    def error(self) -> Output | None:
        """The error output, or None when the cell ran well."""
        return next((one for one in self.outputs if one["output_type"] == "error"), None)

    @property
    def text(self) -> str:
        """All that a person reads, displays in their text form."""
        return "".join(
            one.get("text", "")
            or one.get("data", {}).get("text/plain", "")
            or "\n".join(one.get("traceback", ()))
            for one in self.outputs
        )

    @property
    def html(self) -> str:
        """All HTML that the cell displayed."""
        return "".join(one.get("data", {}).get("text/html", "") for one in self.outputs)


class Kernel:
    """One kernel process with *directory* as its working directory."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self._sockets = tempfile.TemporaryDirectory(prefix="pmemobj-kernel-")
        self._manager = _Manager(transport="ipc", ip=os.path.join(self._sockets.name, "socket"))
        self._manager.start_kernel(
            cwd=str(directory), env={**os.environ, **_import_path(), **(environment or {})}
        )
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        try:
            self._client.wait_for_ready(timeout=_TIMEOUT)
        except RuntimeError as error:
            self.stop()
            raise PmemobjError(f"the kernel did not start: {error}") from error

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return int(self._manager.provisioner.pid)  # type: ignore[union-attr]

    def run(
        self,
        code: str,
        watch: Callable[[Output], None] | None = None,
        timeout: float = _TIMEOUT,
        silent: bool = False,
    ) -> CellResult:
        """Run *code* as a cell; *watch* sees each output as it comes.

        Returns an unfinished result when the kernel died meanwhile.

        Raises:
            PmemobjError: the cell was still running after *timeout* seconds.
        """
        request = self._client.execute(code, store_history=not silent)
        result = CellResult()
        deadline = time.monotonic() + timeout
        try:
            while not result.finished:
                message = self._message(self._client.get_iopub_msg, request, deadline)
                if message is None:
                    return result
                _take(result, message, watch)
            # ipykernel 7 may not notice a request that comes while it sends the reply to the one
            # before (its issue 1554).
            self._message(self._client.get_shell_msg, request, deadline)
        except queue.Empty:
            raise PmemobjError(f"a cell still runs after {timeout:.0f} s") from None
        return result

    def _message(
        self, channel: Callable[..., Mapping[str, Any]], request: str, deadline: float
    ) -> Mapping[str, Any] | None:
        """The channel's next message about *request*; None: the kernel died.

        Raises:
            queue.Empty: there was none before *deadline*.
        """
        while True:
            try:
                message = channel(timeout=0.2)
            except queue.Empty:
                if not self.alive:
                    return None
                if time.monotonic() > deadline:
                    raise
                continue
            if message["parent_header"].get("msg_id") == request:
                return message

    @property
    def alive(self) -> bool:
        """The process is there."""
        provisioner = self._manager.provisioner
        process = getattr(provisioner, "process", None)
        return process is not None and process.poll() is None

    def interrupt(self) -> None:
        """What the stop button does."""
        os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL: the process gets no chance to do anything."""
        os.kill(self.pid, signal.SIGKILL)

    def wait_dead(self) -> None:
        """Wait until the killed process is gone."""
        deadline = time.monotonic() + 10.0
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.005)

    def shutdown(self) -> None:
        """Ask the kernel to end, as a notebook server does, and wait for it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=False)
        self._sockets.cleanup()

    def stop(self) -> None:
        """End it however it is, and free what belongs to it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._sockets.cleanup()


def _import_path() -> dict[str, str]:
    """Lets the kernel import this very package, where it is not installed but a checkout."""
    home = Path(__file__).resolve().parents[2]
    if home.name in ("site-packages", "dist-packages"):
        return {}
    paths = [str(home), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _take(
    result: CellResult, message: Mapping[str, Any], watch: Callable[[Output], None] | None
) -> None:
    kind, content = message["msg_type"], message["content"]
    if kind == "status":
        result.finished = content["execution_state"] == "idle"
        return
    if kind == "execute_input":
        result.execution_count = content["execution_count"]
        return
    output = _output(kind, content)
    if output is None:
        return
    last = result.outputs[-1] if result.outputs else None
    if kind == "stream" and last is not None and last.get("name") == output["name"]:
        last["text"] += output["text"]
    else:
        result.outputs.append(dict(output))
    if watch is not None:
        watch(output)


def _output(kind: str, content: Mapping[str, Any]) -> Output | None:
    if kind == "stream":
        return {"output_type": kind, "name": content["name"], "text": content["text"]}
    if kind in ("display_data", "execute_result"):
        output: Output = {
            "output_type": kind,
            "data": content["data"],
            "metadata": content["metadata"],
        }
        if kind == "execute_result":
            output["execution_count"] = content["execution_count"]
        return output
    if kind == "error":
        return {
            "output_type": kind,
            "ename": content["ename"],
            "evalue": content["evalue"],
            "traceback": content["traceback"],
        }
    return None
