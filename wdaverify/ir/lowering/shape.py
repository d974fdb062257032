"""Rearrangements: they move elements and compute nothing, so they select affine forms."""
# ruff: noqa: ARG001  # all lowerings share one signature, used or not

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import Tensor, attribute_or_input, constant_of, integers, tensor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value


def lower_flatten(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Two axes: those before `axis`, and the rest."""
    x = tensor_of(node, inputs, 0)
    axis = node.axis(1, x.rank, last=x.rank)
    return (Tensor((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])), x.forms),)


def lower_reshape(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """A new shape; 0 copies a dimension (unless allowzero), -1 is what remains."""
    x = tensor_of(node, inputs, 0)
    wanted = attribute_or_input(node, inputs, "shape", 1)
    if wanted is None:
        raise node.error("the shape is missing")
    shape = list(wanted)
    if not node.attribute("allowzero", 0):
        if any(d == 0 and k >= x.rank for k, d in enumerate(shape)):
            raise node.error(f"shape {wanted} copies a dimension that {x.shape} does not have")
        shape = [x.shape[k] if d == 0 else d for k, d in enumerate(shape)]
    known = math.prod(d for d in shape if d != -1)
    if shape.count(-1) == 1 and known and x.size % known == 0:
        shape[shape.index(-1)] = x.size // known
    if min(shape, default=0) < 0 or math.prod(shape) != x.size:
        raise node.error(f"mismatched shapes: {x.shape} cannot become {tuple(wanted)}")
    return (Tensor(tuple(shape), x.forms),)


def lower_transpose(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Permuted axes; reversed by default."""
    x = tensor_of(node, inputs, 0)
    order = [int(a) for a in node.attribute("perm", reversed(range(x.rank)))]
    if sorted(order) != list(range(x.rank)):
        raise node.error(f"perm {order} is no permutation of {x.rank} axes")
    return (x.rearranged(np.transpose(x.positions, order)),)


def lower_squeeze(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Drop axes of length 1: the given ones, or all."""
    x = tensor_of(node, inputs, 0)
    axes = attribute_or_input(node, inputs, "axes", 1)
    drop = {a for a, d in enumerate(x.shape) if d == 1} if axes is None else {node.normalized(a, x.rank) for a in axes}
    if any(x.shape[a] != 1 for a in drop):
        raise node.error(f"axes {axes} of shape {x.shape} are not all of length 1")
    return (Tensor(tuple(d for a, d in enumerate(x.shape) if a not in drop), x.forms),)


def lower_unsqueeze(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Insert axes of length 1, counted in the result."""
    x = tensor_of(node, inputs, 0)
    axes = attribute_or_input(node, inputs, "axes", 1) or []
    rank = x.rank + len(axes)
    places = {node.normalized(a, rank) for a in axes}
    if len(places) != len(axes):
        raise node.error(f"axes {axes} repeat")
    rest = iter(x.shape)
    return (Tensor(tuple(1 if a in places else next(rest) for a in range(rank)), x.forms),)


def lower_concat(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Tensors joined along an axis; constants may be among them."""
    parts = [tensor_of(node, inputs, k) for k in range(len(inputs))]
    axis = node.axis(0, parts[0].rank)
    offsets = np.cumsum([0, *(p.size for p in parts)])
    try:
        positions = np.concatenate([p.positions + o for p, o in zip(parts, offsets[:-1], strict=True)], axis=axis)
    except ValueError:
        raise node.error(f"mismatched shapes {[p.shape for p in parts]} along axis {axis}") from None
    node.check_size(positions.shape)
    forms = [p.forms for p in parts]
    if not all(f.is_float for f in forms):
        forms = [builder.reference(f) for f in forms]
    whole = Tensor((int(offsets[-1]),), ex.stack(forms, builder.label))
    return (whole.rearranged(positions),)


def lower_split(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Pieces along an axis, of given lengths or as equal as can be (the last one shorter)."""
    x = tensor_of(node, inputs, 0)
    axis = node.axis(0, x.rank)
    lengths = attribute_or_input(node, inputs, "split", 1)
    if lengths is None:
        pieces = int(node.attribute("num_outputs", len(node.outputs)))
        each = -(-x.shape[axis] // pieces) if pieces else 0
        lengths = [each] * (pieces - 1) + [x.shape[axis] - each * (pieces - 1)]
    if min(lengths, default=-1) < 0 or sum(lengths) != x.shape[axis] or len(lengths) < len(node.outputs):
        raise node.error(f"cannot split axis {axis} of shape {x.shape} into {lengths}")
    borders = np.cumsum(lengths)[:-1]
    return tuple(x.rearranged(part) for part in np.split(x.positions, borders, axis=axis))


def lower_slice(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``x[start:end:step]`` along the given axes; ends beyond the tensor are clamped."""
    x = tensor_of(node, inputs, 0)
    starts, ends = (attribute_or_input(node, inputs, name, k) for name, k in (("starts", 1), ("ends", 2)))
    if starts is None or ends is None:
        raise node.error("starts and ends are missing")
    axes = attribute_or_input(node, inputs, "axes", 3)
    axes = list(range(len(starts))) if axes is None else axes
    steps = integers(node, inputs, 4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.error(f"starts {starts}, ends {ends}, axes {axes}, steps {steps} do not fit together")
    positions = x.positions
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = node.normalized(axis, x.rank)
        positions = np.take(positions, _slice_index(start, end, step, x.shape[place]), axis=place)
    return (x.rearranged(positions),)


def _slice_index(start: int, end: int, step: int, length: int) -> IntArray:
    """The positions of a slice; ONNX clamps the start of a backward slice to the first element, Python does not."""
    start, end = (v + length if v < 0 else v for v in (start, end))
    if step > 0:
        start, end = min(max(start, 0), length), min(max(end, 0), length)
    else:
        start, end = min(max(start, 0), length - 1), min(max(end, -1), length - 1)
    return np.arange(start, end, step, dtype=np.int64)


def lower_gather(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Elements at constant indices along an axis; negative indices count from the end."""
    x = tensor_of(node, inputs, 0)
    axis = node.axis(0, x.rank)
    flat = integers(node, inputs, 1)
    index = inputs[1]
    if flat is None or isinstance(index, Tensor) or index is None:
        raise node.unsupported("indices must be constant")
    if any(not -x.shape[axis] <= i < x.shape[axis] for i in flat):
        raise node.error(f"indices {flat[:8]} leave axis {axis} of shape {x.shape}")
    node.check_size((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))
    return (x.rearranged(np.take(x.positions, index.astype(np.int64), axis=axis)),)


def lower_expand(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Repetition along axes of length 1, in both directions as NumPy broadcasts."""
    x, wanted = tensor_of(node, inputs, 0), integers(node, inputs, 1)
    if wanted is None:
        raise node.error("the shape is missing")
    node.check_size(wanted)
    try:
        shape = np.broadcast_shapes(x.shape, tuple(wanted))
    except ValueError:
        raise node.error(f"mismatched shapes: {x.shape} cannot be expanded to {tuple(wanted)}") from None
    node.check_size(shape)
    return (x.rearranged(np.broadcast_to(x.positions, shape)),)


def lower_pad(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Padding by a constant, by the edge, by reflection or around; negative pads crop."""
    x = tensor_of(node, inputs, 0)
    pads = attribute_or_input(node, inputs, "pads", 1)
    axes = integers(node, inputs, 3)
    axes = list(range(x.rank)) if axes is None else [node.normalized(a, x.rank) for a in axes]
    if pads is None or len(pads) != 2 * len(axes):
        raise node.error(f"pads {pads} do not fit the axes {axes} of shape {x.shape}")
    widths = [(0, 0)] * x.rank
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        widths[axis] = (before, after)
    node.check_size([max(d + sum(w), 0) for d, w in zip(x.shape, widths, strict=True)])
    positions = x.positions[tuple(slice(max(-b, 0), max(d - max(-a, 0), 0)) for d, (b, a) in zip(x.shape, widths, strict=True))]
    grow = [(max(b, 0), max(a, 0)) for b, a in widths]
    mode = node.attribute("mode", "constant")
    if mode == "constant":
        return (x.rearranged(np.pad(positions, grow, constant_values=-1), _pad_value(node, inputs)),)
    if mode not in {"edge", "reflect", "wrap"} or 0 in positions.shape:
        raise node.unsupported(f"mode '{mode}' on shape {x.shape} is not supported")
    return (x.rearranged(np.pad(positions, grow, mode=mode)),)


def _pad_value(node: OnnxNode, inputs: Inputs) -> Fraction:
    if len(inputs) > 2 and inputs[2] is not None:
        value = constant_of(node, inputs, 2)
        if value.size != 1:
            raise node.error(f"the padding value must be a scalar, got shape {value.shape}")
        return value.fractions()[0]
    attribute = float(node.attribute("value", 0.0))
    if not math.isfinite(attribute):
        raise node.error(f"the padding value {attribute} must be finite")
    return Fraction(attribute)
