"""What a person may configure: ``c.PmemMagics...`` in a file, ``%config PmemMagics`` in a cell."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Enum, Int, List, TraitError, Unicode, validate
from traitlets.config import Config, Configurable

from pmemobj.jupyter.usage import checked_variable, parse_size

__all__ = ["DURABILITIES", "PmemMagics", "configured"]

DURABILITIES = ("auto", "process", "power")


class PmemMagics(Configurable):
    """Defaults of the pmemobj magics, and how much displays show."""

    workspace = Unicode("ws", help="The variable that %pmem_open binds without --as.").tag(
        config=True
    )
    durability = Enum(
        DURABILITIES,
        "auto",
        help="Durability of pools opened without --durability: process (survives kill -9), power "
        "(survives power loss too), auto (power on persistent memory, process elsewhere).",
    ).tag(config=True)
    reservation = Unicode(
        "1T",
        help="Address space that a growing pool reserves when it is opened, and may grow into; "
        "less where the process may not have that much.",
    ).tag(config=True)
    autoload = List(
        Unicode(),
        help="Pools to open when the extension is loaded, as %pmem_open would: 'analysis', or "
        "'analysis --as data'.",
    ).tag(config=True)
    max_rows = Int(50, min=1, help="Rows of a table that a display shows at most.").tag(config=True)
    max_depth = Int(3, min=1, help="Levels of nested tables that a display shows at most.").tag(
        config=True
    )
    display = Enum(
        ("html", "text"), "html", help="Displays in HTML, or everywhere as plain text."
    ).tag(config=True)
    progress = Bool(True, help="Show a bar when work takes longer than about a second.").tag(
        config=True
    )

    @property
    def reserved(self) -> int:
        """The reservation in bytes."""
        return parse_size("reservation", self.reservation)

    @validate("reservation")
    def _check_reservation(self, proposal: Any) -> str:
        words: str = proposal["value"]
        try:
            parse_size("reservation", words)
        except Exception as error:
            raise TraitError(str(error)) from None
        return words

    @validate("workspace")
    def _check_workspace(self, proposal: Any) -> str:
        name: str = proposal["value"]
        try:
            return checked_variable("workspace", name)
        except Exception as error:
            raise TraitError(str(error)) from None


def configured(config: Config) -> tuple[PmemMagics, list[str]]:
    """The settings that *config* asks for, and why some of its values were refused.

    These are taken out of it: ``%config`` leaves there what it then refuses.
    """
    refused = []
    section = config.get(PmemMagics.__name__, {})
    for name, value in list(section.items()):
        try:
            PmemMagics(config=Config({PmemMagics.__name__: {name: value}}))
        except TraitError as error:
            refused.append(f"c.PmemMagics.{name} = {value!r}: {str(error).rstrip('.')}")
            del section[name]
    return PmemMagics(config=config), refused
