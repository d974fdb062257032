"""Piecewise-linear functions as affine maps around a ReLU.

With ``r(t) = max(0, t)``:

* leaky ReLU of slope a: ``a z + (1 - a) r(z)``;
* ``|z| = r(z) + r(-z)``;
* clip to [a, b], a <= b: ``a + r(z - a) - r(z - b)``; without a: ``b - r(b - z)``; without b: ``a + r(z - a)``;
* ``max(a, b) = a + r(b - a)`` in rounds over the pairs (0,1), (2,3), ... of each window, an odd last one passes;
  ``min(a, b) = a - r(a - b)``, the same for the negated operands.

The order of neurons in a stage is the order of the formula: all elements of the first ReLU, then of the second. A round of a
maximum goes window by window (one per output element, in C order), and through the pairs within each.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir import expression as ex
from wdaverify.ir.lowering.common import Tensor, broadcast, constant_of, tensor_of
from wdaverify.ir.ops import nearest_float
from wdaverify.ir.values import Values, simplify, to_fractions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.expression import Expression
    from wdaverify.ir.lowering.common import Inputs, OnnxNode, Value

_ONNX_LEAKY_SLOPE = float(np.float32(0.01))
"""The default of attribute ``alpha``: ONNX attributes are float32."""


_NO_LIMIT = (2 - 2.0**-7) * 2.0**127
"""The largest bfloat16, just below the largest float32. Exporters write an absent limit as the largest number of the type;
kept as a number, ``a + r(z - a)`` would cancel every digit of z in float64. A limit of this size or beyond is read as none:
another function where a value passes it, which a note tells, and the same one at every smaller value."""

_NOTE = "{node}: the limit {end:.9g} is read as no limit"


def lower_relu(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = max(0, x)``."""
    x = tensor_of(node, inputs, 0)
    return (Tensor(x.shape, builder.relu(x.forms)),)


