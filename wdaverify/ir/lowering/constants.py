"""Constants and shapes: what is known before the input is."""
# ruff: noqa: ARG001  # all lowerings share one signature, used or not

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._errors import ModelError
from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import Tensor, integers
from wdaverify.ir.values import is_float

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value

_FLOAT_NAMES = frozenset({"float16", "float32", "float64", "bfloat16"})


def constant_value(array: NDArray[Any], label: str) -> Value:
    """An array of a model file as a value; floats keep exactly the number that is stored.

    An infinity is let through, because it may be the end of a Clip: see `require_finite`.

    Parameters
    ----------
    label
        Name of the tensor, for messages.

    Raises
    ------
    ModelError
        If a float is NaN, or the type is no float64, float32, float16, bfloat16, integer or boolean.
    """
    if array.dtype.name not in _FLOAT_NAMES:
        if array.dtype.kind not in "iub":
            raise ModelError(f"tensor '{label}' has the unsupported type {array.dtype.name}")
        return array
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = array.astype(np.float64)
    _refuse(values, np.isnan(values), label)
    return Tensor(values.shape, ex.constant(values.ravel(), label))


def require_finite(value: Value | None, label: str) -> None:
    """Refuse a constant with infinite elements.

    Raises
    ------
    ModelError
        Naming the tensor and the place.
    """
    if isinstance(value, Tensor) and value.is_constant and is_float(value.forms.bias):
        values = value.constant_values()
        _refuse(values, ~np.isfinite(values), label)


def _refuse(values: NDArray[np.float64], bad: NDArray[np.bool_], label: str) -> None:
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ModelError(f"tensor '{label}' holds {values[place]} at {list(place)}; weights must be finite")


def lower_constant(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The tensor or number in the one attribute that is set."""
    a = node.attributes
    if "value" in a:
        array = np.asarray(a["value"])
    elif "value_float" in a or "value_floats" in a:
        array = np.asarray(a.get("value_float", a.get("value_floats")), dtype=np.float64)
    elif "value_int" in a or "value_ints" in a:
        array = np.asarray(a.get("value_int", a.get("value_ints")), dtype=np.int64)
    else:
        raise node.unsupported(f"attributes {sorted(a)} are not supported; use a dense tensor")
    return (constant_value(array, node.outputs[0]),)


def lower_constant_of_shape(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """One value repeated to a constant shape; 0 by default."""
    shape = integers(node, inputs, 0)
    if shape is None:
        raise node.error("the shape is missing")
    node.check_size(shape)
    value = np.asarray(node.attribute("value", np.zeros(1, dtype=np.float32))).ravel()
    if len(value) != 1:
        raise node.error(f"value must have one element, not {len(value)}")
    return (constant_value(np.full(shape, value[0], dtype=value.dtype), node.outputs[0]),)


def lower_shape(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The dimensions from `start` to `end`; all shapes are known here."""
    value = inputs[0]
    shape = () if value is None else value.shape
    start, end = node.attribute("start", 0), node.attribute("end")
    return (np.array(shape[slice(start, end)], dtype=np.int64),)


def lower_size(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The number of elements."""
    value = inputs[0]
    return (np.array(1 if value is None else math.prod(value.shape), dtype=np.int64),)
