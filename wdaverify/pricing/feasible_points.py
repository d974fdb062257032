"""Points of a constrained domain near those of relaxations: whole numbers rounded, rows repaired, all checked exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import TINY

if TYPE_CHECKING:
    from wdaverify._types import Matrix, Vector
    from wdaverify.constraints import Constraints
    from wdaverify.pricing.prices import PriceQuestion

_PASSES = 12

_ROUNDING = 1e-13
"""Rows are to hold by this part of their size, so that they hold exactly."""


class FeasiblePoints:
    """The points that are known of one question, with gains and costs in float64.

    Attributes
    ----------
    points
        Shape (P, n); all satisfy everything exactly, and are within reach. The first is the sample.
    """

    def __init__(self, question: PriceQuestion, constraints: Constraints) -> None:
        self._question, self._constraints = question, constraints
        self._rows, self._offsets = constraints.inequalities()
        self.points: Matrix = np.zeros((0, len(question.center)))
        self._gains, self._costs = np.zeros(0), np.zeros(0)
        self.add(question.center)

    def add(self, point: Vector) -> bool:
        """Whether a point belongs to the domain; it is kept unless another gains as much for no more."""
        question, box = self._question, self._question.domain
        if not ((point >= box.lower) & (point <= box.upper)).all() or self._constraints.broken(point) is not None:
            return False
        step = point - question.center
        if not question.cost.lengths(step) <= question.reach:
            return False
        gain = float((question.rows @ question.network.compiled.forward(point[None])[0]).max())
        paid = float(question.cost.values(step))
        if not ((self._gains >= gain) & (self._costs <= paid)).any():
            self.points = np.concatenate([self.points, point[None]])
            self._gains, self._costs = np.append(self._gains, gain), np.append(self._costs, paid)
        return True

    def values(self, multiplier: float) -> Vector:
        """Gain less price of each point, (P,)."""
        return np.asarray(self._gains - multiplier * self._costs)

    def best(self, multiplier: float) -> float:
        """The largest value; the sample itself is always known."""
        return float(self.values(multiplier).max())

    def rounded(self, point: Vector) -> Vector:
        """The nearest point whose features of one-hot groups are 0 and 1 and whose integers are whole numbers."""
        whole, box = point.copy(), self._question.domain
        integer = self._constraints.integer
        whole[integer] = np.clip(np.round(point[integer]), np.ceil(box.lower[integer]), np.floor(box.upper[integer]))
        for group in self._constraints.one_hot:
            members = np.array(group)
            allowed = np.where(box.upper[members] >= 1.0, point[members], -np.inf)
            allowed = np.where(box.lower[members] > 0.0, np.inf, allowed)
            whole[members] = 0.0
            whole[members[int(np.argmax(allowed))]] = 1.0
        return whole

    def repaired(self, point: Vector, lower: Vector, upper: Vector) -> Vector:
        """A point between the ends that keeps its integers and moves across the rows that it breaks, as far as that is easy."""
        inside = np.clip(point, lower, upper)
        free = ~self._constraints.integer & (lower < upper)
        for _ in range(_PASSES):
            if self._constraints.broken_row(inside) is None:
                break
            slack = self._rows @ inside + self._offsets
            size = 1.0 + np.abs(self._offsets) + np.abs(self._rows) @ np.abs(inside)
            broken = np.flatnonzero(slack < _ROUNDING * size)
            broken = broken[(np.abs(self._rows[broken][:, free]) > 0).any(axis=1)]
            if not len(broken):
                break
            k = broken[np.argmin(slack[broken] / size[broken])]
            row = np.where(free, self._rows[k], 0.0)
            step = 2.0 * _ROUNDING * size[k] - slack[k]
            inside = np.clip(inside + row * (step / max(float(row @ row), TINY)), lower, upper)
        return np.asarray(inside)
