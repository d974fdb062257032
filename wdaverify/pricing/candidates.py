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
        """Remember points (P, n), clipped to the domain; those out of reach are forgotten. Their gains (P,), ``-inf`` there."""
        question = self._question
        inside = question.domain.clip(np.asarray(points, dtype=np.float64).reshape(-1, question.network.inputs))
        finite: BoolArray = np.asarray(np.isfinite(inside).all(axis=1))
        inside = np.where(finite[:, None], inside, question.center)
        gains = (question.network.compiled.forward(inside) @ question.rows.T).max(axis=1)
        steps = inside - question.center
        within = np.asarray(question.cost.lengths(steps)) <= question.reach
        kept: BoolArray = finite & np.isfinite(gains) & within
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
