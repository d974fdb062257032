"""Pooling and reductions: averages and sums are affine, maxima fold pairs (`piecewise.fold_max`)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.lowering.common import Tensor, attribute_or_input, tensor_of
from wdaverify.ir.lowering.linear import weighted_sums
from wdaverify.ir.lowering.piecewise import fold_max
from wdaverify.ir.lowering.windows import padded_counts, spatial_indices, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value
    from wdaverify.ir.lowering.windows import Window


def lower_max_pool(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The maximum of each window; padding counts as minus infinity."""
    x = tensor_of(node, inputs, 0)
    if node.attribute("storage_order", 0) and len(node.outputs) > 1:
        raise node.unsupported("column-major indices are not supported")
    window, index = _windows(node, x)
    if (index < 0).all(axis=1).any():
        raise node.error("a window lies wholly in the padding: its maximum is minus infinity")
    forms = fold_max(builder, builder.reference(x.forms), index)
    return (Tensor((*x.shape[:2], *window.outputs), forms),)


def lower_average_pool(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The average of each window, over its elements in the input or, with count_include_pad, in the padded input."""
    x = tensor_of(node, inputs, 0)
    window, index = _windows(node, x)
    counts = (index >= 0).sum(axis=1)
    if node.attribute("count_include_pad", 0):
        counts = np.tile(padded_counts(window, x.shape[2:]), x.shape[0] * x.shape[1])
    if (counts == 0).any():
        raise node.error("a window lies wholly in the padding: its average does not exist")
    inverse = [Fraction(1, int(c)) for c in counts]
    shape = (*x.shape[:2], *window.outputs)
    return (weighted_sums(builder, x, index, coefficients=inverse, shape=shape),)


def lower_global_pool(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """GlobalAveragePool and GlobalMaxPool: one window per feature map."""
    x = tensor_of(node, inputs, 0)
    if x.rank < 3:  # runtimes pool the channels then, or nothing, or refuse
        raise node.error(f"needs a tensor with batch, channel and spatial axes, got shape {x.shape}")
    shape = (*x.shape[:2], *[1] * (x.rank - 2))
    return (_reduced(builder, node, x, windows=x.positions.reshape(math.prod(shape), -1), shape=shape),)


def lower_reduce(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """ReduceSum, ReduceMean, ReduceMax and ReduceMin over the given axes (attribute or second input), default all."""
    x = tensor_of(node, inputs, 0)
    for name in ("keepdims", "noop_with_empty_axes"):
        if node.attribute(name, 0) not in (0, 1):  # the standard knows only these, and runtimes differ about others
            raise node.error(f"{name} is {node.attribute(name)}; it is 0 or 1")
    axes = attribute_or_input(node, inputs, "axes", 1)
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return (x,)
        axes = list(range(x.rank))
    axes = sorted({node.normalized(a, x.rank) for a in axes})
    kept = [a for a in range(x.rank) if a not in axes]
    length = math.prod(x.shape[a] for a in axes)
    windows = np.transpose(x.positions, [*kept, *axes]).reshape(-1, length)
    if node.attribute("keepdims", 1):
        shape = tuple(1 if a in axes else d for a, d in enumerate(x.shape))
    else:
        shape = tuple(x.shape[a] for a in kept)
    return (_reduced(builder, node, x, windows=windows, shape=shape),)


def _reduced(builder: GraphBuilder, node: OnnxNode, x: Tensor, *, windows: IntArray, shape: tuple[int, ...]) -> Tensor:
    if windows.shape[1] == 0:
        raise node.error(f"nothing to reduce in a tensor of shape {x.shape}")
    if node.op in {"ReduceMax", "ReduceMin", "GlobalMaxPool"}:
        forms = fold_max(builder, builder.reference(x.forms), windows, smallest=node.op == "ReduceMin")
        return Tensor(shape, forms)
    weight = Fraction(1) if node.op == "ReduceSum" else Fraction(1, windows.shape[1])
    return weighted_sums(builder, x, windows, coefficients=[weight] * len(windows), shape=shape)


def _windows(node: OnnxNode, x: Tensor) -> tuple[Window, IntArray]:
    """Window geometry and, for every output element in C order, the numbers of its input elements."""
    if x.rank < 3 or "kernel_shape" not in node.attributes:
        raise node.error(f"needs a kernel_shape and a tensor with spatial axes, got shape {x.shape}")
    window = window_of(node, x.shape[2:], [int(k) for k in node.attributes["kernel_shape"]])
    if node.attribute("auto_pad", "NOTSET") in {"SAME_UPPER", "SAME_LOWER"} and max(window.dilations) > 1:
        raise node.unsupported(
            f"auto_pad with dilations {window.dilations} means different pads in different runtimes; export explicit pads"
        )
    maps = x.shape[0] * x.shape[1]
    node.check_size((max(maps, 1), *window.outputs))
    node.check_nonzeros(max(maps, 1) * math.prod(window.outputs) * math.prod(window.kernel))
    index = spatial_indices(window, x.shape[2:])
    offsets = np.arange(maps, dtype=np.int64)[:, None, None] * math.prod(x.shape[2:])
    return window, np.where(index >= 0, index + offsets, -1).reshape(-1, index.shape[1])
