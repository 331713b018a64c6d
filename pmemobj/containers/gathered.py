"""Entries of a dict that a transaction sets one by one, and the core gets together.

A call of the core for each entry costs twice what all the rest does. But whoever sets an entry
must learn at once if there is no room for it. So entries are gathered only where the core has
said that nothing can be wanting: the transaction has made the dict's storage, which has room for
so many more, and neither keys nor values count references. Then an entry that is kept here is as
certain as one that the core has, and nobody can tell one from the other: everything that is no
such change, by whatever way, makes the manager attend, which stores the entries first.

Signal handlers may come in at any call. They see and leave a consistent state by this order: an
entry is added with no call between the look whether they are still gathered (``open``) and the
addition; and storing them twice does no harm, as long as nothing came between, for which the
dict's cache is this object until they are stored.

The count of changes (``_p_moves``) is left alone: the change after which gathering began was
counted, and whoever looks at the count to read on makes the manager attend.
"""

from __future__ import annotations

from pmemobj._native import ffi, lib
from pmemobj.codecs import encode_batch, encode_key_batch
from pmemobj.containers.base import Stored
from pmemobj.light import get_ident
from pmemobj.staging import bind_batch, bind_keys
from pmemobj.transaction import Gathering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pmemobj.transaction import TransactionKeeper

__all__ = ["LEAST", "MOST", "GatheredPairs", "gather"]

INLINE = 12  # bytes of a key that takes none of the heap
LEAST, MOST = -(1 << 63), (1 << 63) - 1
_WORTH = 32  # pairs
_LARGEST = 8192

_set_cache = Stored.__dict__["_p_cache"].__set__
_update = lib.pmo_table_update
_ROOM = ffi.typeof("uint64_t[2]")


class GatheredPairs(Gathering):
    """The pairs of one dict. ``__setitem__`` adds to them, as its every call counts.

    Attributes:
        open: key -> value, to which pairs are added; None: no more are. Keys are ASCII, values
            floats or ints from LEAST to MOST.
        room: so many pairs can be added.
        longest: a key can have so many letters.
        thread: whose transaction it is.
    """

    __slots__ = ("_handle", "_pairs", "longest", "open", "room", "thread")

    def __init__(self, handle: Stored, room: int, heap: int) -> None:
        """*heap*: room for so many bytes of keys longer than INLINE."""
        self._handle = handle
        self._pairs: dict[str, int | float] = {}
        self.open: dict[str, int | float] | None = self._pairs
        self.room = room
        self.longest = max(INLINE, heap // room)
        self.thread = get_ident()

    def store(self, mm: TransactionKeeper) -> None:
        """See Gathering."""
        self.open = None
        if self._pairs:
            keys, values = list(self._pairs), list(self._pairs.values())
            bound_keys, kept_keys = bind_keys(encode_key_batch(keys, _no_reference))
            bound, kept = bind_batch(encode_batch(values, _no_reference))
            context, offset = mm.ctx, self._handle._p_off
            if self._pairs:  # or else a signal handler has come first; from here on none can
                status = _update(context, offset, bound_keys, bound)
                self._pairs = {}
                if status:
                    if status < 0:
                        mm.doom()  # the pairs are lost
                    mm.finish(status, self._handle)
            del kept_keys, kept
        state = mm.open_transaction
        if state is not None and self._handle._p_cache is self:
            self._handle._p_suspend(state.nothing)

    def drop(self) -> None:
        """See Gathering."""
        self.open = None
        self._pairs = {}


def _no_reference(value: Any) -> Any:
    raise TypeError(f"{value!r} was gathered")


def gather(handle: Stored) -> None:
    """Begin to gather what is set in this dict, if that is worth it."""
    mm = handle._p_mm
    with mm.lock:
        state = mm.wait_turn()
        if state is None or state.doomed or handle._p_cache is not mm.uncached:
            return
        room = ffi.new(_ROOM)
        status = lib.pmo_table_room(mm.ctx, handle._p_off, room, room + 1)
        if status or room[0] < _WORTH:
            return
        gathering = GatheredPairs(handle, min(room[0], _LARGEST), room[1])
        state.gathered[id(gathering)] = gathering
        _set_cache(handle, gathering)
