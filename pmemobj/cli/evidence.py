"""What the demonstration's kernels say about the workspace: digests and counts, as JSON."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pmemobj

if TYPE_CHECKING:
    from pmemobj.workspace import Workspace

__all__ = ["evidence"]


def evidence(workspace: Workspace) -> str:
    """Every variable's digest, and the state of the model and its transaction."""
    model = workspace.model
    variables = {}
    for name, value in workspace.items():
        if value is not model:
            plain = pmemobj.plain(value)
            variables[name] = {
                "items": len(plain) if hasattr(plain, "__len__") else 1,
                "digest": hashlib.sha256(repr(plain).encode()).hexdigest(),
            }
    return json.dumps(
        {
            "pid": os.getpid(),
            "variables": variables,
            "epochs": model.epochs,
            "losses": list(model.losses),
            "line": [model.slope, model.offset],
        }
    )
