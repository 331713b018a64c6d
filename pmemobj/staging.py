"""Plain data on its way into a pool: checked and encoded as a whole before anything is touched.

``Staging`` walks lists, dicts, sets and tuples without recursion, encodes every container into
batches, keeps shared references and cycles, and names the place of what cannot be stored. Only
then ``build`` makes the objects, inside the caller's transaction.
"""

from __future__ import annotations

import marshal
from io import IOBase
from itertools import count, islice

from pmemobj import codecs
from pmemobj._native import failure, ffi, lib
from pmemobj.errors import UnstorableError
from pmemobj.light import OrderedDict, nullcontext
from pmemobj.progress import polling, reporting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from pmemobj.codecs import Batch, Encoded, EncodedKey, KeyBatch
    from pmemobj.kinds import Image
    from pmemobj.values import ValueKeeper

__all__ = ["Staging", "bind_batch", "bind_keys"]

_STEP = 4096
"""Containers between two reports of progress."""

_LARGE = 4 << 20
"""Bytes of plain data from which on storing them may take a second."""

_TYPES: dict[type, int] = {
    list: lib.PMO_TYPE_LIST,
    dict: lib.PMO_TYPE_DICT,
    OrderedDict: lib.PMO_TYPE_DICT,
    set: lib.PMO_TYPE_SET,
    tuple: lib.PMO_TYPE_TUPLE,
    frozenset: lib.PMO_TYPE_FROZENSET,
}
_HINTS = {
    "defaultdict": "store dict(x), and say d.setdefault(key, []) where it made values by itself",
    "Counter": "store dict(x), and count with d[key] = d.get(key, 0) + 1",
    "deque": "store list(x)",
    "bytearray": "store bytes(x)",
    "memoryview": "store bytes(x)",
    "array": "store numpy.array(x), or list(x)",
    "SimpleNamespace": "store vars(x)",
    "mappingproxy": "store dict(x)",
    "dict_keys": "store list(x)",
    "dict_values": "store list(x)",
    "dict_items": "store list(x)",
    "StringIO": "store x.getvalue()",
    "BytesIO": "store x.getvalue()",
    "module": "store its name, and import it again",
    "lock": "a lock cannot outlive its process; keep it in an attribute named _v_...",
    "RLock": "a lock cannot outlive its process; keep it in an attribute named _v_...",
}
_CHANGEABLE: tuple[type, ...] = (dict, list, set)
_FIXED: tuple[type, ...] = (tuple, frozenset, str, bytes, int, float, complex)


def _advice(value: Any) -> str:
    """What to do with a value that cannot be stored."""
    cls = type(value)
    hint = _HINTS.get(cls.__name__)
    if hint is not None:
        return hint
    if isinstance(value, IOBase):
        return "an open file cannot outlive its process; store its path"
    for base in _CHANGEABLE:
        if isinstance(value, base):
            return (
                f"store {base.__name__}(x), or derive its class from "
                f"Persistent{base.__name__.capitalize()}"
            )
    if hasattr(cls, "__next__"):
        return "store list(x)"
    name = cls.__qualname__
    if cls.__module__ not in ("__main__", "builtins"):
        name = f"{cls.__module__}.{name}"
    nominate = f"if its instances never change, nominate it: pool.persist_via_pickle({name})"
    if hasattr(cls, "_fields") and isinstance(value, tuple):
        return f"store tuple(x) or x._asdict(), or, {nominate}"
    for base in _FIXED:
        if isinstance(value, base):
            return f"store {base.__name__}(x), or, {nominate}"
    instead = "dataclasses.asdict(x)" if hasattr(cls, "__dataclass_fields__") else "plain values"
    return f"store {instead} instead, derive its class from PersistentObject, or, {nominate}"


_LOOKS = 4000
_SORTED = 1000  # elements from which on a set is not left to marshal, which sorts every one
_STREAMED = frozenset((str, int, float, bool, type(None), list, dict, set))
_STREAM_VERSION = 4  # of marshal: csrc/graph.c reads this one


def bind_batch(batch: Batch, into: Any = None) -> tuple[Any, tuple[Any, ...]]:
    """A ``pmo_batch *`` for a Batch, and what must stay alive while it is used."""
    bound = ffi.new("pmo_batch *") if into is None else into
    numbers = ffi.from_buffer("int64_t[]", batch.numbers) if batch.count else ffi.NULL
    tags = ffi.NULL if batch.tags is None else ffi.from_buffer("uint8_t[]", batch.tags)
    data = ffi.from_buffer(batch.data)
    bound.count = batch.count
    bound.tags = tags
    bound.tag = batch.tag
    bound.numbers = numbers
    bound.data = data
    bound.data_length = len(batch.data)
    return bound, (bound, numbers, tags, data)


def bind_keys(keys: KeyBatch) -> tuple[Any, tuple[Any, ...]]:
    """A ``pmo_keys *`` for a KeyBatch, and what must stay alive while it is used."""
    bound = ffi.new("pmo_keys *")
    _, kept = bind_batch(keys.values, bound.values)
    canon = ffi.from_buffer(keys.canon)
    lengths: Any = ffi.NULL
    if keys.canon_lengths is not None:
        lengths = ffi.from_buffer("int64_t[]", keys.canon_lengths)
    bound.canon_lengths = lengths
    bound.canon = canon
    return bound, (bound, canon, lengths, kept)


