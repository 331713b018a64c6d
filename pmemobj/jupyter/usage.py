"""A person's mistakes: told in a sentence, without a traceback."""

# IPython's magic functions carry no types.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from keyword import iskeyword
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import parse_argstring
from IPython.utils.process import arg_split  # type: ignore[attr-defined]

from pmemobj.errors import PmemobjError
from pmemobj.report import explain

__all__ = [
    "SHELL_NAMES",
    "checked_variable",
    "parse",
    "parse_size",
    "usage_errors",
    "words",
]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SHELL_NAMES = ("In", "Out", "exit", "quit", "get_ipython", "open")


def parse(magic: Any, line: str) -> Any:
    """The arguments that *line* gives to *magic*, without quotes around them.

    Raises:
        UsageError: it does not take them.
    """
    try:
        args = parse_argstring(magic, line)
    except ValueError as error:
        raise UsageError(f"{error}: quote a name with spaces as a whole") from None
    for name, value in vars(args).items():
        if isinstance(value, str):
            setattr(args, name, _unquoted(value))
        elif isinstance(value, list):
            setattr(args, name, [_unquoted(word) for word in value])
    return args


def words(line: str) -> list[str]:
    """The words of the beginning of a line, without quotes around them."""
    return [_unquoted(word) for word in arg_split(line, strict=False)]


@contextmanager
def usage_errors() -> Iterator[None]:
    """What this library refuses inside the block is the person's mistake."""
    try:
        yield
    except PmemobjError as error:
        raise UsageError(explain(error)) from None


def parse_size(option: str, written: str) -> int:
    """Bytes of ``64M``, ``1.5GiB`` or ``8388608``, which *option* was given.

    Raises:
        UsageError: it is no size.
    """
    match = re.fullmatch(r"(\d{1,30}(?:\.\d{1,30})?)\s*([KMGT]?)(?:I?B)?", written.strip().upper())
    if match is None:
        raise UsageError(
            f"{option} {written}: give bytes, or a number with K, M, G or T, such as 64M"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def _unquoted(name: str) -> str:
    """An argument without the quotes around it."""
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "'\""
    return name[1:-1] if quoted else name


def checked_variable(option: str, name: str) -> str:
    """*name*, which *option* was given, if a notebook's variable can be called so.

    Raises:
        UsageError: it cannot, or the name belongs to Python or to IPython.
    """
    if not name.isidentifier() or iskeyword(name):
        raise UsageError(f"{option} {name}: not a name that a variable can have")
    if name.startswith("_") or name in SHELL_NAMES:
        raise UsageError(f"{option} {name}: IPython uses this name itself; take another")
    return name
