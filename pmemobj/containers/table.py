"""What dicts, sets and attributes have in common: lookup by key, and reading in order."""

from __future__ import annotations

from itertools import chain

from pmemobj._native import ffi, lib
from pmemobj.codecs import SIMPLE, STR, Encoded, encode_key_batch
from pmemobj.codecs.leaves import encode_str
from pmemobj.containers.base import (
    BATCH,
    BUSY,
    CHANGED,
    FIRST_READ,
    LARGEST_READ,
    MISSING,
    REFRESH,
    REMOVAL,
    Run,
    Stored,
    capture,
)
from pmemobj.errors import UnstorableError
from pmemobj.light import NamedTuple
from pmemobj.staging import bind_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    from pmemobj.manager import MemoryManager

__all__ = ["BRIEF", "CACHED_KEYS", "EncodedKey", "Page", "StoredTable", "put_simple"]

_set_int = lib.pmo_table_set_int
_set_str = lib.pmo_table_set_str
_set_named = lib.pmo_table_set_named
EncodedKey = tuple[int, int, bytes, bytes]

_OBJECT_INFO = ffi.typeof("pmo_object_info *")
_set = lib.pmo_table_set
_delete_named = lib.pmo_table_delete_named
_delete = lib.pmo_table_delete
_POSITION = ffi.typeof("uint64_t *")

BRIEF = 256
"""Letters of a str that is stored while the interpreter's lock is kept: it takes no longer."""

# Keys that are the same for Python and for the core: only these are cached.
CACHED_KEYS = frozenset((str, int, bytes, bool, type(None)))


def put_simple(mm: MemoryManager, offset: int, name: str, value: Any) -> Any:
    """Insert or replace the entry for a str, without the lock; the core's status.

    *value* is of a type in SIMPLE.
    """
    try:
        key = name.encode()
        if type(value) is int:
            status = _set_int(mm.ctx, offset, key, len(key), value)
        elif type(value) is str and len(value) <= BRIEF:
            text = value.encode()
            status = _set_str(mm.ctx, offset, key, len(key), text, len(text))
        else:
            status = _set_named(mm.ctx, offset, key, len(key), *SIMPLE[type(value)](value))
    except (OverflowError, UnicodeEncodeError):
        return BUSY  # no int64, or a surrogate: nothing was done
    return status


class Page(NamedTuple):
    """A run of entries, copied out of the core."""

    keys: Run
    values: Run | None
    start: int
    next: int
    inside: bool  # read while a transaction was open


