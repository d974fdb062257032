"""Sums, and products with constants: Add, Sub, Sum, Mean, Neg, Mul, Div, Identity, Dropout, Cast."""
# ruff: noqa: ARG001  # all lowerings share one signature, used or not

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import Tensor, broadcast, constant_of, tensor_of
from wdaverify.ir.values import Values, simplify, to_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value

_FLOAT_TYPES = frozenset({1, 10, 11, 16})
"""ONNX codes of float32, float16, float64, bfloat16."""


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
    """A cast between float types is the identity on real numbers; constants are converted exactly or truncated."""
    target = int(node.attribute("to", 1))
    value = inputs[0]
    if isinstance(value, Tensor):
        if target in _FLOAT_TYPES:
            return (value,)
        if not value.is_constant:
            raise node.unsupported("a cast to a type that is not floating-point is not piecewise linear")
        whole = [int(v) for v in value.fractions()]  # truncation towards zero, as ONNX defines it
        return (np.array(whole, dtype=np.int64).reshape(value.shape),)
    assert value is not None
    assert target in _FLOAT_TYPES  # casts between integers are folded before
    exact = np.array([Fraction(int(v)) for v in value.ravel()], dtype=object)
    return (Tensor(value.shape, _constant_forms(builder, simplify(exact))),)


def lower_cast_like(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """A cast to the type of the second input; between real tensors it is the identity."""
    tensor_of(node, inputs, 1)
    return lower_cast(builder, node, inputs[:1])


def _constant_forms(builder: GraphBuilder, values: Values) -> ex.Expression:
    return ex.constant(values, builder.label)
