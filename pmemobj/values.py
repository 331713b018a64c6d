"""Values on their way into a pool and out of it: encoded, decoded, staged, made whole.

The part of a memory manager that the containers use; the documented one is manager.py.
"""

from __future__ import annotations

import marshal
from itertools import compress, repeat

from pmemobj import codecs, kinds
from pmemobj._native import ffi, lib
from pmemobj.codecs.leaves import encode_int, float_from_bits
from pmemobj.errors import (
    DetachedObjectError,
    ForeignObjectError,
    PoolCorruptedError,
    UnstorableError,
)
from pmemobj.light import array, operator, partial
from pmemobj.objects import ObjectKeeper, allocate
from pmemobj.staging import Staging, bind_batch, bind_keys
from pmemobj.transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set
    from typing import Any

    from pmemobj.codecs import Encoded, EncodedKey
    from pmemobj.typetable import TypeTable

__all__ = ["Storing", "ValueKeeper"]

_ENCODERS = codecs.ENCODERS
_DERIVED_KEYS = codecs.DERIVED_KEYS
_REF = codecs.REF
_INT = codecs.INT
_STR = codecs.STR
_FLOAT = codecs.FLOAT
_ARRAYS = {_INT: "q", _FLOAT: "d"}
_FIRST_PAYLOAD = codecs.FIRST_PAYLOAD_TAG
_NOTHING = (codecs.NONE, 0, b"")
_NOWHERE = (*_NOTHING, b"\0")  # canonical bytes that no key has
_NONE: Set[Any] = frozenset()
_UNPACKED = frozenset((tuple, frozenset))
_VALUE = ffi.typeof("pmo_value *")
_READ = 4096
_COMMON = frozenset((lib.PMO_TYPE_LIST, lib.PMO_TYPE_DICT, lib.PMO_TYPE_SET))
"""Type codes of which handles are made many at once, already pinned by the core."""
_PLAIN = {lib.PMO_TYPE_TUPLE: tuple, lib.PMO_TYPE_FROZENSET: frozenset}


