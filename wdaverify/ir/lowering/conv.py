"""Convolution and its transpose as sparse affine maps, in any number of spatial dimensions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.lowering.common import Tensor, constant_of, optional_tensor, tensor_of
from wdaverify.ir.lowering.windows import Window, auto_pad_of, explicit_pads, spatial_indices, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value
    from wdaverify.ir.values import Values


def lower_conv(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y[n,m,o] = b[m] + sum over c, k of w[m,c,k] x[n, g C/G + c, o s - p + k d]`` with ``g`` the group of m."""
    x, w = tensor_of(node, inputs, 0), constant_of(node, inputs, 1)
    groups = _check_channels(node, x, w, channels=w.shape[1] * int(node.attribute("group", 1)), filters=w.shape[0])
    window = window_of(node, x.shape[2:], _kernel(node, w))
    shape = (x.shape[0], w.shape[0], *window.outputs)
    columns, rows, values = _entries(node, w, window, batch=x.shape[0], groups=groups, spatial=x.shape[2:])
    return (_finish(builder, node, x, entries=(rows, columns, values), shape=shape, bias=optional_tensor(node, inputs, 2)),)


def lower_conv_transpose(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The transpose of a convolution: x[n,c,i] w[c,m,k] is added to y[n, g M/G + m, i s - p + k d]."""
    x, w = tensor_of(node, inputs, 0), constant_of(node, inputs, 1)
    groups = int(node.attribute("group", 1))
    _check_channels(node, x, w, channels=w.shape[0], filters=w.shape[0])
    window = _transposed_window(node, x.shape[2:], _kernel(node, w))
    shape = (x.shape[0], w.shape[1] * groups, *window.outputs)
    node.check_size(shape)
    forward = replace(window, outputs=x.shape[2:])  # the convolution from y to x whose transpose this is
    rows, columns, values = _entries(node, w, forward, batch=x.shape[0], groups=groups, spatial=window.outputs)
    return (_finish(builder, node, x, entries=(rows, columns, values), shape=shape, bias=optional_tensor(node, inputs, 2)),)


def _entries(
    node: OnnxNode, w: Tensor, window: Window, *, batch: int, groups: int, spatial: tuple[int, ...]
) -> tuple[IntArray, IntArray, Values]:
    """The coefficients of a convolution with weight (filters, channels per group, kernel).

    Parameters
    ----------
    spatial
        Spatial shape of what the convolution reads.

    Returns
    -------
    Per coefficient: element that the convolution reads, element that it writes, value.
    """
    filters, per_group = w.shape[:2]
    shape = (batch, filters, math.prod(window.outputs), per_group, math.prod(window.kernel))
    node.check_size((max(batch, 1), max(filters, 1), *window.outputs))
    node.check_nonzeros(math.prod(max(d, 1) for d in shape))  # before anything of that size is built
    index = spatial_indices(window, spatial)
    n, m, o, c, _ = (np.arange(d).reshape([-1 if k == a else 1 for a in range(5)]) for k, d in enumerate(shape))
    channel = (m // (filters // groups)) * per_group + c
    inside = np.broadcast_to((index >= 0)[None, None, :, None, :], shape)
    written = np.broadcast_to((n * filters + m) * shape[2] + o, shape)[inside]
    read = ((n * per_group * groups + channel) * math.prod(spatial) + index[None, None, :, None, :])[inside]
    values = np.broadcast_to(w.forms.bias.reshape(1, filters, 1, per_group, shape[4]), shape)[inside]
    return read, written, values


def _transposed_window(node: OnnxNode, spatial: Sequence[int], kernel: tuple[int, ...]) -> Window:
    """The window of the transposed map; `outputs` is the shape of its result.

    ONNX, ConvTranspose: ``output = stride (input - 1) + output_padding + (kernel - 1) dilation + 1 - pads``, or pads from
    ``output_shape``; an odd one goes to the beginning unless auto_pad is SAME_UPPER.
    """
    rank = len(spatial)
    strides = tuple(int(v) for v in node.attribute("strides", [1] * rank))
    dilations = tuple(int(v) for v in node.attribute("dilations", [1] * rank))
    extra = [int(v) for v in node.attribute("output_padding", [0] * rank)]
    if not len(strides) == len(dilations) == len(extra) == rank or min([*strides, *dilations], default=1) < 1 or min(extra) < 0:
        raise node.error(f"strides, dilations or output_padding do not fit {rank} spatial axes")
    full = [
        s * (size - 1) + e + (k - 1) * d + 1 for s, size, e, k, d in zip(strides, spatial, extra, kernel, dilations, strict=True)
    ]
    auto = auto_pad_of(node)
    wanted = node.attribute("output_shape")
    if wanted is None and auto in {"SAME_UPPER", "SAME_LOWER"}:
        wanted = [size * s for size, s in zip(spatial, strides, strict=True)]
    if wanted is not None:
        wanted = [int(v) for v in wanted][-rank:]
        if len(wanted) != rank:
            raise node.error(f"output_shape {wanted} does not fit {rank} spatial axes")
        totals = [f - v for f, v in zip(full, wanted, strict=True)]
        if min(totals) < 0:
            cause = f"auto_pad {auto}" if node.attribute("output_shape") is None else "output_shape"
            raise node.unsupported(
                f"{cause} asks for the spatial shape {wanted}, beyond the {full} that the kernel reaches; "
                "runtimes disagree about the rest: export explicit pads and output_padding"
            )
        pads = [(t - t // 2, t // 2) if auto != "SAME_UPPER" else (t // 2, t - t // 2) for t in totals]
        outputs = tuple(wanted)
    else:
        pads = explicit_pads(node, rank) if auto != "VALID" else [(0, 0)] * rank
        outputs = tuple(f - sum(p) for f, p in zip(full, pads, strict=True))
    if min(outputs, default=1) < 1:
        raise node.error(f"the result would have spatial shape {outputs}")
    node.check_size(outputs)
    return Window(kernel, strides, dilations, tuple(pads), outputs)


def _kernel(node: OnnxNode, w: Tensor) -> tuple[int, ...]:
    declared = node.attribute("kernel_shape")
    if declared is not None and tuple(int(k) for k in declared) != w.shape[2:]:
        raise node.error(f"kernel_shape {list(declared)} contradicts the weight's shape {w.shape}")
    return w.shape[2:]


def _check_channels(node: OnnxNode, x: Tensor, w: Tensor, *, channels: int, filters: int) -> int:
    groups = int(node.attribute("group", 1))
    if w.rank < 3 or x.rank != w.rank:
        raise node.error(f"mismatched shapes: input {x.shape}, weight {w.shape}")
    if x.shape[1] != channels or groups < 1 or filters % groups:
        raise node.error(f"mismatched shapes: input {x.shape}, weight {w.shape}, group {groups}")
    return groups


def _finish(
    builder: GraphBuilder,
    node: OnnxNode,
    x: Tensor,
    *,
    entries: tuple[IntArray, IntArray, Values],
    shape: tuple[int, ...],
    bias: Tensor | None,
) -> Tensor:
    """Apply the map and add the bias of each feature map."""
    node.check_size(shape)
    forms = builder.linear(entries, x.forms, np.zeros(math.prod(shape)))
    if bias is not None:
        if bias.shape != (shape[1],):
            raise node.error(f"mismatched shapes: bias {bias.shape} for {shape[1]} feature maps")
        positions = np.broadcast_to(bias.positions.reshape(1, -1, *[1] * (len(shape) - 2)), shape)
        forms = builder.add(forms, bias.rearranged(positions).forms)
    return Tensor(shape, forms)
