"""Operators that only rearrange elements, or compute shapes: they add no stage."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

from .lower import Call, Tensor, places, strides_of
from .num import Unreadable
from .onnxwire import BOOL, DOUBLE, FLOAT, FLOAT16, FLOATS, INT32, INT64, RANGES, Stored, size_of


def _taken(x: Tensor, shape: Sequence[int], positions: Sequence[int]) -> Tensor:
    return Tensor(x.kind, tuple(shape), [x.elements[k] for k in positions])


def _identity(call: Call) -> Tensor:
    if call.node.op == "Dropout":
        call.attribute("ratio", 0.0)
        call.attribute("seed", 0)
        mode = call.optional(2)
        if mode is not None and any(mode.constants("training_mode")):
            raise call.error("training mode is random")
    return call.tensor(0)


def _reshaped(call: Call, x: Tensor, shape: Sequence[int]) -> Tensor:
    if size_of(tuple(shape), str(call.node)) != len(x.elements):
        raise call.error(f"{x.shape} cannot become {list(shape)}")
    return Tensor(x.kind, tuple(shape), x.elements)


def _reshape(call: Call) -> Tensor:
    x, target = call.tensor(0), call.integers("shape", 1)
    if target is None:
        raise call.error("has no target shape")
    keep_zero = call.flag("allowzero")
    if any(d == 0 and k >= len(x.shape) for k, d in enumerate(target)) and not keep_zero:
        raise call.error(f"target {target} of shape {x.shape}")
    sizes = [x.shape[k] if d == 0 and not keep_zero else d for k, d in enumerate(target)]
    if sizes.count(-1) == 1:
        rest = math.prod(d for d in sizes if d != -1)
        if rest <= 0 or len(x.elements) % rest:
            raise call.error(f"{x.shape} cannot become {target}")
        sizes[sizes.index(-1)] = len(x.elements) // rest
    return _reshaped(call, x, sizes)


def _flatten(call: Call) -> Tensor:
    x, axis = call.tensor(0), call.attribute("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    if not 0 <= axis <= len(x.shape):
        raise call.error(f"axis {axis}")
    return _reshaped(call, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(call: Call) -> Tensor:
    x, axes = call.tensor(0), call.integers("axes", 1)
    rank = len(x.shape)
    if axes == []:
        raise call.error("an empty list of axes means all of them to some runtimes, and none to others")
    drop = {k for k in range(rank) if x.shape[k] == 1} if axes is None else {call.axis(a, rank) for a in axes}
    return _reshaped(call, x, [d for k, d in enumerate(x.shape) if k not in drop])


def _unsqueeze(call: Call) -> Tensor:
    x, axes = call.tensor(0), call.integers("axes", 1)
    if axes is None:
        raise call.error("has no axes")
    rank = len(x.shape) + len(axes)
    new = {call.axis(a, rank) for a in axes}
    rest = iter(x.shape)
    if len(new) < len(axes):
        raise call.error(f"axes {axes} repeat")
    return _reshaped(call, x, [1 if k in new else next(rest) for k in range(rank)])


def _transposed(call: Call) -> Tensor:
    x = call.tensor(0)
    order = call.attribute("perm", []) or list(range(len(x.shape)))[::-1]
    if sorted(order) != list(range(len(x.shape))):
        raise call.error(f"permutation {order} of shape {x.shape}")
    shape, steps = [x.shape[a] for a in order], strides_of(x.shape)
    return _taken(x, shape, places(shape, [steps[a] for a in order]))


def _slice(call: Call) -> Tensor:
    x = call.tensor(0)
    starts, ends = call.integers("starts", 1), call.integers("ends", 2)
    if starts is None or ends is None:
        raise call.error("has no starts or ends")
    axes = call.integers("axes", 3)
    axes = list(range(len(starts))) if axes is None else axes
    steps = call.integers("steps", 4)
    steps = [1] * len(starts) if steps is None else steps
    shape, strides, first = list(x.shape), strides_of(x.shape), 0
    axes = [call.axis(a, len(shape)) for a in axes]
    if not len(starts) == len(ends) == len(axes) == len(steps) or len(set(axes)) < len(axes):
        raise call.error("starts, ends, axes and steps do not fit")
    for a, s, e, step in zip(axes, starts, ends, steps, strict=True):
        if step == 0 or (step < 0 and s < -x.shape[a]):
            raise call.error("step 0, or a start before the beginning")
        chosen = range(x.shape[a])[slice(s, None if step < 0 and e < -x.shape[a] else e, step)]
        first += (chosen[0] if chosen else 0) * strides[a]
        shape[a], strides[a] = len(chosen), strides[a] * step
    return _taken(x, shape, places(shape, strides, first))


def _concat(call: Call) -> Tensor:
    tensors = [call.tensor(k) for k in range(len(call.inputs))]
    axis = call.axis(call.attribute("axis", 1), len(tensors[0].shape))
    shape = list(tensors[0].shape)
    if any(len(t.shape) != len(shape) for t in tensors):
        raise call.error("ranks differ")
    if any(t.shape[:axis] + t.shape[axis + 1 :] != tuple(shape[:axis] + shape[axis + 1 :]) for t in tensors):
        raise call.error(f"mismatched shapes {[t.shape for t in tensors]}")
    shape[axis] = sum(t.shape[axis] for t in tensors)
    runs = [math.prod(t.shape[axis:]) for t in tensors]
    elements = [
        e
        for k in range(math.prod(shape[:axis]))
        for t, n in zip(tensors, runs, strict=True)
        for e in t.elements[k * n : k * n + n]
    ]
    return Tensor(tensors[0].kind, tuple(shape), elements)


def _gather(call: Call) -> Tensor:
    x, index = call.tensor(0), call.tensor(1)
    axis = call.axis(call.attribute("axis", 0), len(x.shape))
    chosen = [int(v) for v in index.constants(f"{call.node}: the index")]
    if index.kind in FLOATS or any(not -x.shape[axis] <= v < x.shape[axis] for v in chosen):
        raise call.error("an index is out of range")
    inner = math.prod(x.shape[axis + 1 :])
    outer = math.prod(x.shape[:axis])
    size = x.shape[axis]
    positions = [(o * size + v % size) * inner + k for o in range(outer) for v in chosen for k in range(inner)]
    return _taken(x, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), positions)


def _expand(call: Call) -> Tensor:
    x, target = call.tensor(0), call.integers("shape", 1) or []
    rank = max(len(x.shape), len(target))
    own, other = ((1,) * (rank - len(s)) + tuple(s) for s in (x.shape, target))
    if any(a != b and 1 not in (a, b) for a, b in zip(own, other, strict=True)):
        raise call.error(f"mismatched shapes {x.shape} and {target}")
    shape = tuple(b if a == 1 else a for a, b in zip(own, other, strict=True))
    size_of(shape, str(call.node))
    return _taken(x, shape, places(shape, [0 if d == 1 else s for d, s in zip(own, strides_of(own), strict=True)]))


def _pad(call: Call) -> Tensor:
    x, pads = call.tensor(0), call.integers("pads", 1)
    rank = len(x.shape)
    if pads is None or len(pads) != 2 * rank or call.attribute("mode", "constant") != "constant" or call.optional(3) is not None:
        raise call.error("only constant padding of all axes is supported")
    filler = call.optional(2)
    fill = call.exact(call.attribute("value", 0.0)) if filler is None else filler.constants("the padding")[0]
    shape = [d + pads[k] + pads[k + rank] for k, d in enumerate(x.shape)]
    size_of(tuple(shape), str(call.node))
    strides = strides_of(x.shape)
    start = -sum(p * s for p, s in zip(pads, strides, strict=False))
    inside = [1]
    for k, d in enumerate(shape):
        inside = [i & (0 <= v - pads[k] < x.shape[k]) for i in inside for v in range(d)]
    positions = places(shape, strides, start)
    return Tensor(x.kind, tuple(shape), [x.elements[p] if i else fill for p, i in zip(positions, inside, strict=True)])


def _constant(call: Call) -> Tensor:
    if len(call.node.attributes) != 1:
        raise call.error("has no single value")
    (name,) = call.node.attributes
    value = call.attribute(name, None)
    if name == "value" and isinstance(value, Stored):
        return Tensor(value.kind, value.shape, list(value.values))
    if name not in _VALUES:
        raise call.error("has a value of unknown kind")
    kind, single, listed = _VALUES[name]
    items = value if listed else [value]
    if isinstance(value, list) != listed or any(type(v) is not single for v in items):
        raise call.error("has a value of the wrong type")
    return Tensor(kind, (len(items),) if listed else (), [_finite(call, v) for v in items])


_VALUES: dict[str, tuple[int, type, bool]] = {
    "value_float": (FLOAT, float, False),
    "value_floats": (FLOAT, float, True),
    "value_int": (INT64, int, False),
    "value_ints": (INT64, int, True),
}
"""Attributes of a Constant: element type, type of a number, and whether it is a list."""


def _finite(call: Call, value: float) -> Fraction:
    return Fraction(value) if isinstance(value, int) else call.exact(value)


def _constant_of_shape(call: Call) -> Tensor:
    value = call.attribute("value", None)
    shape = tuple(call.integers("", 0) or [])
    if value is not None and not (isinstance(value, Stored) and len(value.values) == 1):
        raise call.error("the value must be a tensor with one number")
    kind, fill = (value.kind, value.values[0]) if value is not None else (FLOAT, Fraction(0))
    return Tensor(kind, shape, [fill] * size_of(shape, str(call.node)))


def _shape(call: Call) -> Tensor:
    x = call.tensor(0)
    sizes = list(x.shape)[slice(call.attribute("start", 0), call.attribute("end", len(x.shape)))]
    return Tensor(INT64, (len(sizes),), [Fraction(d) for d in sizes])


_RANGES = {FLOAT: "<f", FLOAT16: "<e"}


def _cast(call: Call) -> Tensor:
    """Variables pass between float types (the reals have no rounding); constants only where the new type holds them."""
    x, to = call.tensor(0), call.attribute("to", 0)
    call.attribute("saturate", 1)
    if to not in (*FLOATS, INT64, INT32) or x.kind == BOOL:
        raise call.error(f"casts {x.kind} to {to}, which is not supported")
    for e in x.elements:
        if isinstance(e, int) and to not in FLOATS:
            raise call.error("rounds variables to integers, which is not piecewise linear")
        if isinstance(e, Fraction) and not _holds(to, e):
            raise call.error("rounds a constant, which is not supported")
    return Tensor(to, x.shape, x.elements)


def _holds(kind: int, value: Fraction) -> bool:
    if kind not in FLOATS:
        return value.denominator == 1 and RANGES[kind][0] <= value <= RANGES[kind][1]
    try:
        nearest = float(value)
        if kind != DOUBLE:
            nearest = struct.unpack(_RANGES[kind], struct.pack(_RANGES[kind], nearest))[0]
    except OverflowError:
        return False
    return nearest == value


def split(call: Call) -> list[Tensor]:
    """Split has several outputs."""
    x = call.tensor(0)
    axis = call.axis(call.attribute("axis", 0), len(x.shape))
    count, size = len(call.node.outputs), x.shape[axis]
    if call.attribute("num_outputs", count) != count:
        raise call.error("num_outputs is another number than that of its outputs")
    lengths = call.integers("split", 1)
    if lengths is None:
        if size % count and "num_outputs" not in call.node.attributes:
            raise call.error(f"cannot split {size} into {count} equal parts")
        most = -(-size // count)
        lengths = [most] * (count - 1) + [size - most * (count - 1)]
    if len(lengths) != count or sum(lengths) != size or min(lengths) < 0:
        raise call.error(f"cannot split {size} into {lengths}")
    strides, result, start = strides_of(x.shape), [], 0
    for n in lengths:
        shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
        result.append(_taken(x, shape, places(shape, strides, start * strides[axis])))
        start += n
    return result


def check_known(call: Call) -> None:
    """Refuse attributes that no lowering has asked for: they could change the meaning."""
    unknown = sorted(set(call.node.attributes) - call.used)
    if unknown:
        raise Unreadable(f"{call.node}: attribute {unknown[0]} is not supported")


REARRANGING: dict[str, Callable[[Call], Tensor]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Dropout": _identity,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _identity,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueeze,
}
"""The operators without a stage."""
