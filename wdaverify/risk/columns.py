"""The points known for one sample: what they cost and what their loss is at least, in numbers that prove a lower end.

Costs are rounded up and losses down, so that any mixture of the points is a distribution whose cost is at most, and whose
expected loss at least, what is said here. Only points that lie on the upper concave hull in float64 are evaluated exactly.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.exact import exact_forward
from wdaverify.risk.envelope import Vertex, upper_hull
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.ir.network import Network
    from wdaverify.region import Region
    from wdaverify.risk.loss_table import Loss
    from wdaverify.transport import GroundCost

_BITS = 128
"""Significant bits of costs: powers of float64 distances may be much longer."""

_WORTH = 1e-13
"""A point must rise above the known hull by this part of the losses' size."""


class Columns:
    """Points of one sample, the sample itself first.

    Parameters
    ----------
    network, loss, region
        Of the question, and what the sample can move to.
    center, label
        The sample (n,), a point of the domain.
    cost
        The ground cost.
    nominal
        The loss of the sample between rationals, where that is known already.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        region: Region,
        center: Vector,
        label: int,
        cost: GroundCost,
        nominal: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        self._network, self._loss, self._region, self._cost = network, loss, region, cost
        self.center, self.label = center, label
        self.nominal = nominal or loss.bracket(exact_forward(network, center.tolist()), label)
        self.points: list[Vector] = [center]
        self._costs, self._values = [Fraction(0)], [self.nominal[0]]
        self._refresh()

    @property
    def hull(self) -> tuple[Vertex, ...]:
        """Its corners (`envelope.upper_hull`); costs are p-th powers of distances."""
        return self._hull

    def best(self, multiplier: float) -> float:
        """The largest known ``l - lambda c``, in float64."""
        return float((self._corner_values - multiplier * self._corner_costs).max())

    def exact_best(self, multiplier: float) -> Fraction:
        """A proved lower bound of ``phi(lambda)``: the largest known ``l - lambda c``."""
        price = Fraction(multiplier)
        k = int(np.argmax(self._corner_values - multiplier * self._corner_costs))
        return self._hull[k].value - price * self._hull[k].cost

    def offer(self, points: Matrix) -> bool:
        """Take those of the points (P, n) that raise the hull; whether there were any."""
        if not len(points):
            return False
        inside = self._region.near(points)
        if not len(inside):
            return False
        values = self._loss.rough(self._network.compiled.forward(inside), self.label)
        with np.errstate(over="ignore", under="ignore"):
            costs = self._cost.values(inside - self.center)
        changed = False
        for k in promising(costs, values, self._corner_costs, self._corner_values):
            changed = self._take(inside[k]) or changed
        return changed

    def _take(self, point: Vector) -> bool:
        """Evaluate a point exactly; whether it raises the hull."""
        cost = self._cost_up(point)
        if cost is None or cost == 0:
            return False
        low = self._loss.bracket(exact_forward(self._network, point.tolist()), self.label)[0]
        value = Fraction(round_down(low)) if abs(low) < Fraction(2) ** 1000 else low
        if value <= self._height(cost):
            return False
        self.points.append(point)
        self._costs.append(cost)
        self._values.append(value)
        self._refresh()
        return True

    def _cost_up(self, point: Vector) -> Fraction | None:
        """``||S (x - x_0)||^p`` rounded up; ``None`` where that is too large for a number."""
        high = self._cost.bracket(self.center, point)[1]
        return None if high is None else _rounded_up(high)

    def _height(self, cost: Fraction) -> Fraction:
        """The hull's value at a cost; beyond its end the largest."""
        for a, b in pairwise(self._hull):
            if cost <= b.cost:
                return a.value + (b.value - a.value) * (cost - a.cost) / (b.cost - a.cost)
        return self._hull[-1].value

    def _refresh(self) -> None:
        self._hull = upper_hull(self._costs, self._values)
        self._corner_costs = np.array([round_up(v.cost) for v in self._hull])
        self._corner_values = np.array([float(v.value) for v in self._hull])


def promising(costs: Vector, values: Vector, known_costs: Vector, known_values: Vector) -> list[int]:
    """Which candidates (P,) are corners of the float64 hull of all points and rise above that of the known ones.

    The known ones are the corners of a hull, in order of cost; the first costs 0.

    Examples
    --------
    >>> promising(np.array([1.0, 1.0, 2.0]), np.array([0.4, 2.0, 2.5]), np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    [1, 2]
    """
    least = np.interp(costs, known_costs, known_values)
    size = max(1.0, float(np.abs(known_values).max()))
    fresh = np.flatnonzero(np.isfinite(costs) & (costs > 0.0) & (values > least + _WORTH * size))
    order = fresh[np.lexsort((-values[fresh], costs[fresh]))]
    hull: list[tuple[float, float, int]] = [(0.0, float(known_values[0]), -1)]
    for cost, value, k in zip(costs[order].tolist(), values[order].tolist(), order.tolist(), strict=True):
        if value > hull[-1][1]:
            while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], (cost, value, k)):
                hull.pop()
            hull.append((cost, value, k))
    return [k for _, _, k in hull[1:]]


def _slope(a: tuple[float, float, int], b: tuple[float, float, int]) -> float:
    """Of the segment from a to b; ``inf`` where it is too short to be seen."""
    return (b[1] - a[1]) / (b[0] - a[0]) if b[0] > a[0] else math.inf


def _rounded_up(value: Fraction) -> Fraction:
    """The value rounded up to about `_BITS` significant bits; exact where it has no more."""
    if value == 0 or (value.numerator.bit_length() <= _BITS and value.denominator.bit_count() == 1):
        return value
    unit = Fraction(2) ** (value.numerator.bit_length() - value.denominator.bit_length() - _BITS)
    return math.ceil(value / unit) * unit