class StoredTable(Stored):
    """A table of keys, of which each may have a value, in the order of insertion."""

    __slots__ = ()

    _p_noun: ClassVar[str]  # in the messages of RuntimeError

    # -- one key -----------------------------------------------------------------------------

    def _p_find(self, encoded: EncodedKey, key: Any) -> Any:
        """The value of an entry (a set's: its key), or MISSING; cached under *key*."""
        mm = self._p_mm
        tag, number, data, canon = encoded
        with mm.lock:
            if mm.attention:
                mm.attend()
            read, length, moves = mm.reading(), len(canon), self._p_moves
            status = lib.pmo_table_find(mm.ctx, self._p_off, tag, number, data, canon, length, read)
            if status:
                if status == lib.PMO_EMISSING:
                    return MISSING
                mm.finish(status, self)
            value = self._p_take(read, key if type(key) in CACHED_KEYS else MISSING, moves)
            return self._p_find(encoded, key) if value is CHANGED else value

    def _p_lookup(self, key: Any) -> Any:
        """The value for *key* or MISSING, past the cache."""
        if type(key) is str:
            data = key.encode("utf-8", "surrogatepass")
            return self._p_find((STR, len(data), data, b""), key)
        return self._p_find(self._p_mm.encode_lookup(key), key)

    def _p_put(self, key: Any, value: Any, cache: dict[Any, Any] | None = None) -> None:
        """Insert or replace one entry; a set takes no notice of *value*.

        *cache*: see _p_change.
        """
        mm = self._p_mm
        encoded_key = self._p_key(key)
        if encoded_key is None:
            self._p_update([(key, value)])
            return
        encode = SIMPLE.get(type(value))
        if encode is not None:
            self._p_set(key, encoded_key, encode(value), value, cache)
            return
        encoded = mm.encode(value)
        if encoded is not None:
            self._p_set(key, encoded_key, encoded, MISSING, cache)
            return
        with mm.lock, mm.storing(value, self, key) as encoded:
            self._p_set(key, encoded_key, encoded, MISSING, cache)

    def _p_key(self, key: Any) -> EncodedKey | None:
        """The stored form of a key; None if only _p_update can store it, or say why it cannot."""
        if type(key) is str:
            tag, number, data = encode_str(key)
            return tag, number, data, b""
        try:
            return self._p_mm.encode_key(key)
        except UnstorableError:
            return None

    def _p_set(
        self, key: Any, encoded_key: EncodedKey, encoded: Encoded, value: Any, cache: Any
    ) -> None:
        tag, number, data, canon = encoded_key
        if tag == STR:
            self._p_change(cache, key, value, 1, _set_named, data, number, *encoded)
        else:
            self._p_change(
                cache, key, value, 1, _set, tag, number, data, canon, len(canon), *encoded
            )

    def _p_update(self, pairs: list[tuple[Any, Any]]) -> None:
        """Insert or replace many entries; a set takes no notice of the values."""
        mm = self._p_mm
        with mm.lock, mm.storing_pairs(pairs, self) as (keys, values):
            self._p_cache.clear()
            self._p_moves += 1
            status = lib.pmo_table_update(mm.ctx, self._p_off, keys, values)
            if status:
                mm.finish(status, self)

    def _p_delete(self, encoded: EncodedKey, key: Any, cache: dict[Any, Any] | None = None) -> bool:
        """Remove an entry; False if there is none."""
        tag, number, data, canon = encoded
        if tag == STR:
            status = self._p_change(cache, key, MISSING, REMOVAL, _delete_named, data, number)
        else:
            status = self._p_change(
                cache, key, MISSING, REMOVAL, _delete, tag, number, data, canon, len(canon)
            )
        return not status

    def _p_clear(self) -> None:
        mm = self._p_mm
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            self._p_cache.clear()
            self._p_moves += REMOVAL
            status = lib.pmo_table_clear(mm.ctx, self._p_off)
            if status:
                mm.finish(status, self)

    # -- many keys ---------------------------------------------------------------------------

    def _p_places(self, keys: list[Any], values: Any) -> list[int]:
        """The position of each key, -1 if it is not there; *values* is filled if it is no NULL."""
        mm = self._p_mm
        bound, kept = bind_keys(encode_key_batch(keys, mm.encode_lookup))
        places = ffi.new("int64_t[]", len(keys))
        with mm.lock:
            if mm.attention:
                mm.attend()
            status = lib.pmo_table_places(mm.ctx, self._p_off, bound, places, values)
            if status:
                mm.finish(status, self)
        del kept
        return ffi.unpack(places, len(keys)) if keys else []

    def _p_among(self, values: list[Any]) -> list[Any]:
        """Those of *values* that are keys. One call of the core."""
        places = self._p_places(values, ffi.NULL)
        return [value for value, place in zip(values, places, strict=True) if place >= 0]

    def _p_find_many(self, keys: list[Any]) -> list[Any]:
        """The value for each key, or MISSING. One call of the core."""
        mm = self._p_mm
        batch = ffi.new(BATCH)
        with mm.lock:
            places = self._p_places(keys, batch)
            found = iter(mm.read_batch(batch))
        return [MISSING if place < 0 else next(found) for place in places]

    def _p_delete_many(self, keys: list[Any]) -> None:
        """Remove the entries for those of *keys* that have one, in one transaction."""
        mm = self._p_mm
        bound, kept = bind_keys(encode_key_batch(keys, mm.encode_lookup))
        with mm.lock:
            if mm.attention:
                mm.attend(self)
            self._p_cache.clear()
            self._p_moves += REMOVAL
            status = lib.pmo_table_delete_many(mm.ctx, self._p_off, bound)
            if status:
                mm.finish(status, self)
        del kept

    # -- reading in order --------------------------------------------------------------------

    def _p_page(self, start: int, stop: int, values: bool) -> Page:
        """The entries at positions from *start* to before *stop*, or up to some earlier one."""
        mm = self._p_mm
        keys_read = ffi.new(BATCH)
        values_read = ffi.new(BATCH) if values else ffi.NULL
        position = ffi.new(_POSITION)
        with mm.lock:
            if mm.attention:
                mm.attend()
            status = lib.pmo_table_read(
                mm.ctx, self._p_off, start, stop, keys_read, values_read, position
            )
            if status:
                mm.finish(status, self)
            return Page(
                capture(keys_read),
                capture(values_read) if values else None,
                start,
                position[0],
                mm.open_transaction is not None,
            )

    def _p_used(self) -> int:
        """The number of positions, holes included; the last one is never a hole."""
        mm = self._p_mm
        info = ffi.new(_OBJECT_INFO)
        with mm.lock:
            if mm.attention:
                mm.attend()
            status = lib.pmo_object_info_get(mm.ctx, self._p_off, info)
            if status:
                mm.finish(status, self)
        used: int = info.used
        return used

    def _p_unchanged(self, moves: int, size: int, page: Page | None) -> int:
        """The present count of changes, if none since *moves* disturbs an iteration at *page*."""
        now = self._p_moves
        if now != moves:
            if self._p_length() != size:
                raise RuntimeError(f"{self._p_noun} changed size during iteration")
            refreshed, changes = divmod(now - moves, REFRESH)
            doubtful = changes >= REMOVAL or (refreshed and page is not None and page.inside)
            if doubtful and page is not None and not self._p_still(page):
                raise RuntimeError(f"{self._p_noun} keys changed during iteration")
        return now

    def _p_still(self, page: Page) -> bool:
        """Are the keys of *page* what and where they were?"""
        again = self._p_page(page.start, page.next, False)
        return again.keys == page.keys

    def _p_walk(self, what: str) -> Iterator[Any]:
        """Iterate over "keys", "values" or "items", reading ahead."""
        return chain.from_iterable(self._p_runs(what, self._p_moves, self._p_length()))

    def _p_runs(self, what: str, moves: int, size: int) -> Iterator[Iterator[Any]]:
        for page, entries, now in self._p_pages_from(what, moves, size):
            yield from self._p_given(page, entries, what, now, size)

    def _p_pages_of(self, what: str) -> Iterator[list[Any]]:
        """As _p_walk, but run for run."""
        for _, entries, _ in self._p_pages_from(what, self._p_moves, self._p_length()):
            yield entries

    def _p_pages_from(
        self, what: str, moves: int, size: int
    ) -> Iterator[tuple[Page, list[Any], int]]:
        place, limit = 0, FIRST_READ
        page = None
        while True:
            with self._p_mm.lock:
                moves = self._p_unchanged(moves, size, page)
                page = self._p_page(place, place + limit, what != "keys")
                if page.next == place:
                    return
                entries = self._p_entries(page, what)
            place = page.next
            if entries:
                limit = min(4 * limit, LARGEST_READ)
                yield page, entries, moves

    def _p_walk_back(self, what: str) -> Iterator[Any]:
        return chain.from_iterable(self._p_runs_back(what, self._p_moves, self._p_length()))

    def _p_runs_back(self, what: str, moves: int, size: int) -> Iterator[Iterator[Any]]:
        self._p_unchanged(moves, size, None)
        place, limit = self._p_used(), FIRST_READ
        page = None
        while place > 0:
            start = max(0, place - limit)
            pages = []
            with self._p_mm.lock:
                moves = self._p_unchanged(moves, size, page)
                while start < place:
                    page = self._p_page(start, place, what != "keys")
                    if page.next == start:
                        break
                    pages.append((page, self._p_entries(page, what)))
                    start = page.next
            place, limit = max(0, place - limit), min(4 * limit, LARGEST_READ)
            for page, entries in reversed(pages):
                entries.reverse()
                yield from self._p_given(page, entries, what, moves, size, backwards=True)
        self._p_unchanged(moves, size, page)

    def _p_entries(self, page: Page, what: str) -> list[Any]:
        mm = self._p_mm
        if what == "keys" or page.values is None:
            return page.keys.values(mm)
        if what == "values":
            return page.values.values(mm)
        return list(zip(page.keys.values(mm), page.values.values(mm), strict=True))

    def _p_given(
        self,
        page: Page,
        entries: list[Any],
        what: str,
        moves: int,
        size: int,
        backwards: bool = False,
    ) -> Iterator[Iterator[Any]]:
        """Runs of what was read ahead; values that have been replaced since are read again."""
        while entries:
            with self._p_mm.lock:
                lib.pmo_claim(self._p_mm.ctx)
                ahead = self._p_watch(entries, moves)
            try:
                yield ahead.given
            finally:
                self._p_unwatch(ahead)
            if self._p_moves == moves:
                return
            moves = self._p_unchanged(moves, size, page)
            entries = ahead.taken
            if what != "keys":
                yield self._p_again(page, len(entries), what, moves, size, backwards)
                return

    def _p_again(
        self, page: Page, left: int, what: str, moves: int, size: int, backwards: bool
    ) -> Iterator[Any]:
        """The last *left* entries of a page, one by one."""
        with self._p_mm.lock:
            keys = page.keys.values(self._p_mm)
        if backwards:
            keys.reverse()
        for key in keys[len(keys) - left :]:
            value = self._p_lookup(key)
            if value is MISSING:
                raise RuntimeError(f"{self._p_noun} keys changed during iteration")
            yield value if what == "values" else (key, value)
            moves = self._p_unchanged(moves, size, page)

    def _p_all(self, what: str) -> list[Any]:
        """All keys, values or items as one consistent list."""
        found: list[Any] = []
        with self._p_mm.lock:
            place = 0
            while True:
                page = self._p_page(place, place + LARGEST_READ, what != "keys")
                if page.next == place:
                    return found
                place = page.next
                found += self._p_entries(page, what)

    def _p_last(self, what: str) -> Any:
        """The last entry, or MISSING."""
        with self._p_mm.lock:
            used = self._p_used()
            if not used:
                return MISSING
            return self._p_entries(self._p_page(used - 1, used, what != "keys"), what)[0]

    def _p_traverse(self) -> Iterator[tuple[int, int]]:
        mm = self._p_mm
        place = 0
        while True:
            page = self._p_page(place, place + LARGEST_READ, self._p_layout == _DICT)
            if page.next == place:
                return
            place = page.next
            yield from page.keys.references(mm.uuid_lo)
            if page.values is not None:
                yield from page.values.references(mm.uuid_lo)


_DICT = lib.PMO_LAYOUT_DICT
