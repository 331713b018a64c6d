"""A class that is defined again takes over the subclasses of the one that had its name.

Its live instances are the type table's matter. Classes that were derived from the former definition
would go on with that; running the cell of a base class again is to reach them, too.
"""

from __future__ import annotations

from pmemobj.light import suppress, weak
from pmemobj.typetable import name_of

__all__ = ["class_defined"]

_latest: dict[str, weak[type]] = {}


def class_defined(cls: type) -> None:
    """A persistent class has been defined. Classes inside of functions are left alone."""
    name = name_of(cls)
    if "<locals>" in name:
        return
    latest = _latest.get(name)
    former = None if latest is None else latest()
    _latest[name] = weak(cls)
    if former is None or former is cls:
        return
    derived: list[type] = former.__subclasses__()
    for sub in derived:
        bases = tuple(cls if base is former else base for base in sub.__bases__)
        if sub is not cls:
            with suppress(TypeError):  # another layout, or cls is derived from it
                sub.__bases__ = bases
