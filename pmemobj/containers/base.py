"""What every stored object's Python handle shares: identity, attachment, comparison of kinds.

A handle is a small volatile object: the manager, the offset of the data, a read-through
cache. There is at most one live handle per stored object, so ``root["a"] is root["a"]``.
Every attribute whose name starts with ``_p_`` belongs to the library.

How caching stays right, in three rules:

* a mutator that returns, or raises, has removed what it changed from ``_p_cache``, or put the
  new value there if nothing else was changed meanwhile;
* a reader fills ``_p_cache`` only while it holds the manager's lock, and only if no signal handler
  has changed the object since the core was asked;
* at the first change inside an explicit transaction the manager calls ``_p_suspend``:
  from then to the end of the transaction the cache keeps nothing.

``_p_moves`` tells iterators that something changed since they read ahead. An insertion or a
replaced value counts 1, a removal ``REMOVAL``, the end of a transaction ``REFRESH``. Every
change adds to it before it enters the core, with the lock or with the claim of csrc/turn.c.

``_p_change`` changes one element, without the lock where the core allows that (csrc/turn.c).
"""

from __future__ import annotations

import struct
from itertools import repeat
from reprlib import recursive_repr

from pmemobj._native import ffi, lib
from pmemobj.codecs import decode_batch
from pmemobj.containers.ahead import Ahead, Watched
from pmemobj.errors import DetachedObjectError, MissingAttributeError, MissingClassError
from pmemobj.kinds import FRESH, cacheable
from pmemobj.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, ClassVar, NoReturn

    from pmemobj.manager import MemoryManager
    from pmemobj.transaction import NoCache

__all__ = [
    "AFTER_CHANGE",
    "BATCH",
    "BUSY",
    "CACHE_LIMIT",
    "CHANGED",
    "CLASS_DEFINED",
    "DETACHED",
    "FIRST_READ",
    "LARGEST_READ",
    "LONG_REPR",
    "MISSING",
    "MOST_HANDLES",
    "NO_VALUES",
    "REFRESH",
    "REMOVAL",
    "PlainObject",
    "Run",
    "Stored",
    "capture",
    "class_made",
    "guard_attributes",
    "is_nan",
    "make_placeholder",
    "missing_attribute",
    "refuse_change",
    "same_value",
]

CACHE_LIMIT = 4096  # entries of one handle's cache, which is then emptied
FIRST_READ = 16  # elements that an iterator reads ahead at first
LARGEST_READ = 8192  # and at most
MOST_HANDLES = 1024  # if they are handles
AFTER_CHANGE = 4  # and when something was changed
LONG_REPR = 1000  # characters
REMOVAL = 1 << 32  # what a removal adds to _p_moves
REFRESH = 1 << 80  # and what the end of a transaction that changed the object adds

BUSY = lib.PMO_EBUSY
_REF = lib.PMO_REF
_FIRST_PAYLOAD = lib.PMO_STR
_TEXTS = (bytes, str)
_PLAIN_KEYS = (str, int)
BATCH = ffi.typeof("pmo_batch *")
NO_VALUES = ffi.new(BATCH)  # an empty run of values


CLASS_DEFINED: list[Callable[[type], object]] = []  # each is called with every new subclass


def same_value(one: Any, other: Any) -> Any:
    """Are they the same, as containers ask: identical or equal? A NaN is identical by its bits."""
    return one is other or one == other or (is_nan(one) and is_nan(other) and _bits(one, other))


def is_nan(value: Any) -> bool:
    """Is it a float that equals nothing?"""
    return type(value) is float and value != value


def _bits(one: float, other: float) -> bool:
    return _float.pack(one) == _float.pack(other)


_float = struct.Struct("<d")


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


MISSING: Any = _Missing()
CHANGED: Any = _Missing()


class _Detached:
    """Stands in for the manager of a handle that no pool has adopted."""

    def __getattr__(self, name: str) -> Any:
        raise DetachedObjectError(
            "this object belongs to no pool: persistent objects are made with "
            "pool.new(cls, ...), or by putting plain values into a persistent container"
        )


DETACHED: Any = _Detached()


