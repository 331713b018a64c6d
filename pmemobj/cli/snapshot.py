"""``pmemobj snapshot POOL COPY`` and ``pmemobj restore COPY POOL``."""

from __future__ import annotations

import argparse
from typing import Any

import pmemobj
from pmemobj.cli.terminal import Terminal
from pmemobj.report import snapshot_summary

__all__ = ["add"]


def add(subparsers: Any) -> None:
    """Declare both commands."""
    parser = subparsers.add_parser("snapshot", help="make a verified copy of a pool")
    parser.add_argument("pool", help="the pool's file or directory")
    parser.add_argument("copy", help="where the copy shall be")
    _complete(parser, take)
    parser = subparsers.add_parser("restore", help="make a pool of a snapshot")
    parser.add_argument("copy", help="the snapshot's file or directory")
    parser.add_argument("pool", help="where the pool shall be")
    _complete(parser, restore)


def _complete(parser: Any, run: Any) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.set_defaults(run=run)


def take(args: argparse.Namespace, terminal: Terminal) -> int:
    """Open the pool, which recovers it, and copy it."""
    with pmemobj.open(args.pool) as pool:
        report = pool.snapshot(args.copy, overwrite=args.overwrite, progress=terminal.progress)
    terminal.settle()
    terminal.show(snapshot_summary("snapshot", report))
    return 0


def restore(args: argparse.Namespace, terminal: Terminal) -> int:
    """Copy the snapshot to where the pool shall be."""
    report = pmemobj.restore(
        args.copy, args.pool, overwrite=args.overwrite, progress=terminal.progress
    )
    terminal.settle()
    terminal.show(snapshot_summary("restored", report))
    return 0
