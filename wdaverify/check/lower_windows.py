"""Operators with windows: convolution, pooling, reductions.

Along an axis, output o and window element k read input position ``o * stride - pad + k * dilation``; what lies outside the
input is padding and drops out. Windows list their elements in C order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

from .lower import Call, Tensor, places, strides_of
from .lower_linear import inner
from .lower_piecewise import fold
from .num import Limits
from .onnxwire import size_of
from .program import Form

Window = list[tuple[int, int]]
"""(number in the kernel, flat position in the spatial input) of every element that is not padding."""


def windows_of(call: Call, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[tuple[int, ...], list[Window], list[int]]:
    """Spatial shape of the output, one window per output position, and how many elements each has with its padding."""
    rank = len(spatial)
    strides, dilations, pads = (call.attribute(n, []) for n in ("strides", "dilations", "pads"))
    strides, dilations, pads = strides or [1] * rank, dilations or [1] * rank, pads or [0] * 2 * rank
    auto, ceil = call.attribute("auto_pad", "NOTSET"), call.flag("ceil_mode")
    fits = len(strides) == len(dilations) == len(kernel) == rank and len(pads) == 2 * rank and rank > 0
    if (
        not fits
        or min(*strides, *dilations, *kernel) < 1
        or min(pads) < 0
        or auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
        or (auto != "NOTSET" and (ceil or "pads" in call.node.attributes))
    ):
        raise call.error("window attributes do not fit")
    outputs, ends = [], []
    for a, size in enumerate(spatial):
        extent = (kernel[a] - 1) * dilations[a] + 1
        before, after = (pads[a], pads[a + rank]) if auto == "NOTSET" else (0, 0)
        if auto.startswith("SAME"):
            if max(dilations) > 1:
                raise call.error("auto_pad with dilations means different pads in different runtimes")
            total = (-(-size // strides[a]) - 1) * strides[a] + extent - size
            if total < 0 and call.node.op != "Conv":
                raise call.error("auto_pad of a pool that skips the end means different pads in different runtimes")
            total = max(total, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        span = size + before + after - extent
        count = (-(-span // strides[a]) if ceil and span >= 0 else span // strides[a]) + 1
        if ceil and span >= 0 and (count - 1) * strides[a] >= size + before:
            count -= 1
        if count < 1:
            raise call.error("the kernel does not fit into the input")
        outputs.append(count)
        ends.append((-before, size + after))
    size_of((*outputs, *kernel), str(call.node), Limits.terms)
    positions = []
    for a, (begin, end) in enumerate(ends):
        reads = [[begin + o * strides[a] + k * dilations[a] for k in range(kernel[a])] for o in range(outputs[a])]
        positions.append([(row, sum(v < end for v in row)) for row in reads])
    steps, numbers = strides_of(spatial), strides_of(kernel)
    windows, counts = [], []
    for chosen in product(*positions):
        window: Window = [(0, 0)]
        for a, (row, _) in enumerate(chosen):
            inside = [(k * numbers[a], v * steps[a]) for k, v in enumerate(row) if 0 <= v < spatial[a]]
            window = [(k + i, p + j) for k, p in window for i, j in inside]
        windows.append(window)
        counts.append(math.prod(n for _, n in chosen))
    return tuple(outputs), windows, counts


def _conv(call: Call) -> Tensor:
    x, w, b = call.tensor(0), call.tensor(1), call.optional(2)
    groups = call.attribute("group", 1)
    weights = w.constants(f"{call.node}: the kernel")
    kernel = call.attribute("kernel_shape", []) or list(w.shape[2:])
    if len(x.shape) < 3 or len(w.shape) != len(x.shape) or list(w.shape[2:]) != kernel or x.shape[0] != 1 or groups < 1:
        raise call.error(f"mismatched shapes {x.shape} and {w.shape}")
    maps, per_group = w.shape[0], w.shape[1]
    if per_group * groups != x.shape[1] or maps % groups:
        raise call.error(f"{x.shape[1]} channels, {groups} groups and a kernel {w.shape}")
    bias = b.constants(f"{call.node}: the bias") if b else [Fraction(0)] * maps
    if len(bias) != maps:
        raise call.error("mismatched bias")
    outputs, windows, _ = windows_of(call, x.shape[2:], kernel)
    area, taps = math.prod(x.shape[2:]), math.prod(kernel)
    forms = []
    for m in range(maps):
        first = m // (maps // groups) * per_group
        for window in windows:
            pairs = [(c, k, p) for c in range(per_group) for k, p in window]
            elements = [x.elements[(first + c) * area + p] for c, _, p in pairs]
            forms.append(inner(call, elements, [weights[(m * per_group + c) * taps + k] for c, k, _ in pairs], bias[m]))
    return call.affine((1, maps, *outputs), forms)


def _pool(call: Call) -> Tensor:
    x, kernel = call.tensor(0), call.attribute("kernel_shape", [])
    if len(x.shape) < 3 or len(call.node.outputs) > 1:
        raise call.error("needs spatial axes, and has one output")
    call.flag("storage_order")
    padded = call.flag("count_include_pad")
    outputs, windows, counts = windows_of(call, x.shape[2:], kernel)
    if any(p >= k for p, k in zip(call.attribute("pads", []), (*kernel, *kernel), strict=False)):
        raise call.error("a pad as long as the kernel is refused by runtimes")
    area = math.prod(x.shape[2:])
    reads = [[x.elements[m * area + p] for _, p in window] for m in range(x.shape[0] * x.shape[1]) for window in windows]
    shape = (*x.shape[:2], *outputs)
    if call.node.op == "MaxPool":
        return Tensor(x.kind, shape, fold(call, reads))
    if not all(reads):
        raise call.error("a window lies wholly in the padding")
    sizes = counts * (x.shape[0] * x.shape[1]) if padded else [len(r) for r in reads]
    return call.affine(shape, [Form.of(r, [Fraction(1, n)] * len(r)) for r, n in zip(reads, sizes, strict=True)])


def _reduce(call: Call) -> Tensor:
    x, rank = call.tensor(0), len(call.tensor(0).shape)
    if call.node.op.startswith("Global"):
        if rank < 3:
            raise call.error("without spatial axes, runtimes disagree")
        axes: list[int] | None = list(range(2, rank))
        keep = 1
    else:
        axes, keep = call.integers("axes", 1), call.flag("keepdims", 1)
        if call.flag("noop_with_empty_axes") and not axes:
            return x
    gone = sorted({call.axis(a, rank) for a in axes}) if axes else list(range(rank))
    left = [a for a in range(rank) if a not in gone]
    steps = strides_of(x.shape)
    offsets = places([x.shape[a] for a in gone], [steps[a] for a in gone])
    starts = places([x.shape[a] for a in left], [steps[a] for a in left])
    reads = [[x.elements[s + o] for o in offsets] for s in starts]
    shape = tuple(1 if a in gone else d for a, d in enumerate(x.shape)) if keep else tuple(x.shape[a] for a in left)
    if not offsets:
        raise call.error("reduces nothing")
    if call.node.op in ("ReduceMax", "ReduceMin", "GlobalMaxPool"):
        return Tensor(x.kind, shape, fold(call, reads, smallest=call.node.op == "ReduceMin"))
    weight = Fraction(1) if call.node.op == "ReduceSum" else Fraction(1, len(offsets))
    return call.affine(shape, [Form.of(r, [weight] * len(r)) for r in reads])


WINDOWS: dict[str, Callable[[Call], Tensor]] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "GlobalAveragePool": _reduce,
    "GlobalMaxPool": _reduce,
    "MaxPool": _pool,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceSum": _reduce,
}
"""The operators with windows."""
