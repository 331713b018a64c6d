"""Completion: what the magics' arguments may be, and what is stored under ``ws.x.<tab>``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.guarded_eval import EVALUATION_POLICIES, SelectivePolicy

from pmemobj.errors import PmemobjError
from pmemobj.jupyter.session import SESSION
from pmemobj.jupyter.usage import words
from pmemobj.poolfile import looks_like_pool

__all__ = ["Completion"]

_LINE = re.compile(r"\s*%{0,2}(pmem\w*)\s(.*)", re.DOTALL)
_MOST = 200
"""Directory entries looked into, and names offered, at most."""

_READABLE_ITEMS = (
    ("pmemobj.workspace", "Workspace"),
    ("pmemobj.containers.dict", "PersistentDict"),
    ("pmemobj.containers.list", "PersistentList"),
    ("pmemobj.containers.tuple", "PersistentTuple"),
)
_READABLE_ATTRIBUTES = (
    ("pmemobj.workspace", "Workspace"),
    ("pmemobj.containers.object", "PersistentObject"),
)


class Completion:
    """The completion of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

        @context_matcher(identifier="pmemobj")  # type: ignore[untyped-decorator]
        def match(context: CompletionContext) -> SimpleMatcherResult:
            return self._match(context)

        self._matcher = match
        self._values: dict[str, Callable[[str, str], Iterable[str]]] = {
            "name": lambda written, _: _paths(written, pools=True),
            "path": lambda written, _: _paths(written, pools=True),
            "file": lambda written, _: _paths(written, pools=False),
            "workspace": lambda _written, _magic: list(SESSION),
            "names": lambda _written, magic: self._names(magic),
        }

    def add(self) -> None:
        """Complete from now on."""
        self._shell.Completer.custom_matchers.append(self._matcher)
        for items, attributes in _policies():
            items.update(_READABLE_ITEMS)
            attributes.update(_READABLE_ATTRIBUTES)

    def remove(self) -> None:
        """No more."""
        matchers = self._shell.Completer.custom_matchers
        matchers[:] = [one for one in matchers if one is not self._matcher]
        for items, attributes in _policies():
            items.difference_update(_READABLE_ITEMS)
            attributes.difference_update(_READABLE_ATTRIBUTES)

    def _match(self, context: CompletionContext) -> SimpleMatcherResult:
        line = _LINE.fullmatch(context.text_until_cursor)
        shell = self._shell
        magic = line and (shell.find_line_magic(line[1]) or shell.find_cell_magic(line[1]))
        parser = getattr(magic, "parser", None)
        if line is None or parser is None:
            return _result([], suppress=False)
        before, written = _split(line[2])
        left_out = len(written) - len(context.token)
        offered = [
            word[left_out:] if left_out > 0 else _quoted(word, line[2])
            for word in self._candidates(parser, line[1], before, written)
            if word.startswith(written)
        ]
        return _result(offered[:_MOST], suppress=True)

    def _candidates(
        self, parser: Any, magic: str, before: list[str], written: str
    ) -> Iterable[str]:
        options = {flag: action for action in parser._actions for flag in action.option_strings}
        if written.startswith("-"):
            return sorted(flag for flag in options if flag.startswith("--") and flag not in before)
        asked = options.get(before[-1]) if before else None
        if asked is not None and asked.nargs != 0:
            return self._of(asked, magic, written)
        given = _positional(before, options)
        places = [action for action in parser._actions if not action.option_strings]
        if not places or (given >= len(places) and places[-1].nargs not in ("*", "+")):
            return []
        taken = set(before)
        found = self._of(places[min(given, len(places) - 1)], magic, written)
        return [word for word in found if word not in taken]

    def _of(self, action: Any, magic: str, written: str) -> Iterable[str]:
        if action.choices:
            return list(action.choices)
        values = self._values.get(action.dest)
        return values(written, magic) if values else []

    def _names(self, magic: str) -> list[str]:
        """Variables: the notebook's own to push, the workspaces' otherwise."""
        if magic == "pmem_push":
            hidden = self._shell.user_ns_hidden
            return [n for n in self._shell.user_ns if not n.startswith("_") and n not in hidden]
        names: list[str] = []
        for one in SESSION.pools().values():
            try:
                names += one.workspace._ipython_key_completions_()
            except PmemobjError:
                continue
        return names


def _result(words: Iterable[str], suppress: bool) -> SimpleMatcherResult:
    completions = [SimpleCompletion(word) for word in words]
    return cast("SimpleMatcherResult", {"completions": completions, "suppress": suppress})


def _policies() -> list[tuple[set[Any], set[Any]]]:
    """What IPython's policies let completion read: the sets for items and for attributes."""
    return [
        (policy.allowed_getitem_external, policy.allowed_getattr_external)
        for policy in EVALUATION_POLICIES.values()
        if isinstance(policy, SelectivePolicy)
    ]


def _split(rest: str) -> tuple[list[str], str]:
    """The words before the cursor's, and what is written of that; an open quote goes on."""
    for quote in "'\"":
        if rest.count(quote) % 2:
            head, _, written = rest.rpartition(quote)
            return words(head), written
    head, written = re.fullmatch(r"(.*?)(\S*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    return words(head), written


def _quoted(word: str, rest: str) -> str:
    """*word*, in quotes where it needs them and the person has not begun with one."""
    is_open = any(rest.count(quote) % 2 for quote in "'\"")
    spaced = any(letter.isspace() for letter in word)
    quote = '"' if "'" in word else "'"
    return f"{quote}{word}{quote}" if spaced and not is_open else word


def _positional(before: list[str], options: dict[str, Any]) -> int:
    """How many of the words are no options and no options' values."""
    count, skip = 0, False
    for word in before:
        if skip:
            skip = False
        elif word.startswith("-"):
            action = options.get(word)
            skip = action is not None and action.nargs != 0
        else:
            count += 1
    return count


def _paths(written: str, pools: bool) -> list[str]:
    """Paths that begin like *written*: directories with a slash; pools, or other files."""
    start = written.rpartition("/")[2]
    shown = written[: len(written) - len(start)]
    try:
        with os.scandir(os.path.expanduser(shown) or ".") as entries:
            there = [
                entry
                for entry in entries
                if entry.name.startswith(start) and (start or not entry.name.startswith("."))
            ]
    except OSError:
        return []
    found = []
    for entry in sorted(there, key=lambda entry: entry.name)[:_MOST]:
        is_pool = looks_like_pool(entry.path)
        if is_pool if pools else (is_pool or entry.is_file()):
            found.append(shown + entry.name)
        elif entry.is_dir():
            found.append(shown + entry.name + "/")
    return found
