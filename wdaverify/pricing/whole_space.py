"""Prices on all of R^n: those of a box about the sample, and what lies outside (`pricing.far`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.domain import Box
from wdaverify.powers import power_bracket
from wdaverify.pricing.far import FarPrices, as_matrix
from wdaverify.transport import round_down, round_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend

_REACH = 4.0
"""Half the width of the box, in units of 1 + ||sample||_inf."""

_GROWTH = 4.0
"""From box to box."""

_LARGEST = 1e6
"""Boxes are not made wider than this."""

_STEEP = 2.0
"""Outside the box a unit of distance is to cost this many times the slope, for orders above 1."""


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

    For p > 1 a unit of distance costs at least ``lambda B^(p-1)`` outside the box: it is made so large that this is well above
    the slope at infinity. Bounds from every box that was opened hold.

    Parameters
    ----------
    question
        Of the margin; its domain and its reach do not matter.
    open_near
        Opens prices of the loss on a box.
    backend
        Keeps linear programs between solves.
    slope
        About how fast the margin grows at infinity.
    excess
        The loss is at most ``max(0, m) + excess``; ``None`` if what is priced is the margin m itself.
    """

    def __init__(
        self,
        question: PriceQuestion,
        open_near: Callable[[Box], Prices],
        backend: Backend,
        slope: float,
        excess: float | None = None,
    ) -> None:
        self._question, self._open_near, self._backend = question, open_near, backend
        self._slope, self._excess = slope, excess
        self._parts: dict[float, _Part] = {}
        self._offered = np.zeros((0, question.network.inputs))

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        return min((part.upper(multiplier) for part in self._parts.values()), default=math.inf)

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts."""
        self._offered = np.concatenate([self._offered, points])
        for part in self._parts.values():
            part.near.offer(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Search the box, then the rest."""
        return self._part(multiplier).work(multiplier, cut=cut, gap=gap, deadline=deadline)

    def _part(self, multiplier: float) -> _Part:
        """The box for a multiplier, and what lies outside."""
        question, (_, radius) = self._question, search_box(self._question.center)
        order = question.cost.order
        while order > 1 and radius < _LARGEST and multiplier * radius ** (order - 1.0) < _STEEP * self._slope:
            radius *= _GROWTH
        if radius not in self._parts:
            norm = question.cost.norm
            far = FarPrices(self._backend, question.network, question.label, question.center, norm, radius)
            near = self._open_near(search_box(question.center, radius)[0])
            near.offer(self._offered)
            able = far.able and question.cost.scales is None
            self._parts[radius] = _Part(near, far, radius, order, self._excess, able=able)
        return self._parts[radius]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One box and the rest of R^n."""

    near: Prices
    far: FarPrices
    radius: float
    order: float
    excess: float | None
    able: bool

    def upper(self, multiplier: float) -> float:
        return max(self.near.upper(multiplier), self._far_upper(self._rate(multiplier)))

    def _far_upper(self, rate: float) -> float:
        """Outside the box, where the cost is at least ``rate * t``, ``t >= B``: ``max(0, m) - rate t <= max(mu, -rate B)``."""
        margin = self.far.upper(rate)
        if self.excess is None or math.isinf(margin):
            return margin
        return round_up(max(Fraction(margin), -Fraction(rate) * Fraction(self.radius)) + Fraction(self.excess))

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        near = self.near.work(multiplier, cut=cut, gap=gap, deadline=deadline)
        if not self.able or deadline.passed:
            return near
        target = max(cut + 0.5 * gap, self.near.upper(multiplier))  # more is not needed: phi is the larger of both
        if not math.isfinite(target):
            return near
        known = len(self.far.points)
        self.far.work(self._rate(multiplier), target - (self.excess or 0.0), 0.5 * gap, deadline)
        return np.concatenate([as_matrix(self.far.points[known:], near.shape[1]), near])

    def _rate(self, multiplier: float) -> float:
        """``lambda B^(p-1)``, rounded down: what a unit of distance costs at least, outside the box."""
        if self.order == 1:
            return multiplier
        return round_down(Fraction(multiplier) * power_bracket(Fraction(self.radius), self.order - 1.0)[0])