class Stored:
    """The handle of an object that lies in a pool.

    Made by ``pool.new(cls, ...)`` and by reading a reference; never by calling the class.
    """

    __slots__ = ("__weakref__", "_p_cache", "_p_mm", "_p_moves", "_p_off")

    _p_layout: ClassVar[int]  # in the classes that are a kind of their own
    _p_longest: ClassVar[int] = 4096  # bytes: a longer string is decoded anew at every read

    _p_mm: MemoryManager
    _p_off: int
    _p_cache: dict[Any, Any]
    _p_moves: int

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return Stored._p_allocate(cls)

    @staticmethod
    def _p_allocate(cls: type) -> Any:
        """A handle of *cls* that no pool has adopted; calls nothing that *cls* defines."""
        self: Any = object.__new__(cls)
        _set_manager(self, DETACHED)
        _set_offset(self, 0)
        _set_cache(self, {})
        _set_moves(self, 0)
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        class_made(cls)

    @property
    def _p_oid(self) -> tuple[int, int]:
        return (self._p_mm.uuid_lo, self._p_off)

    def _p_new(self, manager: MemoryManager) -> None:
        """Make the empty stored object that this new handle stands for."""
        _set_manager(self, manager)
        _set_offset(self, manager.make(type(self)))
        manager.adopt(self)

    def _p_resurrect(self, manager: MemoryManager, oid: tuple[int, int]) -> None:
        """Stand for the object stored at *oid*."""
        _set_manager(self, manager)
        _set_offset(self, oid[1])
        manager.adopt(self)

    @classmethod
    def _p_found(
        cls, manager: MemoryManager, offsets: list[int], caches: list[dict[Any, Any]]
    ) -> dict[int, Any]:
        """Handles of objects that are pinned already, with what was read of them; by offset.

        For the kinds themselves: a subclass may have a ``__setattr__``.
        """
        handles = list(map(object.__new__, repeat(cls, len(offsets))))
        for handle, offset, cache in zip(handles, offsets, caches, strict=True):
            handle._p_mm = manager
            handle._p_off = offset
            handle._p_cache = cache
            handle._p_moves = 0
        made = dict(zip(offsets, handles, strict=True))
        for offset in manager.handles.add_many(offsets, handles):
            made[offset] = manager.handles.get(offset)
            lib.pmo_unpin(manager.ctx, offset)
        return made

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        """The oids of the objects that this one refers to, one per reference."""
        raise NotImplementedError

    def _p_substructures(self) -> Iterator[tuple[int, int]]:
        """Nothing: the core keeps the storage of its own containers."""
        return iter(())

    def _p_suspend(self, nothing: NoCache) -> None:
        """The object is about to change in an explicit transaction: cache nothing until its end."""
        _set_cache(self, nothing)

    def _p_refresh(self) -> None:
        """The object may be another than before: read everything again."""
        _set_cache(self, {})
        _set_moves(self, self._p_moves + REFRESH)

    def _p_poison(self) -> None:
        """The object no longer exists: every use of the handle raises from now on."""
        _set_offset(self, 1)
        self._p_refresh()

    def _p_length(self) -> int:
        mm = self._p_mm
        with mm.lock:
            if mm.attention:
                mm.attend()
            length: int = lib.pmo_length(mm.ctx, self._p_off)
            if length < 0:
                mm.finish(length, self)
        return length

    def _p_change(
        self,
        cache: dict[Any, Any] | None,
        key: Any,
        value: Any,
        moves: int,
        change: Callable[..., int],
        *arguments: Any,
    ) -> int:
        """Let the core change one element: ``change(ctx, offset, *arguments)``; gives its status.

        The status is 0, or says that there is no such element; any other one is raised.

        Args:
            cache: where the element is cached as *key*, if it was read; None: in ``_p_cache``.
            value: what it will be, or MISSING if a reader is to find out.
            moves: what the change counts in ``_p_moves``.
            change: a function of the core that can do without the lock.
        """
        mm = self._p_mm
        if not mm.attention or self._p_cache is mm.uncached:
            then = self._p_moves + moves
            _set_moves(self, then)  # not by assignment: a class may have a __setattr__
            try:
                status = change(mm.ctx, self._p_off, *arguments)
            except BaseException:
                (self._p_cache if cache is None else cache).pop(key, None)
                raise
            kept = self._p_cache if cache is None else cache
            if key in kept:
                kept.pop(key, None)
                self._p_renew(kept, key, value, then, status)
            if not status or status in _ABSENT:
                return status
            if mm.settled(status, self):
                return lib.PMO_OK  # type: ignore[no-any-return]
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            kept = self._p_cache if cache is None else cache
            kept.pop(key, None)
            _set_moves(self, self._p_moves + moves)
            try:
                status = change(mm.ctx, self._p_off, *arguments)
                if status == BUSY:  # another thread was the last one here
                    status = lib.pmo_claim(mm.ctx) or change(mm.ctx, self._p_off, *arguments)
            finally:
                kept.pop(key, None)  # a signal handler may have read it meanwhile
            if status and status not in _ABSENT:
                mm.finish(status, self)
                status = lib.PMO_OK
        return status

    def _p_renew(
        self, cache: dict[Any, Any], key: Any, value: Any, moves: int, status: int
    ) -> None:
        """Cache the new value of an element that was cached, if nothing came between.

        *moves* is ``_p_moves`` as it was when the core was called. The caller has removed the
        old value: an interrupt at this call must not leave it there.
        """
        if (
            value is not MISSING
            and not status
            and type(key) in _PLAIN_KEYS
            and (type(value) not in _TEXTS or len(value) <= self._p_longest)
            and self._p_moves == moves  # the last: from here on nothing can come between
        ):
            cache[key] = value

    def _p_take(self, read: Any, key: Any, moves: int) -> Any:
        """The value in a ``pmo_value *`` that the core has filled, or CHANGED. Holds the lock.

        It is cached as *key*, unless that is MISSING. CHANGED: ``_p_moves`` is no longer *moves*,
        as it was when the core was asked. A signal handler or a ``__del__`` changed the object
        meanwhile: what was read may be torn.
        """
        mm = self._p_mm
        try:
            value = mm.decode(read)
        except Exception:
            if self._p_moves == moves:
                raise
            return CHANGED
        tag = read.tag
        if tag >= _FIRST_PAYLOAD:
            lasts = read.number <= self._p_longest
        else:
            lasts = tag != _REF or read.type not in FRESH
        mm.reads.append(read)
        if self._p_moves != moves:
            return CHANGED
        if lasts and key is not MISSING and cacheable(value):
            self._p_remember(key, value, moves)
        return value

    def _p_remember(self, key: Any, value: Any, moves: int) -> None:
        """Cache a value that was just read, unless ``_p_moves`` is no longer *moves*."""
        if len(self._p_cache) >= CACHE_LIMIT:
            self._p_cache.clear()
        if self._p_moves == moves:  # the last: from here on nothing can come between
            self._p_cache[key] = value

    def _p_watch(self, values: Sequence[Any], moves: int) -> Ahead:
        """What was read when ``_p_moves`` was *moves* is given out until something changes.

        The caller holds the lock and has entered the core since it took it; it calls
        _p_unwatch at the end.
        """
        ahead = Ahead(values)
        now = self._p_moves
        if type(now) is not Watched:
            now = Watched(now, [])
            _set_moves(self, now)
        now.runs.append(ahead)
        if now != moves:
            ahead.take_back()
        return ahead

    def _p_unwatch(self, ahead: Ahead) -> None:
        now = self._p_moves
        if type(now) is Watched and ahead in now.runs:
            now.runs.remove(ahead)

    def _check(self) -> None:
        """Verify every invariant of the stored object.

        Raises:
            PoolCorruptedError: one does not hold.
        """
        mm = self._p_mm
        with mm.lock:
            status = lib.pmo_object_check(mm.ctx, self._p_off)
            if status:
                mm.finish(status, self)

    def _p_volatile(self) -> dict[str, Any]:
        """The attributes that only this handle has."""
        return dict(getattr(self, "__dict__", {}))

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the count, the memory, first and last items. O(items shown)."""
        from pmemobj.describe import to_html

        return to_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows as text: the repr, or where that is long and alone, the same as HTML.

        A class with a ``__repr__`` names this method beside it, or else IPython takes the repr.
        """
        shown = repr(self)
        if len(shown) > LONG_REPR and len(printer.stack) == 1:
            from pmemobj.describe import to_text

            shown = to_text(self) or shown
        printer.text(shown)

    def _p_plain_children(self) -> list[Any]:
        """The values from which ``_p_plain_fill`` or ``_p_plain_build`` makes the plain copy."""
        raise NotImplementedError

    def _p_plain_shell(self) -> Any:
        """A new empty plain copy, or MISSING if only ``_p_plain_build`` can make it."""
        raise NotImplementedError

    def _p_plain_fill(self, shell: Any, children: list[Any]) -> None:
        """Put the copied *children* into *shell*."""
        raise NotImplementedError

    def _p_plain_build(self, children: list[Any]) -> Any:
        """The plain copy of an object whose copy cannot be filled later."""
        raise NotImplementedError


