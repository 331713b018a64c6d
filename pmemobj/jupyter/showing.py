"""Displays of this library as IPython shows them."""

from __future__ import annotations

from IPython.display import display

from pmemobj.display import html, text
from pmemobj.display.settings import settings
from pmemobj.display.summary import Summary

__all__ = ["show"]


class _Shown:
    """A Summary in the shape that IPython displays."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def __repr__(self) -> str:
        return text.render(self._summary)

    def _repr_html_(self) -> str | None:
        return html.render(self._summary, settings.max_depth) if settings.html else None


def show(summary: Summary) -> None:
    """Display *summary*, as HTML where that can be shown, as text elsewhere."""
    display(_Shown(summary))  # type: ignore[no-untyped-call]
