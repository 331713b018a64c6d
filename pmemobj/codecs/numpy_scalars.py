"""NumPy's numbers, dates and texts: single values that keep their type.

Payload: the dtype's string, then the value's bytes. As keys they equal what they equal in Python.
"""

from __future__ import annotations

from pmemobj.codecs import numeric_keys  # registers canonical bytes  # noqa: F401
from pmemobj.codecs.missing import Missing
from pmemobj.codecs.registry import CANONICALS, register
from pmemobj.codecs.tags import NUMPY
from pmemobj.codecs.wire import Reader, pack_text
from pmemobj.errors import PoolCorruptedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = "biufcSUmM"
_KEYS = (bool, int, float, complex, str, bytes)


def encode_scalar(value: Any) -> tuple[int, int, bytes]:
    """The stored form of a NumPy scalar."""
    data = pack_text(value.dtype.str) + value.tobytes()
    return NUMPY, len(data), data


def decode_scalar(payload: bytes) -> object:
    """The scalar; a placeholder where numpy is not installed."""
    reader = Reader(payload)
    told, data = reader.text(), reader.rest()
    try:
        import numpy
    except ImportError as error:
        return Missing(
            NUMPY, payload, what=f"numpy scalar ({told})", name="numpy", reason=str(error)
        )
    try:
        dtype = numpy.dtype(told)
        if dtype.kind not in _KINDS or dtype.itemsize != len(data):
            raise ValueError(f"{len(data)} bytes of {told}")
        value: object = numpy.ndarray((), dtype, buffer=data)[()] if data else dtype.type()
    except (TypeError, ValueError) as error:
        raise PoolCorruptedError(f"a stored scalar makes no sense: {error}") from error
    return value


def canonical_scalar(value: Any) -> bytes:
    """The canonical bytes of the Python value that it equals."""
    item = value.item()
    if type(item) not in _KEYS:
        raise TypeError(f"a key of type {type(value).__name__} cannot be stored")
    return CANONICALS[type(item)](item)


def _register() -> None:
    import numpy

    scalars = {cls for cls in numpy.sctypeDict.values() if numpy.dtype(cls).kind in _KINDS}
    numbers = [cls for cls in scalars if numpy.dtype(cls).kind not in "mM"]
    keys = [cls for cls in numbers if type(cls(0).item()) in _KEYS]
    register(
        encoders=dict.fromkeys(scalars, encode_scalar),
        decoders={NUMPY: decode_scalar},
        canonicals=dict.fromkeys(keys, canonical_scalar),
    )


try:
    _register()
except ImportError:
    register(decoders={NUMPY: decode_scalar})
