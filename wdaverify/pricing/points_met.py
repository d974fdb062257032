"""The points at which the loss of one sample was evaluated, for any multiplier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify.log_sum_exp import cross_entropies

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion


class PointsMet:
    """Points with logits, cross-entropies and costs in float64; the sample itself is the first.

    Attributes
    ----------
    inputs, logits, losses, costs
        Shapes (P, n), (P, K), (P,) and (P,).
    """

    def __init__(self, question: PriceQuestion) -> None:
        self._question = question
        self.inputs: Matrix = np.zeros((0, question.network.inputs))
        self.logits: Matrix = np.zeros((0, question.network.outputs))
        self.losses: Vector = np.zeros(0)
        self.costs: Vector = np.zeros(0)
        self._seen: set[bytes] = set()
        self.add(question.center[None])

    def add(self, points: Matrix) -> None:
        """Evaluate new points (P, n); those beyond the reach or with values that are no numbers are left out."""
        question = self._question
        points = question.domain.clip(np.asarray(points, dtype=np.float64)) + 0.0
        points = points[question.cost.lengths(points - question.center) <= question.reach]
        fresh = [k for k, point in enumerate(points) if self._is_new(point.tobytes())]
        if not fresh:
            return
        points = points[fresh]
        logits = question.network.compiled.forward(points)
        usable = np.isfinite(logits).all(axis=1)
        points, logits = points[usable], logits[usable]
        losses = cross_entropies(logits, np.full(len(points), question.label))
        self.inputs = np.concatenate([self.inputs, points])
        self.logits = np.concatenate([self.logits, logits])
        self.losses = np.concatenate([self.losses, losses])
        self.costs = np.concatenate([self.costs, question.cost.values(points - question.center)])

    def _is_new(self, key: bytes) -> bool:
        new = key not in self._seen
        self._seen.add(key)
        return new

    def values(self, multiplier: float) -> Vector:
        """``ce - multiplier cost`` (P,) of all points."""
        return np.asarray(self.losses - multiplier * self.costs)

    def best(self, multiplier: float) -> float:
        """The largest of the values; ``-inf`` if there is no point."""
        return float(np.max(self.values(multiplier), initial=-np.inf))

    def above(self, multiplier: float, cut: float, *, most: int) -> Matrix:
        """The points (P, n) with the largest values, the best last, as far as they exceed `cut`."""
        values = self.values(multiplier)
        order = np.argsort(values, kind="stable")[-most:]
        return np.asarray(self.inputs[order[values[order] > cut]])
