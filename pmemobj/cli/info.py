"""``pmemobj info PATH``: a pool's state."""

from __future__ import annotations

import argparse
from typing import Any

import pmemobj
from pmemobj.cli.terminal import Terminal
from pmemobj.report import pool_info, pool_summary, recovery_info, recovery_summary

__all__ = ["add", "run"]


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("info", help="show a pool's size, use and durability")
    parser.add_argument("path", help="the pool's file or directory")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Open the pool (which recovers it after a crash) and tell about it."""
    with pmemobj.open(args.path, allow_pickle=False) as pool:
        if not pool.recovery.clean:
            terminal.show(recovery_summary(recovery_info(pool)))
            terminal.line()
        terminal.show(pool_summary(pool_info(pool)))
    return 0
