"""The points that are known of one question, and their values in float64: proposals, which prove nothing above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wdaverify._types import BoolArray, Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion


class Candidates:
    """Points of the domain within reach, with gains and costs."""

    def __init__(self, question: PriceQuestion) -> None:
        self._question = question
        self.points = np.zeros((0, question.network.inputs))
        self.gains, self.costs = np.zeros(0), np.zeros(0)
        self.add(question.center[None])

    def add(self, points: Matrix) -> Vector:
        """Remember points (P, n), pulled into the domain and within reach; gains (P,), ``-inf`` for what is not finite."""
        question = self._question
        proposed = np.asarray(points, dtype=np.float64).reshape(-1, question.network.inputs)
        finite: BoolArray = np.asarray(np.isfinite(proposed).all(axis=1))
        inside = admissible(question, np.where(finite[:, None], proposed, question.center))
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


def admissible(question: PriceQuestion, points: Matrix) -> Matrix:
    """Points (P, n) moved towards the sample until they lie in the domain and within reach, both as float64 sees them.

    The best points of a ball lie on its sphere, where a program's solution is outside as often as not.
    """
    inside = np.array(question.domain.clip(points))
    for digits in (*range(52, -1, -1), 0):  # a little shorter each time, at last the sample itself
        steps = inside - question.center
        distances = np.asarray(question.cost.lengths(steps))
        beyond: BoolArray = distances > question.reach
        if not beyond.any():
            break
        shares = (1.0 - 2.0**-digits) * question.reach / distances[beyond]
        inside[beyond] = question.domain.clip(question.center + shares[:, None] * steps[beyond])
    return inside
