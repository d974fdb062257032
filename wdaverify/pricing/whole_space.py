"""Prices on all of R^n: those of a box about the sample, and what lies outside (`pricing.far`)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.domain import Box
from wdaverify.powers import power_bracket
from wdaverify.pricing.far import FarPrices, as_matrix
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend

_REACH = 4.0
"""Half the width of the box, in units of 1 + ||sample||_inf."""


def search_box(center: Vector, reach: float = math.inf) -> tuple[Box, float]:
    """A box about a sample, and a radius B: all points outside have ``||d||_inf >= B``.

    Parameters
    ----------
    reach
        If finite, the box holds all points within this distance.

    Examples
    --------
    >>> box, radius = search_box(np.zeros(2), 0.5)
    >>> radius, bool(box.lower[0] < -0.5), bool(box.upper[1] > 0.5)
    (0.5, True, True)
    """
    radius = reach if math.isfinite(reach) else _REACH * (1.0 + float(np.abs(center).max()))
    return Box(np.nextafter(center - radius, -np.inf), np.nextafter(center + radius, np.inf)), radius


class WholeSpacePrices:
    """`pricing.prices.Prices` of a loss on all of R^n.

    Parameters
    ----------
    question
        Of the margin; its domain and its reach do not matter.
    near
        Prices of the loss on the `search_box` of the sample.
    backend
        Keeps linear programs between solves.
    excess
        The loss is at most ``max(0, m) + excess``; ``None`` if what is priced is the margin m itself.
    """

    def __init__(self, question: PriceQuestion, near: Prices, backend: Backend, excess: float | None = None) -> None:
        self._near, self._excess, self._order, self._inputs = near, excess, question.cost.order, question.network.inputs
        self._radius = search_box(question.center)[1]
        norm = question.cost.norm
        self._far = FarPrices(backend, question.network, question.label, question.center, norm, self._radius)
        self._able = self._far.able and question.cost.scales is None

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        return max(self._near.upper(multiplier), self._far_upper(self._rate(multiplier)))

    def _far_upper(self, rate: float) -> float:
        """Outside the box, where the cost is at least ``rate * t``, ``t >= B``: ``max(0, m) - rate t <= max(mu, -rate B)``."""
        margin = self._far.upper(rate)
        if self._excess is None or math.isinf(margin):
            return margin
        return round_up(max(Fraction(margin), -Fraction(rate) * Fraction(self._radius)) + Fraction(self._excess))

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts."""
        self._near.offer(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Search the box, then the rest."""
        near = self._near.work(multiplier, cut=cut, gap=gap, deadline=deadline)
        if not self._able or deadline.passed:
            return near
        target = max(cut + 0.5 * gap, self._near.upper(multiplier))  # more is not needed: phi is the larger of both
        if not math.isfinite(target):
            return near
        known = len(self._far.points)
        self._far.work(self._rate(multiplier), target - (self._excess or 0.0), 0.5 * gap, deadline)
        return np.concatenate([as_matrix(self._far.points[known:], self._inputs), near])

    def _rate(self, multiplier: float) -> float:
        """``lambda B^(p-1)``, rounded down: what a unit of distance costs at least, outside the box."""
        if self._order == 1:
            return multiplier
        return round_down(Fraction(multiplier) * power_bracket(Fraction(self._radius), self._order - 1.0)[0])
