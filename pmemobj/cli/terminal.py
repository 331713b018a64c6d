"""What a command may do on a terminal: colour where it is wanted, plain text elsewhere."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

from pmemobj.display import text
from pmemobj.display.summary import Summary, Tone

__all__ = ["Terminal"]

_CODES: dict[str, str] = {
    "good": "32",
    "info": "36",
    "warn": "33",
    "bad": "31",
    "bold": "1",
    "dim": "2",
}
_PLAIN_MARKS = str.maketrans({"█": "#", "░": ".", "…": "~", "·": "-", "×": "x", "µ": "u"})


class Terminal:
    """Writes to *stream*; colours only a terminal, and not when NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.interactive = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self.interactive and not os.environ.get("NO_COLOR")
        encoding = (stream.encoding or "ascii").lower().replace("-", "")
        self._wide = encoding.startswith("utf")
        self.width = min(shutil.get_terminal_size((100, 24)).columns, 120)

    def paint(self, words: str, tone: Tone | str) -> str:
        """*words* in the colour of *tone*, where there are colours."""
        code = _CODES.get(tone)
        return f"\x1b[{code}m{words}\x1b[0m" if self._colour and code and words else words

    def mark(self, wide: str, plain: str) -> str:
        """A symbol that the stream's encoding can show."""
        return wide if self._wide else plain

    def line(self, words: str = "") -> None:
        """Write a line at once."""
        self._stream.write(self._shown(words) + "\n")
        self._stream.flush()

    def rewrite(self, words: str) -> None:
        """Write over the present line, on a terminal only."""
        if self.interactive:
            self._stream.write(f"\r\x1b[2K{self._shown(words)}")
            self._stream.flush()

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """Show how far work has come, on a terminal only: what long work takes as *progress*."""
        self.rewrite(f"{phase}: {done:,}" + (f" of {total:,}" if total else ""))

    def settle(self) -> None:
        """Clear what rewrite() left."""
        if self.interactive:
            self._stream.write("\r\x1b[2K")

    def show(self, summary: Summary) -> None:
        """Write *summary*."""
        self.line(text.render(summary, self.width, self.paint))

    def _shown(self, words: str) -> str:
        if self._wide:
            return words
        narrow = words.translate(_PLAIN_MARKS)
        return narrow.encode("ascii", "backslashreplace").decode("ascii")