class _Node:
    """A plain container, or a library's value with its image, that will be a stored object."""

    __slots__ = ("batch", "image", "keys", "offset", "parent", "source")

    def __init__(self, source: Any, parent: _Node | None, image: Image | None = None) -> None:
        self.source = source
        self.image = image
        self.parent = parent
        self.keys: KeyBatch | None = None
        self.batch: Batch | None = None
        self.offset = 0


def _looks_common(nodes: list[_Node]) -> bool:
    """Are the first some thousand values what a stream can have?

    marshal would copy whatever has a buffer, arrays and long bytes, which are then refused, and
    sort a large set.
    """
    left = _LOOKS
    work = [node.source for node in nodes[:_LOOKS]]
    try:
        while work and left > 0:
            source = work.pop()
            if isinstance(source, (set, frozenset)) and len(source) >= _SORTED:
                return False
            values = source.values() if isinstance(source, dict) else source
            looked = list(islice(values, left // 2 + 1))  # and keep some for those inside
            left -= len(looked) + 1
            kinds = set(map(type, looked))
            if not kinds <= _STREAMED:
                return False
            if not kinds.isdisjoint(_TYPES):
                work += [item for item in looked if type(item) in _TYPES]
    except RuntimeError:  # another thread changes a dict or a set
        return False
    return True


class Staging:
    """One assignment's worth of plain data.

    References to containers that do not exist yet have negative numbers (-1 is the first
    node) until ``build`` has made them.
    """

    def __init__(self, mm: ValueKeeper, where: Callable[[Any], str]) -> None:
        """*where* tells the path of a top-level value, for error messages."""
        self._mm = mm
        self._where = where
        self._nodes: list[_Node] = []
        self._ids: dict[int, int] = {}
        self._keyed: list[int] = []
        self._current: _Node | None = None
        self._graph: Any = None
        self._stream: Any = None

    @property
    def builds(self) -> bool:
        """Are there objects to be made?"""
        return bool(self._nodes)

    def values(self, values: list[Any]) -> Batch:
        """Encode top-level values and everything below them."""
        batch = codecs.encode_batch(values, self._reference)
        self._walk()
        return batch

    def keys(self, keys: list[Any]) -> KeyBatch:
        """Encode top-level keys and everything below them."""
        batch = self._encode_keys(keys)
        self._walk()
        return batch

    def pairs(self, keys: list[Any], values: list[Any]) -> tuple[KeyBatch, Batch]:
        """Encode top-level keys with their values, and everything below them."""
        return self._encode_keys(keys), self.values(values)

    def _encode_keys(self, keys: list[Any]) -> KeyBatch:
        return codecs.encode_key_batch(keys, self._key)

    def _walk(self) -> None:
        if self._nodes and not self._read_graph():
            self._walk_nodes()

    def _read_graph(self) -> bool:
        """Have the core look through everything at once; False: there are rarer types in it."""
        if any(node.image is not None for node in self._nodes) or not _looks_common(self._nodes):
            return False
        try:
            stream = marshal.dumps([node.source for node in self._nodes], _STREAM_VERSION)
        except ValueError:
            return False
        graph = ffi.new("pmo_graph **")
        self._stream = ffi.from_buffer(stream)
        status = lib.pmo_graph_read(self._stream, len(stream), len(self._nodes), graph)
        if status == lib.PMO_OK:
            self._graph = ffi.gc(graph[0], lib.pmo_graph_free)
        elif status != lib.PMO_EINVAL:
            raise failure(status, self._mm.ctx)
        return self._graph is not None

    def _walk_nodes(self) -> None:
        self._walk_some(0)
        if len(self._nodes) > _STEP:
            with reporting("storing") as report:
                for start in count(_STEP, _STEP):
                    if start >= len(self._nodes):
                        break
                    self._walk_some(start)
                    if report is not None:
                        report("reading", start, None)
        self._current = None

    def _walk_some(self, start: int) -> None:
        """Encode the nodes from *start* on, one step's worth; further ones may be found."""
        for at in range(start, start + _STEP):
            if at >= len(self._nodes):
                return
            node = self._current = self._nodes[at]
            source = node.source
            if node.image is not None:
                continue
            if isinstance(source, dict):
                # A copy, because another thread may change it meanwhile.
                copy = dict(source)
                node.keys = self._encode_keys(list(copy))
                node.batch = codecs.encode_batch(list(copy.values()), self._reference)
            elif type(source) is list or type(source) is tuple:
                node.batch = codecs.encode_batch(list(source), self._reference)
            else:
                node.keys = self._encode_keys(list(source))

    def _reference(self, value: Any) -> Encoded:
        encoded = self._mm.encode_persistent(value)
        if encoded is not None:
            return encoded
        if type(value) in _TYPES or id(value) in self._ids:
            return codecs.REF, self._number(value), b""
        return self._stored_by_library(value)

    def _stored_by_library(self, value: Any) -> Encoded:
        try:
            image = self._mm.image(value)
        except UnstorableError as error:
            raise self._unstorable(value, str(error)) from error.__cause__
        if image is None:
            raise self._unstorable(value)
        if isinstance(image, tuple):
            return image
        return codecs.REF, self._number(value, image), b""

    def _key(self, value: Any) -> EncodedKey:
        try:
            special = self._mm.encode_special_key(value)
            if special is not None:
                return special
            plain, canon = self._mm.key_to_build(value)
        except UnstorableError as error:
            if error.path:
                raise
            place = self._path() if self._current is not None else self._where(value)
            raise UnstorableError(f"{place}: as a key, {error}", path=place) from None
        number = self._number(plain)
        self._keyed.append(-number - 1)
        return codecs.REF, number, b"", canon

    def _number(self, value: Any, image: Image | None = None) -> int:
        """The number of a node; a new one if there is none."""
        number = self._ids.get(id(value))
        if number is None:
            self._nodes.append(_Node(value, self._current, image))
            number = self._ids[id(value)] = -len(self._nodes)
        return number

    def _path(self) -> str:
        """Where the node is that is being encoded."""
        steps = []
        node = self._current
        while node is not None and node.parent is not None:
            steps.append(_step(node.parent.source, node.source))
            node = node.parent
        top = self._where(node.source) if node is not None else ""
        return top + "".join(reversed(steps))

    def _unstorable(self, value: Any, why: str = "") -> UnstorableError:
        if self._current is None:
            path = self._where(value)
        else:
            path = self._path() + _step(self._current.source, value)
        name = type(value).__name__
        try:
            codecs.encode(value)
            reason = why or _advice(value)
        except UnstorableError as error:
            reason = str(error)
        return UnstorableError(f"{path}: {name} cannot be stored; {reason}", path=path)

    def build(self) -> None:
        """Make all objects and fill them. Caller: holds the lock, in a transaction."""
        ctx = self._mm.ctx
        if self._graph is not None:
            offsets = ffi.new("uint64_t[]", len(self._nodes))
            with self._watched(self._graph):
                status = lib.pmo_graph_build(ctx, self._graph, offsets)
            if status:
                raise failure(status, ctx)
            for node, offset in zip(self._nodes, offsets, strict=True):
                node.offset = offset
            return
        out = ffi.new("uint64_t *")
        for node in self._nodes:
            if node.image is not None:
                node.offset = node.image.build()
                continue
            status = lib.pmo_object_new(ctx, _TYPES[type(node.source)], out)
            if status:
                raise failure(status, ctx)
            node.offset = int(out[0])
        for place in self._keyed:  # until unused
            status = lib.pmo_incref(ctx, self._nodes[place].offset)
            if status:
                raise failure(status, ctx)
        with reporting("storing") if len(self._nodes) > _STEP else nullcontext() as report:
            for done, node in enumerate(self._nodes):
                if node.image is None:
                    self._fill(ctx, node)
                if report is not None and done % _STEP == 0:
                    report("writing", done, len(self._nodes))

    def unused(self) -> None:
        """Free the built keys of which an equal one was there. Caller: as build, in the end."""
        for place in self._keyed:
            status = lib.pmo_decref(self._mm.ctx, self._nodes[place].offset)
            if status:
                self._mm.finish(status)

    def _watched(self, graph: Any) -> AbstractContextManager[None]:
        size = len(self._stream)
        if size < _LARGE:
            return nullcontext()
        return polling("storing", "writing", lambda: int(lib.pmo_graph_done(graph)), size)

    def _fill(self, ctx: Any, node: _Node) -> None:
        bound: Any = ffi.NULL
        kept: Any = None
        if node.batch is not None:
            bound, kept = bind_batch(self.located(node.batch))
        if node.keys is None:
            status = lib.pmo_sequence_splice(ctx, node.offset, 0, 0, bound)
        else:
            keys, kept_keys = bind_keys(self.located_keys(node.keys))
            status = lib.pmo_table_update(ctx, node.offset, keys, bound)
            del kept_keys
        del kept
        if status:
            raise failure(status, ctx)

    def located_keys(self, keys: KeyBatch) -> KeyBatch:
        """As located."""
        self.located(keys.values)
        return keys

    def located(self, batch: Batch) -> Batch:
        """The batch with the built objects' offsets in place of their numbers."""
        if self._nodes and (batch.tags is not None or batch.tag == codecs.REF):
            numbers = batch.numbers
            tags = batch.tags
            for i, number in enumerate(numbers):
                if number < 0 and (tags is None or tags[i] == codecs.REF):
                    numbers[i] = self._nodes[-number - 1].offset
        return batch


def _step(container: Any, value: Any) -> str:
    """How *value* is reached from the container that holds it."""
    if isinstance(container, dict):
        for key, item in list(container.items()):
            if item is value:
                return f"[{key!r}]"
    elif isinstance(container, (list, tuple)):
        for index, item in enumerate(container):
            if item is value:
                return f"[{index}]"
    return "{...}"
