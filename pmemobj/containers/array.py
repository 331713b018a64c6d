"""PersistentArray: a NumPy array whose bytes lie in the pool. Imported when numpy is in use.

An array object of the pool is a sequence of two: a description (dtype, shape, order) and the raw
bytes. Growing changes the description and, where the bytes do not fit any more, the raw.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pmemobj import codecs
from pmemobj._native import failure, ffi, lib
from pmemobj.containers.array_writes import Write, address_of
from pmemobj.containers.base import DETACHED
from pmemobj.containers.persistent import Persistent
from pmemobj.errors import (
    DetachedObjectError,
    InvalidArgumentError,
    InvalidTypeError,
    PoolCorruptedError,
)
from pmemobj.kinds import register_kind
from pmemobj.raws import RawBytes
from pmemobj.staging import bind_batch
from pmemobj.typetable import register_builtin

if TYPE_CHECKING:
    from pmemobj.manager import MemoryManager

__all__ = ["PersistentArray", "image"]

_VERSION = 1
_CHUNK = 1 << 18  # bytes that a strided array is gathered by
_MOST_AXES = 64 if hasattr(np.lib, "array_utils") else 32  # of numpy 2 and 1
_LARGE = 1 << 30  # bytes from which on a growing array asks for less spare room

# ---- what an array is, as a value ----------------------------------------------------------


def describe_dtype(dtype: Any) -> Any:
    """A dtype as strings, ints and tuples; see restore_dtype."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return ("array", describe_dtype(base), tuple(map(int, shape)))
    if dtype.names is not None:
        fields = []
        for name in dtype.names:
            inner, offset, *title = dtype.fields[name]
            fields.append((name, title[0] if title else None, offset, describe_dtype(inner)))
        return ("fields", dtype.itemsize, bool(dtype.isalignedstruct), tuple(fields))
    return dtype.str


def restore_dtype(told: Any) -> Any:
    """The dtype of a description."""
    if isinstance(told, str):
        return np.dtype(told)
    if told[0] == "array":
        return np.dtype((restore_dtype(told[1]), told[2]))
    _, size, aligned, fields = told
    names, titles, offsets, inner = zip(*fields, strict=True) if fields else ((), (), (), ())
    spec = {
        "names": list(names),
        "titles": list(titles),
        "offsets": list(offsets),
        "formats": [restore_dtype(one) for one in inner],
        "itemsize": size,
    }
    return np.dtype(spec, align=aligned)


def _storable(dtype: Any) -> bool:
    """Are its values plain bytes, which the description brings back?"""
    if dtype.hasobject or not dtype.itemsize:
        return False
    restored = restore_dtype(describe_dtype(dtype))
    return bool(restored == dtype and restored.type is dtype.type)


def _order(value: Any) -> str:
    return "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"


