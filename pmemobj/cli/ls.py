"""``pmemobj ls PATH``: the variables in a pool."""

from __future__ import annotations

import argparse
from typing import Any

import pmemobj
from pmemobj.cli.terminal import Terminal
from pmemobj.report import workspace_summary

__all__ = ["add", "run"]


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("ls", help="list what is under a pool's root")
    parser.add_argument("path", help="the pool's file or directory")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Open the pool and list its variables."""
    with pmemobj.open(args.path, allow_pickle=False) as pool:
        terminal.show(workspace_summary(pool, "variables", nested=False))
    return 0
