"""Better ways to pickle some libraries' values: those that give their buffers out of band."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["reduce_better"]


def reduce_better(value: Any) -> Any:
    """For a pickler's reducer_override: how *value* is reduced, or NotImplemented."""
    cls = type(value)
    module = cls.__module__.partition(".")[0]
    if module == "numpy" and cls.__name__ == "ndarray":
        return _array(value)
    if module == "polars" and cls.__name__ in ("DataFrame", "Series"):
        return _polars(value)
    if module == "torch" and cls.__name__ in ("Tensor", "Parameter"):
        return _torch(value)
    return NotImplemented


# ---- numpy: dates, which export no buffer, and arrays with gaps ------


def _array(value: Any) -> Any:
    numpy = sys.modules["numpy"]
    dates = value.dtype.kind in "mM"
    dense = value.flags.c_contiguous or value.flags.f_contiguous
    if value.dtype.hasobject or not value.dtype.itemsize or (dense and not dates):
        return NotImplemented
    whole = value if dense else numpy.ascontiguousarray(value)
    bits = whole.view(numpy.int64) if dates else whole
    return array_from_bits, (bits, value.dtype)


def array_from_bits(bits: Any, dtype: Any) -> Any:
    """The array that views *bits* as *dtype*."""
    return bits if bits.dtype == dtype else bits.view(dtype)


# ---- polars: its own pickles are copies; through Arrow nothing is copied ----------------------


def _polars(value: Any) -> Any:
    polars = sys.modules["polars"]
    if (
        value.dtypes.count(polars.Object)
        if hasattr(value, "dtypes")
        else value.dtype == polars.Object
    ):
        return NotImplemented
    try:
        newest = polars.CompatLevel.newest()
        arrow = value.to_arrow(compat_level=newest)
        empty = value.clear()
        restored = polars_from_arrow(empty.to_arrow(compat_level=newest), _name(value))
    except (ImportError, AttributeError, TypeError, ValueError, NotImplementedError):
        return NotImplemented
    same = restored.schema == empty.schema if _is_frame(value) else restored.dtype == empty.dtype
    return (polars_from_arrow, (arrow, _name(value))) if same else NotImplemented


def _is_frame(value: Any) -> bool:
    return type(value).__name__ == "DataFrame"


def _name(value: Any) -> str | None:
    return None if _is_frame(value) else value.name


def polars_from_arrow(arrow: Any, name: str | None) -> Any:
    """The polars frame (name None) or series of an Arrow table or array."""
    import polars

    made = polars.from_arrow(arrow)
    return made if name is None else made.alias(name)


# ---- torch: a tensor of the CPU is an array ------------------------------------------------------


def _torch(value: Any) -> Any:
    torch = sys.modules["torch"]
    plain = (
        value.device.type == "cpu"
        and value.layout == torch.strided
        and value.is_leaf
        and not value.is_quantized
        and not value.is_conj()
        and not value.is_neg()
        and not getattr(value, "_backward_hooks", None)
    )
    if not plain:
        return NotImplemented
    bits = value.detach()
    name = str(bits.dtype).partition(".")[2]
    if bits.dtype == torch.bfloat16:
        bits = bits.contiguous().view(torch.int16)
    try:
        array = bits.numpy()
    except (TypeError, RuntimeError):
        return NotImplemented
    parameter = type(value).__name__ == "Parameter"
    return torch_from_array, (array, name, value.requires_grad, parameter)


def torch_from_array(array: Any, name: str, requires_grad: bool, parameter: bool) -> Any:
    """The tensor that views *array*, of the torch dtype *name*."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # marked as read-only; but its pages are private
        tensor = torch.from_numpy(array)
    if name == "bfloat16":
        tensor = tensor.view(torch.bfloat16)
    if parameter:
        return torch.nn.Parameter(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad)
