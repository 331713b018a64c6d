"""What a person may set about displays, for the whole process."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings", "settings"]


@dataclass
class Settings:
    """Limits of what one display shows.

    Attributes:
        max_rows: rows of one table; a Gap tells how many are left out.
        max_depth: tables inside each other, the outermost counted.
        html: notebooks get HTML beside the text; otherwise the text alone.
    """

    max_rows: int = 50
    max_depth: int = 3
    html: bool = True


settings = Settings()
"""The settings in force, read at each display."""
