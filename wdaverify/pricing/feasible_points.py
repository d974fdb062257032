"""The points that are known of one question under constraints, and their values in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion
    from wdaverify.region import Region

_INWARD = 1.0 - 2.0**-46
"""A point that rounding has put out of reach is drawn to this part of it."""

_HALVINGS = 60

_NEAR = 1.0 + 2.0**-20
"""Points that miss the reach by no more than this factor are drawn into it."""


class FeasiblePoints:
    """Points of a region with gains and costs, none of which another one beats at a cost no higher.

    Attributes
    ----------
    points
        Shape (P, n); all satisfy everything exactly, and are within reach to rounding. The first is the sample.
    """

    def __init__(self, question: PriceQuestion, region: Region) -> None:
        self._question, self._region = question, region
        self.points: Matrix = np.zeros((0, len(question.center)))
        self._gains, self._costs = np.zeros(0), np.zeros(0)
        self.add(question.center)

    def add(self, point: Vector) -> bool:
        """Whether a point belongs to the region and is within reach; it is kept unless another gains as much for no more."""
        question, center = self._question, self._question.center
        length = float(question.cost.lengths(point - center))
        if question.reach < length <= question.reach * _NEAR:
            point = self._region.repaired(self._drawn(point))
            length = float(question.cost.lengths(point - center))
        if not length <= question.reach or not self._region.holds(point):
            return False
        gain = float((question.rows @ question.network.compiled.forward(point[None])[0]).max())
        paid = float(question.cost.values(point - center))
        if not ((self._gains >= gain) & (self._costs <= paid)).any():
            self.points = np.concatenate([self.points, point[None]])
            self._gains, self._costs = np.append(self._gains, gain), np.append(self._costs, paid)
        return True

    def _drawn(self, point: Vector) -> Vector:
        """The point with its continuous features drawn to the sample, so far that it is within reach; integers stay."""
        question, center = self._question, self._question.center
        whole = np.zeros(len(point), bool) if self._region.constraints is None else self._region.constraints.integer
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            trial = np.where(whole, point, center + middle * (point - center))
            inside = float(question.cost.lengths(trial - center)) <= question.reach * _INWARD
            low, high = (middle, high) if inside else (low, middle)
        return np.asarray(np.where(whole, point, center + low * (point - center)))

    def values(self, multiplier: float) -> Vector:
        """Gain less price of each point, (P,)."""
        return np.asarray(self._gains - multiplier * self._costs)

    def best(self, multiplier: float) -> float:
        """The largest value; the sample itself is always known."""
        return float(self.values(multiplier).max())
