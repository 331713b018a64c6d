"""``pmemobj demo``: kill a notebook's kernel at work, and show what a new one finds."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pmemobj.cli.terminal import Terminal
from pmemobj.errors import PmemobjError

__all__ = ["add", "run"]


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "demo", help="kill a kernel at work with SIGKILL, and show what survived"
    )
    parser.add_argument(
        "--out",
        default="pmemobj-demo",
        type=Path,
        metavar="DIR",
        help="where the executed notebook goes (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """0 when everything committed survived and nothing uncommitted did, else 1."""
    for package in ("jupyter_client", "ipykernel"):
        if find_spec(package) is None:
            raise PmemobjError(f"the demonstration needs {package}: pip install 'pmemobj[jupyter]'")
    from pmemobj.cli.survival import Survival

    return Survival(terminal, args.out).run()
