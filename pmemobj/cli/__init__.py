"""The command line: ``pmemobj COMMAND`` or ``python -m pmemobj COMMAND``.

One module per command, or pair of them: ``add(subparsers)`` declares it and names what runs it,
a function ``(args, terminal) -> exit status``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import pmemobj
from pmemobj.cli import check, demo, info, ls, snapshot
from pmemobj.cli.terminal import Terminal
from pmemobj.errors import PmemobjError
from pmemobj.report import explain

__all__ = ["main"]

COMMANDS = (demo, info, ls, check, snapshot)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 0 well, 1 found something wrong, 2 could not.

    Of signals that end it: 130 after Ctrl-C, 141 where nobody reads the output any more.
    """
    parser = argparse.ArgumentParser(
        prog="pmemobj", description="Python objects in a pool that survive kill -9."
    )
    parser.add_argument("--version", action="version", version=f"pmemobj {pmemobj.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    args = parser.parse_args(argv)
    terminal = Terminal(sys.stdout)
    try:
        return int(args.run(args, terminal))
    except PmemobjError as error:
        print(f"pmemobj {args.command}: {explain(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"pmemobj {args.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has seen enough, as in ``pmemobj ls PATH | head -1``
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:  # a full disk behind the output, say
        _drop_output()
        print(f"pmemobj {args.command}: {error.strerror or error}", file=sys.stderr)
        return 2


def _drop_output() -> None:
    """Nothing more can be written: let the interpreter's end not try it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
