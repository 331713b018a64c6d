"""One stored value as one line: its type, its text, its length and memory.

Reads through Peeker, so that a line costs what it shows, whatever the value holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from pmemobj import codecs
from pmemobj._native import lib
from pmemobj.cards import CARDS, Card
from pmemobj.codecs.leaves import float_from_bits
from pmemobj.display.summary import Badge, Summary, printable, size
from pmemobj.display.text import clip
from pmemobj.peek import Facts, Peeker, Raw, Window

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = [
    "LOOKS",
    "NAME_WIDTH",
    "VALUE_WIDTH",
    "Class",
    "Look",
    "Preview",
    "Shown",
    "bounded_repr",
    "class_missing",
]

NAME_WIDTH = 100
VALUE_WIDTH = 120
"""Columns of a name and of a value at most; where there is less room, a display cuts further."""

_PREVIEW_ITEMS = 6


class _BoundedRepr(Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = VALUE_WIDTH
        self.maxtuple = self.maxlist = self.maxset = self.maxfrozenset = self.maxdict = 6


_repr_of = _BoundedRepr().repr


def bounded_repr(value: object) -> str:
    """The repr of a Python object, short and on one line, whatever its class does."""
    try:
        return clip(printable(_repr_of(value)), VALUE_WIDTH)
    except Exception as error:  # a stranger's __repr__ may raise anything
        return f"<{type(value).__qualname__}: its repr raised {type(error).__name__}>"


@dataclass(frozen=True)
class Look:
    """How the objects of one layout are shown.

    Attributes:
        window: reads the first and the last elements.
        opaque: only its class knows what its memory holds; the window is empty.
        brackets: around the elements in a line; None: the class's name and parentheses.
        joint: between what an element is found under and the element, in a line.
        noun: what one element is called, and several.
        heading: of the column of what elements are found under; "": there is none.
        named: elements are found under keys or names; otherwise they are counted, or neither.
        quoted: such names are shown as strings.
    """

    window: Callable[[Peeker, Facts, int, int], Window]
    brackets: tuple[str, str] | None = None
    joint: str = ""
    noun: tuple[str, str] = ("item", "items")
    heading: str = ""
    named: bool = False
    quoted: bool = True
    opaque: bool = False


def _nothing(peek: Peeker, facts: Facts, head: int, tail: int) -> Window:
    return Window([], 0, [])


_LIST = Look(Peeker.sequence, ("[", "]"), heading="index")
_TUPLE = Look(Peeker.sequence, ("(", ")"), heading="index")
_SET = Look(Peeker.table, ("{", "}"))
_FROZENSET = Look(Peeker.table, ("frozenset({", "})"))
_DICT = Look(Peeker.table, ("{", "}"), ": ", ("entry", "entries"), "key", named=True)
_OBJECT = Look(
    Peeker.table,
    None,
    "=",
    ("attribute", "attributes"),
    "attribute",
    named=True,
    quoted=False,
)
_OPAQUE = Look(_nothing, opaque=True)

LOOKS: dict[int, tuple[str, Look]] = {
    lib.PMO_TYPE_TUPLE: ("tuple", _TUPLE),
    lib.PMO_TYPE_FROZENSET: ("frozenset", _FROZENSET),
    lib.PMO_TYPE_LIST: ("PersistentList", _LIST),
    lib.PMO_TYPE_DICT: ("PersistentDict", _DICT),
    lib.PMO_TYPE_SET: ("PersistentSet", _SET),
    lib.PMO_TYPE_PTUPLE: ("PersistentTuple", _TUPLE),
}
"""Type code -> the class's name, and how its objects are shown."""

_BASES: dict[str, Look] = {
    "PersistentList": _LIST,
    "PersistentTuple": _TUPLE,
    "PersistentDict": _DICT,
    "PersistentSet": _SET,
    "PersistentObject": _OBJECT,
}

_LARGE = {codecs.BIGINT: "int", codecs.TUPLE: "tuple", codecs.FROZENSET: "frozenset"}