class _Pending:
    """A plain tuple or frozenset inside another one, not yet made."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Storing(Transaction):
    """The block in which staged values are stored; a transaction, if objects must be made.

    Made by ValueKeeper.storing and its like.
    """

    __slots__ = ("_bind", "_keeps", "_kept", "_owner", "_staging")

    _mm: ValueKeeper

    def __init__(
        self,
        mm: ValueKeeper,
        staging: Staging,
        owner: Any,
        bind: Callable[[], Any],
        keeps: bool = False,
    ) -> None:
        """*bind* gives what the block gets; if *keeps*, and what must live as long."""
        super().__init__(mm)
        self._staging = staging
        self._owner = owner
        self._bind = bind
        self._keeps = keeps
        self._kept: Any = None

    def __enter__(self) -> Any:
        mm = self._mm
        if not self._staging.builds:
            mm.attend_if_needed(self._owner)
            return self._bound()
        outer = mm.transaction_depth() > 0
        self.begin()
        try:
            if not outer and mm.open_transaction is not None:
                mm.open_transaction.implicit = True
            mm.attend_if_needed(self._owner)
            self._staging.build()
            return self._bound()
        except BaseException:
            self.abort()
            raise

    def _bound(self) -> Any:
        if not self._keeps:
            return self._bind()
        bound, self._kept = self._bind()
        return bound

    def _leave(self, kind: type[BaseException] | None) -> None:
        if self._staging.builds:
            if kind is None:
                self._staging.unused()
            super()._leave(kind)


class ValueKeeper(ObjectKeeper):
    """The part of a memory manager that turns Python values into stored ones, and back."""

    def __init__(self, pool_ptr: Any, type_table: TypeTable | None, allow_pickle: bool) -> None:
        super().__init__(pool_ptr, type_table, allow_pickle)
        self.pickled_types: set[type] = set()
        self.reads: list[Any] = []
        """What ``reading`` gives again: none of them is in use."""
        self.sealed: dict[int, Any] = {}
        """Address at which sealed bytes are viewed privately -> they, and what holds the memory."""

    def reading(self) -> Any:
        """A ``pmo_value *`` for the core to read into; who has decoded it puts it into ``reads``.

        One for each read: a signal handler or a ``__del__`` may read while another is decoded.
        """
        try:
            return self.reads.pop()
        except IndexError:
            return ffi.new(_VALUE)

    def encode(self, value: Any) -> Encoded | None:
        """(tag, number, data) of a leaf or of a persistent object of this pool; None: convert it.

        Raises:
            ForeignObjectError: the object lives in another pool.
        """
        encoder = _ENCODERS.get(type(value), codecs.encode)
        try:
            encoded = encoder(value)
        except UnstorableError:
            return None  # staging names the place
        return encoded or self.encode_persistent(value)

    def encode_persistent(self, value: Any) -> Encoded | None:
        """The reference to a persistent object, or None for anything else."""
        oid = getattr(type(value), "_p_oid", None)
        if oid is None and "_p_oid" not in getattr(value, "__dict__", ()):
            return None
        mm = value._p_mm
        if mm is not self:
            if isinstance(mm, ValueKeeper):
                mm.raise_unless_usable()
                raise ForeignObjectError(
                    f"this {type(value).__name__} lives in another pool; store a copy of it: "
                    "pmemobj.plain(x)"
                )
            raise DetachedObjectError(
                f"this {type(value).__name__} belongs to no pool: make it with "
                f"pool.new({type(value).__name__}, ...)"
            )
        return _REF, value._p_oid[1], b""

    def image(self, value: Any) -> kinds.Image | Encoded | None:
        """What stands for a library's value while it is stored; see kinds.image_of."""
        return kinds.image_of(self, value)

    def encode_key(self, value: Any) -> EncodedKey | None:
        """(tag, number, data, canon) of a key; None for one that has to be built.

        Raises:
            TypeError: not hashable.
            UnstorableError: hashable, but nothing that can be a stored key.
        """
        if type(value) is int:
            tag, number, data = encode_int(value)
            if tag == _INT:
                return tag, number, data, b""
        derived = _DERIVED_KEYS.get(type(value))
        if derived is not None:
            return (*derived(value), b"")
        encoded = codecs.encode_key(value)
        return self.encode_special_key(value) if encoded is None else encoded

    def encode_lookup(self, value: Any) -> EncodedKey:
        """As encode_key, for a key that is looked for; one that cannot be stored is nowhere.

        Unless it equals a value that can be, hash and all: an instance of a subclass of str, a
        number of a foreign type.

        Raises:
            TypeError: not hashable.
        """
        try:
            return self.encode_key(value) or (*_NOTHING, self.canonical(value))
        except ForeignObjectError:
            return _NOWHERE
        except UnstorableError:
            equal = codecs.equal_leaf(value)
            if equal is None:
                return _NOWHERE
            try:
                return codecs.encode_key(equal) or _NOWHERE
            except UnstorableError:
                return _NOWHERE

    def encode_special_key(self, value: Any) -> EncodedKey | None:
        """As encode_key, for keys without a codec: persistent objects, nominated types, tuples."""
        hash(value)
        if type(value) in _UNPACKED:
            return None
        plain = self._plain_key(value)
        if plain is not None:
            return codecs.encode_key(plain)
        persistent = self.encode_persistent(value)
        if persistent is not None:
            hashed: Any = type(value).__hash__
            if hashed is not object.__hash__:
                raise UnstorableError(
                    f"a persistent object is a key by its identity, but "
                    f"{type(value).__name__} defines __eq__ or __hash__"
                )
            return (*persistent, b"")
        if type(value) in self.pickled_types:
            return codecs.encode_pickle_key(value)
        raise UnstorableError(
            f"{type(value).__name__} cannot be stored; only immutable values and persistent "
            "objects that are compared by identity can be keys or set elements"
        )

    def key_to_build(self, value: Any) -> tuple[Any, bytes]:
        """A key that encode_key gives None for, as a plain value, and its canonical bytes."""
        plain = self._plain_key(value)
        return (value if plain is None else plain), self.canonical(value)

    def canonical(self, value: Any) -> bytes:
        """The canonical bytes of a hashable key.

        Raises:
            ForeignObjectError: an object of another pool is in it.
            UnstorableError: nothing that can be a stored key.
        """
        canon = codecs.canonical(value, self._canonical_special)
        if canon is None:
            raise UnstorableError(
                f"a {type(value).__name__} of more than {codecs.MAX_DEPTH} levels cannot be a key"
            )
        return canon

    def _canonical_special(self, value: Any) -> bytes:
        encoded = self.encode_special_key(value)
        if encoded is None:
            return self.canonical(self._plain_key(value))
        tag, number, _, canon = encoded
        return b"r" + number.to_bytes(8, "little") if tag == _REF else canon

    def _plain_key(self, value: Any) -> Any:
        """What a persistent object is as a key, if that is an equal plain value; or None."""
        as_key = getattr(type(value), "_p_as_key", None)
        if as_key is None or self.encode_persistent(value) is None:
            return None
        return as_key(value)

    def decode(self, value: Any) -> Any:
        """The Python value for a filled ``pmo_value *``. Caller: holds the lock."""
        tag = value.tag
        if tag == _INT:
            return value.number
        number = value.number
        if tag == _REF:
            return self.resurrect_offset(number, value.type)
        if tag < _FIRST_PAYLOAD:
            return self.leaf(tag, number, b"")
        if self.closed:  # by a signal handler: the payload is gone
            self.raise_unless_usable()
        payload = ffi.unpack(value.data, number) if number else b""
        if tag == _STR:
            try:
                return payload.decode()
            except UnicodeDecodeError:
                pass  # one with surrogates, or none
        return self.leaf(tag, number, payload)

    def read_batch(self, batch: Any, inner: Set[Any] = _NONE) -> list[Any]:
        """The Python values of a filled ``pmo_batch *``. Caller: holds the lock.

        *inner*: see _find_many.
        """
        return self._read_batch(batch, partial(self.resurrect_many, inner=inner))

    def read_run(self, batch: Any, inner: Set[Any] = _NONE) -> Sequence[Any]:
        """As read_batch; but ints, or floats, as an array, which makes objects of them in turn."""
        kind = _ARRAYS.get(batch.tag) if batch.tags == ffi.NULL else None
        if kind is None or not batch.count:
            return self.read_batch(batch, inner)
        numbers = array(kind, ffi.buffer(batch.numbers, 8 * batch.count)[:])
        lib.pmo_batch_release(batch)
        return numbers

    def storing(self, value: Any, owner: Any, key: Any) -> Storing:
        """A context manager for a value that encode gave None for: its (tag, number, data).

        The value is checked completely before anything is touched; then, in one transaction
        with what the block does, its objects are made. Caller: holds the lock, by a with
        statement of its own.

        Args:
            value: what is to be stored.
            owner: the container, or None.
            key: its key or index there; for the path in errors.
        """
        staging = Staging(self, lambda _: self._place(owner, key))
        batch = staging.values([value])

        def bind() -> Encoded:
            staging.located(batch)
            return batch.tag, batch.numbers[0], batch.data

        return Storing(self, staging, owner, bind)

    def storing_many(self, values: list[Any], owner: Any, start: int) -> Storing:
        """As storing: a ``pmo_batch *`` of many values, for positions *start* on."""
        staging = Staging(self, lambda value: self._place(owner, start + _index_of(values, value)))
        batch = staging.values(values)
        return Storing(self, staging, owner, lambda: bind_batch(staging.located(batch)), True)

    def storing_pairs(self, pairs: Iterable[tuple[Any, Any]], owner: Any) -> Storing:
        """As storing: a ``pmo_keys *`` and a ``pmo_batch *`` of many key-value pairs."""
        keys, values = [], []
        for key, value in pairs:
            keys.append(key)
            values.append(value)
        staging = Staging(self, lambda v: self._place(owner, _key_of(keys, values, v)))
        key_batch, batch = staging.pairs(keys, values)

        def bind() -> tuple[tuple[Any, Any], Any]:
            bound_keys, kept_keys = bind_keys(staging.located_keys(key_batch))
            bound, kept = bind_batch(staging.located(batch))
            return (bound_keys, bound), (kept_keys, kept)

        return Storing(self, staging, owner, bind, True)

    def storing_keys(self, keys: list[Any], owner: Any) -> Storing:
        """As storing: a ``pmo_keys *`` of many keys or set elements."""
        staging = Staging(self, lambda _: self.name_of(owner))
        key_batch = staging.keys(keys)
        return Storing(
            self, staging, owner, lambda: bind_keys(staging.located_keys(key_batch)), True
        )

    def name_of(self, owner: Any) -> str:
        """What an error message calls a container: ``root``, or its class."""
        if owner is None:
            return "value"
        value = ffi.new("pmo_value *")
        with self.lock:
            status = lib.pmo_root_get(self.ctx, value)
        is_root = status == 0 and value.tag == _REF and value.number == owner._p_oid[1]
        return "root" if is_root else f"<{type(owner).__name__}>"

    def resurrect_offset(self, offset: int, type_code: int | None = None) -> Any:
        """The live handle (or plain value) of the object at *offset*. Caller: holds the lock."""
        handle = self.handles.get(offset)
        if handle is not None and not self.types.waiting:
            return handle
        if type_code is None:
            type_code = self._type_at(offset)
        if handle is not None:
            if type_code not in self.types.waiting:
                return handle
            self.types.class_of(type_code)  # which makes the handle real, if it can
            handle = self.handles.get(offset)
            if handle is not None:
                return handle
        if type_code in _PLAIN:
            return self._plain(offset)
        if type_code == lib.PMO_TYPE_BLOB:
            return self._blob(offset)
        if kinds.is_kind(type_code):
            return kinds.load(self, offset, type_code)
        if type_code in _COMMON:
            return self._find_many([offset])[offset]
        cls: Any = self.types.class_of(type_code)
        handle = allocate(cls)
        handle._p_resurrect(self, (self.uuid_lo, offset))
        if self.handles.get(offset) is not handle:
            self.adopt(handle)
        return handle

    def resurrect_many(self, offsets: Sequence[int], inner: Set[Any] = _NONE) -> list[Any]:
        """resurrect_offset of each; those without a live handle by one call of the core."""
        if self.types.waiting:
            return [self.resurrect_offset(offset) for offset in offsets]
        found = list(map(self.handles.get, offsets))
        missing = list(compress(offsets, map(operator.is_, found, repeat(None))))
        if missing:
            made = self._find_many(missing, inner)
            if len(missing) == len(found):
                return list(map(made.__getitem__, offsets))
            pairs = zip(offsets, found, strict=True)
            return [made[offset] if handle is None else handle for offset, handle in pairs]
        return found

    def _find_many(self, offsets: Iterable[int], inner: Set[Any] = _NONE) -> dict[int, Any]:
        """New handles, or plain values, by offset: of objects that have no live handle.

        What the core read of small lists and dicts is in their caches, unless a signal handler or
        a ``__del__`` has changed something since. *inner*: the keys at which handles of
        what those refer to are wanted too, but for each other: the handles make no cycle.
        """
        offsets = list(dict.fromkeys(offsets))
        count = len(offsets)
        codes = ffi.new("uint32_t[]", count)
        stream = ffi.new("pmo_batch *")
        parts = ffi.new("pmo_batch *") if inner else ffi.NULL
        changes = lib.pmo_changes(self.ctx)
        status = lib.pmo_find_many(self.ctx, offsets, count, codes, stream, parts)
        if status:
            self.finish(status)
        types: list[int] = ffi.unpack(codes, count)
        made: dict[int, Any] = {}
        try:
            caches = _unmarshal(stream) or [{} for _ in range(count)]
            kinds_found = set(types)
            for code in kinds_found & _COMMON:
                cls: Any = self.types.class_of(code)
                if len(kinds_found) == 1:
                    made.update(cls._p_found(self, offsets, caches))
                else:
                    chosen = [other == code for other in types]
                    own = list(compress(offsets, chosen)), list(compress(caches, chosen))
                    made.update(cls._p_found(self, *own))
            if lib.pmo_changes(self.ctx) != changes:
                for handle in made.values():
                    handle._p_refresh()
            elif inner:
                self._find_inner(parts, inner, caches, list(map(made.get, offsets)))
        except BaseException:
            for offset, code in zip(offsets, types, strict=True):
                if code in _COMMON and self.handles.get(offset) is None:
                    lib.pmo_unpin(self.ctx, offset)
            raise
        finally:
            if inner:
                lib.pmo_batch_release(parts)
        if not kinds_found <= _COMMON:
            for offset, code in zip(offsets, types, strict=True):
                if code not in _COMMON:
                    made[offset] = self.resurrect_offset(offset, code)
        return made

    def _find_inner(
        self, parts: Any, wanted: Set[Any], caches: list[dict[Any, Any]], outer: list[Any]
    ) -> None:
        pairs = ffi.unpack(parts.numbers, 2 * parts.count) if parts.count else []
        labels = _unmarshal(parts) or []
        chosen = list(map(wanted.__contains__, labels))
        if True not in chosen:
            return
        places, offsets = compress(pairs[::2], chosen), list(compress(pairs[1::2], chosen))
        labels = compress(labels, chosen)
        found = {handle._p_off for handle in outer if handle is not None}
        handles = dict(zip(offsets, map(self.handles.get, offsets), strict=True))
        missing = [offset for offset, handle in handles.items() if handle is None]
        if missing:
            handles.update(self._find_many(missing))
        for place, label, offset in zip(places, labels, offsets, strict=True):
            # Nothing comes between the last look and the assignment.
            if offset not in found and outer[place]._p_moves == 0:
                caches[place][label] = handles[offset]

    def leaf(self, tag: int, number: int, payload: bytes) -> Any:
        """The immutable value of a stored form, for every tag but REF."""
        if tag == _FLOAT:
            return float_from_bits(number)
        return codecs.decode(tag, number, payload, self.allow_pickle)

    def _type_at(self, offset: int) -> int:
        info = ffi.new("pmo_object_info *")
        status = lib.pmo_object_info_get(self.ctx, offset, info)
        if status:
            self.finish(status)
        return int(info.type)

    def _blob(self, offset: int) -> Any:
        value = ffi.new("pmo_value *")
        status = lib.pmo_blob_get(self.ctx, offset, value)
        if status:
            self.finish(status)
        return self.decode(value)

    def _read_batch(self, batch: Any, resolve: Callable[[Sequence[int]], list[Any]]) -> list[Any]:
        count, tag, tags, data = batch.count, batch.tag, None, b""
        if batch.tags != ffi.NULL:
            tags = ffi.buffer(batch.tags, count)[:]
        numbers = ffi.buffer(batch.numbers, 8 * count)[:] if count else b""
        if batch.data_length:
            data = ffi.buffer(batch.data, batch.data_length)[:]
        lib.pmo_batch_release(batch)
        return codecs.decode_batch(count, tag, tags, numbers, data, resolve, self.allow_pickle)

    def _elements(self, offset: int) -> list[Any]:
        """The elements of the plain tuple or frozenset at *offset*, plain ones not yet made."""
        batch = ffi.new("pmo_batch *")
        elements: list[Any] = []
        if self._type_at(offset) == lib.PMO_TYPE_TUPLE:
            length = lib.pmo_length(self.ctx, offset)
            while len(elements) < length:
                status = lib.pmo_sequence_read(self.ctx, offset, len(elements), _READ, batch)
                if status:
                    self.finish(status)
                elements += self._read_batch(batch, self._shallow_many)
            return elements
        start, following = 0, ffi.new("uint64_t *")
        while True:
            status = lib.pmo_table_read(
                self.ctx, offset, start, start + _READ, batch, ffi.NULL, following
            )
            if status:
                self.finish(status)
            if batch.count == 0 and following[0] <= start:
                return elements
            elements += self._read_batch(batch, self._shallow_many)
            start = following[0]

    def _shallow_many(self, offsets: Sequence[int]) -> list[Any]:
        return [self._shallow(offset) for offset in offsets]

    def _shallow(self, offset: int) -> Any:
        handle = self.handles.get(offset)
        if handle is not None:
            return handle
        code = self._type_at(offset)
        return _Pending(offset) if code in _PLAIN else self.resurrect_offset(offset, code)

    def _plain(self, offset: int) -> Any:
        """The plain tuple or frozenset at *offset*, however deep others are nested in it."""
        made: dict[int, Any] = {}
        open_parts: dict[int, list[Any]] = {}
        work = [offset]
        while work:
            at = work[-1]
            if at in made:
                work.pop()
                continue
            if at not in open_parts:
                parts = open_parts[at] = self._elements(at)
                waiting = [p.offset for p in parts if type(p) is _Pending and p.offset not in made]
                if any(part in open_parts for part in waiting):
                    raise PoolCorruptedError("a stored tuple contains itself", offset=at)
                if waiting:
                    work += waiting
                    continue
            parts = [made[p.offset] if type(p) is _Pending else p for p in open_parts.pop(at)]
            made[at] = _PLAIN[self._type_at(at)](parts)
            work.pop()
        return made[offset]

    def _place(self, owner: Any, key: Any) -> str:
        name = self.name_of(owner)
        if owner is None or key is None:
            return name
        return name + (f".{key}" if hasattr(owner, "_v__init__") else f"[{key!r}]")


def _unmarshal(stream: Any) -> Any:
    """What a stream of the core holds; None if it cannot be decoded. Its memory is given back."""
    try:
        return marshal.loads(ffi.buffer(stream.data, stream.data_length))
    except ValueError:  # a damaged str: who reads it is told
        return None
    finally:
        lib.pmo_batch_release(stream)


def _index_of(values: list[Any], value: Any) -> int:
    return next(i for i, item in enumerate(values) if item is value)


def _key_of(keys: list[Any], values: list[Any], value: Any) -> Any:
    for key, item in zip(keys, values, strict=True):
        if item is value:
            return key
    return value
