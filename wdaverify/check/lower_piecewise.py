"""Piecewise-linear operators, as A stages around R stages.

* LeakyRelu, PRelu: R on x; A ``a x + (1-a) y``.   Abs: A ``-x``; R on (x, -x); A ``y_1 + y_2``.
* Clip: A all ``x - a``, then all ``x - b``; R; A ``a + y_1 - y_2``. Without a: A ``b - x``; R; A ``b - y``. Without b: A
  ``x - a``; R; A ``a + y``. (a > b: the constant b.)
* Max, MaxPool: rounds over the pairs (0,1), (2,3), ... of each window: A ``b - a``; R; A ``a + y``; a last odd one passes. All
  windows of a round share its stages. Min: A ``a - b``; R; A ``a - y``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from .lower import ONE, Call, Tensor, broadcast
from .onnxwire import FLOAT
from .program import Element, Form


def _relu(call: Call) -> Tensor:
    x = call.tensor(0)
    return Tensor(x.kind, x.shape, call.program.relu(x.elements))


def _leaky(call: Call) -> Tensor:
    x = call.tensor(0)
    if call.node.op == "PRelu":
        shape, (_, slopes) = broadcast(call, [x, call.tensor(1)])
        if shape != x.shape:
            raise call.error("the slopes do not fit")
        alphas = Tensor(FLOAT, shape, slopes).constants(f"{call.node}: the slope")
    else:
        alphas = [call.exact(call.attribute("alpha", float.fromhex("0x1.47ae14p-7")))] * len(x.elements)  # float32(0.01)
    y = call.program.relu(x.elements)
    return call.affine(x.shape, [Form.of((z, r), (a, 1 - a)) for z, r, a in zip(x.elements, y, alphas, strict=True)])


def _absolute(call: Call) -> Tensor:
    x = call.tensor(0)
    minus = call.program.affine([Form.of((e,), (-ONE,)) for e in x.elements])
    y = call.program.relu([*x.elements, *minus])
    n = len(minus)
    return Tensor(x.kind, x.shape, call.program.affine([Form.of((y[k], y[k + n]), (ONE, ONE)) for k in range(n)]))


def _limit(call: Call, name: str, k: int) -> Fraction | None:
    """An end of Clip; None if absent or infinite."""
    value: Any = call.attribute(name, None)
    if value is not None and not isinstance(value, float):
        raise call.error(f"attribute {name} has the wrong type")
    given = call.optional(k)
    if given is not None:
        if len(given.elements) != 1 or (isinstance(given.elements[0], int)):
            raise call.error(f"{name} must be one constant")
        value = given.elements[0]
    if value is None or (isinstance(value, float) and math.isinf(value) and (value < 0) == (name == "min")):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise call.error(f"{name} is {value}")
    return Fraction(value)


def _clip(call: Call) -> Tensor:
    x, low, high = call.tensor(0), _limit(call, "min", 1), _limit(call, "max", 2)
    program = call.program
    if low is None and high is None:
        return x
    if low is not None and high is not None and low > high:
        return Tensor(x.kind, x.shape, [high] * len(x.elements))
    if low is None:
        assert high is not None
        y = program.relu(program.affine([Form.of((e,), (-ONE,), high) for e in x.elements]))
        return call.affine(x.shape, [Form.of((r,), (-ONE,), high) for r in y])
    ends = [low] if high is None else [low, high]
    y = program.relu(program.affine([Form.of((e,), (ONE,), -end) for end in ends for e in x.elements]))
    n, signs = len(x.elements), (ONE, -ONE)[: len(ends)]
    return call.affine(x.shape, [Form.of(y[k::n], signs, low) for k in range(n)])


def fold(call: Call, windows: list[list[Element]], *, smallest: bool = False) -> list[Element]:
    """The maximum (or minimum) of each window, in rounds of pairs."""
    if not all(windows):
        raise call.error("a window is empty")
    sign = -ONE if smallest else ONE
    while any(len(w) > 1 for w in windows):
        pairs = [(w[k], w[k + 1]) for w in windows for k in range(0, len(w) - 1, 2)]
        y = call.program.relu(call.program.affine([Form.of((b, a), (sign, -sign)) for a, b in pairs]))
        best = iter(call.program.affine([Form.of((a, r), (ONE, sign)) for (a, _), r in zip(pairs, y, strict=True)]))
        windows = [[next(best) for _ in range(len(w) // 2)] + (w[-1:] if len(w) % 2 else []) for w in windows]
    return [w[0] for w in windows]


def _maximum(call: Call) -> Tensor:
    shape, columns = broadcast(call, [call.tensor(k) for k in range(len(call.inputs))])
    windows = [list(row) for row in zip(*columns, strict=True)]
    return Tensor(call.tensor(0).kind, shape, fold(call, windows, smallest=call.node.op == "Min"))


PIECEWISE: dict[str, Callable[[Call], Tensor]] = {
    "Abs": _absolute,
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "Max": _maximum,
    "Min": _maximum,
    "PRelu": _leaky,
    "Relu": _relu,
}
"""The piecewise-linear operators."""
