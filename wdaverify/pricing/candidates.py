"""The points that are known of one question, and their values in float64: proposals, which prove nothing above them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.transport import GroundCost

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion


_SHRINKS = (0.0, *(2.0**-k for k in (52, 50, 46, 40, 34, 28, 22, 16, 10, 4, 1)))
"""Parts by which a point is drawn further in when rounding keeps it out of reach: much, where the reach is small beside the
coordinates."""

_SURELY = 1.0 - 2.0**-30
"""Lengths up to this part of the reach are within it, whatever was rounded."""


def drawn_within(question: PriceQuestion, points: Matrix) -> Matrix:
    """The points (P, n) clipped to the domain, and those out of reach drawn towards the sample until they are within."""
    inside = question.domain.clip(np.asarray(points, dtype=np.float64))
    if not np.isfinite(question.reach):
        return np.asarray(inside)
    center, lengths = question.center, question.cost.lengths(inside - question.center)
    measure = GroundCost(question.cost.norm, 1.0, question.cost.scales)
    for k in np.flatnonzero(np.asarray(lengths) > _SURELY * question.reach):
        start, length = inside[k], float(lengths[k])
        for shrink in _SHRINKS:
            high = measure.bracket(inside[k].tolist(), center)[1]
            if high is not None and high <= Fraction(question.reach):
                break
            step = (start - center) * (min(1.0, question.reach / length) * (1.0 - shrink))
            inside[k] = question.domain.clip(center + step)
        else:
            inside[k] = center
    return np.asarray(inside)


def value_at(question: PriceQuestion, point: Vector, multiplier: float) -> float:
    """Gain less price of a point (n,), in float64."""
    gain = float((question.rows @ question.network.compiled.forward(point[None])[0]).max())
    return gain - multiplier * float(question.cost.values(point - question.center))


class Candidates:
    """Points of the domain within reach, with gains and costs."""

    def __init__(self, question: PriceQuestion) -> None:
        self._question = question
        self.points = np.zeros((0, question.network.inputs))
        self.gains, self.costs = np.zeros(0), np.zeros(0)
        self.add(question.center[None])

    def add(self, points: Matrix) -> Vector:
        """Remember points (P, n) drawn into the domain and within reach; their gains (P,), ``-inf`` for what are no points."""
        question = self._question
        points = np.asarray(points, dtype=np.float64).reshape(-1, question.network.inputs)
        finite: BoolArray = np.asarray(np.isfinite(points).all(axis=1))
        inside = drawn_within(question, np.where(finite[:, None], points, question.center))
        gains = (question.network.compiled.forward(inside) @ question.rows.T).max(axis=1)
        steps = inside - question.center
        kept: BoolArray = finite & np.isfinite(gains)
        self.points = np.concatenate([self.points, inside[kept]])
        self.gains = np.concatenate([self.gains, gains[kept]])
        self.costs = np.concatenate([self.costs, question.cost.values(steps[kept])])
        return np.where(kept, gains, -np.inf)

    def values(self, multiplier: float) -> Vector:
        """``gain - multiplier * cost`` of all points."""
        return np.asarray(self.gains - multiplier * self.costs)

    def best(self, multiplier: float) -> float:
        """The largest value."""
        return float(self.values(multiplier).max(initial=-np.inf))

    def above(self, multiplier: float, cut: float) -> Matrix:
        """The points whose value exceeds `cut`, the best last."""
        values = self.values(multiplier)
        order = np.argsort(values, kind="stable")
        return np.asarray(self.points[order[values[order] > cut]])