_ABSENT = (lib.PMO_EMISSING, lib.PMO_EINDEX)


class Run(NamedTuple):
    """A batch, copied out of the core's memory."""

    length: int
    tag: int
    tags: bytes | None
    numbers: bytes
    data: bytes

    def values(self, mm: MemoryManager) -> list[Any]:
        """The values, references resurrected. Caller: holds the lock."""
        return decode_batch(*self, mm.resurrect_many, mm.allow_pickle)

    def references(self, uuid_lo: int) -> Iterator[tuple[int, int]]:
        """The oids of the objects that the run refers to."""
        if self.tags is None:
            if self.tag == lib.PMO_REF:
                yield from ((uuid_lo, number) for number in memoryview(self.numbers).cast("q"))
            return
        for tag, number in zip(self.tags, memoryview(self.numbers).cast("q"), strict=True):
            if tag == lib.PMO_REF:
                yield (uuid_lo, number)


def capture(batch: Any) -> Run:
    """Copy a filled batch, and give its memory back."""
    count = batch.count
    run = Run(
        count,
        batch.tag,
        bytes(ffi.buffer(batch.tags, count)) if batch.tags else None,
        bytes(ffi.buffer(batch.numbers, 8 * count)) if count else b"",
        bytes(ffi.buffer(batch.data, batch.data_length)) if batch.data_length else b"",
    )
    lib.pmo_batch_release(batch)
    return run