@dataclass(frozen=True)
class Class:
    """The class of a stored object.

    Attributes:
        name: its qualified name, fit to be shown.
        stored: ``module:qualname`` of a user's class, "" of a built-in one.
        missing: it is not defined now.
    """

    name: str
    look: Look
    stored: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Shown:
    """A stored value, ready to become a row.

    Attributes:
        bytes: memory of the object itself, None where it has none of its own.
        facts: those of an object whose elements can be shown in turn.
        refers: an element that was looked at lies elsewhere, and is not in *bytes*.
        detail: makes what opening the value shows, if that is no table of elements.
    """

    type: str
    text: str
    length: str = ""
    bytes: int | None = None
    badges: tuple[Badge, ...] = ()
    facts: Facts | None = None
    look: Look = field(default=_OPAQUE)
    refers: bool = False
    detail: Callable[[], Summary] | None = None


def class_missing(stored: str, cell: str = "") -> str:
    """The sentence that says what to do about the class *stored*, ``module:qualname``.

    *cell*: which cell defined it, in words, where that is known.
    """
    module, _, qualname = printable(stored).partition(":")
    if module == "__main__":
        where = f" ({cell})" if cell else ""
        return f"Class {qualname} is not defined yet: run the cell that defines it{where}."
    return f"Class {qualname} is not defined yet: import it from {module}."


def _string(raw: Raw) -> Shown:
    text = raw.data.decode("utf-8", "surrogatepass" if raw.is_whole else "ignore")
    length = f"{len(text):,}" if raw.is_whole else ""
    preview = repr(text[: VALUE_WIDTH * 2])
    shown = clip(preview, VALUE_WIDTH)
    if not raw.is_whole and shown == preview:
        shown += "…"
    return Shown("str", shown, length, raw.number)


def _payload(peek: Peeker, raw: Raw) -> Shown:
    if raw.tag == lib.PMO_STR:
        return _string(raw)
    if raw.tag == lib.PMO_BYTES:
        preview = clip(repr(raw.data[:VALUE_WIDTH]), VALUE_WIDTH)
        return Shown("bytes", preview, f"{raw.number:,}", raw.number)
    pickled: tuple[Badge, ...] = ()
    if raw.tag == codecs.PICKLE:
        hint = "Stored as a pickle: the value is a copy, read anew each time."
        pickled = (Badge("pickled", "plain", hint),)
    if not raw.is_whole:
        kind = _LARGE.get(raw.tag, "value")
        return Shown(kind, f"({size(raw.number)})", "", raw.number, pickled)
    value = peek.decode(raw)
    if isinstance(value, codecs.Missing):
        missing = Badge("missing", "warn", clip(printable(value.reason), 200))
        return Shown("missing", clip(printable(repr(value)), VALUE_WIDTH), badges=(missing,))
    length = f"{len(value):,}" if isinstance(value, tuple | frozenset) else ""
    return Shown(type(value).__qualname__, bounded_repr(value), length, raw.number, pickled)


def _leaf(peek: Peeker, raw: Raw) -> Shown:
    if raw.tag == lib.PMO_INT:
        return Shown("int", str(raw.number))
    if raw.tag == lib.PMO_FLOAT:
        return Shown("float", repr(float_from_bits(raw.number)))
    if raw.has_payload:
        return _payload(peek, raw)
    value: Any = peek.decode(raw)
    return Shown(type(value).__qualname__, repr(value))


