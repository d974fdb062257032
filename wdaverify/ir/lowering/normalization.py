"""BatchNormalization at inference, and the softmax at the end of a classifier."""
# ruff: noqa: ARG001  # all lowerings share one signature, used or not

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import Tensor, constant_of, tensor_of
from wdaverify.ir.values import simplify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value

_ROOT_BITS = 96
_ONNX_EPSILON = float(np.float32(1e-5))
"""The default of attribute ``epsilon``: ONNX attributes are float32."""


def inverse_root(value: Fraction) -> Fraction:
    """``isqrt(2^192 / value) / 2^96``, floor inside: the rational that stands for ``1 / sqrt(value)``.

    The factor of a batch normalization is irrational in general. It is pinned by this definition, so that everyone
    who reads the model means the same function; it differs from the root by less than 2^-96.

    >>> inverse_root(Fraction(4))
    Fraction(1, 2)
    """
    return Fraction(math.isqrt((1 << 2 * _ROOT_BITS) * value.denominator // value.numerator), 1 << _ROOT_BITS)


def lower_batch_normalization(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = (x - mean) * scale / sqrt(var + epsilon) + bias`` per channel, with the factor of `inverse_root`."""
    x = tensor_of(node, inputs, 0)
    if node.attribute("training_mode", 0) or len(node.outputs) > 1:
        raise node.unsupported("training mode depends on the batch; export the model for inference")
    if not node.attribute("spatial", 1):
        raise node.unsupported("spatial = 0 (statistics per element) is not supported")
    if x.rank < 2:
        raise node.error(f"needs a tensor with a channel axis, got shape {x.shape}")
    channels = x.shape[1]
    parameters = [constant_of(node, inputs, k) for k in range(1, 5)]
    if any(p.shape != (channels,) for p in parameters):
        raise node.error(f"mismatched shapes: {[p.shape for p in parameters]} for {channels} channels")
    scale, bias, mean, variance = (p.fractions() for p in parameters)
    epsilon = Fraction(float(node.attribute("epsilon", _ONNX_EPSILON)))
    if any(v + epsilon <= 0 for v in variance):
        raise node.error("a variance plus epsilon is not positive")
    factors = [s * inverse_root(v + epsilon) for s, v in zip(scale, variance, strict=True)]
    shifts = [b - m * f for b, m, f in zip(bias, mean, factors, strict=True)]
    channel = np.broadcast_to(np.arange(channels).reshape(1, -1, *[1] * (x.rank - 2)), x.shape).ravel()
    per_element = [simplify(np.array(v, dtype=object))[channel] for v in (factors, shifts)]
    scaled = builder.scale(builder.reference(x.forms), per_element[0])
    return (Tensor(x.shape, ex.add([scaled, ex.constant(per_element[1])], builder.label)),)


def lower_softmax(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Pass a softmax at the end of the graph: it keeps the order of the outputs. The importer has checked the place."""
    x = tensor_of(node, inputs, 0)
    axis = node.axis(1 if node.opset < 13 else -1, x.rank)
    normalized = math.prod(x.shape[axis:]) if node.opset < 13 else x.shape[axis]
    if x.size == 1:
        raise node.unsupported("the softmax of one element is constant, so that leaving it out would change the output")
    if normalized != x.size:
        raise node.unsupported(
            f"normalises {normalized} of {x.size} elements along axis {axis}, so that leaving it out would change the decision"
        )
    return (x,)