def lower_leaky_relu(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = alpha x + (1 - alpha) max(0, x)``."""
    x = tensor_of(node, inputs, 0)
    alpha = float(node.attribute("alpha", _ONNX_LEAKY_SLOPE))
    if not math.isfinite(alpha):
        raise node.error(f"alpha = {alpha} must be finite")
    return (Tensor(x.shape, _leaky(builder, x.forms, np.full(x.size, alpha))),)


def lower_prelu(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """Leaky ReLU with one constant slope per element, broadcast to the input."""
    x, slope = tensor_of(node, inputs, 0), constant_of(node, inputs, 1)
    try:
        positions = np.broadcast_to(slope.positions, x.shape)
    except ValueError:
        raise node.error(f"mismatched shapes: slope {slope.shape} does not broadcast to {x.shape}") from None
    return (Tensor(x.shape, _leaky(builder, x.forms, slope.rearranged(positions).forms.bias)),)


def lower_abs(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = r(x) + r(-x)``."""
    x = tensor_of(node, inputs, 0)
    z = builder.reference(x.forms)
    y = builder.relu(ex.stack([z, builder.scale(z, np.full(x.size, -1.0))], builder.label))
    return (Tensor(x.shape, builder.add(*_halves(y))),)


def lower_clip(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """``y = min(max(x, low), high)``; as ONNX defines it, everything becomes `high` where low > high.

    An end that means no limit is left out, with a note where it is finite: see `_NO_LIMIT`.
    """
    x = tensor_of(node, inputs, 0)
    low = _clip_end(builder, node, inputs, name="min")
    high = _clip_end(builder, node, inputs, name="max")
    if low is not None and high is not None and low > high:
        return (Tensor(x.shape, ex.constant(_filled(high, x.size), builder.label)),)
    z, below = builder.reference(x.forms), _minus(builder, low, x.size)
    if low is None and high is None:
        return (x,)
    if high is None:
        forms = builder.add(_filled_forms(builder, low, x.size), builder.relu(builder.add(z, below)))
    elif low is None:
        ceiling = _filled_forms(builder, high, x.size)
        forms = builder.subtract(ceiling, builder.relu(builder.subtract(ceiling, z)))
    else:
        above = _minus(builder, high, x.size)
        y = builder.relu(ex.stack([builder.add(z, below), builder.add(z, above)], builder.label))
        first, second = _halves(y)
        forms = builder.add(_filled_forms(builder, low, x.size), first, builder.scale(second, np.full(x.size, -1.0)))
    return (Tensor(x.shape, forms),)


def lower_max(builder: GraphBuilder, node: OnnxNode, inputs: Inputs) -> Sequence[Value]:
    """The elementwise maximum of all operands (Max) or minimum (Min), with broadcasting.

    Constants that mean no limit (minus infinity in a maximum; see `_no_limit`) drop out, element by element.
    """
    operands = broadcast(node, [tensor_of(node, inputs, k) for k in range(len(inputs))])
    size, sign = operands[0].size, -1 if node.op == "Min" else 1
    forms = ex.stack([builder.reference(t.forms) for t in operands], builder.label)
    absent = ~forms.variable & np.asarray(sign * forms.bias <= -_NO_LIMIT, dtype=bool)
    infinite = ~forms.variable & np.asarray(sign * forms.bias == math.inf, dtype=bool)
    windows = np.where(absent, -1, np.arange(len(operands) * size)).reshape(len(operands), size).T
    if infinite.any() or (windows < 0).all(axis=1).any():
        raise node.error(f"a constant operand makes the {'minimum' if sign < 0 else 'maximum'} infinite")
    for value in {Fraction(v) for v in forms.bias[absent] if abs(v) < math.inf}:
        builder.note(_NOTE.format(node=node, end=nearest_float(value)))
    return (Tensor(operands[0].shape, fold_max(builder, forms, windows, smallest=sign < 0)),)


def fold_max(builder: GraphBuilder, forms: Expression, windows: IntArray, *, smallest: bool = False) -> Expression:
    """The maximum (or minimum) over each window of references.

    Parameters
    ----------
    windows
        Shape (number of windows, longest window): numbers of forms, -1 where a window is shorter. Empty windows are
        not allowed.
    """
    order = np.argsort(windows < 0, axis=1, kind="stable")
    index = np.take_along_axis(windows, order, axis=1)
    while index.shape[1] > 1:
        if index.shape[1] % 2:
            index = np.pad(index, ((0, 0), (0, 1)), constant_values=-1)
        a, b = index[:, 0::2], index[:, 1::2]
        paired, alone = b >= 0, (a >= 0) & (b < 0)
        left, right = ex.take(forms, a[paired]), ex.take(forms, b[paired])
        if smallest:
            best = builder.subtract(left, builder.relu(builder.subtract(left, right)))
        else:
            best = builder.add(left, builder.relu(builder.subtract(right, left)))
        index = np.full(a.shape, -1, dtype=np.int64)
        index[paired] = np.arange(int(paired.sum()))
        index[alone] = best.size + np.arange(int(alone.sum()))
        forms = ex.stack([best, ex.take(forms, a[alone])], builder.label)
    return ex.take(forms, index[:, 0])


def _leaky(builder: GraphBuilder, operand: Expression, slopes: Values) -> Expression:
    z = builder.reference(operand)
    y = builder.relu(z)
    rest = simplify(1 - to_fractions(slopes))
    return builder.add(builder.scale(z, slopes), builder.scale(y, rest))


def _clip_end(builder: GraphBuilder, node: OnnxNode, inputs: Inputs, *, name: str) -> Fraction | None:
    """One end of Clip as attribute or input; None if there is none, or it means no limit."""
    k, sign = (1, -1) if name == "min" else (2, 1)
    if len(inputs) > k and inputs[k] is not None:
        end = constant_of(node, inputs, k)
        if end.size != 1:
            raise node.error(f"{name} must be a scalar, got shape {end.shape}")
        value = end.forms.bias[0]
    elif name in node.attributes:
        value = float(node.attributes[name])
    else:
        return None
    if sign * value >= _NO_LIMIT:
        if abs(value) < math.inf:
            builder.note(_NOTE.format(node=node, end=nearest_float(Fraction(value))))
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise node.error(f"{name} = {value} leaves no value")
    return Fraction(value)


def _filled(value: Fraction, size: int) -> Values:
    return simplify(np.full(size, value, dtype=object))


def _filled_forms(builder: GraphBuilder, value: Fraction | None, size: int) -> Expression:
    return ex.constant(_filled(value or Fraction(0), size), builder.label)


def _minus(builder: GraphBuilder, value: Fraction | None, size: int) -> Expression:
    return _filled_forms(builder, -(value or Fraction(0)), size)


def _halves(forms: Expression) -> tuple[Expression, Expression]:
    half = forms.size // 2
    return ex.take(forms, np.arange(half)), ex.take(forms, np.arange(half, 2 * half))
