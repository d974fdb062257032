"""Sliding windows over the spatial axes, shared by convolution and pooling.

Along one axis, output o and window element k read input position ``o * stride - pad_begin + k * dilation``; positions
outside the input are padding and numbered -1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray
    from wdaverify.ir.lowering.common import OnnxNode


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a sliding window, one entry per spatial axis; pads are (begin, end)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]


AUTO_PADS = frozenset({"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""})
"""What attribute ``auto_pad`` may say."""


def auto_pad_of(node: OnnxNode) -> str:
    """Attribute ``auto_pad``, checked."""
    auto = str(node.attribute("auto_pad", "NOTSET"))
    if auto not in AUTO_PADS:
        raise node.error(f"unknown auto_pad '{auto}'")
    return auto


def window_of(node: OnnxNode, spatial: Sequence[int], kernel: Sequence[int]) -> Window:
    """Read strides, dilations, pads, auto_pad and ceil_mode of a node over an input with the given spatial shape."""
    rank = len(spatial)
    strides = _per_axis(node, "strides", rank, 1)
    dilations = _per_axis(node, "dilations", rank, 1)
    if len(kernel) != rank or min(kernel, default=1) < 1:
        raise node.error(f"kernel shape {tuple(kernel)} does not fit {rank} spatial axes")
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    auto = auto_pad_of(node)
    if auto in {"SAME_UPPER", "SAME_LOWER"}:
        outputs = [-(-size // s) for size, s in zip(spatial, strides, strict=True)]
        pads = [
            _split_pad(max((o - 1) * s + e - size, 0), upper=auto == "SAME_UPPER")
            for o, s, e, size in zip(outputs, strides, extents, spatial, strict=True)
        ]
    else:
        pads = explicit_pads(node, rank) if auto != "VALID" else [(0, 0)] * rank
        ceil = bool(node.attribute("ceil_mode", 0))
        outputs = [_output_size(size, p, e, s, ceil=ceil) for size, p, e, s in zip(spatial, pads, extents, strides, strict=True)]
    if min(outputs, default=1) < 1:
        raise node.error(f"kernel {tuple(kernel)} does not fit the padded input of spatial shape {tuple(spatial)}")
    node.check_size(outputs)
    return Window(tuple(kernel), strides, dilations, tuple(pads), tuple(outputs))


def explicit_pads(node: OnnxNode, rank: int) -> list[tuple[int, int]]:
    """Attribute ``pads``, which lists all begins, then all ends."""
    pads = [int(p) for p in node.attribute("pads", [0] * (2 * rank))]
    if len(pads) != 2 * rank or min(pads, default=0) < 0:
        raise node.error(f"pads {pads} do not fit {rank} spatial axes")
    return list(zip(pads[:rank], pads[rank:], strict=True))


def spatial_indices(window: Window, spatial: Sequence[int]) -> IntArray:
    """Shape (outputs, window elements), both flattened in C order: flat spatial position, or -1 for padding."""
    rank = len(spatial)
    total = np.zeros((1,) * (2 * rank), dtype=np.int64)
    inside = np.ones((1,) * (2 * rank), dtype=bool)
    for axis, size in enumerate(spatial):
        start = np.arange(window.outputs[axis]) * window.strides[axis] - window.pads[axis][0]
        position = start[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = position.shape
        position = position.reshape(shape)
        inside = inside & (position >= 0) & (position < size)
        total = total * size + position
    result = np.where(inside, total, -1)
    return result.reshape(math.prod(window.outputs), math.prod(window.kernel))


def padded_counts(window: Window, spatial: Sequence[int]) -> IntArray:
    """How many elements of each window lie in the input or its declared padding, shape (outputs,)."""
    counts = np.ones((), dtype=np.int64)
    for axis, size in enumerate(spatial):
        start = np.arange(window.outputs[axis]) * window.strides[axis] - window.pads[axis][0]
        position = start[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        counts = np.multiply.outer(counts, (position < size + window.pads[axis][1]).sum(axis=1))
    return counts.ravel()


def _output_size(size: int, pads: tuple[int, int], extent: int, stride: int, *, ceil: bool) -> int:
    """Number of window positions; with ceil, a window may end in nothing but must not start behind the begin-padded input."""
    span = size + sum(pads) - extent
    if not ceil or span < 0:
        return span // stride + 1
    outputs = -(-span // stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= size + pads[0] else outputs


def _split_pad(total: int, *, upper: bool) -> tuple[int, int]:
    half = total // 2
    return (half, total - half) if upper else (total - half, half)


def _per_axis(node: OnnxNode, name: str, rank: int, default: int) -> tuple[int, ...]:
    values = tuple(int(v) for v in node.attribute(name, [default] * rank))
    if len(values) != rank or min(values, default=1) < 1:
        raise node.error(f"{name} {values} do not fit {rank} spatial axes")
    return values
