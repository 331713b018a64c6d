"""Values of known libraries: a pickle of protocol 5, its buffers in the pool as they are.

Frames, tables, matrices and fitted models consist of a little structure and a few large
buffers. The structure is a pickle; the buffers are raws, which several values may share, and
which the value that is read views without a copy. What it changes in them is its own.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from pmemobj import codecs
from pmemobj._native import failure, ffi, lib
from pmemobj.codecs import pickles
from pmemobj.containers.reducers import reduce_better
from pmemobj.errors import PoolCorruptedError
from pmemobj.kinds import register_kind
from pmemobj.raws import RawBytes, sealed_at
from pmemobj.staging import bind_batch

if TYPE_CHECKING:
    from pmemobj.codecs import Encoded
    from pmemobj.manager import MemoryManager

__all__ = ["image"]

_IN_BAND = 512  # a shorter buffer stays in the pickle


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffers: list[Any]) -> None:
        super().__init__(file, pickles.PROTOCOL, buffer_callback=self._keep)
        self._buffers = buffers

    def _keep(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            memory = buffer.raw()
        except BufferError:
            return True  # not contiguous: in the pickle
        if memory.nbytes < _IN_BAND:
            return True
        self._buffers.append(memory)
        return False

    def reducer_override(self, value: Any) -> Any:
        return reduce_better(value)


class PickledImage:
    """A pickle with buffers on its way into a pool: one copy of each buffer, made by ``build``."""

    def __init__(self, mm: MemoryManager, payload: bytes, buffers: list[Any], value: Any) -> None:
        self._mm = mm
        self._payload = payload
        self._buffers = buffers
        self._value = value  # the buffers may be its memory

    def build(self) -> int:
        """See kinds.Image."""
        mm = self._mm
        raws: dict[tuple[int, int], RawBytes] = {}
        parts = [self._raw(memory, raws) for memory in self._buffers]
        out = ffi.new("uint64_t *")
        status = lib.pmo_object_new(mm.ctx, lib.PMO_TYPE_PICKLED, out)
        if status:
            raise failure(status, mm.ctx)
        bound, kept = bind_batch(codecs.encode_batch([_Head(self._payload), *parts], self._encode))
        status = lib.pmo_sequence_splice(mm.ctx, out[0], 0, 0, bound)
        del kept
        if status:
            mm.finish(status)
        return int(out[0])

    def _encode(self, value: Any) -> Encoded:
        if isinstance(value, _Head):
            return codecs.PICKLE, len(value.payload), value.payload
        return codecs.REF, value._p_off, b""

    def _raw(self, memory: memoryview, raws: dict[tuple[int, int], RawBytes]) -> RawBytes:
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(memory)))
        key = address, memory.nbytes
        raw = raws.get(key) or sealed_at(self._mm, address, memory)
        if raw is None:
            raw = RawBytes.create(self._mm, memory.nbytes)
            raw.fill(0, memory)
            raw.seal()
        raws[key] = raw
        return raw


class _Head:
    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


def image(mm: MemoryManager, value: Any) -> PickledImage | Encoded:
    """The image of *value*, or its stored form if nothing of it is large.

    Raises:
        UnstorableError: it cannot be pickled; says why.
    """
    buffers: list[Any] = []
    encoded = pickles.encode_with(value, lambda file: _Pickler(file, buffers))
    if not buffers:
        return encoded
    return PickledImage(mm, encoded[2], buffers, value)


def _load(mm: MemoryManager, offset: int) -> Any:
    count = lib.pmo_length(mm.ctx, offset)
    if count < 0:
        mm.finish(count)
    payload, raws = b"", []
    for index in range(count):
        value = mm.reading()
        status = lib.pmo_sequence_get(mm.ctx, offset, index, value)
        if status:
            mm.finish(status)
        if index == 0 and value.tag == codecs.PICKLE:
            payload = ffi.unpack(value.data, value.number)
        else:
            raws.append(mm.decode(value))
    if not payload or not all(isinstance(raw, RawBytes) for raw in raws):
        raise PoolCorruptedError("a pickled value that has no pickle", offset=offset)
    views = [memoryview(raw.private()).toreadonly() for raw in raws]
    found = pickles.decode_pickle(payload, mm.allow_pickle, views)
    if type(found) is codecs.Missing:
        return MissingPickled(mm, offset, found)
    return found


class MissingPickled(codecs.Missing):
    """The placeholder of a pickled value with buffers; stored again it is the same object."""

    __slots__ = ("__weakref__", "_p_mm", "_p_oid")

    def __init__(self, mm: MemoryManager, offset: int, found: codecs.Missing) -> None:
        super().__init__(
            found.tag,
            found.payload,
            what=found.what,
            name=found.name,
            reason=found.reason,
            advice=found.advice,
            canon=found.canon,
        )
        self._p_mm = mm
        self._p_oid = (mm.uuid_lo, offset)
        mm.adopt(self)
        mm.handles.retire(offset)  # the next read tries again


register_kind(lib.PMO_TYPE_PICKLED, _load)
