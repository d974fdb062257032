r"""How far single rivals can rise above the label within a cost, from prices of their margins.

For every multiplier mu that was asked about, ``f_c - f_y <= psi_c(mu) + mu cost`` on all points of the question: the least of
these lines bounds the margin of c where the cost is bounded. With one line per rival

.. math:: ce - \lambda\, cost \le \log \Big(1 + \sum_c e^{\psi_c(\mu_c) + \mu_c\, cost} \Big) - \lambda\, cost,

which is convex in the cost: where that lies in an interval, one of its ends is the worst. If no rival pays for leaving the
sample, neither does the loss, and this alone proves it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wdaverify._tolerances import UNIT_ROUNDOFF
from wdaverify.log_sum_exp import cross_entropies

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.directions import Directions, FormPrices
    from wdaverify.pricing.points_met import PointsMet

_ROUGH = 0.1
"""Logits need no narrower bounds than this: an exponential is off by a tenth."""

_STEEPER = (1.0, 2.0, 4.0)
"""Multiples of the multiplier at which rivals are priced, as long as they pay for a move."""

_PART = 0.25
"""Part of the gap that a rival is priced to at the multiplier itself: the gap of the loss is at most the largest of a rival's."""

_SLACK = 2.0**-40
"""Covers the rounding of a log-sum-exp and of lines in float64."""

_WARM = 16
"""Points that prices of a new rival are offered."""


class RivalGrowth:
    """Lines above the margins of all rivals of one question.

    Parameters
    ----------
    directions
        Of the whole question.
    """

    def __init__(self, directions: Directions, label: int, classes: int) -> None:
        self._forms: dict[int, FormPrices] = {c: directions.form(np.eye(classes)[c]) for c in range(classes) if c != label}
        self._label, self._classes = label, classes
        self._multipliers: set[float] = set()

    def work(self, multiplier: float, points: PointsMet, gap: float, deadline: Deadline) -> None:
        """Price all rivals at a multiplier, and those that move there roughly at larger ones."""
        for c, form in self._forms.items():
            for part in _STEEPER:
                asked = part * multiplier
                if deadline.passed or not math.isfinite(asked):
                    return
                fine = _PART * gap if part == 1.0 else max(gap, _ROUGH)
                margins = points.logits[:, c] - points.logits[:, self._label]
                warm = points.inputs[np.argsort(asked * points.costs - margins, kind="stable")[:_WARM]]
                points.add(form.work(asked, warm, cut=float(margins[0]), gap=fine, deadline=deadline))
                self._multipliers.add(asked)
                if form.upper(asked) <= margins[0] + 2.0 * _ROUGH or asked == 0.0:
                    break

    def _lines(self) -> tuple[Vector, Matrix]:
        """The multipliers (M,) and proved prices (M, K) of all rivals, 0 for the label."""
        slopes = sorted(self._multipliers)
        prices = np.zeros((len(slopes), self._classes))
        for c, form in self._forms.items():
            prices[:, c] = [form.upper(slope) for slope in slopes]
        return np.array(slopes), prices

    def ceilings(self, cost: float) -> Vector:
        """Proved upper bounds (K,) of ``f_c - f_label`` on the points whose cost is at most the given one."""
        slopes, prices = self._lines()
        paid = slopes[:, None] * cost
        heights = prices + paid
        heights = heights + 4.0 * UNIT_ROUNDOFF * (np.abs(prices) + paid)
        found = np.min(np.where(np.isnan(heights), np.inf, heights), axis=0, initial=np.inf)
        found[self._label] = 0.0
        return np.asarray(found)

    def cap(self, multiplier: float, least: float, most: float) -> float:
        """A proved upper bound of the loss less its price where the cost lies between two numbers."""
        slopes, prices = self._lines()
        if not len(slopes) or not math.isfinite(most):
            return math.inf
        bounds = []
        for aim in (least, most):
            best = np.argmin(prices + slopes[:, None] * aim, axis=0)
            own, slope = prices[best, np.arange(self._classes)], slopes[best]
            own[self._label] = slope[self._label] = 0.0
            if not np.isfinite(own).all():  # a rival was not priced yet: nothing bounds it
                return math.inf
            ends = [self._at(cost, own, slope) - multiplier * cost for cost in (least, most)]
            bounds.append(max(ends) + _SLACK * (1.0 + max(abs(end) for end in ends) + multiplier * most))
        if not all(math.isfinite(bound) for bound in bounds):
            return math.inf
        return min(bounds)

    def _at(self, cost: float, prices: Vector, slopes: Vector) -> float:
        """``log (1 + sum_c exp(price_c + slope_c cost))``, in float64."""
        return float(cross_entropies((prices + slopes * cost)[None], np.array([self._label]))[0])