def class_made(cls: type) -> None:
    """A class of stored objects has been defined.

    Raises:
        TypeError: it mixes several kinds of them.
    """
    kinds = [base for base in cls.__mro__ if "_p_layout" in vars(base)]
    strangers = [
        base for base in cls.__mro__ if not issubclass(base, Stored) and ("_p_new" in vars(base))
    ]
    if len(kinds) > 1 or strangers:
        names = ", ".join(base.__qualname__ for base in kinds + strangers)
        raise TypeError(f"{cls.__qualname__}: persistent types may not be mixed ({names})")
    for hook in tuple(CLASS_DEFINED):
        hook(cls)


_set_manager = Stored.__dict__["_p_mm"].__set__
_set_offset = Stored.__dict__["_p_off"].__set__
_set_cache = Stored.__dict__["_p_cache"].__set__
_set_moves = Stored.__dict__["_p_moves"].__set__


def guard_attributes(cls: type) -> None:
    """Let instances of a container's subclass have volatile attributes only, named ``_v_...``.

    An attribute of any other name would be lost without a word when the pool is closed.
    """
    slots = vars(cls).get("__slots__", ())
    for name in (slots,) if isinstance(slots, str) else tuple(slots):
        if not name.startswith("_v_"):
            raise TypeError(
                f"{cls.__qualname__}: a slot named {name!r} would not be stored; call it "
                "'_v_...' to have it volatile"
            )
    if "__setattr__" in vars(cls):
        return

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if not name.startswith(("_v_", "_p_")) and name != "__class__":
            found = getattr(type(self), name, None)
            if found is None or not hasattr(type(found), "__set__"):
                raise AttributeError(
                    f"{type(self).__name__!r} object keeps elements, not attributes: {name!r} "
                    "would be lost with the handle (a name like '_v_...' says that it may be, "
                    "a PersistentObject keeps attributes)",
                    name=name,
                    obj=self,
                )
        object.__setattr__(self, name, value)

    cls.__setattr__ = __setattr__  # type: ignore[assignment, method-assign]


def make_placeholder(name: str, base: type, writers: Iterable[str] = ()) -> type:
    """The class that stands in for the missing class *name* ("module:qualname") of kind *base*.

    Its instances can be read as those of *base*; the methods named by *writers* are refused.
    """
    module, _, qualname = name.partition(":")
    namespace: dict[str, Any] = dict.fromkeys(writers, _refuse)
    if not hasattr(base, "__getattr__"):
        namespace["__getattr__"] = missing_attribute
    namespace["__repr__"] = _placeholder_repr
    namespace["__doc__"] = f"Stands in for {name}, which is not defined. Nothing is lost."
    namespace["_p_missing"] = name
    cls = type(base)("Placeholder", (base,), namespace)
    cls.__module__, cls.__qualname__ = module, qualname  # not earlier: it is no definition
    cls.__name__ = qualname.rpartition(".")[2]
    return cls


def refuse_change(placeholder: Any) -> NoReturn:
    """Raise: an object whose class is missing cannot be changed."""
    raise MissingClassError(
        f"{placeholder._p_reason}; until it is defined or imported as it was, this object can be "
        "read but not changed",
        name=placeholder._p_missing,
    )


def _refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
    refuse_change(self)


def missing_attribute(placeholder: Any, attribute: str) -> Any:
    """Raise: the attribute is not stored, and the class that may have it is missing."""
    raise MissingAttributeError(
        f"no stored attribute {attribute!r}, and {placeholder._p_reason}, which may have one; "
        "define or import it",
        name=placeholder._p_missing,
    )


def _placeholder_repr(self: Any) -> str:
    shown = super(type(self), self).__repr__()
    return f"<placeholder of the missing class {self._p_missing}: {shown}>"


class PlainObject:
    """The plain copy of a PersistentObject: its attributes, and the name of its class.

    Compared and hashed by identity, as the original was.
    """

    def __init__(self, class_name: str = "object") -> None:
        self.__dict__["_v_class_name"] = class_name

    @recursive_repr("<plain ...>")
    def __repr__(self) -> str:
        shown = (f"{k}={v!r}" for k, v in self.__dict__.items() if not k.startswith("_v_"))
        return f"<plain {self.__dict__['_v_class_name']} {', '.join(shown)}>"
