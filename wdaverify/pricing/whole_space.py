"""Prices on all of R^n: those of a box about the sample, and what lies outside (`pricing.far`)."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.domain import Box
from wdaverify.powers import power_bracket
from wdaverify.pricing.far import FarPrices, as_matrix
from wdaverify.transport import round_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix
    from wdaverify.pricing.prices import PriceQuestion, Prices
    from wdaverify.program.backend import Backend

_REACH = 4.0
"""Half the width of the box, in units of 1 + ||sample||_inf."""


def search_box(question: PriceQuestion) -> tuple[Box, float]:
    """The box about a sample that is searched as any other, and a radius B: all points outside have ``||d||_inf >= B``."""
    if math.isfinite(question.reach) and question.cost.scales is None:
        radius = question.reach
    else:
        radius = _REACH * (1.0 + float(np.abs(question.center).max()))
    lower = np.nextafter(question.center - radius, -np.inf)
    return Box(lower, np.nextafter(question.center + radius, np.inf)), radius


class WholeSpacePrices:
    """`pricing.prices.Prices` of a question whose domain is R^n.

    Parameters
    ----------
    question
        Its domain does not matter.
    backend
        Keeps linear programs between solves.
    make
        Opens the prices of a box.
    """

    def __init__(self, question: PriceQuestion, backend: Backend, make: Callable[[PriceQuestion, Backend], Prices]) -> None:
        box, self._radius = search_box(question)
        self._order, self._inputs = question.cost.order, question.network.inputs
        self._near = make(replace(question, domain=box), backend)
        self._far = FarPrices(backend, question.network, question.label, question.center, question.cost.norm, self._radius)
        self._local = math.isfinite(question.reach) and question.cost.scales is None

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``phi(multiplier)``."""
        near = self._near.upper(multiplier)
        return near if self._local else max(near, self._far.upper(self._rate(multiplier)))

    def offer(self, points: Matrix) -> None:
        """Candidates for warm starts."""
        self._near.offer(points)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """Search the box, then the rest."""
        near = self._near.work(multiplier, cut=cut, gap=gap, deadline=deadline)
        if self._local or not self._far.able or deadline.passed:
            return near
        target = max(cut + 0.5 * gap, self._near.upper(multiplier))  # more is not needed: phi is the larger of both
        if not math.isfinite(target):
            return near
        known = len(self._far.points)
        self._far.work(self._rate(multiplier), target, 0.5 * gap, deadline)
        return np.concatenate([as_matrix(self._far.points[known:], self._inputs), near])

    def _rate(self, multiplier: float) -> float:
        """``lambda B^(p-1)``, rounded down: what a unit of distance costs at least, outside the box."""
        if self._order == 1:
            return multiplier
        return round_down(Fraction(multiplier) * power_bracket(Fraction(self._radius), self._order - 1.0)[0])
