"""``pmemobj check PATH``: verify every object of a pool."""

from __future__ import annotations

import argparse
import os
from typing import Any

import pmemobj
from pmemobj.cli.terminal import Terminal
from pmemobj.report import check_summary

__all__ = ["add", "run"]


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("check", help="verify everything in a pool")
    parser.add_argument("path", help="the pool's file or directory")
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="import the modules of stored classes, some of which only they can verify; "
        "that runs code of the pool's choice",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Verify the pool: 0 when it is sound, 1 when damage was found."""
    report = pmemobj.check(args.path, allow_pickle=args.allow_pickle, progress=terminal.progress)
    terminal.settle()
    terminal.show(check_summary(os.path.abspath(args.path), report))
    return 0 if report.ok else 1
