"""Sums, and products with constants: Add, Sub, Sum, Mean, Neg, Mul, Div, Identity, Dropout, Cast."""
# ruff: noqa: ARG001  # all lowerings share one signature, used or not

from __future__ import annotations

import math
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import FLOAT_TYPES, Tensor, broadcast, constant_of, tensor_of
from wdaverify.ir.values import FloatFormat, Values, rounded, simplify, to_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value

_FORMATS: Final[Mapping[int, FloatFormat]] = MappingProxyType(
    {
        1: FloatFormat(24, -149, float(np.finfo(np.float32).max)),
        10: FloatFormat(11, -24, float(np.finfo(np.float16).max)),
        11: FloatFormat(53, -1074, float(np.finfo(np.float64).max)),
        16: FloatFormat(8, -133, (2 - 2.0**-7) * 2.0**127),
    }
)
"""ONNX code to format, for float32, float16, float64 and bfloat16 (see `FLOAT_TYPES`)."""

_BOOL = 9
_INTEGERS: Final[Mapping[int, type[np.integer[Any]]]] = MappingProxyType(
    {
        2: np.uint8,
        3: np.int8,
        4: np.uint16,
        5: np.int16,
        6: np.int32,
        7: np.int64,
        12: np.uint32,
        13: np.uint64,
    }
)
"""ONNX code to NumPy type."""


def lower_sum(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = x_1 + ... + x_k`` with broadcasting (Add, Sum)."""
    operands = broadcast(node, [tensor_of(node, inputs, k) for k in range(len(inputs))])
    return (Tensor(operands[0].shape, builder.add(*(t.forms for t in operands))),)


def lower_mean(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = (x_1 + ... + x_k) / k`` with broadcasting."""
    (total,) = lower_sum(builder, node, inputs)
    assert isinstance(total, Tensor)
    factors = simplify(np.full(total.size, Fraction(1, len(inputs)), dtype=object))
    return (Tensor(total.shape, builder.scale(total.forms, factors)),)


def lower_sub(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = a - b`` with broadcasting."""
    a, b = broadcast(node, [tensor_of(node, inputs, 0), tensor_of(node, inputs, 1)])
    return (Tensor(a.shape, builder.subtract(a.forms, b.forms)),)


def lower_neg(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = -x``."""
    x = tensor_of(node, inputs, 0)
    return (Tensor(x.shape, builder.scale(x.forms, np.full(x.size, -1.0))),)


def lower_mul(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = a * b`` where one side is constant."""
    a, b = broadcast(node, [tensor_of(node, inputs, 0), tensor_of(node, inputs, 1)])
    if not b.is_constant:
        a, b = b, a
    if not b.is_constant:
        raise node.unsupported("both sides depend on the network's input: their product is not piecewise linear")
    return (Tensor(a.shape, builder.scale(a.forms, b.forms.bias)),)


def lower_div(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = a / b`` for a constant b without zeros; ``1 / b`` is an exact rational."""
    b = constant_of(node, inputs, 1)
    if bool((b.forms.bias == 0).any()):
        raise node.error("division by zero")
    inverse = Tensor(b.shape, _constant_forms(builder, simplify(1 / to_fractions(b.forms.bias))))
    return lower_mul(builder, node, [tensor_of(node, inputs, 0), inverse])


def lower_identity(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = x``."""
    return (inputs[0],) if inputs[0] is not None else (tensor_of(node, inputs, 0),)


def lower_dropout(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = x``: at inference nothing is dropped."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and (isinstance(training, Tensor) or bool(np.any(training))):
        raise node.unsupported("training mode is random; export the model for inference")
    return (tensor_of(node, inputs, 0),)


def lower_cast(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """A cast between float types is the identity on real numbers; a constant is converted as ONNX defines it.

    A constant is rounded to the nearest number of a float type (ties to even), truncated towards zero for an integer type,
    and compared with zero for a boolean. CastLike is the same: the importer gives it the type of its second input.
    """
    target = int(node.attribute("to", 0))
    value = inputs[0]
    if value is None:
        raise node.error("input 0 is missing")
    if isinstance(value, Tensor) and not value.is_constant:
        if target not in FLOAT_TYPES:
            raise node.unsupported("a cast to a type that is not floating-point is not piecewise linear")
        return (value,)
    if isinstance(value, Tensor):
        numbers = value.forms.bias
    else:
        numbers = simplify(np.array([Fraction(int(v)) for v in value.ravel()], dtype=object))
    if target in FLOAT_TYPES:
        return (Tensor(value.shape, _constant_forms(builder, rounded(numbers, _FORMATS[target]))),)
    if target == _BOOL:
        return (np.asarray(numbers != 0, dtype=np.bool_).reshape(value.shape),)
    if target not in _INTEGERS:
        raise node.unsupported(f"a cast to the ONNX type {target} is not supported: neither a real number, integer nor boolean")
    return (_integers(node, numbers, np.iinfo(_INTEGERS[target])).reshape(value.shape),)


def _integers(node: OnnxNode, numbers: Values, limits: np.iinfo) -> NDArray[Any]:
    """Truncate towards zero; what leaves the range of the type has no meaning that ONNX defines."""
    whole = [math.trunc(v) for v in numbers.ravel()]
    outside = next((v for v in whole if not limits.min <= v <= limits.max), None)
    if outside is not None:
        raise node.error(f"the constant {outside} is outside the range [{limits.min}, {limits.max}] of {limits.dtype}")
    return np.array(whole, dtype=limits.dtype)


def _constant_forms(builder: GraphBuilder, values: Values) -> ex.Expression:
    return ex.constant(values, builder.label)
