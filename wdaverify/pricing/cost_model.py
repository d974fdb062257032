r"""The ground cost as further inputs with linear rows: what prices points of boxes that need not hold the sample.

Beside x there are *parts*, one or several, that bound the cost from below, with rows ``G (x, parts) + h >= 0`` that every
point of a shell ``a <= ||S (x - x_0)|| <= b`` satisfies together with the parts that it defines. With ``y = S (x - x_0)``:

* linf: the part is ``t = ||y||``, with ``t >= y_k`` and ``t >= -y_k``;
* l1: the parts are ``d_k = |y_k|``, with ``d_k >= y_k``, ``d_k >= -y_k``, and ``t = sum_k d_k``;
* l2: the parts are ``q_k = y_k^2``, with tangents ``q_k >= 2 v y_k - v^2``, and ``t^2 = sum_k q_k``.

The cost ``t^p`` is a power of the sum of the parts. It is that sum itself where the exponent is 1. Otherwise it is one more part,
above tangents of the power where that is convex (exponent above 1), above its chord over the shell where it is concave (l2 with
p below 2). Coefficients are floats, and constants are rounded so that the rows hold for the exact parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from wdaverify._tolerances import TINY
from wdaverify._types import Norm
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import IntArray, Matrix, Vector
    from wdaverify.domain import Box
    from wdaverify.transport import GroundCost

_SAFE = 2.0**-44
"""Relative error granted to a handful of float operations, powers among them."""

_LARGEST = 700.0
"""Logarithms of numbers that do not overflow."""

_TOUCHES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where tangents touch at first, as parts of a range."""


@dataclass(frozen=True, slots=True, eq=False)
class PricedPart:
    """Inputs (x, parts) of one piece of a domain.

    Attributes
    ----------
    lower, upper
        Ends of x and the parts.
    rows, offsets
        ``rows (x, parts) + offsets >= 0``.
    """

    lower: Vector
    upper: Vector
    rows: Matrix
    offsets: Vector