def _put(raw: RawBytes, position: int, value: Any, order: str) -> None:
    """The elements of *value*, in *order*, into bytes that no committed state has."""
    contiguous = value.flags.c_contiguous if order == "C" else value.flags.f_contiguous
    if not value.size:
        return
    if contiguous:
        raw.fill(position, value.ravel(order="K").view(np.uint8))
        return
    chunks: Any = np.nditer(
        value,
        flags=["external_loop", "buffered"],
        op_flags=[["readonly"]],
        order=order,
        buffersize=max(1, _CHUNK // value.itemsize),
    )
    for chunk in chunks:
        raw.fill(position, np.ascontiguousarray(chunk).view(np.uint8))
        position += chunk.nbytes


class ArrayImage:
    """A plain array on its way into a pool: one copy, made by ``build``."""

    def __init__(self, mm: MemoryManager, value: Any) -> None:
        self._mm = mm
        self._value = value

    def build(self) -> int:
        """See kinds.Image."""
        value = self._value
        order = _order(value)
        raw = RawBytes.create(self._mm, value.nbytes)
        _put(raw, 0, value, order)
        return _new_object(self._mm, value.dtype, value.shape, order, raw)


def _description(dtype: Any, shape: Any, order: str) -> Any:
    return (_VERSION, describe_dtype(dtype), tuple(map(int, shape)), order)


def _contents(mm: MemoryManager, description: Any, raw: RawBytes) -> Any:
    def reference(value: Any) -> Any:
        return mm.encode_persistent(value)

    return codecs.encode_batch([description, raw], reference)


def _splice(mm: MemoryManager, offset: int, stop: int, description: Any, raw: RawBytes) -> None:
    bound, kept = bind_batch(_contents(mm, description, raw))
    status = lib.pmo_sequence_splice(mm.ctx, offset, 0, stop, bound)
    del kept
    if status:
        mm.finish(status)


def _new_object(mm: MemoryManager, dtype: Any, shape: Any, order: str, raw: RawBytes) -> int:
    out = ffi.new("uint64_t *")
    status = lib.pmo_object_new(mm.ctx, lib.PMO_TYPE_ARRAY, out)
    if status:
        raise failure(status, mm.ctx)
    _splice(mm, out[0], 0, _description(dtype, shape, order), raw)
    return int(out[0])


def image(mm: MemoryManager, value: Any) -> ArrayImage | None:
    """The image of a plain array or of a view; None: it is none, or holds Python objects."""
    if type(value) in (np.ndarray, np.memmap, PersistentArray) and _storable(value.dtype):
        return ArrayImage(mm, value.view(np.ndarray))
    return None


def _plain(value: Any) -> Any:
    """*value*, with plain arrays in the place of persistent ones."""
    if isinstance(value, PersistentArray):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(map(_plain, value))
    if type(value) is dict:
        return {key: _plain(one) for key, one in value.items()}
    return value


def _in_place(name: str) -> Any:
    """The method of ndarray that changes the whole array."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        plain = self.view(np.ndarray)
        step = Write()
        step.add(self)
        return step.run(lambda: getattr(plain, name)(*_plain(args), **_plain(kwargs)))

    method.__name__ = name
    method.__doc__ = f"As ndarray.{name}: all of it or nothing, part of an open transaction."
    return method


def _computed(name: str, place: int = 9) -> Any:
    """The method of ndarray whose result is a new array, no longer a PersistentArray.

    *place*: of ``out`` among its arguments.
    """

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        plain, out = self.view(np.ndarray), _argument("out", place, args, kwargs)
        step = Write()
        if isinstance(out, PersistentArray):
            step.add(out)
        result = step.run(lambda: getattr(plain, name)(*_plain(args), **_plain(kwargs)))
        return result if out is None else out

    method.__name__ = name
    method.__doc__ = f"As ndarray.{name}; gives a plain array in ordinary memory."
    return method


def _argument(name: str, place: int, args: Any, kwargs: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name)


_WRITERS = {
    np.copyto: "dst",
    np.put: "a",
    np.place: "arr",
    np.putmask: "a",
    np.fill_diagonal: "a",
    np.put_along_axis: "arr",
}
_OUT_PLACES = {np.concatenate: 2, np.dot: 2}  # where NumPy's code in C has no signature


@functools.cache
def _written(function: Any) -> tuple[str, int]:
    """The parameter of a function of NumPy that it writes to, and its place."""
    if function in _WRITERS:
        return _WRITERS[function], 0
    found: Any = {}
    with suppress(ValueError):
        found = inspect.signature(function).parameters
    named = "out" in found and found["out"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return "out", list(found).index("out") if named else _OUT_PLACES.get(function, 99)


def _compared(name: str) -> Any:
    return lambda self, other: getattr(self._elements, name)(_plain(other))


class _Flat:
    """What ``a.flat`` gives: the elements in C order, to be read, replaced and iterated over."""

    def __init__(self, array: Any) -> None:
        self.base = array
        self._elements = array.view(np.ndarray).flat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._elements, name)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return np.array(self._elements, *args, **kwargs)

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Any:
        return self._elements

    def __next__(self) -> Any:
        return next(self._elements)

    __eq__ = _compared("__eq__")
    __ne__ = _compared("__ne__")
    __lt__ = _compared("__lt__")
    __le__ = _compared("__le__")
    __gt__ = _compared("__gt__")
    __ge__ = _compared("__ge__")

    def __getitem__(self, key: Any) -> Any:
        return self._elements[_plain(key)]

    def __setitem__(self, key: Any, value: Any) -> None:
        """Replace elements. Two copies of their bytes; of the array's, if it is not in C order."""
        array, key, value = self.base, _plain(key), _plain(value)
        plain = array.view(np.ndarray)
        step = Write()
        if plain.flags.c_contiguous:
            step.add_item(array, plain.reshape(-1), key)
        else:
            step.add(array)
        step.run(lambda: operator.setitem(plain.flat, key, value))


class PersistentArray(np.ndarray):  # type: ignore[misc]
    """An array in a pool: ``pool.new(PersistentArray, array_or_shape, dtype=None, order="C")``.

    A plain array that is put into a container becomes one. It is an ``ndarray`` that views the
    pool's bytes: reading copies nothing, slices of it are views of the same kind, and what is
    computed from it is an ordinary array.

    Item and slice assignment, in-place operators, NumPy's functions with ``out=`` or a destination,
    ``flat``, ``fill``, ``sort``, ``put``, ``partition`` and ``byteswap`` change the pool: all of
    it or nothing, durable on return or when the outermost open transaction commits. They save the
    bytes that they touch first, so they cost two copies of these. Writes through
    ``np.asarray(a)``, a memoryview, a record (``a[0]["x"] = 1``) or a library that takes the
    address are in the pool too, but are neither atomic nor undone.

    After the pool was closed, an array that is still held reads a private copy of its bytes;
    writing raises PoolClosedError. What a later session changes may show in it: copy what is
    to be kept.
    """

    _p_layout = lib.PMO_LAYOUT_SEQUENCE
    _p_raw: RawBytes | None = None
    _p_mm: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise DetachedObjectError(
            "a PersistentArray is made with pool.new(PersistentArray, array_or_shape), or by "
            "putting a plain array into a persistent container"
        )

    def __array_finalize__(self, source: Any) -> None:
        raw = getattr(source, "_p_raw", None)
        if raw is not None and self.base is not None:
            base = self.base
            if base is source or base is source.base or raw.holds(address_of(self)):
                self.__dict__["_p_raw"] = raw

    def __setattr__(self, name: str, value: Any) -> None:
        if "_p_oid" in self.__dict__ and name in ("shape", "dtype", "strides"):
            raise AttributeError(
                f"the {name} of a stored array cannot be set: use a view (a.reshape(...), "
                "a.view(dtype)), or a.resize(...), which changes what is stored"
            )
        if not name.startswith(("_v_", "_p_")) and not hasattr(np.ndarray, name):
            raise AttributeError(f"an array keeps elements; an attribute {name!r} would be lost")
        if name in ("flat", "real", "imag"):
            getattr(self, name)[...] = value
            return
        np.ndarray.__setattr__(self, name, value)

    # -- made and found again ---------------------------------------------------------------

    @classmethod
    def _p_make(
        cls, mm: MemoryManager, source: Any, /, dtype: Any = None, order: str | None = None
    ) -> Any:
        """See ``pool.new``: *source* is a shape (zeros), or anything that makes an array."""
        if cls is not PersistentArray:
            raise InvalidTypeError("a subclass of PersistentArray cannot be stored")
        shape = (source,) if isinstance(source, int) else source
        if isinstance(shape, tuple) and all(isinstance(one, int) for one in shape):
            return _zeros(mm, shape, np.dtype(dtype), order or "C")
        value = np.asarray(source, dtype=dtype, order=order)
        if not _storable(value.dtype):
            raise InvalidTypeError(f"an array of dtype {value.dtype} has no bytes to be viewed")
        return mm.resurrect_offset(ArrayImage(mm, value.view(np.ndarray)).build())

    def _p_new(self, manager: MemoryManager) -> None:
        """Not used: ``_p_make`` is."""

    def _p_resurrect(self, manager: MemoryManager, oid: tuple[int, int]) -> None:
        """Not used: an array is made when its bytes are known."""

    def _p_traverse(self) -> Any:
        return iter((self._p_raw._p_oid,)) if self._p_raw is not None else iter(())

    def _p_substructures(self) -> Any:
        return iter(())

    def _p_poison(self) -> None:
        self.__dict__["_p_oid"] = (self._p_mm.uuid_lo, 1)

    def _p_plain(self) -> Any:
        return self.copy()

    # -- writing ------------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        """Replace elements. Two copies of their bytes."""
        plain, value = self.view(np.ndarray), _plain(value)
        raw = self._p_raw
        if raw is None:
            plain[_plain(key)] = value
            return
        step, key = Write(), _plain(key)
        step.add_item(self, plain, key)
        step.run(lambda: operator.setitem(plain, key, value))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        step = Write()
        outs = kwargs.get("out", ())
        for out in outs:
            if isinstance(out, PersistentArray):
                step.add(out)
        if method == "at" and isinstance(inputs[0], PersistentArray):
            step.add_item(inputs[0], _plain(inputs[0]), _plain(inputs[1]))
        for name in ("out", "where"):
            if name in kwargs:
                kwargs[name] = _plain(kwargs[name])
        given = tuple(map(_plain, inputs))
        result = step.run(lambda: getattr(ufunc, method)(*given, **kwargs))
        if len(outs) == 1 and outs[0] is not None:
            return outs[0]
        if isinstance(result, tuple) and outs:
            return tuple(
                made if out is None else out for made, out in zip(result, outs, strict=True)
            )
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        out = _argument(*_written(func), args, kwargs)
        if not isinstance(out, PersistentArray):
            return super().__array_function__(func, types, args, kwargs)
        step = Write()
        step.add(out)
        result = step.run(lambda: func(*_plain(args), **_plain(kwargs)))
        return None if result is None else out

    fill = _in_place("fill")
    sort = _in_place("sort")
    partition = _in_place("partition")
    put = _in_place("put")
    setfield = _in_place("setfield")

    def byteswap(self, inplace: bool = False) -> Any:
        """As ndarray.byteswap."""
        plain = self.view(np.ndarray)
        if not inplace:
            return plain.byteswap()
        step = Write()
        step.add(self)
        step.run(lambda: plain.byteswap(True))
        return self

    @property
    def flat(self) -> Any:
        """The elements in C order: an iterator that can be indexed and assigned to."""
        return _Flat(self)

    copy = _computed("copy")
    astype = _computed("astype")
    flatten = _computed("flatten")
    take = _computed("take", 2)
    repeat = _computed("repeat")
    compress = _computed("compress", 2)
    choose = _computed("choose")
    dot = _computed("dot", 1)
    argmax = _computed("argmax", 1)
    argmin = _computed("argmin", 1)
    __copy__ = _computed("__copy__")
    __deepcopy__ = _computed("__deepcopy__")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled as a plain array."""
        return self.view(np.ndarray).__reduce_ex__(protocol)

    def flush(self) -> None:
        """Wait until the disk has the array's bytes, whatever the pool's durability. O(size).

        For writes that went past the array, through ``np.asarray(a)`` for instance: what is
        written through the array itself is as durable as the pool says.

        Raises:
            PoolClosedError: the pool is closed (which had written everything).
        """
        raw = self._p_raw
        if raw is not None and self.size:
            low, high = np.lib.array_utils.byte_bounds(self) if _NEW else np.byte_bounds(self)
            raw.flush(low - raw.address, high - low)

    # -- growing ------------------------------------------------------------------------------

    def append(self, values: Any) -> Any:
        """Add rows at the end of the first axis; gives the array as it is then.

        *values* is one row or several. This object, as every array, keeps the shape it has: the
        result and what is read from the pool have the new one. One transaction, O(rows)
        amortised: room is left for more.

        Raises:
            InvalidArgumentError: no stored array (a view), 0-d, or in Fortran order.
            ValueError: rows of another shape.
        """
        mm, offset = self._p_stored()
        with mm.lock, mm.transaction():
            mm.attend_if_needed()
            dtype, shape, order, raw = _read(mm, offset)
            if not shape or (order != "C" and len(shape) > 1):
                raise InvalidArgumentError(
                    "only an array in C order with at least one axis can be appended to"
                )
            rows = np.asarray(_plain(values), dtype)
            if rows.ndim == len(shape) - 1:
                rows = rows[None]
            if rows.shape[1:] != shape[1:] or rows.ndim != len(shape):
                raise ValueError(f"rows of shape {rows.shape[1:]} for one of {shape[1:]}")
            used = math.prod(shape) * dtype.itemsize
            grown = _grown(mm, raw, used, used + rows.nbytes)
            if grown is raw:
                _announce_live(mm, raw, used, rows.nbytes)
            _put(grown, used, rows, "C")
            shape = (shape[0] + len(rows), *shape[1:])
            return _reshaped(mm, offset, _description(dtype, shape, order), grown)

    def resize(self, *shape: Any, refcheck: bool = True) -> Any:
        """Change the stored shape, cut off or fill up with zeros; gives the array as it is then.

        As ndarray.resize works on the elements in their order in memory. Existing views and this
        object keep their shape and their bytes. One transaction, O(new bytes); the old ones are
        copied only if there is no room behind them.

        Raises:
            InvalidArgumentError: no stored array (a view).
        """
        mm, offset = self._p_stored()
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        new = tuple(operator.index(one) for one in wanted)
        if any(one < 0 for one in new):
            raise ValueError("negative dimensions are not allowed")
        with mm.lock, mm.transaction():
            mm.attend_if_needed()
            dtype, old, order, raw = _read(mm, offset)
            used, needed = (math.prod(s) * dtype.itemsize for s in (old, new))
            grown = raw
            if needed > used:
                grown = _grown(mm, raw, used, needed)
                if grown is raw:
                    _announce_live(mm, raw, used, needed - used)
                grown.fill(used, None, needed - used)
            return _reshaped(mm, offset, _description(dtype, new, order), grown)

    def _p_stored(self) -> tuple[Any, int]:
        mm, oid = self.__dict__.get("_p_mm", DETACHED), self.__dict__.get("_p_oid")
        if oid is None:
            raise InvalidArgumentError(
                "this is a view of an array or a computed one; only the array that was read "
                "from the pool can change its size"
            )
        return mm, oid[1]

    # -- looks ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        shown = repr(self.view(np.ndarray))
        return shown if self._p_raw is None else "Persistent" + shown[0].upper() + shown[1:]

    def __str__(self) -> str:
        return str(self.view(np.ndarray))

    def _repr_html_(self) -> str | None:
        """What a notebook shows of a stored array: its shape, its memory, its corners. O(1)."""
        if "_p_oid" not in self.__dict__:
            return None
        from pmemobj.describe import to_html

        return to_html(self)


_NEW = hasattr(np.lib, "array_utils")


def _read(mm: MemoryManager, offset: int) -> tuple[Any, Any, str, RawBytes]:
    """(dtype, shape, order, raw) of the array object at *offset*. Caller: holds the lock."""
    parts = []
    for index in (0, 1):
        value = mm.reading()
        status = lib.pmo_sequence_get(mm.ctx, offset, index, value)
        if status:
            mm.finish(status)
        parts.append(mm.decode(value))
    try:
        (version, told, shape, order), raw = parts
        if version != _VERSION:
            raise ValueError(f"version {version} of an array's description")
        dtype = restore_dtype(told)
        # An object's address among the bytes of a forged pool would be followed.
        sound = isinstance(raw, RawBytes) and _storable(dtype) and order in ("C", "F")
        sound = sound and len(shape) <= _MOST_AXES and min(shape, default=0) >= 0
        if not sound or math.prod(shape) * dtype.itemsize > raw.length:
            raise ValueError("more elements than bytes")
    except (ValueError, TypeError, KeyError) as error:
        raise PoolCorruptedError(f"an array that makes no sense: {error}", offset=offset) from error
    return dtype, shape, order, raw


def _load(mm: MemoryManager, offset: int) -> Any:
    dtype, shape, order, raw = _read(mm, offset)
    array: Any = np.ndarray.__new__(PersistentArray, shape, dtype, buffer=raw.memory, order=order)
    array.flags.writeable = not raw.sealed
    array.__dict__.update(_p_raw=raw, _p_mm=mm, _p_oid=(mm.uuid_lo, offset))
    mm.adopt(array)
    return array


class _Reshaping:
    """Sees to it, when a transaction ends, that the living handle has the stored shape."""

    def __init__(self, mm: MemoryManager, offset: int) -> None:
        self._mm = mm
        self._offset = offset

    def _p_suspend(self, nothing: Any) -> None:
        """Nothing is cached: elements are read where they lie."""

    def _p_refresh(self) -> None:
        mm, offset = self._mm, self._offset
        array = mm.handles.get(offset)
        if array is None or mm.closed or mm.forked:
            return
        dtype, shape, _, raw = _read(mm, offset)
        if (dtype, shape) != (array.dtype, array.shape) or array._p_raw is not raw:
            mm.handles.retire(offset)


def _reshaped(mm: MemoryManager, offset: int, description: Any, raw: RawBytes) -> Any:
    """Store another shape; a new handle takes the old one's place. In a transaction."""
    mm.attend(_Reshaping(mm, offset))
    if mm.handles.get(offset) is not None:
        mm.handles.retire(offset)
    _splice(mm, offset, 2, description, raw)
    return _load(mm, offset)


def _zeros(mm: MemoryManager, shape: Any, dtype: Any, order: str) -> Any:
    if not _storable(dtype):
        raise InvalidTypeError(f"an array of dtype {dtype} has no bytes to be viewed")
    if min(shape, default=0) < 0:
        raise ValueError("negative dimensions are not allowed")
    if order not in ("C", "F"):
        raise InvalidArgumentError(f"order is 'C' or 'F', not {order!r}")
    size = math.prod(shape) * dtype.itemsize
    raw = RawBytes.create(mm, size)
    raw.fill(0, None, size)
    return mm.resurrect_offset(_new_object(mm, dtype, shape, order, raw))


def _grown(mm: MemoryManager, raw: RawBytes, used: int, needed: int) -> RawBytes:
    """A raw with room for *needed* bytes that starts with the *used* ones."""
    if needed <= raw.length:
        return raw
    spare = needed // 2 if needed < _LARGE else needed // 8
    grown = RawBytes.create(mm, needed + spare)
    with memoryview(raw.memory) as memory:
        grown.fill(0, memory[:used])
    return grown


def _announce_live(mm: MemoryManager, raw: RawBytes, position: int, size: int) -> None:
    """Bytes behind the end may have been inside it when the open transaction began."""
    if size and mm.transaction_depth() > 1:
        raw.changing(np.array([[position, size]], np.uint64), 1)


Persistent.register(PersistentArray)
register_builtin(PersistentArray, lib.PMO_TYPE_ARRAY, lib.PMO_LAYOUT_SEQUENCE)
register_kind(lib.PMO_TYPE_ARRAY, _load)
