"""What the README and the pages show is what happens."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import PATIENCE

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
KILL = "os.kill(os.getpid(), signal.SIGKILL)"

# Output goes out unbuffered: the examples may kill the process.
SESSION = """
import doctest, os, sys
text = sys.stdin.read()
test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, "session", None, 0)
runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
runner.run(test, out=lambda text: os.write(2, text.encode()))
sys.exit(runner.failures > 0)
"""


def sessions(page: Path) -> list[str]:
    return re.findall(r"^```pycon\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if sessions(page)], ids=lambda page: page.name
)
def test_sessions_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    for number, session in enumerate(sessions(page), start=1):
        done = subprocess.run(
            [sys.executable, "-c", SESSION],
            input=session,
            text=True,
            capture_output=True,
            cwd=tmp_path,
            timeout=PATIENCE,
            check=False,
        )
        expected = -signal.SIGKILL if KILL in session else 0
        assert done.stderr == "", f"session {number} of {page.name}"
        assert done.returncode == expected, f"session {number} of {page.name}"


def test_the_readme_has_a_session_that_is_killed_and_one_after_it() -> None:
    first, *others = sessions(ROOT / "README.md")
    assert KILL in first
    assert others


def test_tasks_that_pages_name_exist() -> None:
    runner = (ROOT / "dev").read_text("utf-8")
    tasks = set(re.findall(r"^task_([a-z-]+)\(\)", runner, re.MULTILINE)) | {"help"}
    for page in PAGES:
        named = set(re.findall(r"\./dev ([a-z][a-z-]*)", page.read_text("utf-8")))
        assert named <= tasks, page.name
    listed = set(re.findall(r"^  ([a-z-]+) {2,}", runner, re.MULTILINE))
    assert listed == tasks - {"help"}


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
