"""Threads of the tests: where one hangs, a test fails, and the process can end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 60.0  # seconds, many times what anything here takes


class Worker:
    """A thread that does *work*, from now on."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, *arguments), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._result = work(*arguments)
        except BaseException as error:
            self._error = error

    def busy(self, seconds: float = 0.05) -> bool:
        """Is it still at work, after so much time?"""
        self._thread.join(seconds)
        return self._thread.is_alive()

    def end(self) -> Any:
        """Wait for its end; what *work* gave or raised."""
        assert not self.busy(PATIENCE), "a thread hangs"
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Each action in a thread of its own, to the end; their results, or the first failure."""
    workers = [Worker(action) for action in actions]
    for worker in workers:
        worker.busy(PATIENCE)
    return [worker.end() for worker in workers]


def in_thread(work: Callable[[], Any]) -> Any:
    """What *work* gives or raises in a thread of its own."""
    return Worker(work).end()


def wait_for(event: threading.Event) -> None:
    """Wait for what another thread is to say."""
    assert event.wait(PATIENCE), "what another thread was to do did not happen"


@contextmanager
def paused(work: Callable[[], Iterator[None]]) -> Iterator[None]:
    """While the block lasts another thread has come to the ``yield`` of *work*; then it goes on."""
    reached, resumed = threading.Event(), threading.Event()

    def act() -> None:
        for _ in work():
            reached.set()
            wait_for(resumed)

    worker = Worker(act)
    try:
        wait_for(reached)
        yield
    finally:
        resumed.set()
        worker.end()