class Preview:
    """Lines about the values of one pool. The caller holds the manager's lock."""

    def __init__(self, manager: MemoryManager) -> None:
        self.peek = Peeker(manager)
        self._manager = manager
        self._types = manager.types
        self._classes: dict[int, Class] = {}

    def class_of(self, facts: Facts) -> Class:
        """The class of an object, and how it is shown."""
        known = self._classes.get(facts.type)
        if known is None:
            if facts.type in LOOKS:
                known = Class(*LOOKS[facts.type])
            else:
                stored, base = self.peek.type_name(facts.type)
                words = clip(printable(stored.partition(":")[2]), NAME_WIDTH)
                missing = stored in self._types.missing()
                known = Class(words, _BASES.get(base, _OPAQUE), stored, missing)
            self._classes[facts.type] = known
        return known

    def badges(self, facts: Facts) -> tuple[Badge, ...]:
        """What is remarkable about an object: a missing class, several references."""
        cls = self.class_of(facts)
        found: tuple[Badge, ...] = ()
        if cls.missing:
            found += (Badge("class missing", "warn", class_missing(cls.stored)),)
        return found + self.shared(facts)

    def shared(self, facts: Facts) -> tuple[Badge, ...]:
        """The badge of an object that several references lead to."""
        if facts.refcount < 2:
            return ()
        hint = f"{facts.refcount:,} references lead here: the same object, not copies."
        return (Badge(f"shared ×{facts.refcount:,}", "plain", hint),)

    def card(self, facts: Facts) -> Card:
        """What is told about an array or a pickled value."""
        return CARDS[facts.type](self._manager, self.peek, facts)

    def show(self, raw: Raw) -> Shown:
        """A value as one line."""
        if raw.tag != lib.PMO_REF:
            return _leaf(self.peek, raw)
        facts = self.peek.facts(raw.number)
        if facts.layout == lib.PMO_LAYOUT_BLOB:
            inner = _leaf(self.peek, self.peek.blob(raw.number))
            return Shown(inner.type, inner.text, inner.length, facts.bytes, inner.badges)
        if facts.type in CARDS:
            card = self.card(facts)
            badges = self.shared(facts)
            return Shown(card.type, card.text, card.length, card.bytes, badges, detail=card.detail)
        cls = self.class_of(facts)
        text, refers = self._elements(facts, cls)
        length = "" if cls.look.opaque else f"{facts.length:,}"
        badges = self.badges(facts)
        return Shown(cls.name, text, length, facts.bytes, badges, facts, cls.look, refers)

    def label(self, raw: Raw, look: Look) -> str:
        """What an element is found under: a key, or the name of an attribute."""
        if look.quoted or raw.tag != lib.PMO_STR:
            return clip(self._brief(raw)[0], NAME_WIDTH)
        return self.name(raw)

    def name(self, raw: Raw | None) -> str:
        """A key that names a variable or an attribute: strings without quotes."""
        if raw is None:
            return ""
        if raw.tag != lib.PMO_STR:
            return clip(self._brief(raw)[0], NAME_WIDTH)
        text = raw.data.decode("utf-8", "surrogatepass" if raw.is_whole else "ignore")
        return clip(printable(text), NAME_WIDTH)

    def _brief(self, raw: Raw) -> tuple[str, bool]:
        """A value inside a line, and if it lies elsewhere."""
        if raw.tag != lib.PMO_REF:
            return _leaf(self.peek, raw).text, False
        facts = self.peek.facts(raw.number)
        if facts.layout == lib.PMO_LAYOUT_BLOB:
            return _leaf(self.peek, self.peek.blob(raw.number)).text, True
        if facts.type in CARDS:
            return f"<{self.card(facts).text}>", True
        cls = self.class_of(facts)
        opening, closing = cls.look.brackets or (f"{cls.name}(", ")")
        return f"{opening}{'…' if facts.length or cls.look.opaque else ''}{closing}", True

    def _elements(self, facts: Facts, cls: Class) -> tuple[str, bool]:
        look = cls.look
        opening, closing = look.brackets or (f"{cls.name}(", ")")
        if look.opaque:
            return f"{opening}…{closing}", False
        window = look.window(self.peek, facts, _PREVIEW_ITEMS, 0)
        texts = []
        refers = False
        for key, value in window.head:
            words, elsewhere = self._brief(value)
            refers |= elsewhere
            before = self.label(key, look) + look.joint if key and look.named else ""
            texts.append(before + words)
        if window.hidden:
            texts.append("…")
        inside = clip(", ".join(texts), VALUE_WIDTH - len(opening) - len(closing))
        return f"{opening}{inside}{closing}", refers
