"""The IPython extension: ``%load_ext pmemobj``, then ``%pmem_open NAME``.

Registers the parts of pmemobj.jupyter with a shell, and takes them away again without a rest.
Several pools may be open at once, each under a name of its own.
"""

# IPython's own functions carry no types.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from pmemobj.display.settings import settings as display_settings
from pmemobj.jupyter.completion import Completion
from pmemobj.jupyter.configuration import PmemMagics, configured
from pmemobj.jupyter.pools import PoolMagics
from pmemobj.jupyter.progress import Bars
from pmemobj.jupyter.transactions import TransactionMagics
from pmemobj.jupyter.variables import VariableMagics
from pmemobj.progress import watch

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


class _Loaded:
    """What the extension has added to one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.settings = _settings_of(shell)
        self.magics = (
            PoolMagics(shell, self.settings),
            VariableMagics(shell),
            TransactionMagics(shell),
        )
        self.completion = Completion(shell)

    def add(self) -> None:
        """Register everything, then open what is to be opened at the start."""
        shell, settings = self.shell, self.settings
        shell.configurables.append(settings)
        shell.register_magics(*self.magics)
        self.completion.add()
        watch(Bars(shell, settings))
        settings.observe(self._apply_display, ("max_rows", "max_depth", "display"))
        self._apply_display()
        for arguments in settings.autoload:
            try:
                shell.run_line_magic("pmem_open", arguments)
            except UsageError as error:  # the others, and all of the magics, are wanted still
                shell.show_usage_error(error)

    def _apply_display(self, _change: object = None) -> None:
        display_settings.max_rows = self.settings.max_rows
        display_settings.max_depth = self.settings.max_depth
        display_settings.html = self.settings.display == "html"

    def remove(self) -> None:
        """Take everything away again."""
        shell = self.shell
        manager = shell.magics_manager
        for one in self.magics:
            for kind, names in one.magics.items():
                for name in names:
                    manager.magics[kind].pop(name, None)
            manager.registry.pop(type(one).__name__, None)
        ours = (self.settings, *self.magics)
        shell.configurables[:] = [
            one for one in shell.configurables if not any(one is own for own in ours)
        ]
        self.completion.remove()
        self.settings.unobserve_all()
        watch(None)


def _settings_of(shell: Any) -> PmemMagics:
    settings, refused = configured(shell.config)
    for why in refused:
        shell.show_usage_error(f"{why}; its default is in force")
    return settings


_loaded: dict[int, _Loaded] = {}
"""By the shell's id: loading twice adds nothing twice."""


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to *shell*. Loading twice is harmless."""
    unload_ipython_extension(shell)
    loaded = _loaded[id(shell)] = _Loaded(shell)
    loaded.add()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away. Pools stay open, their workspaces stay bound."""
    loaded = _loaded.pop(id(shell), None)
    if loaded is not None:
        loaded.remove()