class CostModel:
    """The parts of one sample's cost.

    Parameters
    ----------
    network, box, center, cost
        Of the question; coordinates that the box fixes at the sample have no parts.

    Attributes
    ----------
    network
        Reads (x, parts), writes (f(x), cost).
    exponent
        The cost is this power of the sum of the first parts.
    curved
        Whether these are squares.
    """

    def __init__(self, network: Network, box: Box, center: Vector, cost: GroundCost) -> None:
        self._center, self._cost, self._n = center, cost, network.inputs
        self._moving: IntArray = np.flatnonzero(~((box.lower == center) & (box.upper == center)))
        self._scales = np.ones(network.inputs) if cost.scales is None else np.asarray(cost.scales)
        self.curved = cost.norm is Norm.L2
        self.exponent = cost.order / 2.0 if cost.norm is Norm.L2 else cost.order
        self._sums = 1 if cost.norm is Norm.LINF else max(1, len(self._moving))
        self._parts = self._sums + (0 if self.exponent == 1.0 else 1)
        form = np.zeros(self._n + self._parts)
        form[-1 if self.exponent != 1.0 else slice(self._n, None)] = 1.0
        self.network = _with_parts(network, self._parts, form)

    def part(self, lower: Vector, upper: Vector, inner: float, outer: float, touches: Sequence[Vector]) -> PricedPart:
        """The points of a sub-box whose distance is between `inner` and `outer`.

        Parameters
        ----------
        touches
            Points (n,) where tangents are to touch, beside the first ones.
        """
        low, high, rows, offsets = self._sum_rows(lower, upper, touches)
        power = 2.0 if self._cost.norm is Norm.L2 else 1.0
        least, most = _down(inner**power), _up(outer**power)
        if self._cost.norm is Norm.LINF:
            low[0], high[0] = max(low[0], least), min(high[0], most)
        else:
            sums = np.zeros((2, self._n + self._parts))
            sums[0, self._n : self._n + self._sums], sums[1, self._n : self._n + self._sums] = 1.0, -1.0
            rows, offsets = [*rows, *sums], [*offsets, -least, most]
            high = np.minimum(high, most)
        if self.exponent != 1.0:
            ends = max(least, _down(float(low.sum()))), max(min(most, _up(float(high.sum()))), least)
            spots = [self._total(point) for point in touches]
            more, constants = self._power_rows(*ends, [s for s in spots if ends[0] <= s <= ends[1]])
            rows, offsets = [*rows, *more], [*offsets, *constants]
            low = np.append(low, _down(ends[0] ** self.exponent))
            high = np.append(high, _up(ends[1] ** self.exponent))
        return PricedPart(
            np.concatenate([lower, low]), np.concatenate([upper, np.maximum(high, low)]),
            np.array(rows).reshape(-1, self._n + self._parts), np.array(offsets),
        )  # fmt: skip

    def completed(self, point: Vector) -> Vector:
        """A point (n,) with parts a little above its own, so that it satisfies the rows of its shell but for the ends."""
        y = np.abs(self._scales * (point - self._center))[self._moving]
        parts = np.array([y.max(initial=0.0)]) if self._cost.norm is Norm.LINF else y
        if self._cost.norm is Norm.L2:
            parts = np.square(y)
        if len(parts) == 0:
            parts = np.zeros(1)
        parts = parts * (1.0 + _SAFE) + TINY
        if self.exponent != 1.0:
            parts = np.append(parts, float(parts.sum()) ** self.exponent * (1.0 + _SAFE) + TINY)
        return np.concatenate([point, parts])

    def curvature_missed(self, found: Vector) -> float:
        """By how much a program's point (x, parts) undercuts the squares of l2; 0 for the other norms."""
        if not self.curved or len(self._moving) == 0:
            return 0.0
        y = (self._scales * (found[: self._n] - self._center))[self._moving]
        return float(np.maximum(np.square(y) - found[self._n : self._n + self._sums], 0.0).sum())

    def _total(self, point: Vector) -> float:
        y = np.abs(self._scales * (point - self._center))[self._moving]
        if self._cost.norm is Norm.LINF:
            return float(y.max(initial=0.0))
        return float(np.square(y).sum() if self._cost.norm is Norm.L2 else y.sum())

    def _sum_rows(
        self, lower: Vector, upper: Vector, touches: Sequence[Vector]
    ) -> tuple[Vector, Vector, list[Vector], list[float]]:
        """Ends of the parts whose sum is the distance or its square, and the rows that define them."""
        k = self._moving
        low, high = lower[k] - self._center[k], upper[k] - self._center[k]
        near = self._scales[k] * np.where(low > 0, low, np.where(high < 0, -high, 0.0))
        far = self._scales[k] * np.maximum(-low, high)
        near, far = near * (1.0 - _SAFE), far * (1.0 + _SAFE) + TINY
        if len(k) == 0:
            return np.zeros(1), np.zeros(1), [], []
        if self._cost.norm is Norm.L2:
            rows, offsets = self._square_rows(lower, upper, touches)
            return near * near * (1.0 - _SAFE), far * far * (1.0 + _SAFE) + TINY, rows, offsets
        rows, offsets = [], []
        for position, feature in enumerate(k):
            part = self._n + (0 if self._cost.norm is Norm.LINF else position)
            scale, shift = float(self._scales[feature]), float(self._scales[feature] * self._center[feature])
            slack = abs(shift) * 2.0**-52 + TINY
            for sign in (1.0, -1.0):
                row = np.zeros(self._n + self._parts)
                row[part], row[feature] = 1.0, -sign * scale
                rows.append(row)
                offsets.append(sign * shift + slack)
        if self._cost.norm is Norm.LINF:
            return near.max(keepdims=True), far.max(keepdims=True), rows, offsets
        return near, far, rows, offsets

    def _square_rows(self, lower: Vector, upper: Vector, touches: Sequence[Vector]) -> tuple[list[Vector], list[float]]:
        """Tangents of the squares: ``q - g x + g c + g^2 / (4 s^2) >= 0`` for any slope g, since ``q = s^2 (x - c)^2``."""
        rows, offsets = [], []
        for position, feature in enumerate(self._moving):
            s, c = float(self._scales[feature]), float(self._center[feature])
            spots = {float(lower[feature] + t * (upper[feature] - lower[feature])) for t in _TOUCHES}
            for x in sorted(spots | {float(np.clip(point[feature], lower[feature], upper[feature])) for point in touches}):
                slope = 2.0 * s * s * (x - c)
                row = np.zeros(self._n + self._parts)
                row[self._n + position], row[feature] = 1.0, -slope
                rows.append(row)
                constant = slope * c + slope * slope / (4.0 * s * s)
                offsets.append(constant + _SAFE * (abs(slope * c) + slope * slope / (4.0 * s * s)) + TINY)
        return rows, offsets

    def _power_rows(self, low: float, high: float, spots: Sequence[float]) -> tuple[list[Vector], list[float]]:
        """The last part is at least ``T^e``, T the sum of the others."""
        e, rows, offsets = self.exponent, [], []
        if e > 1.0:
            for spot in sorted({low + t * (high - low) for t in _TOUCHES} | set(spots)):
                slope = e * spot ** (e - 1.0)
                # T^e >= slope T - (e - 1) (slope / e)^(e / (e - 1)) for every T >= 0; rounding is magnified by the exponent
                power, base = e / (e - 1.0), max(slope / e, TINY)
                error = _SAFE * (1.0 + power * (1.0 + abs(math.log(base))))
                offset = (e - 1.0) * base**power * (1.0 + error) + TINY if power * math.log(base) < _LARGEST else math.inf
                if error < 1.0 and math.isfinite(offset):
                    rows.append(self._power_row(slope))
                    offsets.append(offset)
        elif high > low:
            bottom, top = _down(low**e), _down(high**e)
            slope = max((top - bottom) / (high - low), 0.0)
            base = min(bottom - slope * low, top - slope * high)
            rows.append(self._power_row(slope))
            offsets.append(-base + _SAFE * (top + slope * high) + TINY)
        return rows, offsets

    def _power_row(self, slope: float) -> Vector:
        row = np.zeros(self._n + self._parts)
        row[self._n : self._n + self._sums], row[-1] = -slope, 1.0
        return row


def _with_parts(network: Network, parts: int, form: Vector) -> Network:
    """``(x, parts) -> (f(x), form . (x, parts))``; the nodes of the network keep their names."""
    n, outputs = network.inputs, network.outputs
    names = []
    for name in ("inputs and cost", "logits and cost"):
        while name in network.graph:
            name += "'"
        names.append(name)
    nodes = {names[0]: Node(Input(n + parts))}
    for name in network.order:
        op = network.op(name)
        if isinstance(op, Input):
            nodes[name] = Node(Affine((csr_array(np.eye(n, n + parts)),), np.zeros(n)), (names[0],))
        else:
            nodes[name] = Node(op, network.sources(name))
    last = csr_array(np.concatenate([np.zeros((outputs, n + parts)), form[None]]))
    nodes[names[1]] = Node(
        Affine((csr_array(np.eye(outputs + 1, outputs)), last), np.zeros(outputs + 1)), (network.output, names[0])
    )
    return Network.from_nodes(nodes, names[1])


def _up(value: float) -> float:
    return value * (1.0 + _SAFE) + TINY


def _down(value: float) -> float:
    return max(value * (1.0 - _SAFE) - TINY, 0.0)
