"""The demonstration: it runs, it verifies, and it notices what is lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nbformat
import pytest

from pmemobj.cli import main
from pmemobj.cli.survival import Survival
from pmemobj.cli.terminal import Terminal

BEFORE = {"variables": {"data": {"items": 3, "digest": "abc"}}}
AFTER = {
    "variables": {"data": {"items": 3, "digest": "abc"}},
    "epochs": 2,
    "losses": [8.5, 7.25],
}


def test_the_demonstration(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "Everything committed survived, nothing else did." in told
    assert "50,000 items, identical" in told
    assert "\x1b" not in told
    written = tmp_path / "out" / "survive.ipynb"
    notebook = nbformat.read(written, as_version=4)
    nbformat.validate(notebook)
    outputs = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "SIGKILL: kernel process" in outputs
    assert "everything committed is here" in outputs
    assert "text/html" in outputs


def verify(before, after, committed=2, started=3):
    stream = io.StringIO()
    survival = Survival(Terminal(stream), Path("unused"))
    survival._training.read("epoch 1: half way\nepoch 1: committed, loss 8.5000\n")
    survival._training.read("epoch 2: half way\nepoch 2: comm")
    survival._training.read("itted, loss 7.2500\nepoch 3: half way\n")
    assert (survival._training.committed, survival._training.started) == (committed, started)
    survival._verify(before, after)
    return len(survival._failed)


def test_the_verification_is_content_with_what_was_committed():
    assert verify(BEFORE, AFTER) == 0
    assert verify(BEFORE, {**AFTER, "epochs": 3, "losses": [8.5, 7.25, 6.0]}) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"variables": {}},
        {"variables": {"data": {"items": 3, "digest": "abd"}}},
        {"variables": {**AFTER["variables"], "epoch in flight": {"items": 1, "digest": "x"}}},
        {"losses": [8.5]},
        {"losses": [8.5, 7.0]},
        {"epochs": 4, "losses": [8.5, 7.25, 6.0, 5.0]},
    ],
)
def test_the_verification_notices_what_is_wrong(changed):
    assert verify(BEFORE, {**AFTER, **changed}) == 1


def test_a_lost_commit_is_noticed():
    assert verify(BEFORE, {**AFTER, "epochs": 1, "losses": [8.5]}) == 2
